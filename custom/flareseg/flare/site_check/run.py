"""All checks of a site, in the order in which an operator mends them."""

from __future__ import annotations

from pathlib import Path

from flareseg.flare.site_check.boundary import check_boundary
from flareseg.flare.site_check.identity import check_identity
from flareseg.flare.site_check.kit import Kit
from flareseg.flare.site_check.machine import check_machine
from flareseg.flare.site_check.network import check_listening, check_network
from flareseg.flare.site_check.policy import check_policy
from flareseg.flare.site_check.report import Check, is_ready
from flareseg.flare.site_check.scopes import check_scopes
from flareseg.flare.site_check.software import check_preflight, check_versions
from flareseg.flare.site_check.study import check_data, check_job, check_site_file
from flareseg.processes import processes_of


def check_site(kit: Kit, job: Path | None = None) -> list[Check]:
    """Check whether a site is ready to join, or a server to start.

    Args:
        kit: the kit of the site or the server.
        job: a job that is to run, checked against what the site offers.
    """
    running = bool(processes_of(kit.folder))
    checks = [check_versions(kit), *check_identity(kit), check_boundary(kit), check_policy(kit), check_scopes(kit)]
    site = None
    if kit.is_server:
        checks.append(check_listening(kit, running))
    else:
        site, site_file = check_site_file(kit)
        checks += [*check_network(kit), site_file]
    if site is not None:
        checks.append(check_data(kit, site))
    checks += check_machine(kit, site)
    if job is not None:
        checks += check_job(kit, site, job)
    return [*checks, check_preflight(kit, running=running, earlier_red=not is_ready(checks))]

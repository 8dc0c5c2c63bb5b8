"""What a site allows: classes, permissions and privacy scopes, the same in POC and in production."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

PRIVACY: dict[str, Any] = {
    "scopes": [
        {"name": "open", "properties": {}},
        {"name": "clipped", "properties": {"max_norm": 5.0}},
        {
            "name": "dp",
            "properties": {"epsilon": 8.0, "delta": 1e-5, "max_grad_norm": 1.0, "noise_multiplier": 1.0},
        },
        {
            "name": "statistics",
            "properties": {"min_patients": 5, "max_bins_percent": 100, "noise": [0.1, 0.3]},
        },
    ],
    "default_scope": "open",
}
"""The scopes of a kit, for the site to set (docs/privacy.md); a job that asks for another is refused."""

CELL_BOUNDARY = "flareseg.flare.safeguards.cell_boundary.CellBoundary"
"""Stands first in ``startup/fed_server.json`` and ``fed_client.json``, before any component of ``resources.json``."""
_REQUIRED = {"path": "flareseg.flare.safeguards.cell_boundary.BoundaryRequired", "args": {}}
_BOUNDARY_REQUIRED: dict[str, Any] = {"id": "boundary_required", **_REQUIRED}
_BOUNDARY_REQUIRED_BY_JOBS: dict[str, Any] = {"id": "boundary_required_by_jobs", **_REQUIRED}

RESOURCE_COMPONENTS: dict[str, list[dict[str, Any]]] = {
    "server": [
        _BOUNDARY_REQUIRED,
        {"id": "component_guard", "path": "flareseg.flare.safeguards.guard.ComponentGuard", "args": {}},
        {"id": "refusal_audit", "path": "flareseg.flare.safeguards.refusal_audit.RefusalAudit", "args": {}},
        {"id": "early_questions", "path": "flareseg.flare.safeguards.early_questions.EarlyQuestions", "args": {}},
        {"id": "lost_jobs", "path": "flareseg.flare.safeguards.lost_sites.LostJobs", "args": {}},
        {"id": "lost_sites", "path": "flareseg.flare.safeguards.lost_sites.LostSites", "args": {}},
        {"id": "tls_log", "path": "flareseg.flare.safeguards.tls_log.TlsRefusalLog", "args": {}},
    ],
    "client": [
        _BOUNDARY_REQUIRED,
        {"id": "component_guard", "path": "flareseg.flare.safeguards.guard.ComponentGuard", "args": {}},
        {"id": "refusal_audit", "path": "flareseg.flare.safeguards.refusal_audit.RefusalAudit", "args": {}},
        {"id": "app_deployer", "path": "flareseg.flare.safeguards.deployer.SiteAppDeployer", "args": {}},
    ],
}
"""What each kit's resources.json adds to NVFlare's own components."""

JOB_COMPONENTS: dict[str, list[dict[str, Any]]] = {
    "server": [
        _BOUNDARY_REQUIRED_BY_JOBS,
        {"id": "job_gate", "path": "flareseg.flare.safeguards.gate.JobGate", "args": {}},
    ],
    "client": [
        _BOUNDARY_REQUIRED_BY_JOBS,
        {"id": "site_ledger", "path": "flareseg.flare.site.ledger.SiteLedger", "args": {}},
    ],
}
"""What each kit's privacy.json adds to every job's process, whatever the job says."""
_ENCRYPTED: dict[str, Any] = {"name": "encrypted", "properties": {}}
_FILTERS: dict[str, Any] = {
    "task_data_filters": [{"path": "nvflare.app_opt.he.model_decryptor.HEModelDecryptor", "args": {}}],
    "task_result_filters": [
        # A pattern that matches every name: NVFlare 2.9 tells the filters of a scope nothing of the start of a run.
        {"path": "nvflare.app_opt.he.model_encryptor.HEModelEncryptor", "args": {"encrypt_layers": "."}}
    ],
}


def privacy(*, keys: bool, site: bool) -> dict[str, Any]:
    """Give the content of a kit's privacy.json.

    Args:
        keys: whether the kit has keys for homomorphic encryption; only then it knows the scope ``encrypted``.
        site: whether it is a site's, whose filters encrypt and decrypt; the server has none.
    """
    more = [_ENCRYPTED | (_FILTERS if site else {})] if keys else []
    return PRIVACY | {"scopes": [*PRIVACY["scopes"], *more]}


_NOTHING = {
    "shell_commands": "none",
    "byoc": "none",
    "server-predeployed-flwr": "none",
    "report_env": "none",  # of the category operate; its answer holds the path of the site's kit
}


def _without_category(of_jobs: str) -> dict[str, str]:
    """Commands that NVFlare 2.9 puts into no category, so that a role has them by name or not at all."""
    return {
        "report_version": "any",  # nvflare system version
        "list_job": "any",
        "get_job_log": of_jobs,  # nvflare job logs: the log of the job's process at the server
        "download_job_components": of_jobs,
    }


AUTHORIZATION: dict[str, Any] = {
    "format_version": "1.0",
    "permissions": {
        "project_admin": {
            "submit_job": "any",
            "clone_job": "any",
            "manage_job": "any",
            "download_job": "any",
            "view": "any",
            "operate": "any",
            **_without_category("any"),
            **_NOTHING,
        },
        "org_admin": {
            "submit_job": "none",
            "clone_job": "none",
            "manage_job": "o:submitter",
            "download_job": "o:submitter",
            "view": "any",
            "operate": "o:site",
            **_without_category("o:submitter"),
            **_NOTHING,
        },
        "lead": {
            "submit_job": "any",
            "clone_job": "n:submitter",
            "manage_job": "n:submitter",
            "download_job": "n:submitter",
            "view": "any",
            "operate": "none",
            **_without_category("n:submitter"),
            **_NOTHING,
        },
        "member": {"view": "any", **_without_category("none"), **_NOTHING},
    },
}
"""A lead submits, an organisation's admin rules its own site, a member looks; nobody runs shell commands."""


def authorization(revoked: Sequence[str] = ()) -> dict[str, Any]:
    """The content of authorization.json.

    Args:
        revoked: names of users who may do nothing.
    """
    blocked = [f"not n:{name}" for name in revoked]
    if not blocked:
        return AUTHORIZATION
    permissions = {
        role: {right: granted if granted == "none" else [granted, *blocked] for right, granted in rights.items()}
        for role, rights in AUTHORIZATION["permissions"].items()
    }
    return {**AUTHORIZATION, "permissions": permissions}

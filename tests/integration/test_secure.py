"""A job over TLS between provisioned participants: central provisioning from an empty folder to the result."""

from __future__ import annotations

import pytest

from federation import tiny_changes
from flareseg.report import report_facts
from secure_federation import SecureFederation

pytestmark = pytest.mark.slow


def test_a_job_of_the_lead_runs_at_every_site(secure: SecureFederation) -> None:
    record, _ = secure.run(tiny_changes())
    assert report_facts(record).status == "complete"
    assert [item.accepted for item in record.rounds] == [secure.site_names] * 2
    assert list((secure.kit(secure.server) / "store" / "jobs").glob("*/data")), "the server keeps jobs in its kit"


@pytest.mark.parametrize("role", ["project_admin", "org_admin", "lead", "member"])
def test_every_role_logs_in_and_sees_the_sites(secure: SecureFederation, role: str) -> None:
    with secure.session(role) as session:
        assert secure.registered(session) == set(secure.site_names)

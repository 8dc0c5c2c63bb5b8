"""What the privacy scope did in a run, in one sentence."""

from __future__ import annotations

from collections.abc import Sequence

from flareseg.record.messages import PrivacyMessage
from flareseg.record.run import RoundRecord


def privacy_in_words(rounds: Sequence[RoundRecord]) -> str:
    """Say which scope was in force, and what it did at each site."""
    reports: dict[str, list[PrivacyMessage]] = {}
    for item in rounds:
        for site, report in item.sites.items():
            if report.privacy is not None:
                reports.setdefault(site, []).append(report.privacy)
    if not reports:
        return "Not reported."
    scopes = sorted({item.scope for several in reports.values() for item in several})
    deeds = [f"{site} {deed}" for site, several in sorted(reports.items()) if (deed := _deed(several))]
    return f"Scope {' and '.join(scopes)}{': ' if deeds else ''}{'; '.join(deeds)}."


def _deed(reports: Sequence[PrivacyMessage]) -> str:
    last = reports[-1]
    if last.epsilon is not None:
        return f"spent ε = {last.epsilon:.2f} of {last.budget:g} at δ = {last.delta:g}, in all jobs so far"
    clipped = [item.clipped for item in reports if item.clipped is not None]
    return f"clipped {sum(clipped)} of {len(clipped)} updates" if clipped else ""

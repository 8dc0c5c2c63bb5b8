"""Cases against each other: the same voxels twice, and labels that occur nowhere or almost everywhere."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from flareseg.data.annotation import Annotation
from flareseg.data.check.case import CaseReport
from flareseg.data.faults import LabelFault, SplitFault
from flareseg.data.faults.findings import Finding

_USUAL = 0.8


def duplicate_faults(reports: Sequence[CaseReport]) -> Iterator[Finding]:
    """Find images, and labels of different images, that hold the same voxels."""
    for same in _groups(reports, "image_digest"):
        where = {report.split for report in same}
        kind = SplitFault.DUPLICATE_IN_TWO_SPLITS if len(where) > 1 else SplitFault.DUPLICATE
        yield Finding(kind, f"The images of {_names(same)} hold the same voxels.", same[0].name)
    for same in _groups(reports, "label_digest"):
        if len({report.image_digest for report in same}) > 1:
            yield Finding(
                SplitFault.LABEL_DUPLICATE, f"The labels of {_names(same)} hold the same voxels.", same[0].name
            )


def occurrence_faults(reports: Sequence[CaseReport], annotation: Annotation) -> Iterator[Finding]:
    """Compare what site.yaml names with what the cases hold; nothing to say where no label could be read."""
    held = [report for report in reports if report.content is not None]
    if not held:
        return
    seen = frozenset().union(*(report.values for report in held))
    for name, values in annotation.values.items():
        missing = [str(value) for value in values if value not in seen]
        if len(missing) == len(values):
            kind = LabelFault.LABEL_NEVER_OCCURS if name in annotation.organs else LabelFault.TARGET_NEVER_OCCURS
            yield Finding(kind, f"{name}: {', '.join(missing)} occurs in none of {len(held)} cases.")
        elif missing:
            yield Finding(
                LabelFault.VALUE_NEVER_OCCURS, f"{name}: {', '.join(missing)} occurs in none of {len(held)} cases."
            )
    for name in annotation.organs if annotation.by_task else ():
        without = [report for report in held if report.content and not report.content.voxels[name]]
        if 0 < len(without) <= (1 - _USUAL) * len(held):
            for report in without:
                if any(report.content.voxels.values()) if report.content else False:
                    yield Finding(
                        LabelFault.ORGAN_ABSENT,
                        f"{name} is missing; {len(held) - len(without)} of {len(held)} cases have it.",
                        report.name,
                    )


def _groups(reports: Sequence[CaseReport], digest: str) -> Iterator[list[CaseReport]]:
    groups: dict[str, list[CaseReport]] = defaultdict(list)
    for report in reports:
        if value := getattr(report, digest):
            groups[value].append(report)
    yield from (same for same in groups.values() if len({report.name for report in same}) > 1)


def _names(reports: Sequence[CaseReport]) -> str:
    return " and ".join(f"{report.name} ({report.split})" for report in reports)

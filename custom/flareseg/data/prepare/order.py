"""What to prepare, as the user says it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from flareseg.config.task import Task
from flareseg.data.prepare.layouts.source import Given
from flareseg.data.prepare.splits import SplitPlan
from flareseg.data.prepare.subset import Subset


@dataclass(frozen=True)
class Order:
    """What to prepare.

    Attributes:
        layout: how the source is laid out.
        source: the source folder; nothing in it is changed.
        folder: where to write; outside the source.
        task: whose labels to map to; None takes every organ as a label.
        given: what the layout does not tell.
        site: name of the one modality or centre to take.
        only: glob pattern of the names of the cases to take.
        without: glob patterns of the names of the cases to leave out.
        patients: regular expression whose first group is the patient in a case's name.
        maps: ``LABEL=ORGAN,...`` that go before the names.
        window: HU at 0 and at 255 of 8-bit CT images.
        plan: the splits.
        subset: what of the training cases to use.
    """

    layout: str
    source: Path
    folder: Path
    task: Task | None = None
    given: Given = field(default_factory=Given)
    site: str | None = None
    only: str = "*"
    without: Sequence[str] = ()
    patients: str | None = None
    maps: Sequence[str] = ()
    window: tuple[float, float] | None = None
    plan: SplitPlan = field(default_factory=SplitPlan)
    subset: Subset = field(default_factory=Subset)

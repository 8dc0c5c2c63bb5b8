"""What a site's label values mean, by site.yaml and task."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from flareseg.config.site import Site
from flareseg.config.task import Task


@dataclass(frozen=True)
class Annotation:
    """What a site's labels mean.

    Attributes:
        values: of each annotated label.
        lesions: labels that a scan may lack: the task's small targets.
        named: every value that site.yaml names, those of labels that the task does not know among them, and 0.
        by_task: whether a task says which labels are lesions; without one every label counts as an organ.
        two_valued: whether a frame's mask is background and one value, whatever it is: site.yaml names 1 or 255, or
            both, and tells no labels apart by them.
    """

    values: dict[str, tuple[int, ...]]
    lesions: frozenset[str]
    named: frozenset[int]
    by_task: bool
    two_valued: bool

    @classmethod
    def of(cls, site: Site, task: Task | None) -> Annotation:
        """Join site and task."""
        known = site.labels if task is None else {name: site.labels.get(name) for name in task.labels}
        return cls(
            {name: values for name, values in known.items() if values},
            frozenset() if task is None else task.lesions,
            site.named_values | {0},
            task is not None,
            is_two_valued(site.labels.values()),
        )

    @property
    def organs(self) -> list[str]:
        """Annotated labels that every scan of the region has."""
        return [name for name in self.values if name not in self.lesions]


def is_two_valued(labels: Iterable[tuple[int, ...] | None]) -> bool:
    """Whether labels of these values are all the second value of a mask that has two."""
    meanings = {frozenset(values) for values in labels if values}
    return len(meanings) == 1 and next(iter(meanings)) <= {1, 255}

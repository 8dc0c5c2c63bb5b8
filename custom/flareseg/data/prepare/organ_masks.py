"""One file of label values from one binary mask for each organ; organs may overlap, as the labels of a task may."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

OrganMask = tuple[str, NDArray[np.bool_]]
"""An organ and the voxels (X, Y, Z) that are marked as it."""


@dataclass
class OrganValues:
    """The values that stand for organs in a site's label files.

    A voxel of two organs is both: it gets a value of its own, which the labels of both list. Where both belong to the
    same labels (the left and the right kidney to ``kidneys``), the value of either says all.

    Attributes:
        single: the value of each organ.
        labels: the labels that each organ is part of.
        shared: the values of voxels of several organs, by the organs' names in order.
    """

    single: Mapping[str, int]
    labels: Mapping[str, frozenset[str]]
    shared: dict[tuple[str, ...], int] = field(default_factory=dict)

    def of(self, organs: Iterable[str]) -> int:
        """The value of a voxel of these organs."""
        names = tuple(sorted(organs))
        everything = self._labels_of(names)
        enough = [name for name in names if self.labels[name] == everything]
        if enough:
            return self.single[enough[0]]
        if names not in self.shared:
            self.shared[names] = max([*self.single.values(), *self.shared.values()]) + 1
        return self.shared[names]

    def values(self, used: Iterable[int]) -> dict[str, tuple[int, ...]]:
        """The values of each organ, alone and shared, as far as they are used."""
        wanted = set(used)
        return {
            name: (value, *(other for names, other in self.shared.items() if name in names and other in wanted))
            for name, value in self.single.items()
        }

    def _labels_of(self, names: Iterable[str]) -> frozenset[str]:
        return frozenset().union(*(self.labels[name] for name in names))


@dataclass(frozen=True)
class Merged:
    """A case's organs in one array.

    Attributes:
        voxels: (X, Y, Z) of values; uint8, or uint16 where values are larger.
        shared: number of voxels of several organs, by the organs' names in order.
    """

    voxels: NDArray[np.unsignedinteger]
    shared: dict[tuple[str, ...], int]


def merge(masks: Iterable[OrganMask], values: OrganValues) -> Merged:
    """Merge masks of one shape; the result does not depend on their order.

    >>> row = np.arange(4).reshape(4, 1, 1)
    >>> values = OrganValues({"liver": 1, "spleen": 2}, {"liver": frozenset({"l"}), "spleen": frozenset({"s"})})
    >>> merge([("liver", row < 3), ("spleen", row > 1)], values).voxels.ravel().tolist()
    [1, 1, 3, 2]
    """
    voxels: NDArray[np.unsignedinteger] | None = None
    members: dict[int, frozenset[str]] = {}
    counts: dict[tuple[str, ...], int] = {}
    groups = np.zeros(0, dtype=np.uint16)
    # Groups of organs are numbered as they are met; values follow once every voxel's organs are known.
    for organ, mask in masks:
        if voxels is None:
            groups, voxels = np.zeros(mask.shape, dtype=np.uint16), np.zeros(mask.shape, dtype=np.uint8)
            members[0] = frozenset()
        for number in np.unique(groups[mask]).tolist():
            joined = members[number] | {organ}
            place = next((known for known, names in members.items() if names == joined), len(members))
            members[place] = joined
            groups[mask & (groups == number)] = place
    if voxels is None:
        raise ValueError("there is no mask")
    table = np.zeros(len(members), dtype=np.uint16)
    present = np.bincount(groups.ravel(), minlength=len(members))
    for number, names in sorted(members.items(), key=lambda item: sorted(item[1])):
        if names and present[number]:
            table[number] = values.of(names)
            if len(names) > 1:
                counts[tuple(sorted(names))] = int(present[number])
    return Merged(table[groups].astype(np.uint8 if table.max(initial=0) < 256 else np.uint16), counts)

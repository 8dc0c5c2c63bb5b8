"""The data of several sites at one place: what a federation is compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import overload

from flareseg.data.cache import Volume
from flareseg.data.case import SplitName
from flareseg.data.site_data import SiteData
from flareseg.errors import SettingsError


class PooledVolumes(Sequence[Volume]):
    """The volumes of several sites one after the other, each still read by its own site."""

    def __init__(self, sites: Sequence[Sequence[Volume]]) -> None:
        self._sites = sites
        self._place = list(chain.from_iterable(((site, index) for index in range(len(site))) for site in sites))

    def __len__(self) -> int:
        return len(self._place)

    @overload
    def __getitem__(self, index: int) -> Volume: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Volume]: ...

    def __getitem__(self, index: int | slice) -> Volume | Sequence[Volume]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        site, number = self._place[index]
        return site[number]


class PooledData:
    """The data of several sites as if it were one site's; a volume is drawn as often as any other.

    Args:
        sites: name to data; each keeps its modality's normalisation and its own cache.

    Raises:
        SettingsError: the sites have annotated different labels, which a learner of one place cannot keep apart.
    """

    def __init__(self, sites: Mapping[str, SiteData]) -> None:
        self._sites = dict(sites)
        first = next(iter(sites.values()))
        different = [name for name, data in sites.items() if data.annotated != first.annotated]
        if different:
            raise SettingsError(
                f"{', '.join(different)}: other labels are annotated than at {next(iter(sites))}.",
                "Pool sites of the same labels, or leave these labels out of the task.",
            )
        self.site, self.annotated = first.site, first.annotated
        self.excluded = sum(data.excluded for data in sites.values())
        self.left_out = sum(data.left_out for data in sites.values())

    def volumes(self, split: SplitName) -> PooledVolumes:
        """The volumes of one split, site by site."""
        return PooledVolumes([data.volumes(split) for data in self._sites.values()])

    def patients(self, split: SplitName) -> dict[str, list[int]]:
        """For each patient the numbers of its volumes; one of the same name at two sites is two."""
        numbers: dict[str, list[int]] = {}
        before = 0
        for name, data in self._sites.items():
            for patient, own in data.patients(split).items():
                numbers[f"{name}/{patient}"] = [before + number for number in own]
            before += len(data.volumes(split))
        return numbers

"""A site's prepared volumes, opened when they are asked for, within a bound of memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import overload

from flareseg.data.cache import Cache, Volume
from flareseg.data.case import Case

_MOST_OPEN = 128  # each holds two file handles, of which a process often has 1024


class VolumeStore:
    """Keeps the volumes used last; pages of the others go back to the system.

    The files of a case are looked at once: a change while the store lives is an error where it would matter.

    Args:
        cache: where prepared volumes lie.
        limit: bytes of volumes that may be held; the one in use is held in any case.
    """

    def __init__(self, cache: Cache, limit: int) -> None:
        self.cache = cache
        self.limit = limit
        self._keys: dict[Case, str] = {}
        self._held: OrderedDict[Case, Volume] = OrderedDict()
        self._bytes = 0

    def key(self, case: Case) -> str:
        """The name of a case's entry in the cache, as its files were when they were looked at first.

        Raises:
            DataError: a file cannot be read.
        """
        if case not in self._keys:
            self._keys[case] = self.cache.key(case)
        return self._keys[case]

    def get(self, case: Case) -> Volume:
        """Give a volume, prepared where it is not yet.

        Raises:
            DataError: the case cannot be used.
        """
        volume = self._held.get(case)
        if volume is None:
            volume = self._held[case] = self.cache.load(case, self.key(case))
            self._bytes += volume.nbytes
        self._held.move_to_end(case)
        while len(self._held) > 1 and (self._bytes > self.limit or len(self._held) > _MOST_OPEN):
            _, dropped = self._held.popitem(last=False)
            self._bytes -= dropped.nbytes
        return volume


class Volumes(Sequence[Volume]):
    """The volumes of one split, in a fixed order."""

    def __init__(self, store: VolumeStore, cases: Sequence[Case]) -> None:
        self._store = store
        self.cases = tuple(cases)

    def __len__(self) -> int:
        return len(self.cases)

    def keys(self) -> list[str]:
        """The name of each volume's entry in the cache."""
        return [self._store.key(case) for case in self.cases]

    @overload
    def __getitem__(self, index: int) -> Volume: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Volume]: ...

    def __getitem__(self, index: int | slice) -> Volume | Sequence[Volume]:
        if isinstance(index, slice):
            return Volumes(self._store, self.cases[index])
        return self._store.get(self.cases[index])

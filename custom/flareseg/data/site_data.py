"""A site's cases, prepared and ready to train on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from flareseg.config.site import Site
from flareseg.config.task import Task
from flareseg.data.cache import Cache, Volume
from flareseg.data.case import SPLITS, Case, SplitName
from flareseg.data.datalist import load_listing
from flareseg.data.faults import SplitFault
from flareseg.data.faults.findings import CaseError, Finding
from flareseg.data.scratch import sweep
from flareseg.data.volumes import Volumes, VolumeStore


class LearningData(Protocol):
    """What a learner asks of its data: :class:`SiteData`, or several sites' at one place.

    Attributes:
        site: device and threads.
        excluded: number of cases that are excluded by name.
        left_out: number of cases that are left out for a fault of their own.
    """

    site: Site
    excluded: int
    left_out: int

    def volumes(self, split: SplitName) -> Sequence[Volume]:
        """The volumes of one split, in a fixed order."""
        ...

    def patients(self, split: SplitName) -> dict[str, list[int]]:
        """For each patient of a split the numbers of its volumes."""
        ...

    @property
    def annotated(self) -> list[int]:
        """Indices of the task's labels that are annotated."""
        ...


class SiteData:
    """The volumes of a site by split.

    Preparing looks at every case once, so that a damaged one is found before the first round; memory stays within
    ``site.memory_gib`` however many there are.

    Args:
        task: what is learned.
        site: where the data is.
        cache: folder for preprocessed volumes where ``site.cache`` names none.
        warn: takes a line for each case that is left out; it names the file, so it stays at the site.
        only: prepare these splits alone, any of which may be empty; None for all of a site that trains.

    Attributes:
        excluded: number of cases that site.yaml or the datalist excludes.
        left_out: number of cases that are left out for a fault of their own, see ``data.on_bad_case`` in site.yaml.

    Raises:
        DataError: the data cannot be used; the error names the file and the remedy.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from flareseg.config.site import load_site
        >>> from flareseg.data.phantom import PhantomSite, write_phantom_site
        >>> task = Task(name="liver", labels=["liver"], modalities={"CT": {"window": [-160, 240]}}, patch=[96, 96])
        >>> with TemporaryDirectory() as folder:
        ...     made = write_phantom_site(Path(folder), PhantomSite("ct", "CT", 1, 1, 0), seed=0)
        ...     data = SiteData(task, load_site(made / "site.yaml"), cache=Path(folder, "cache"))
        ...     volume = data.volumes("training")[0]
        ...     volume.image.shape == volume.label.shape
        True
    """

    def __init__(
        self,
        task: Task,
        site: Site,
        cache: Path,
        warn: Callable[[str], None] = lambda line: None,
        only: Sequence[SplitName] | None = None,
    ) -> None:
        self.task = task
        self._warn = warn
        self.site = site
        folder = site.cache or cache
        sweep(folder)
        store = VolumeStore(Cache(folder, task, site), limit=int(site.memory_gib * 2**30))
        listing = load_listing(site.data, to_train=only is None)
        self.excluded = listing.excluded
        self.left_out = listing.left_out(site.data)
        wanted = SPLITS if only is None else only
        cases = {split: self._usable(store, listing.splits[split] if split in wanted else []) for split in SPLITS}
        if only is None and not cases["training"]:
            raise Finding(SplitFault.NO_TRAINING, f"{site.data.root}: every training case has a fault.").error()
        self._volumes = {split: Volumes(store, several) for split, several in cases.items()}
        self._patients = {split: [case.patient or case.name for case in several] for split, several in cases.items()}

    def _usable(self, store: VolumeStore, cases: list[Case]) -> list[Case]:
        """The cases that can be used: all of them, or an error, unless site.yaml has bad ones left out."""
        usable = []
        for case in cases:
            try:
                store.get(case)
            except CaseError as error:
                if self.site.data.on_bad_case == "stop" or not error.finding.of_one_case:
                    raise
                self.left_out += 1
                self._warn(f"left out: {error}")
            else:
                usable.append(case)
        return usable

    def volumes(self, split: SplitName) -> Volumes:
        """The volumes of one split, in a fixed order."""
        return self._volumes[split]

    def patients(self, split: SplitName) -> dict[str, list[int]]:
        """For each patient of a split the numbers of its volumes; a case that names no patient is one of its own."""
        numbers: dict[str, list[int]] = {}
        for number, patient in enumerate(self._patients[split]):
            numbers.setdefault(patient, []).append(number)
        return numbers

    @property
    def annotated(self) -> list[int]:
        """Indices of the task's labels that this site has annotated."""
        return [index for index, name in enumerate(self.task.labels) if self.site.labels[name] is not None]

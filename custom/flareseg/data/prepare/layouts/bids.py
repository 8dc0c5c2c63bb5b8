"""BIDS (Gorgolewski et al. 2016): ``sub-01/[ses-1/]anat/sub-01_..._T2w.nii.gz``, labels in ``derivatives/``.

A label is a ``_dseg`` file of values with a table of names (``_dseg.tsv``), or a ``_mask`` file for each organ
(``label-liver``). It belongs to the image that shares its entities (sub, ses, acq, run, ...); what derivatives add
(space, desc, label, ...) says nothing of that. The names are simple, so pybids and its data base are not needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from flareseg.config.task import Modality
from flareseg.data.prepare.layouts.bids_tables import participants, value_names
from flareseg.data.prepare.layouts.files import below, folders, stem
from flareseg.data.prepare.layouts.source import (
    BadCase,
    Given,
    OrganFiles,
    Source,
    SourceCase,
    no_partner,
    not_this_layout,
    unreadable_source,
)
from flareseg.errors import DataError

_MR = "T1w T2w PDw T2starw FLAIR T1rho PDT2 inplaneT1 inplaneT2 angio UNIT1 MTw T1map T2map T2starmap R1map R2map PDmap"
_SUFFIXES: dict[str, Modality] = {**dict.fromkeys(_MR.split(), "MR"), "ct": "CT", "CT": "CT"}
_ADDED = frozenset({"space", "res", "den", "label", "desc", "atlas", "seg", "hemi", "lesion"})
"""Entities that a derivative adds to those of its image."""
_DISCRETE = ("dseg", "seg")


@dataclass(frozen=True)
class _Name:
    """A file's name in parts, such as ``sub-01_run-1_space-T2w_label-liver_mask``.

    Attributes:
        path: the file.
        entities: key and value of each entity.
        suffix: what comes last, ``mask`` here.
        of: the suffix of the image that a derivative names, if it does.
    """

    path: Path
    entities: dict[str, str]
    suffix: str
    of: str | None

    @classmethod
    def read(cls, path: Path) -> _Name:
        *parts, last = stem(path).split("_")
        entities = dict(part.split("-", 1) for part in parts if "-" in part)
        of = next((part for part in (*parts, entities.get("space", "")) if part in _SUFFIXES), None)
        if "-" in last:  # seg-manual, lesion-manual, as older data sets name them
            entities |= dict([last.split("-", 1)])
            last = "mask" if last.startswith(("lesion-", "label-")) else "dseg"
        return cls(path, entities, last, of)

    @property
    def identity(self) -> frozenset[tuple[str, str]]:
        """The entities that say whose image it is, taken when and how."""
        return frozenset(item for item in self.entities.items() if item[0] not in _ADDED)

    @property
    def organ(self) -> str:
        """What a mask is of."""
        return self.entities.get("label") or (
            "lesion" if "lesion" in self.entities else self.entities.get("desc", "mask")
        )

    def marks(self, image: _Name) -> bool:
        """Whether it is a label of an image."""
        return self.identity == image.identity and self.of in (None, image.suffix)


def read(source: Path, given: Given) -> Source:
    """List the images of all subjects; a subject's sessions and runs are one patient's."""
    subjects = [folder for folder in folders(source) if folder.name.startswith("sub-")]
    names = [_Name.read(path) for folder in subjects for path in below(folder)]
    images = [name for name in names if name.suffix in _SUFFIXES and _is_wanted(name.path, source, given.images)]
    found = (_Name.read(path) for path in _derived(source))
    labels = [name for name in found if name.suffix not in _SUFFIXES and _is_wanted(name.path, source, given.labels)]
    if not images:
        raise not_this_layout(source, "sub-01/anat/sub-01_T2w.nii.gz with derivatives/NAME/sub-01/anat/..._dseg.nii.gz")
    listed = participants(source)
    cases: list[SourceCase] = []
    bad: list[BadCase] = []
    values: dict[str, dict[str, tuple[int, ...]]] = {}
    for image in images:
        modality = _SUFFIXES[image.suffix]
        name, subject = stem(image.path), f"sub-{image.entities.get('sub', '')}"
        try:
            if listed is not None and subject not in listed:
                raise unreadable_source(image.path, f"{subject} is not in participants.tsv.", "Add it, or --except it.")
            own = [label for label in labels if label.marks(image)]
            label = _label_of(image, own, images, source)
            organs = {} if isinstance(label, OrganFiles) else value_names(label, source)
        except DataError as error:
            bad.append(BadCase(name, error))
            continue
        if isinstance(label, OrganFiles):
            organs = {organ: () for organ in label.files}
        known = values.setdefault(modality.lower(), {})
        if not isinstance(label, OrganFiles) and known and known != organs:
            problem = "its values have other names than in other cases."
            bad.append(BadCase(name, unreadable_source(label, problem, "Mend the tables.")))
            continue
        known.update(organs)
        cases.append(SourceCase(name, subject, modality.lower(), modality, image.path, label))
    for site, organs in values.items():
        if not any(organs.values()):  # a mask for each organ: numbered by name
            values[site] = {organ: (number,) for number, organ in enumerate(sorted(organs), start=1)}
    return Source(tuple(cases), {case.site: values[case.site] for case in cases}, tuple(bad))


def _label_of(image: _Name, own: list[_Name], images: list[_Name], source: Path) -> Path | OrganFiles:
    """The one label of an image, or its masks.

    Raises:
        DataError: the file is missing, or it is ambiguous which one is meant.
    """
    if not own:
        raise no_partner(image.path, "label", source / "derivatives" / "NAME" / "sub-..." / "anat" / "..._dseg.nii.gz")
    claimed = [other for other in images if other is not image and any(label.marks(other) for label in own)]
    if claimed:
        raise unreadable_source(
            own[0].path,
            f"may belong to {image.path.name} or to {claimed[0].path.name}: its name tells neither.",
            f"Say which images are meant, such as --images '*_{image.suffix}.nii.gz'.",
        )
    discrete = [label for label in own if label.suffix in _DISCRETE]
    masks = {label.organ: label.path for label in own if label.suffix == "mask"}
    if len(discrete) == 1 and not masks:
        return discrete[0].path
    if not discrete and len(masks) == len(own):
        return OrganFiles(masks)
    raise unreadable_source(
        image.path,
        f"has {len(own)} labels: {', '.join(str(label.path.relative_to(source)) for label in own[:4])}.",
        "Say which are meant, such as --labels 'derivatives/manual/*'.",
    )


def _derived(source: Path) -> Iterator[Path]:
    folder = source / "derivatives"
    return below(folder) if folder.is_dir() else iter(())


def _is_wanted(path: Path, source: Path, pattern: str | None) -> bool:
    names = (path.name, path.relative_to(source).as_posix())
    return pattern is None or any(fnmatchcase(name, pattern) for name in names)

"""CHAOS (Kavur et al. 2021): DICOM series with PNG masks, or ``ID/image.nii.gz`` with ``ID/label.nii.gz``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from flareseg.config.task import Modality
from flareseg.data.prepare.dicom import series_modality
from flareseg.data.prepare.layouts.files import by_key, folders, listed, pair_up, stem
from flareseg.data.prepare.layouts.source import (
    BadCase,
    Given,
    SliceMasks,
    Source,
    SourceCase,
    no_partner,
    not_this_layout,
    told_modality,
    unreadable_source,
)
from flareseg.errors import DataError

VALUES = {"liver": (1,), "kidney_right": (2,), "kidney_left": (3,), "spleen": (4,)}
GREY: dict[str, dict[int, int]] = {
    "CT": {255: 1},
    "MR": {63: 1, 126: 2, 189: 3, 252: 4},
}
"""Grey values of the PNG masks."""

_SEQUENCES = ("T1DUAL", "T2SPIR")
_ECHOES = ("InPhase", "OutPhase")


def read(source: Path, given: Given) -> Source:
    """List the series; both echoes of T1DUAL and the T2SPIR of a patient are cases of that patient."""
    found = [*_series(source, source), *_volumes(source, source, given)]
    if not found:
        raise not_this_layout(source, "DICOM_anon/ with Ground/ in any subfolder, or ID/image.nii.gz with label.nii.gz")
    cases = tuple(case for case in found if isinstance(case, SourceCase))
    bad = tuple(case for case in found if isinstance(case, BadCase))
    return Source(cases, {"ct": {"liver": VALUES["liver"]}, "mr": VALUES}, bad)


def _series(folder: Path, source: Path) -> Iterator[SourceCase | BadCase]:
    """The series of a folder and of all below it."""
    images, ground = folder / "DICOM_anon", folder / "Ground"
    if folder.name == "DICOM_anon":
        return
    if images.is_dir() and not ground.is_dir():
        yield BadCase(_identifier(folder, source), no_partner(images, "masks", ground))
    elif images.is_dir():
        echoes = tuple(images / echo for echo in _ECHOES if (images / echo).is_dir())
        patient = _identifier(folder.parent if folder.name in _SEQUENCES else folder, source)
        for series in echoes or (images,):
            name = _identifier(folder, source) + (f"-{series.name}" if echoes else "")
            try:
                modality = _modality(series)
            except DataError as error:
                yield BadCase(name, error)
                continue
            masks = SliceMasks(ground, GREY[modality], echoes)
            yield SourceCase(name, patient, modality.lower(), modality, series, masks)
    for subfolder in folders(folder):
        yield from _series(subfolder, source)


def _modality(series: Path) -> Modality:
    found = series_modality(series)
    if found not in GREY:
        raise unreadable_source(series, f"expected CT or MR, found modality {found}.", "Move it away.")
    return "CT" if found == "CT" else "MR"


def _volumes(folder: Path, source: Path, given: Given) -> Iterator[SourceCase | BadCase]:
    """The NIfTI pairs of a folder and of all below it."""
    files = by_key(listed(folder), lambda path: stem(path).lower())
    if "image" in files or "label" in files:
        modality = told_modality(given, source)
        if modality not in GREY:
            raise unreadable_source(source, f"expected modality CT or MR, found {modality}.", "Correct --modality.")
        name = _identifier(folder, source)
        images, labels = ({name: files[kind]} if kind in files else {} for kind in ("image", "label"))
        pairs, bad = pair_up(images, labels, lambda kind, _: folder / f"{kind}.nii.gz")
        yield from bad
        for image, label in pairs.values():
            yield SourceCase(name, name, modality.lower(), modality, image, label)
    for subfolder in folders(folder):
        yield from _volumes(subfolder, source, given)


def _identifier(folder: Path, source: Path) -> str:
    """A name from where the folder lies, such as ``MR-5``; the source itself, and what is above, has its own."""
    inside = folder.relative_to(source).parts if folder.is_relative_to(source) else ()
    return "-".join(inside) or folder.name

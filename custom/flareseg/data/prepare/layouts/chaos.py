"""CHAOS (Kavur et al. 2021): DICOM series with PNG masks, or ``ID/image.nii.gz`` with ``ID/label.nii.gz``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from flareseg.config.task import Modality
from flareseg.data.prepare.dicom import series_modality
from flareseg.data.prepare.layouts.source import (
    Given,
    SliceMasks,
    Source,
    SourceCase,
    no_partner,
    not_this_layout,
    told_modality,
    unreadable_source,
)

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
    cases = [*_series(source), *_volumes(source, given)]
    if not cases:
        raise not_this_layout(source, "DICOM_anon/ with Ground/ in any subfolder, or ID/image.nii.gz with label.nii.gz")
    return Source(tuple(cases), {"ct": {"liver": VALUES["liver"]}, "mr": VALUES})


def _series(source: Path) -> Iterator[SourceCase]:
    for images in sorted(source.rglob("DICOM_anon")):
        folder = images.parent
        if not (folder / "Ground").is_dir():
            raise no_partner(images, "masks", folder / "Ground")
        echoes = [images / echo for echo in _ECHOES if (images / echo).is_dir()]
        patient = _identifier(folder.parent if folder.name in _SEQUENCES else folder, source)
        for series in echoes or [images]:
            found = series_modality(series)
            if found not in GREY:
                raise unreadable_source(series, f"expected CT or MR, found modality {found}.", "Move it away.")
            modality: Modality = "CT" if found == "CT" else "MR"
            name = _identifier(folder, source) + (f"-{series.name}" if echoes else "")
            yield SourceCase(
                name, patient, modality.lower(), modality, series, SliceMasks(folder / "Ground", GREY[modality])
            )


def _volumes(source: Path, given: Given) -> Iterator[SourceCase]:
    for image in sorted(source.rglob("image.nii*")):
        label = image.with_name(image.name.replace("image", "label", 1))
        if not label.is_file():
            raise no_partner(image, "label", label)
        modality = told_modality(given, source)
        if modality not in GREY:
            raise unreadable_source(source, f"expected modality CT or MR, found {modality}.", "Correct --modality.")
        name = _identifier(image.parent, source)
        yield SourceCase(name, name, modality.lower(), modality, image, label)


def _identifier(folder: Path, source: Path) -> str:
    """A name from where the folder lies, such as ``MR-5``; the source itself, and what is above, has its own."""
    inside = folder.relative_to(source).parts if folder.is_relative_to(source) else ()
    return "-".join(inside) or folder.name

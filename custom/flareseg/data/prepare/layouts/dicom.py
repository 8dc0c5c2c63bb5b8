"""DICOM as a hospital exports it: CT and MR series, with SEG or RTSTRUCT objects that mark organs in them.

Files may lie in any folders; which belong together is read from them, and series that no object marks are no cases.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from flareseg.config.task import Modality
from flareseg.data.prepare.dicom import is_dicom, read_header
from flareseg.data.prepare.layouts.files import below, natural
from flareseg.data.prepare.layouts.source import (
    BadCase,
    DicomLabel,
    Given,
    Source,
    SourceCase,
    not_this_layout,
    unreadable_source,
)
from flareseg.data.prepare.organ_names import is_background
from flareseg.errors import DataError

if TYPE_CHECKING:
    from pydicom import Dataset

_MODALITIES: dict[str, Modality] = {"CT": "CT", "MR": "MR"}


@dataclass
class _Series:
    """The files of an image series, and what marks organs in it."""

    modality: Modality
    patient: str
    files: list[Path] = field(default_factory=list)
    organs: dict[str, list[tuple[Path, int]]] = field(default_factory=dict)


def read(source: Path, given: Given) -> Source:
    """List the series that are marked; cases of one PatientID are one patient's."""
    series: dict[str, _Series] = {}
    objects: list[tuple[Path, Dataset]] = []
    bad: list[BadCase] = []
    for path in below(source, ("",)):
        try:
            if not is_dicom(path):
                continue
            header = read_header(path)
        except DataError as error:
            bad.append(BadCase(_safe(path.relative_to(source).as_posix()), error))
            continue
        modality = _MODALITIES.get(str(header.get("Modality")))
        if modality:
            patient = str(header.get("PatientID") or "").strip() or path.parent.relative_to(source).as_posix()
            series.setdefault(str(header.get("SeriesInstanceUID")), _Series(modality, patient)).files.append(path)
        elif header.get("Modality") in ("SEG", "RTSTRUCT"):
            objects.append((path, header))
    for path, found in sorted(objects, key=lambda item: natural(item[0])):
        marked = [uid for uid in _marked_series(found) if uid in series]
        if len(marked) != 1:
            problem = f"marks {len(marked)} of the CT and MR series that lie in {source}; expected one."
            bad.append(BadCase(_safe(path.stem), unreadable_source(path, problem, "Copy its series there.")))
            continue
        for name, number in _organs(found):
            series[marked[0]].organs.setdefault(name, []).append((path, number))
    cases = [*_cases({uid: part for uid, part in series.items() if part.organs})]
    if not cases and not bad:
        raise not_this_layout(source, "CT or MR series with SEG or RTSTRUCT objects, in any subfolder")
    named: dict[str, set[str]] = {}
    for case in cases:
        assert isinstance(case.label, DicomLabel)
        named.setdefault(case.site, set()).update(case.label.organs)
    values = {
        site: {organ: (number,) for number, organ in enumerate(sorted(names), start=1)} for site, names in named.items()
    }
    return Source(tuple(cases), values, tuple(bad))


def _cases(series: dict[str, _Series]) -> Iterator[SourceCase]:
    patients = [part.patient for part in series.values()]
    for uid, part in sorted(series.items()):
        several = patients.count(part.patient) > 1
        name = _safe(part.patient) + (f"-{uid.rpartition('.')[2]}" if several else "")
        organs = {organ: tuple(places) for organ, places in part.organs.items()}
        files = tuple(sorted(part.files, key=natural))
        yield SourceCase(name, part.patient, part.modality.lower(), part.modality, files, DicomLabel(organs))


def _marked_series(header: Dataset) -> list[str]:
    """The series that an object says it was drawn on."""
    if header.Modality == "SEG":
        parts: Sequence[Dataset] = header.get("ReferencedSeriesSequence") or ()
    else:
        parts = [
            part
            for frame in header.get("ReferencedFrameOfReferenceSequence") or ()
            for study in frame.get("RTReferencedStudySequence") or ()
            for part in study.get("RTReferencedSeriesSequence") or ()
        ]
    return list(dict.fromkeys(str(part.SeriesInstanceUID) for part in parts))


def _organs(header: Dataset) -> Iterator[tuple[str, int]]:
    """Name and number of what an object marks; regions without a closed contour are points and lines."""
    if header.Modality == "SEG":
        found = [(str(part.SegmentLabel), int(part.SegmentNumber)) for part in header.get("SegmentSequence") or ()]
    else:
        closed = {
            int(region.ReferencedROINumber)
            for region in header.get("ROIContourSequence") or ()
            if any(str(part.ContourGeometricType).startswith("CLOSED") for part in region.get("ContourSequence") or ())
        }
        regions = header.get("StructureSetROISequence") or ()
        found = [(str(part.ROIName), int(part.ROINumber)) for part in regions if int(part.ROINumber) in closed]
    yield from ((name, number) for name, number in found if not is_background(name))


def _safe(name: str) -> str:
    """A name that is fit for a file."""
    return re.sub(r"[^\w.-]+", "_", name).strip("._") or "_"

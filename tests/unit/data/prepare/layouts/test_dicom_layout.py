"""DICOM-SEG and RTSTRUCT beside their series become labels that lie, voxel for voxel, where they were drawn."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import highdicom as hd
import nibabel as nib
import numpy as np
import pytest
import yaml
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage, generate_uid

from flareseg.data.prepare.order import Order
from flareseg.data.prepare.run import prepare
from flareseg.data.prepare.splits import SplitPlan
from flareseg.errors import DataError
from layouts import write_series

SHAPE = (14, 12, 6)
SPACING = (1.5, 2.0, 3.0)


def organs() -> dict[str, np.ndarray]:
    """A liver that is like none of its mirror images, with a hole, and a spleen that touches nothing of it."""
    liver, spleen = np.zeros(SHAPE, dtype=bool), np.zeros(SHAPE, dtype=bool)
    liver[2:8, 3:9, 1:4] = liver[2:5, 3:6, 4] = True
    liver[4, 5, 2] = False
    spleen[10:13, 2:6, 2:5] = True
    return {"Liver": liver, "Spleen": spleen}


def series(folder: Path, patient: str, number: int = 0, **more: Any) -> list[FileDataset]:
    voxels = np.full(SHAPE, 1000 + number, dtype=np.uint16)
    for mask in organs().values():
        voxels[mask] += 100
    frame = generate_uid()

    def spoil(n: int, part: FileDataset) -> None:
        part.PatientID, part.FrameOfReferenceUID, part.StudyInstanceUID = patient, frame, "1.2.3"
        part.PatientName = part.PatientBirthDate = part.PatientSex = part.StudyID = part.AccessionNumber = ""
        part.StudyDate, part.StudyTime, part.SliceThickness = "20200101", "000000", 3
        part.ReferringPhysicianName = ""

    write_series(folder, voxels, spacing=SPACING, spoil=spoil, **more)
    return [dcmread(path) for path in sorted(folder.iterdir())]


def write_seg(path: Path, slices: list[FileDataset], masks: Mapping[str, np.ndarray], **more: Any) -> None:
    """A segmentation; frames in the order of the given slices, which run from the top down."""
    described = [
        hd.seg.SegmentDescription(
            number, name, codes.SCT.Organ, codes.SCT.Liver, hd.seg.SegmentAlgorithmTypeValues.MANUAL
        )
        for number, name in enumerate(masks, start=1)
    ]
    pixels = np.stack([mask[:, :, ::-1].transpose(2, 1, 0) for mask in masks.values()], axis=-1)
    segmentation = hd.seg.Segmentation(
        slices,
        pixels.astype(np.uint8),
        hd.seg.SegmentationTypeValues.BINARY,
        described,
        generate_uid(),
        9,
        generate_uid(),
        1,
        "maker",
        "model",
        "1",
        "1",
        **more,
    )
    segmentation.save_as(path)


def outlines(mask: np.ndarray, height: int) -> list[list[tuple[float, float]]]:
    """Contours along the edges of pixels, outer ones and those of holes, of a slice (column, row in pixels)."""
    plane = np.pad(mask[..., height], 1)
    steps: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for x, y in np.argwhere(plane):
        for dx, dy, start, end in (
            (0, -1, (x, y), (x + 1, y)),
            (1, 0, (x + 1, y), (x + 1, y + 1)),
            (0, 1, (x + 1, y + 1), (x, y + 1)),
            (-1, 0, (x, y + 1), (x, y)),
        ):
            if not plane[x + dx, y + dy]:
                steps.setdefault(start, []).append(end)
    loops = []
    while steps:
        start = point = next(iter(steps))
        loop = []
        while True:
            loop.append((point[0] - 1.5, point[1] - 1.5))
            following = steps[point].pop()
            if not steps[point]:
                del steps[point]
            point = following
            if point == start:
                break
        loops.append(loop)
    return loops


def write_rtstruct(
    path: Path, slices: list[FileDataset], masks: Mapping[str, np.ndarray], off: float = 0.0, named: bool = True
) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = RTStructureSetStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    content = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    content.SOPClassUID, content.SOPInstanceUID = RTStructureSetStorage, meta.MediaStorageSOPInstanceUID
    content.Modality, content.PatientID, content.SeriesInstanceUID = "RTSTRUCT", slices[0].PatientID, generate_uid()
    referenced, study, frame = Dataset(), Dataset(), Dataset()
    referenced.SeriesInstanceUID = slices[0].SeriesInstanceUID
    study.RTReferencedSeriesSequence, frame.RTReferencedStudySequence = [referenced], [study]
    content.ReferencedFrameOfReferenceSequence = [frame]
    content.StructureSetROISequence, content.ROIContourSequence = [], []
    bottom_up = slices[::-1]
    for number, (name, mask) in enumerate(masks.items(), start=1):
        roi, region = Dataset(), Dataset()
        roi.ROINumber, roi.ROIName = number, name
        region.ReferencedROINumber, region.ContourSequence = number, []
        for height in range(SHAPE[2]):
            part = bottom_up[height]
            origin = np.array(part.ImagePositionPatient, dtype=float)
            for loop in outlines(mask, height):
                contour, image = Dataset(), Dataset()
                contour.ContourGeometricType = "CLOSED_PLANAR"
                points = [origin + np.array((x * SPACING[0], y * SPACING[1], off)) for x, y in loop]
                contour.ContourData = [f"{value:.4f}" for point in points for value in point]
                contour.NumberOfContourPoints = len(points)
                image.ReferencedSOPInstanceUID = part.SOPInstanceUID
                contour.ContourImageSequence = [image] if named else []
                region.ContourSequence.append(contour)
        content.StructureSetROISequence.append(roi)
        content.ROIContourSequence.append(region)
    content.save_as(path, enforce_file_format=True)


WRITERS = {"seg": write_seg, "rtstruct": write_rtstruct}


def run(source: Path, folder: Path, **more: Any) -> Any:
    order = Order("dicom", source, folder, plan=SplitPlan(validation=0, testing=0), **more)
    return prepare(order, lambda done, total: None)


def assert_labels_are(folder: Path, case: str, masks: Mapping[str, np.ndarray]) -> None:
    labels = yaml.safe_load((folder / "site.yaml").read_text())["labels"]
    image, label = (nib.load(folder / part / f"{case}.nii.gz") for part in ("images", "labels"))
    np.testing.assert_allclose(image.affine, label.affine)
    for name, mask in masks.items():
        np.testing.assert_array_equal(np.isin(label.dataobj, labels[name.lower()]), mask, err_msg=name)


@pytest.mark.parametrize("kind", WRITERS)
def test_organs_lie_where_they_were_drawn(tmp_path: Path, kind: str) -> None:
    source = tmp_path / "source"
    for number, patient in enumerate(("A-1", "B 2")):
        slices = series(source / f"x{number}" / "ct", patient, number)
        WRITERS[kind](source / f"x{number}" / "marks.dcm", slices, organs())
    series(source / "scout", "A-1", 7)  # nobody marked it: no case
    (source / "README.txt").write_text("hello")
    (source / "DICOMDIR").write_bytes(b"x")
    (site,) = run(source, tmp_path / "dest")
    assert dict(site.labels) == {"liver": "Liver 1", "spleen": "Spleen 2"}
    for name in ("A-1", "B_2"):
        assert_labels_are(tmp_path / "dest", name, organs())
    listed = json.loads((tmp_path / "dest/datalist.json").read_text())["training"]
    assert {entry["patient"] for entry in listed} == {"A-1", "B 2"}


@pytest.mark.parametrize("kind", WRITERS)
def test_organs_of_several_objects_and_overlapping_ones(tmp_path: Path, kind: str) -> None:
    source, masks = tmp_path / "source", organs()
    slices = series(source / "ct", "A")
    lesion = np.zeros(SHAPE, dtype=bool)
    lesion[5:7, 6:8, 2] = True  # within the liver
    WRITERS[kind](source / "a.dcm", slices, masks)
    WRITERS[kind](source / "b.dcm", slices, {"Tumour": lesion})
    run(source, tmp_path / "dest")
    assert_labels_are(tmp_path / "dest", "A", {**masks, "Tumour": lesion})


def test_contours_that_name_no_slice_are_placed_by_their_height(tmp_path: Path) -> None:
    slices = series(tmp_path / "source/ct", "A")
    write_rtstruct(tmp_path / "source/a.dcm", slices, organs(), named=False)
    run(tmp_path / "source", tmp_path / "dest")
    assert_labels_are(tmp_path / "dest", "A", organs())


@pytest.mark.parametrize("named", [True, False])
def test_contours_between_slices_are_refused(tmp_path: Path, named: bool) -> None:
    slices = series(tmp_path / "source/ct", "A")
    write_rtstruct(tmp_path / "source/a.dcm", slices, organs(), off=1.5, named=named)
    with pytest.raises(DataError, match="on none"):
        run(tmp_path / "source", tmp_path / "dest")


def test_an_object_without_its_series_is_named(tmp_path: Path) -> None:
    slices = series(tmp_path / "source/ct", "A")
    write_seg(tmp_path / "source/a.dcm", slices, organs())
    write_seg(tmp_path / "source/b.dcm", series(tmp_path / "elsewhere", "B"), organs())
    with pytest.raises(DataError, match=r"1 of 2 cases cannot be prepared: b: .*marks 0 of the CT and MR series"):
        run(tmp_path / "source", tmp_path / "dest")
    run(tmp_path / "source", tmp_path / "dest", without=["b"])


def test_an_organ_that_was_not_drawn_is_not_taken_for_absent(tmp_path: Path) -> None:
    for patient, names in (("A", ("Liver", "Spleen")), ("B", ("Liver",))):
        slices = series(tmp_path / "source" / patient, patient, len(names))
        write_seg(tmp_path / "source" / f"{patient}.dcm", slices, {name: organs()[name] for name in names})
    with pytest.raises(DataError, match=r"1 of 2 cases cannot be prepared: B: .*has no segmentation of Spleen"):
        run(tmp_path / "source", tmp_path / "dest")

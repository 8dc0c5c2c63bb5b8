"""A DICOM series in, a DICOM-SEG of the same study out, each mask on its slice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from bright import body
from flareseg.inference.inputs import find_inputs
from flareseg.inference.run import Wishes, predict
from flareseg.learning.trained import Trained
from layouts import write_series

seg = pytest.importorskip("highdicom.seg")
STORED = (body() + 1000).astype(np.uint16)
STUDY = {
    "StudyInstanceUID": "1.2.826.0.1.3680043.8.498.1",
    "FrameOfReferenceUID": "1.2.826.0.1.3680043.8.498.2",
    "PatientName": "",
    "PatientBirthDate": "",
    "PatientSex": "",
    "AccessionNumber": "",
    "StudyID": "",
    "StudyDate": "20260101",
    "StudyTime": "120000",
    "ReferringPhysicianName": "",
    "SliceThickness": 5,
    "SeriesNumber": 3,
}


def in_a_study(number: int, part: Any) -> None:
    for name, value in STUDY.items():
        setattr(part, name, value)


def series(folder: Path, spoil: Any) -> Path:
    return write_series(folder, STORED, modality="CT", slope=1, intercept=-1000, spoil=spoil)


def test_masks_lie_on_their_slices(bright: Trained, tmp_path: Path) -> None:
    source = series(tmp_path / "scan", in_a_study)
    found = predict(bright, find_inputs([source]), tmp_path / "out", Wishes())
    assert found.failed == {}
    content = seg.segread(tmp_path / "out" / "scan.seg.dcm")
    assert content.StudyInstanceUID == STUDY["StudyInstanceUID"]
    assert [item.SegmentLabel for item in content.SegmentSequence] == ["liver", "lesion"]
    codes = [item.SegmentedPropertyTypeCodeSequence[0].CodeValue for item in content.SegmentSequence]
    assert codes == ["10200004", "52988006"]
    positions = {
        round(float(frame.PlanePositionSequence[0].ImagePositionPatient[2]), 3)
        for frame in content.PerFrameFunctionalGroupsSequence
    }
    volume = np.asarray(content.get_volume(combine_segments=False).array)  # (slices, rows, columns, segments)
    assert len(positions) == 4  # slices that hold any label
    truth = np.stack([body() > 30, body() > 70], axis=-1)
    assert volume.sum() == truth.sum()
    label = np.asarray(nib.load(tmp_path / "out" / "scan.nii.gz").dataobj)
    assert np.array_equal(label > 0, truth[..., 0])
    where = np.argwhere(volume[..., 1].any(axis=(1, 2)))
    assert len(where) == 2  # the lesions' two slices


def test_a_series_without_a_study_gets_its_label_map(bright: Trained, tmp_path: Path) -> None:
    source = series(tmp_path / "scan", lambda number, part: None)
    ((image, _),) = predict(bright, find_inputs([source]), tmp_path / "out", Wishes()).done
    assert any("no DICOM-SEG was written" in doubt for doubt in image.doubts)
    assert (tmp_path / "out" / "scan.nii.gz").is_file()
    assert not (tmp_path / "out" / "scan.seg.dcm").exists()

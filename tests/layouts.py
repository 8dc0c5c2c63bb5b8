"""Small data sets in the true layouts, written file by file as their authors publish them."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

AFFINE = np.diag([2.0, 2.0, 5.0, 1.0])
SHAPE = (20, 18, 5)


def label_of(values: Sequence[int], lesion: int | None = None, width: int = 2) -> np.ndarray:
    """A block of each value, and a lesion of ``width`` voxels in the first block."""
    label = np.zeros(SHAPE, dtype=np.uint8)
    for number, value in enumerate(values):
        label[2 + 4 * number : 6 + 4 * number, 3:13, 1:4] = value
    if lesion is not None and width:
        label[3:5, 4 : 4 + width, 2] = lesion
    return label


def save(path: Path, array: np.ndarray, affine: np.ndarray = AFFINE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, affine), path)


def save_pair(image: Path, label: Path, values: np.ndarray) -> None:
    rng = np.random.default_rng(zlib.crc32(str(label).encode()))  # no two images alike
    save(image, (values * 50.0 + rng.normal(0, 10, values.shape)).astype(np.int16))
    save(label, values)


def write_lits(root: Path, count: int = 6) -> Path:
    """Two batches, tumours that grow with the number, and a test volume without segmentation."""
    for number in range(count):
        folder = root / f"Training Batch {1 + number % 2}"
        label = label_of([1], lesion=2, width=number)
        save_pair(folder / f"volume-{number}.nii", folder / f"segmentation-{number}.nii", label)
    save(root / "test-volume-0.nii", np.zeros(SHAPE, dtype=np.int16))
    return root


def write_msd(root: Path, count: int = 4) -> Path:
    """Task03_Liver, with the files that macOS leaves behind."""
    training = []
    for number in range(count):
        pair = {kind: f"./{kind}sTr/liver_{number}.nii.gz" for kind in ("image", "label")}
        save_pair(root / pair["image"], root / pair["label"], label_of([1], lesion=2))
        (root / "imagesTr" / f"._liver_{number}.nii.gz").write_bytes(b"\0")
        training.append(pair)
    save(root / "imagesTs" / "liver_9.nii.gz", np.zeros(SHAPE, dtype=np.int16))
    content = {
        "name": "Liver",
        "tensorImageSize": "3D",
        "modality": {"0": "CT"},
        "labels": {"0": "background", "1": "liver", "2": "cancer"},
        "numTraining": count,
        "training": training,
        "test": ["./imagesTs/liver_9.nii.gz"],
    }
    (root / "dataset.json").write_text(json.dumps(content))
    return root


AMOS_ORGANS = (
    "background spleen right_kidney left_kidney gall_bladder esophagus liver stomach arota postcava pancreas "
    "right_adrenal_gland left_adrenal_gland duodenum bladder prostate/uterus"
)


def write_amos(root: Path, ct: int = 6, mr: int = 4) -> Path:
    """CT ids up to 500, MR above; the last of each modality in imagesVa; imagesTs without labels."""
    for first, count in ((1, ct), (507, mr)):
        for number in range(first, first + count):
            part = "Va" if number == first + count - 1 else "Tr"
            name = f"amos_{number:04d}.nii.gz"
            save_pair(root / f"images{part}" / name, root / f"labels{part}" / name, label_of([6, 1, 2, 3]))
    save(root / "imagesTs" / "amos_0499.nii.gz", np.zeros(SHAPE, dtype=np.int16))
    labels = {str(value): name.replace("_", " ") for value, name in enumerate(AMOS_ORGANS.split())}
    (root / "dataset.json").write_text(json.dumps({"modality": {"0": "CT"}, "labels": labels, "training": []}))
    return root


def write_totalsegmentator(root: Path, ct: int = 3, mr: int = 3) -> Path:
    """One mask for each organ; MR subjects have no pancreas."""
    for number in range(ct + mr):
        folder = root / f"s{number:04d}"
        kind, organs = ("ct", ["kidney_left", "kidney_right", "liver", "pancreas"])
        if number >= ct:
            kind, organs = ("mri", ["kidney_left", "kidney_right", "liver"])
        label = label_of(range(1, 5))
        save(folder / f"{kind}.nii.gz", (label * 40 + number).astype(np.int16))
        for value, organ in enumerate(organs, start=1):
            save(folder / "segmentations" / f"{organ}.nii.gz", (label == value).astype(np.uint8))
    return root


def write_nnunet(root: Path, count: int = 4) -> Path:
    """Version 2 raw, names first."""
    for number in range(count):
        save_pair(
            root / "imagesTr" / f"kits_{number:03d}_0000.nii.gz",
            root / "labelsTr" / f"kits_{number:03d}.nii.gz",
            label_of([1], lesion=2),
        )
    content = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "kidney": [1, 2], "tumor": 2},
        "numTraining": count,
        "file_ending": ".nii.gz",
    }
    (root / "dataset.json").write_text(json.dumps(content))
    return root


def write_patterns(root: Path, count: int = 4) -> Path:
    """Two studies of each patient."""
    for number in range(count):
        name = f"p{number // 2}_study{number % 2}"
        save_pair(root / "img" / f"{name}.nii.gz", root / "seg" / f"{name}-label.nii.gz", label_of([3, 7]))
    return root


def write_polypgen(root: Path, centres: Sequence[int] = (1, 2, 4, 6), count: int = 6) -> Path:
    """Frames as JPEG, of C6 as PNG; masks as PNG, of C2 as JPEG; the first mask of each centre empty."""
    rng = np.random.default_rng(0)
    for centre in centres:
        for number in range(count):
            stem = {1: f"{number // 2}OLCV1_100H{number:04d}", 4: f"{number // 3}_endocv2021_positive_{number}"}.get(
                centre, f"EndoCV2021_{centre}{number:05d}"
            )
            folder = root / f"data_C{centre}"
            frame = rng.integers(0, 255, (32, 40, 3), dtype=np.uint8)
            mask = np.zeros((32, 40), dtype=np.uint8)
            mask[5 : 5 + 3 * number, 6 : 6 + 3 * number] = 255
            image = folder / f"images_C{centre}" / f"{stem}.{'png' if centre == 6 else 'jpg'}"
            label = folder / f"masks_C{centre}" / f"{stem}_mask.{'jpg' if centre == 2 else 'png'}"
            for path, pixels in ((image, frame), (label, mask)):
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
    return root


def write_series(
    folder: Path,
    voxels: np.ndarray,
    *,
    modality: str = "CT",
    origin: Sequence[float] = (-30.0, -40.0, 100.0),
    spacing: Sequence[float] = (1.5, 2.0, 3.0),
    slope: float = 1.0,
    intercept: float = -1000.0,
    name: Callable[[int], str] = lambda number: f"i{number:04d},0000b.dcm",
    spoil: Callable[[int, FileDataset], None] = lambda number, slice_: None,
) -> Path:
    """Write (columns, rows, slices) of stored values; file numbers run from the top slice down, as a scanner writes.

    Args:
        folder: where to write.
        voxels: stored values, uint16.
        modality: CT or MR.
        origin: position of the lowest slice's first pixel, LPS mm.
        spacing: mm between columns, rows and slices.
        slope: RescaleSlope.
        intercept: RescaleIntercept.
        name: file name of each number.
        spoil: changes a slice before it is written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    series = generate_uid()
    for number in range(voxels.shape[2]):
        height = voxels.shape[2] - 1 - number
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = CTImageStorage if modality == "CT" else MRImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        part = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
        part.SOPClassUID, part.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
        part.Modality, part.SeriesInstanceUID, part.InstanceNumber = modality, series, number + 1
        part.PatientID = "anon"
        part.ImagePositionPatient = [origin[0], origin[1], origin[2] + spacing[2] * height]
        part.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        part.PixelSpacing = [spacing[1], spacing[0]]
        part.Rows, part.Columns = voxels.shape[1], voxels.shape[0]
        part.BitsAllocated = part.BitsStored = 16
        part.HighBit, part.PixelRepresentation, part.SamplesPerPixel = 15, 0, 1
        part.PhotometricInterpretation = "MONOCHROME2"
        part.RescaleSlope, part.RescaleIntercept = slope, intercept
        part.PixelData = np.ascontiguousarray(voxels[..., height].T.astype(np.uint16)).tobytes()
        spoil(number, part)
        part.save_as(folder / name(number), enforce_file_format=True)
    return folder


def write_masks(folder: Path, masks: np.ndarray, name: Callable[[int], str]) -> None:
    """Write (columns, rows, slices) of grey values, numbered from the top slice down as the series."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(masks.shape[2]):
        Image.fromarray(np.ascontiguousarray(masks[..., masks.shape[2] - 1 - number].T)).save(folder / name(number))


def chaos_label() -> np.ndarray:
    """Four organs, the liver one slice higher: no slice is like its mirror image."""
    label = label_of([1, 2, 3, 4])
    label[2:6, 3:13, 4] = 1
    return label


def own_corner(number: int) -> np.ndarray:
    """A voxel of air that differs from patient to patient: the same image twice would be one patient's."""
    corner = np.zeros(SHAPE, dtype=np.uint16)
    corner[0, 0, 0] = number
    return corner


def write_chaos(root: Path, ct: int = 3, mr: int = 2) -> Path:
    """Train_Sets with CT and MR folders, whose patient numbers say nothing across modalities."""
    label = chaos_label()
    for number in range(1, ct + 1):
        folder = root / "Train_Sets" / "CT" / str(number)
        write_series(folder / "DICOM_anon", 1000 + 60 * label.astype(np.uint16) + own_corner(number))
        write_masks(folder / "Ground", (label == 1).astype(np.uint8) * 255, lambda n: f"liver_GT_{n:03d}.png")
    for number in range(1, mr + 1):
        for sequence, echoes in (("T1DUAL", ("InPhase", "OutPhase")), ("T2SPIR", ("",))):
            folder = root / "Train_Sets" / "MR" / str(number) / sequence
            for echo in echoes:
                write_series(
                    folder / "DICOM_anon" / echo,
                    100 + 60 * label.astype(np.uint16) + own_corner(number),
                    modality="MR",
                    intercept=0.0,
                    name=lambda n: f"IMG-0004-{n + 1:05d}.dcm",
                )
            write_masks(folder / "Ground", label * 63, lambda n: f"IMG-0004-{n + 1:05d}.png")
    return root


WRITERS = {
    "totalsegmentator": write_totalsegmentator,
    "amos": write_amos,
    "lits": write_lits,
    "msd": write_msd,
    "chaos": write_chaos,
    "polypgen": write_polypgen,
    "nnunet": write_nnunet,
    "patterns": write_patterns,
}
"""A writer for each layout."""

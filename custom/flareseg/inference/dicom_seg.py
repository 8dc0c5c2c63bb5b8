"""A segmentation of a DICOM series as a DICOM-SEG object of the same study (highdicom)."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

import flareseg
from flareseg.config.task import Task
from flareseg.errors import DataError, ErrorCode
from flareseg.inference.images import Image

_ORGAN, _ABNORMAL = (
    ("123037004", "SCT", "Anatomical Structure"),
    ("49755003", "SCT", "Morphologically Abnormal Structure"),
)
_CODES = {
    "liver": ("10200004", "SCT", "Liver"),
    "spleen": ("78961009", "SCT", "Spleen"),
    "kidney": ("64033007", "SCT", "Kidney"),
    "kidneys": ("64033007", "SCT", "Kidney"),
    "pancreas": ("15776009", "SCT", "Pancreas"),
    "gallbladder": ("28231008", "SCT", "Gallbladder"),
    "lesion": ("52988006", "SCT", "Lesion"),
    "tumour": ("108369006", "SCT", "Neoplasm"),
    "tumor": ("108369006", "SCT", "Neoplasm"),
}
"""SNOMED CT codes of labels; another label gets a code of this software's own scheme."""


def dicom_seg(image: Image, masks: np.ndarray, task: Task) -> bytes:
    """Encode masks as a DICOM-SEG: binary, one segment for each label that was found.

    Args:
        image: read from a DICOM series.
        masks: bool (L, X, Y, Z) on the grid of ``image.values``.
        task: names the labels.

    Raises:
        DataError: highdicom is missing, nothing was found, or the series lacks what a segmentation must refer to.
    """
    try:
        from highdicom import UID, AlgorithmIdentificationSequence
        from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentationTypeValues, SegmentDescription
        from pydicom import dcmread
        from pydicom.sr.coding import Code
    except ImportError:
        raise _unusable(image, "writing DICOM-SEG needs highdicom.", "pip install 'flareseg[dicom]'") from None
    assert image.series is not None
    slices: list[Any] = [dcmread(path) for path in image.series.files]
    found = [index for index in range(len(masks)) if masks[index].any()]
    if not found:
        raise _unusable(image, "no label was found: there is no segment to write.", "See the table.")
    frames = np.stack([image.as_stored(masks[index].astype(np.uint8)) for index in found], axis=-1)
    by = AlgorithmIdentificationSequence(
        name=f"flareseg {task.name}",
        version=flareseg.__version__,
        family=Code("123109", "DCM", "Artificial Intelligence"),
    )
    described = [
        SegmentDescription(
            segment_number=number,
            segment_label=task.labels[index],
            segmented_property_category=Code(*(_ORGAN if task.labels[index] in task.organs else _ABNORMAL)),
            segmented_property_type=Code(*_code(task.labels[index])),
            algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=by,
        )
        for number, index in enumerate(found, 1)
    ]
    try:
        result = Segmentation(
            source_images=slices,
            pixel_array=np.ascontiguousarray(frames.transpose(2, 1, 0, 3)),
            segmentation_type=SegmentationTypeValues.BINARY,
            segment_descriptions=described,
            series_instance_uid=UID(),
            series_number=int(slices[0].get("SeriesNumber") or 0) + 100,
            sop_instance_uid=UID(),
            instance_number=1,
            manufacturer="flareseg",
            manufacturer_model_name=task.name,
            software_versions=flareseg.__version__,
            device_serial_number="1",
        )
    except (AttributeError, ValueError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise _unusable(
            image, f"cannot be referred to by a DICOM-SEG ({reason}).", "Use the NIfTI label map."
        ) from None
    packed = io.BytesIO()
    result.save_as(packed)
    return packed.getvalue()


def _code(label: str) -> tuple[str, str, str]:
    own = "".join(character for character in label.upper() if character.isalnum())[:16]
    return _CODES.get(label.lower(), (own or "LABEL", "99FLARESEG", label[:64]))


def _unusable(image: Image, problem: str, remedy: str) -> DataError:
    path: Path = image.source.path
    return DataError(f"{path}: {problem}", remedy, code=ErrorCode.UNREADABLE_IMAGE, case=image.source.name)

"""CT that is kept in 8 bits holds no HU; ``--window`` says which HU its 0 and 255 are, and is for nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from flareseg.data.case_files import NIFTI
from flareseg.data.nifti import open_nifti, read_voxels
from flareseg.data.prepare.layouts.files import has_ending
from flareseg.data.prepare.layouts.source import SourceCase
from flareseg.data.prepare.progress_file import Made, state_of
from flareseg.errors import SettingsError

Window = tuple[float, float]
"""HU at 0 and at 255."""


def eight_bit_cases(cases: Sequence[SourceCase]) -> list[str]:
    """The CT images that have 256 values by their header, which cannot be HU."""
    return [case.name for case in _ct_files(cases) if _is_eight_bit(case)]


def check_window(cases: Sequence[SourceCase], window: Window | None, made: Made) -> None:
    """Check that ``--window`` is given for CT of 8 bits alone: HU would be scaled a second time.

    Args:
        cases: the cases.
        window: what was given.
        made: keeps the ranges of images that were read for it.

    Raises:
        SettingsError: the window does not rise, no case is CT, or one holds other values than 0 to 255.
    """
    if window is None:
        return
    if not window[0] < window[1]:
        raise SettingsError(
            f"--window {window[0]:g} {window[1]:g}: expected two rising numbers.", "Such as --window -160 240."
        )
    ct = [case for case in cases if case.modality == "CT"]
    if not ct:
        raise SettingsError("--window is for CT kept in 8 bits, and no case is CT.", "Leave it away.")
    files = {case.name for case in _ct_files(ct)}
    in_hu = [case.name for case in ct if case.name not in files]  # DICOM says itself how values become HU
    in_hu += [case.name for case in _ct_files(ct) if not _is_eight_bit(case) and not _fits(_range(case, made))]
    if in_hu:
        remedy = "Leave --window away."
        if len(in_hu) < len(ct):
            remedy = "Prepare the two kinds apart, with --only or --except: one site has one scale."
        raise SettingsError(
            f"--window says which HU 0 and 255 are in CT kept in 8 bits, but {len(in_hu)} of {len(ct)} CT images hold "
            f"HU, such as {in_hu[0]}: they would be scaled twice.",
            remedy,
        )


def _ct_files(cases: Sequence[SourceCase]) -> list[SourceCase]:
    return [
        case
        for case in cases
        if case.modality == "CT" and isinstance(case.image, Path) and has_ending(case.image, NIFTI)
    ]


def _is_eight_bit(case: SourceCase) -> bool:
    assert isinstance(case.image, Path)
    image = open_nifti(case.image, case.name)
    scaled = (image.dataobj.slope, image.dataobj.inter) != (1.0, 0.0)
    return image.get_data_dtype() in (np.uint8, np.int8) and not scaled


def _fits(ends: tuple[float, float]) -> bool:
    return ends[0] >= 0 and ends[1] <= 255


def _range(case: SourceCase, made: Made) -> tuple[float, float]:
    """Least and greatest value of an image, read once."""
    assert isinstance(case.image, Path)
    state = state_of([case.image])
    ends = made.get(f"range {case.name}", state)
    if ends is None:
        voxels = read_voxels(open_nifti(case.image, case.name), case.image, case.name)
        ends = [float(voxels.min()), float(voxels.max())]
        made.put(f"range {case.name}", state, ends)
    return ends[0], ends[1]

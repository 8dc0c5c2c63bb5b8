"""Whether a case's files can be opened at all, and their headers."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.nifti1 import Nifti1Image
from nibabel.spatialimages import HeaderDataError

from flareseg.config.task import Modality
from flareseg.data.datalist import Case
from flareseg.data.faults import FileFault
from flareseg.data.faults.findings import Finding
from flareseg.data.frames import SUFFIXES as FRAME_SUFFIXES
from flareseg.data.nifti import verify_checksum

_NIFTI = (".nii", ".nii.gz")
_GZIP = b"\x1f\x8b"
_DECODING = (OSError, EOFError, ValueError, KeyError, TypeError, zlib.error, MemoryError)
"""What the decoders of a damaged file raise."""


def file_faults(case: Case, modality: Modality) -> list[Finding]:
    """Look at a case's files from outside: presence, permission, size, and what name and first bytes say."""
    if case.image == case.label:
        message = f"{case.image}: is given as image and as label."
        return [Finding(FileFault.IMAGE_IS_LABEL, message, case.name)]
    return [fault for path in (case.image, case.label) if (fault := _file_fault(path, case, modality))]


def _file_fault(path: Path, case: Case, modality: Modality) -> Finding | None:
    suffixes = FRAME_SUFFIXES if modality == "RGB" else _NIFTI
    suffix = next((suffix for suffix in suffixes if path.name.lower().endswith(suffix)), None)
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            start = stream.read(2)
    except FileNotFoundError:
        return Finding(FileFault.FILE_MISSING, f"{path}: no such file.", case.name)
    except PermissionError:
        return Finding(FileFault.FILE_FORBIDDEN, f"{path}: permission denied for user {os.getuid()}.", case.name)
    except OSError as error:
        return Finding(FileFault.FILE_UNREADABLE, f"{path}: cannot be read ({error.strerror}).", case.name)
    if size == 0:
        return Finding(FileFault.FILE_EMPTY, f"{path}: holds no bytes.", case.name)
    if suffix is None:
        expected = " or ".join(suffixes)
        return Finding(FileFault.SUFFIX_UNKNOWN, f"{path}: expected {expected} for {modality}.", case.name)
    if suffix in _NIFTI and (start == _GZIP) != (suffix == ".nii.gz"):
        found = "is compressed" if start == _GZIP else "is not compressed"
        return Finding(FileFault.SUFFIX_WRONG, f"{path}: the content {found}, against the name.", case.name)
    return None


def open_nifti(path: Path, case: Case) -> tuple[Nifti1Image | None, Finding | None]:
    """Read a file's header, not its voxels."""
    try:
        image = nib.load(path)
    except (*_DECODING, ImageFileError, HeaderDataError) as error:
        return None, undecodable(path, case, error)
    if not isinstance(image, Nifti1Image):
        return None, undecodable(path, case, ValueError(f"is {type(image).__name__}"))
    if path.suffix.lower() == ".nii":
        expected = int(image.dataobj.offset) + int(np.prod(image.shape)) * image.get_data_dtype().itemsize
        if (found := path.stat().st_size) < expected:
            return None, Finding(
                FileFault.FILE_TRUNCATED, f"{path}: expected {expected} bytes, found {found}.", case.name
            )
    return image, None


def read_voxels(image: Nifti1Image, path: Path, case: Case) -> tuple[np.ndarray | None, Finding | None]:
    """Read and scale all voxels."""
    try:
        verify_checksum(path)
        return np.asanyarray(image.dataobj), None
    except _DECODING as error:
        return None, undecodable(path, case, error)


def undecodable(path: Path, case: Case, error: Exception) -> Finding:
    """Tell a file that was cut short from one that is damaged."""
    reason = " ".join(str(error).split()) or type(error).__name__
    cut = isinstance(error, EOFError) or reason.startswith("Expected") or "truncated" in reason
    if cut:
        return Finding(FileFault.FILE_TRUNCATED, f"{path}: ends too early ({reason}).", case.name)
    return Finding(FileFault.FILE_UNREADABLE, f"{path}: cannot be decoded ({reason}).", case.name)

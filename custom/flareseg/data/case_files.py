"""A case's files from outside: presence, permission, size, and what name and first bytes say of the content."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from flareseg.config.task import Modality
from flareseg.data.case import Case
from flareseg.data.faults import FileFault
from flareseg.data.faults.findings import Finding

NIFTI = (".nii", ".nii.gz")
FRAMES = (".png", ".jpg", ".jpeg")
DECODING = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    TypeError,
    SyntaxError,
    OverflowError,
    zlib.error,
    MemoryError,
    ImageFileError,
    HeaderDataError,
)
"""What nibabel's and Pillow's decoders raise at a damaged file."""
_GZIP = b"\x1f\x8b"


def file_faults(case: Case, modality: Modality) -> list[Finding]:
    """Look at a case's files; none is decoded."""
    files = case.files
    if len(set(files)) < len(files):
        message = f"{case.image}: is given as image and as label."
        if case.label not in files[:-1]:
            message = f"{case.image}: is given as two channels."
        return [Finding(FileFault.IMAGE_IS_LABEL, message, case.name)]
    return [fault for path in files if (fault := _file_fault(path, case, modality))]


def _file_fault(path: Path, case: Case, modality: Modality) -> Finding | None:
    suffixes = FRAMES if modality == "RGB" else NIFTI
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
    if suffix in NIFTI and (start == _GZIP) != (suffix == ".nii.gz"):
        found = "is compressed" if start == _GZIP else "is not compressed"
        return Finding(FileFault.SUFFIX_WRONG, f"{path}: the content {found}, against the name.", case.name)
    return None


def undecodable(path: Path, case: str, error: Exception) -> Finding:
    """Tell a file that was cut short from one that is damaged."""
    reason = " ".join(str(error).split()) or type(error).__name__
    cut = isinstance(error, EOFError) or reason.startswith("Expected") or "truncated" in reason
    if cut:
        return Finding(FileFault.FILE_TRUNCATED, f"{path}: ends too early ({reason}).", case)
    return Finding(FileFault.FILE_UNREADABLE, f"{path}: cannot be decoded ({reason}).", case)

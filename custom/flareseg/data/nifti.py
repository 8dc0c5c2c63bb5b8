"""NIfTI files: the one place where headers and voxels are read from them."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.affines import voxel_sizes
from nibabel.nifti1 import Nifti1Image

from flareseg.data.case_files import DECODING, undecodable
from flareseg.data.faults import FileFault, GeometryFault
from flareseg.data.faults.findings import Finding
from flareseg.data.grid import Grid, by, in_mm

SHEAR = 0.02
"""Cosine between two axes from which they are not at right angles: about a degree."""
_SIZE = 0.01  # share by which two statements of a voxel size may differ


def open_nifti(path: Path, case: str) -> Nifti1Image:
    """Read a file's header; its voxels wait for :func:`read_voxels`.

    Args:
        path: .nii or .nii.gz, NIfTI-1 or NIfTI-2.
        case: name of the case, for the error.

    Raises:
        CaseError: it is no NIfTI, is damaged, or is cut short, as far as that shows without reading all of it.
    """
    try:
        image = nib.load(path)
    except DECODING as error:
        raise undecodable(path, case, error).error() from None
    if not isinstance(image, Nifti1Image):
        raise undecodable(path, case, ValueError(f"is {type(image).__name__}")).error()
    if path.suffix.lower() == ".nii":
        expected = int(image.dataobj.offset) + int(np.prod(image.shape)) * image.get_data_dtype().itemsize
        if (found := path.stat().st_size) < expected:
            message = f"{path}: expected {expected} bytes, found {found}."
            raise Finding(FileFault.FILE_TRUNCATED, message, case).error()
    return image


def shape_of(image: Nifti1Image) -> tuple[int, ...]:
    """The shape without further axes of length 1: (X, Y, Z, 1) is the volume (X, Y, Z)."""
    shape = tuple(int(length) for length in image.shape)
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def volume_fault(image: Nifti1Image, path: Path, case: str) -> Finding | None:
    """Say why a file is no volume of numbers that lie somewhere; None where it is one."""
    dtype = image.get_data_dtype()
    if dtype.names is not None:
        return Finding(GeometryFault.COLOUR_VOLUME, f"{path}: holds {dtype}.", case)
    if np.issubdtype(dtype, np.complexfloating):
        return Finding(GeometryFault.COMPLEX_VOLUME, f"{path}: holds {dtype}.", case)
    if len(shape_of(image)) != 3:
        return Finding(GeometryFault.NOT_3D, f"{path}: expected three dimensions, found {by(image.shape)}.", case)
    affine = image.affine
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        rows = np.array2string(affine[:3], precision=3, suppress_small=True).replace("\n", "")
        return Finding(GeometryFault.AFFINE_SINGULAR, f"{path}: the affine is {rows}.", case)
    return None


def grid_of(image: Nifti1Image) -> Grid:
    """Shape and affine as stored."""
    return Grid(shape_of(image), image.affine)


def read_voxels(image: Nifti1Image, path: Path, case: str) -> np.ndarray:
    """Read and scale all voxels, (X, Y, Z) as stored.

    A compressed file is read once and to its checksum, which nibabel by itself never comes to: it takes damaged voxels
    for good ones.

    Raises:
        CaseError: the content is not what was written, or cut short.
    """
    try:
        if path.suffix.lower() == ".gz":
            with gzip.open(path) as stream:
                image = type(image).from_bytes(stream.read())
        return np.asanyarray(image.dataobj).reshape(shape_of(image))
    except DECODING as error:
        raise undecodable(path, case, error).error() from None


def size_doubt(image: Nifti1Image, path: Path) -> str | None:
    """Say why the header does not know the voxel size; None where it does.

    Sizes stand twice in a header: in ``pixdim`` and in the columns of the sform, where its code is set. A writer that
    knows none leaves what an array has by itself: the identity.
    """
    sizes, origin, placed = voxel_sizes(image.affine), image.affine[:3, 3], int(image.header["sform_code"])
    stored = np.abs(_stored_sizes(image, path))
    if not (np.isfinite(stored).all() and stored.all()):
        found = " × ".join(f"{size:g}" for size in stored)
        return f"pixdim is {found}" + (f", the sform says {in_mm(sizes)}" if placed else "")
    if placed and shear_of(image.affine) < SHEAR and (np.abs(sizes / stored - 1) > _SIZE).any():
        return f"the sform says {in_mm(sizes)}, pixdim {in_mm(stored)}"
    aligned = (np.abs(np.abs(image.affine[:3, :3]) - np.eye(3)) < 1e-6).all()
    nowhere = (np.abs(origin) <= 1).all() or not (placed or int(image.header["qform_code"]))
    return "the affine is the identity, 1 × 1 × 1 mm" if aligned and nowhere else None


def shear_of(affine: np.ndarray) -> float:
    """Greatest cosine between two axes: 0 at right angles."""
    axes = affine[:3, :3] / voxel_sizes(affine)
    return float(np.abs(axes.T @ axes - np.eye(3)).max())


def _stored_sizes(image: Nifti1Image, path: Path) -> np.ndarray:
    """``pixdim`` as it is in the file: nibabel makes a 1 of a 0, and a size of its negative."""
    kind = type(image.header)
    try:
        with (gzip.open if path.suffix.lower() == ".gz" else open)(path, "rb") as stream:
            block = stream.read(kind.template_dtype.itemsize)
    except DECODING:
        return np.asarray(image.header["pixdim"][1:4], dtype=float)
    return np.asarray(kind(block, endianness=image.header.endianness, check=False)["pixdim"][1:4], dtype=float)

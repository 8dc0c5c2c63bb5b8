"""PNG masks of a DICOM series: each finds its slice by the number in its name, never by its place in a list."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from flareseg.data.prepare.dicom import Series, series_slices
from flareseg.data.prepare.layouts.files import listed
from flareseg.data.prepare.layouts.source import SliceMasks
from flareseg.errors import DataError, ErrorCode

_GREY_TOLERANCE = 20


def mask_files(parts: SliceMasks) -> list[Path]:
    """The masks in natural order."""
    return listed(parts.folder, (".png",))


def read_masks(case: str, parts: SliceMasks, series: Series) -> NDArray[np.uint8]:
    """Read the masks of a series onto its grid.

    Args:
        case: name of the case, for errors.
        parts: the masks.
        series: the slices that they were drawn on.

    Returns:
        uint8 (columns, rows, slices).

    Raises:
        DataError: it is ambiguous which mask belongs to which slice, or a mask is not readable, of another size or
            of grey values that mean nothing.
    """
    size = series.voxels.shape[:2]
    grey, values = (np.array(row) for row in zip(*{0: 0, **parts.grey}.items(), strict=True))
    masks = np.zeros(series.voxels.shape, dtype=np.uint8)
    for place, path in enumerate(_in_order_of(case, parts, series)):
        pixels = _grey_values(case, path)
        if pixels.shape != size:
            raise _unfit(case, path, f"expected {size} pixels, found {pixels.shape}.", "Use this series' masks.")
        nearest = np.abs(pixels[..., None] - grey).argmin(-1)
        if np.abs(pixels - grey[nearest]).max() > _GREY_TOLERANCE:
            found = int(pixels.flat[np.abs(pixels - grey[nearest]).argmax()])
            raise _unfit(case, path, f"grey value {found} means no organ.", f"Expected {sorted(parts.grey)} or 0.")
        masks[..., place] = values[nearest]
    return masks


def _in_order_of(case: str, parts: SliceMasks, series: Series) -> list[Path]:
    """The mask of each slice.

    Masks are numbered as the files of the series, as its InstanceNumber, or as the files of another echo of the same
    slices, which then lie at the same positions.
    """
    files = mask_files(parts)
    if len(files) != len(series.files):
        raise _unfit(case, parts.folder, f"holds {len(files)} masks for {len(series.files)} slices.", "Copy all again.")
    numbers = numbers_in_names(files)
    if numbers is None or len(set(numbers)) < len(numbers):
        raise _unfit(
            case,
            parts.folder,
            "the names of the masks do not tell their slices: one number in each should differ from mask to mask.",
            "Name each mask by the number of its slice.",
        )
    masks = dict(zip(numbers, files, strict=True))
    own = [numbers_in_names(series.files), series.numbers]
    for found in (*own, *_of_other_echoes(parts, series), *_from_zero(own, min(numbers))):
        if found is not None and set(found) == set(masks):
            return [masks[number] for number in found]
    raise _unfit(
        case,
        parts.folder,
        f"masks are numbered {_range(numbers)}, the slices {_range(own[0])} by name and {_range(own[1])} by "
        "InstanceNumber: the first or the last may be missing.",
        "Copy all again, or name each mask by the number of its slice.",
    )


def numbers_in_names(files: Sequence[Path]) -> list[int] | None:
    """The one number that differs between names that are otherwise alike; None where there is not one.

    >>> numbers_in_names([Path("IMG-0004-00009.dcm"), Path("IMG-0004-00010.dcm")])
    [9, 10]
    """
    parts = [re.split(r"([0-9]+)", path.stem.lower()) for path in files]
    if len({tuple(part[::2]) for part in parts}) != 1:
        return None
    columns = [[int(number) for number in column] for column in zip(*(part[1::2] for part in parts), strict=True)]
    varying = [column for column in columns if len(set(column)) > 1]
    return varying[0] if len(varying) == 1 else None


def _of_other_echoes(parts: SliceMasks, series: Series) -> list[list[int] | None]:
    """For each other series of the same slices the numbers of its files, in the order of our slices."""
    found: list[list[int] | None] = []
    for folder in parts.numbered_as:
        if folder == series.files[0].parent:
            continue
        slices = series_slices(folder)
        positions = np.array([part.position for part in slices])
        if positions.shape != series.positions.shape:
            continue
        apart = np.linalg.norm(positions[None] - series.positions[:, None], axis=-1)
        nearest = apart.argmin(axis=1)
        numbers = numbers_in_names([part.path for part in slices])
        if numbers and len(set(nearest.tolist())) == len(nearest) and apart.min(axis=1).max() < series.gap / 4:
            found.append([numbers[place] for place in nearest])
    return found


def _from_zero(own: Sequence[Sequence[int] | None], first_mask: int) -> list[list[int] | None]:
    """Numbers from 1 as they are from 0, where both names and InstanceNumber say that none is missing before 1."""
    names, instances = own
    if first_mask == 0 and names and instances and min(names) == min(instances) == 1:
        return [[number - 1 for number in names]]
    return []


def _grey_values(case: str, path: Path) -> NDArray[np.int64]:
    """(columns, rows) of a grey image; one in colours counts where all its channels are the same."""
    try:
        with Image.open(path) as opened:
            opened.load()
            if opened.mode in ("1", "L"):
                return np.asarray(opened.convert("L")).T.astype(np.int64)
            pixels = np.asarray(opened.convert("RGBA"))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise _unfit(case, path, f"cannot be read as an image ({error}).", "Copy it again.") from None
    red = pixels[..., :1]
    if opened.mode.startswith("I") or (pixels[..., :3] != red).any() or (pixels[..., 3] != 255).any():
        raise _unfit(case, path, f"expected a grey image of 8 bits, found mode {opened.mode}.", "Save it as grey.")
    return red[..., 0].T.astype(np.int64)


def _range(numbers: Sequence[int] | None) -> str:
    return f"{min(numbers)} to {max(numbers)}" if numbers else "not at all"


def _unfit(case: str, path: Path, problem: str, remedy: str) -> DataError:
    return DataError(f"{path}: {problem}", remedy, code=ErrorCode.BAD_LABEL, case=case)

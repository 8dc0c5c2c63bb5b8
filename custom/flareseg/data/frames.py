"""RGB frames: a PNG or JPEG photograph with a mask image, as network input of one slice.

Photographs have no spacing in mm: every size of theirs is in pixels, of the frame as it is resized.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from flareseg.data.datalist import Case
from flareseg.errors import DataError, ErrorCode, unreadable

SUFFIXES = (".png", ".jpg", ".jpeg")
FORMATS = ("PNG", "JPEG")
DEEP_MODES = ("I", "I;16", "I;16B", "F")  # more than 8 bits: Pillow would clip them
_FULL_SCALES = (1, 255, 65535)


def read_frame(case: Case, resize: tuple[int, int] | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Read a frame and its mask.

    The camera's EXIF orientation is applied. X runs from right to left and Y from the bottom to the top, so that a
    frame stands upright wherever an axial slice does.

    Args:
        case: the files.
        resize: width and height in pixels; None keeps the frame's own.

    Returns:
        image: float32 (3, X, Y, 1), values from 0 to 255.
        mask: uint8 (X, Y, 1) of 0 and 1; all 0 where the mask is empty.

    Raises:
        DataError: a file is not readable as PNG or JPEG, holds more than 8 bits a channel, frame and mask differ in
            size, or the mask is not binary.
    """
    frame, drawn = open_frame(case.image, case.name), _open(case.label, case.name)
    if frame.size != drawn.size:
        raise DataError(
            f"{case.label}: expected the frame's {frame.width} x {frame.height} pixels, "
            f"found {drawn.width} x {drawn.height}.",
            "Export the mask at the frame's size.",
            code=ErrorCode.SHAPE_MISMATCH,
            case=case.name,
        )
    colours, mask = frame.convert("RGB"), Image.fromarray(_foreground(drawn, case).astype(np.uint8) * 255)
    if resize is not None:
        colours, mask = (picture.resize(resize, Image.Resampling.BILINEAR) for picture in (colours, mask))
    inside = (np.asarray(mask) > 127)[::-1, ::-1]
    return (
        frame_pixels(colours),
        np.ascontiguousarray(inside.T[..., None].astype(np.uint8)),
    )


def open_frame(path: Path, case: str) -> Image.Image:
    """Open a photograph, upright.

    Raises:
        DataError: it is not readable as PNG or JPEG, or holds more than 8 bits a channel.
    """
    frame = _open(path, case)
    if frame.mode in DEEP_MODES:
        raise DataError(
            f"{path}: expected 8 bits a channel, found the mode {frame.mode}.",
            "Export the frame as RGB.",
            code=ErrorCode.UNREADABLE_IMAGE,
            case=case,
        )
    return frame


def frame_pixels(colours: Image.Image) -> np.ndarray:
    """The pixels of an RGB picture as float32 (3, X, Y, 1), values from 0 to 255; axes as :func:`read_frame` says."""
    pixels = np.asarray(colours, dtype=np.float32)[::-1, ::-1]
    return np.ascontiguousarray(pixels.transpose(2, 1, 0)[..., None])


def _open(path: Path, case: str) -> Image.Image:
    try:
        with Image.open(path, formats=FORMATS) as picture:
            return ImageOps.exif_transpose(picture)
    except Exception as error:  # Pillow raises whatever the decoder raised; all mean the same to the site
        raise unreadable(path, "PNG or JPEG", case, error) from None


def _foreground(drawn: Image.Image, case: Case) -> np.ndarray:
    """Above half of full scale, so that a JPEG's noise and a smooth outline fall on one side or the other."""
    if drawn.mode in DEEP_MODES:
        values = np.asarray(drawn)
    else:
        # Two steps: a palette's colours and an alpha channel mean nothing to the direct conversion to grey.
        values = np.asarray(drawn.convert("RGB").convert("L") if drawn.mode != "L" else drawn)
    highest = float(values.max())
    if not highest:
        return np.zeros(values.shape, dtype=bool)
    full = next((scale for scale in _FULL_SCALES if highest <= scale), highest)
    if drawn.mode == "P":  # two colours of any kind
        full = highest
    if highest <= full / 2:
        raise DataError(
            f"{case.label}: expected a mask of 0 and 1 or of 0 and 255, found values up to {highest:g}.",
            "Export one binary mask for each frame.",
            code=ErrorCode.BAD_LABEL,
            case=case.name,
        )
    return np.asarray(values > full / 2)

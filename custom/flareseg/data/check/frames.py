"""RGB frames: a PNG or JPEG photograph and its mask image."""

from __future__ import annotations

import numpy as np
from PIL import Image, UnidentifiedImageError

from flareseg.data.check.files import undecodable
from flareseg.data.datalist import Case
from flareseg.data.faults import GeometryFault, LabelFault
from flareseg.data.faults.findings import Finding
from flareseg.data.frames import DEEP_MODES, FORMATS, read_frame
from flareseg.errors import DataError

_TURNED = (5, 6, 7, 8)  # EXIF orientations that exchange width and height
_EXIF_ORIENTATION = 274
_SMOOTH = 0.1


def frame_header_faults(case: Case) -> list[Finding]:
    """Check what the headers of a frame and its mask say; no pixel is read."""
    sizes, faults = [], []
    for path in (case.image, case.label):
        try:
            with Image.open(path, formats=FORMATS) as picture:
                # Asked for EXIF, a PNG without it reads all its pixels.
                told = picture.format == "JPEG" or "exif" in picture.info
                turned = told and picture.getexif().get(_EXIF_ORIENTATION) in _TURNED
                sizes.append(picture.size[::-1] if turned else picture.size)
                mode = picture.mode
        except (OSError, ValueError, SyntaxError, UnidentifiedImageError) as error:
            return [undecodable(path, case, error)]
        if path == case.image and mode in DEEP_MODES:
            faults.append(Finding(GeometryFault.NOT_RGB, f"{path}: the mode is {mode}.", case.name))
        elif path == case.image and mode in ("L", "1", "LA"):
            faults.append(Finding(GeometryFault.GREY_FRAME, f"{path}: the mode is {mode}.", case.name))
    if sizes[0] != sizes[1]:
        (width, height), (mask_width, mask_height) = sizes
        message = f"{case.label}: expected the frame's {width} × {height} pixels, found {mask_width} × {mask_height}."
        faults.append(Finding(GeometryFault.SHAPE_MISMATCH, message, case.name))
    return faults


def read_pixels(case: Case) -> tuple[np.ndarray, np.ndarray] | Finding:
    """Read a frame and its mask as training does, at the frame's own size.

    Returns:
        image, float32 (3, X, Y, 1) of 0 to 255, and mask, uint8 (X, Y, 1); or what is wrong.
    """
    between = []
    for path in (case.image, case.label):
        try:
            with Image.open(path, formats=FORMATS) as picture:
                between.append(_between(picture))
        except (OSError, ValueError, SyntaxError) as error:
            return undecodable(path, case, error)
    if between[1] > _SMOOTH:
        if between[0] <= _SMOOTH:
            message = f"{case.label}: holds shades, its image {case.image.name} only black and white."
            return Finding(LabelFault.SWAPPED, message, case.name)
        message = f"{case.label}: {between[1]:.0%} of its pixels are neither black nor white."
        return Finding(LabelFault.MASK_NOT_BINARY, message, case.name)
    try:
        return read_frame(case)
    except DataError as error:
        return Finding(LabelFault.MASK_NOT_BINARY, error.message, case.name)


def _between(picture: Image.Image) -> float:
    """Share of the pixels in the middle half of the range: none in a mask, but for its outline."""
    grey = np.asarray(picture.convert("RGB").convert("L") if picture.mode not in DEEP_MODES else picture, float)
    full = grey.max() or 1.0
    return float(((grey > full / 4) & (grey < full * 3 / 4)).mean())

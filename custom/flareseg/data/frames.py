"""RGB frames: a PNG or JPEG photograph with a mask image, as network input of one slice.

Photographs have no spacing in mm: every size of theirs is in pixels, of the frame as it is resized.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from flareseg.data.annotation import Annotation
from flareseg.data.case import Case
from flareseg.data.case_files import DECODING, undecodable
from flareseg.data.faults import GeometryFault, LabelFault
from flareseg.data.faults.findings import CaseError, Finding
from flareseg.data.frame_mask import DEEP_MODES, read_mask, shades

FORMATS = ("PNG", "JPEG")
_TURNED = (5, 6, 7, 8)  # EXIF orientations that exchange width and height
_EXIF_ORIENTATION = 274
_SMOOTH = 0.1


def frame_header_faults(case: Case) -> list[Finding]:
    """Check what the headers of a frame and its mask say; no pixel is read."""
    sizes, orientations, faults = [], [], []
    for path in (case.image, case.label):
        try:
            with Image.open(path, formats=FORMATS) as picture:
                # Asked for EXIF, a PNG without it reads all its pixels.
                has_exif = picture.format == "JPEG" or "exif" in picture.info
                orientation = picture.getexif().get(_EXIF_ORIENTATION, 1) if has_exif else 1
                sizes.append(picture.size[::-1] if orientation in _TURNED else picture.size)
                mode = picture.mode
        except DECODING as error:
            return [undecodable(path, case.name, error)]
        orientations.append(orientation if orientation in range(2, 9) else 1)
        if path == case.image and mode in DEEP_MODES:
            faults.append(Finding(GeometryFault.NOT_RGB, f"{path}: the mode is {mode}.", case.name))
        elif path == case.image and mode in ("L", "1", "LA"):
            faults.append(Finding(GeometryFault.GREY_FRAME, f"{path}: the mode is {mode}.", case.name))
    if sizes[0] != sizes[1]:
        (width, height), (mask_width, mask_height) = sizes
        message = f"{case.label}: expected the frame's {width} × {height} pixels, found {mask_width} × {mask_height}."
        faults.append(Finding(GeometryFault.SHAPE_MISMATCH, message, case.name))
    elif orientations[0] != orientations[1]:
        message = f"{case.image}: has the EXIF orientation {orientations[0]}, its mask {orientations[1]}."
        faults.append(Finding(GeometryFault.EXIF_ONE_SIDED, message, case.name))
    return faults


def read_frame(
    case: Case, annotation: Annotation, resize: tuple[int, int] | None = None
) -> tuple[np.ndarray, dict[str, np.ndarray], frozenset[int], list[Finding]]:
    """Read a frame and its mask, whose headers were checked.

    The camera's EXIF orientation is applied. X runs from right to left and Y from the bottom to the top, so that a
    frame stands upright wherever an axial slice does.

    Args:
        case: the files.
        annotation: the labels and the values of their masks.
        resize: width and height in pixels; None keeps the frame's own.

    Returns:
        image: float32 (3, X, Y, 1), values from 0 to 255.
        masks: bool (X, Y, 1) of each annotated label; all False where the mask is empty.
        values: those that the mask holds.
        findings: what asks for a look.

    Raises:
        CaseError: a file is not readable as PNG or JPEG, or the mask is not a mask.
    """
    frame, drawn = open_frame(case.image, case.name), _open(case.label, case.name)
    try:
        masks, values, findings = read_mask(drawn, case.label, annotation, case.name)
    except CaseError:
        if shades(frame) <= _SMOOTH < shades(drawn):
            message = f"{case.label}: holds shades, its image {case.image.name} only black and white."
            raise Finding(LabelFault.SWAPPED, message, case.name).error() from None
        raise
    colours = frame.convert("RGB")
    if resize is not None:
        colours = colours.resize(resize, Image.Resampling.BILINEAR)
    upright = {name: _upright(mask, resize) for name, mask in masks.items()}
    return frame_pixels(colours), upright, values, findings


def open_frame(path: Path, case: str) -> Image.Image:
    """Open a photograph, upright.

    Raises:
        CaseError: it is not readable as PNG or JPEG, or holds more than 8 bits a channel.
    """
    frame = _open(path, case)
    if frame.mode in DEEP_MODES:
        raise Finding(GeometryFault.NOT_RGB, f"{path}: the mode is {frame.mode}.", case).error()
    return frame


def frame_pixels(colours: Image.Image) -> np.ndarray:
    """The pixels of an RGB picture as float32 (3, X, Y, 1), values from 0 to 255; axes as :func:`read_frame` says."""
    pixels = np.asarray(colours, dtype=np.float32)[::-1, ::-1]
    return np.ascontiguousarray(pixels.transpose(2, 1, 0)[..., None])


def _upright(mask: np.ndarray, resize: tuple[int, int] | None) -> np.ndarray:
    picture = Image.fromarray(mask.astype(np.uint8) * 255)
    if resize is not None:
        picture = picture.resize(resize, Image.Resampling.BILINEAR)
    return np.ascontiguousarray((np.asarray(picture) > 127)[::-1, ::-1].T[..., None])


def _open(path: Path, case: str) -> Image.Image:
    """A picture, turned as its EXIF orientation says."""
    try:
        with Image.open(path, formats=FORMATS) as picture:
            upright = ImageOps.exif_transpose(picture)
            upright.format = picture.format
            return upright
    except DECODING as error:
        raise undecodable(path, case, error).error() from None

"""The mask of an RGB frame: a PNG or JPEG of two values, or of the values that site.yaml names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from flareseg.data.annotation import Annotation
from flareseg.data.faults import LabelFault
from flareseg.data.faults.findings import Finding
from flareseg.data.label_values import distinct, naming_faults, some

DEEP_MODES = ("I", "I;16", "I;16B", "F")
"""More than 8 bits: Pillow would clip them."""
_PAIRS = ({0, 1}, {0, 255}, {0, 65535})
_FEW = 16
_DARK, _LIGHT = 32, 223
_PLATEAU = 1e-3


def read_mask(
    picture: Image.Image, path: Path, annotation: Annotation, case: str
) -> tuple[dict[str, np.ndarray], frozenset[int], list[Finding]]:
    """Read a mask by its values, never by the brightness of a palette.

    Two values are 0 with 1, 255 or 65535. A mask that JPEG or resizing has smoothed, with more than 16 levels, is cut
    at half of full scale, as long as what lies between is its outline and no area of its own. An alpha channel is the
    mask where the colours say nothing.

    Args:
        picture: opened and turned upright.
        path: its file.
        annotation: the labels; where they are 1 or 255, all of them are the mask's second value.
        case: name of the case.

    Returns:
        Bool (height, width) of each annotated label, the values that the mask holds, and what asks for a look.

    Raises:
        CaseError: the mask holds anything else.
    """
    values, findings = _values(picture, path, case)
    if not annotation.two_valued:
        held = frozenset(int(value) for value in distinct(values))
        if picture.format == "JPEG" or len(held - annotation.named) > _FEW:
            problem = "classes cannot be distinguished in a mask that JPEG or resizing has smoothed"
            raise _refused(path, f"{problem} ({len(held)} values).", case)
        findings += naming_faults(sorted(held), path, annotation, case)
        return {name: np.isin(values, own) for name, own in annotation.values.items()}, held, findings
    smoothed = picture.format == "JPEG" or len(distinct(values)) > _FEW
    inside = _smooth(values, path, case) if smoothed else _second_value(values, path, case)
    held = annotation.named if inside.any() else frozenset({0})
    return dict.fromkeys(annotation.values, inside), held, findings


def _values(picture: Image.Image, path: Path, case: str) -> tuple[np.ndarray, list[Finding]]:
    """The numbers that a mask is drawn with, (height, width)."""
    if picture.mode == "P":
        values = np.asarray(picture)
        return values, _inverted(picture, values, path, case)
    if picture.mode in ("L", "1", *DEEP_MODES):
        return np.asarray(picture).astype(np.uint8) if picture.mode == "1" else np.asarray(picture), []
    if picture.format == "JPEG":
        return np.asarray(picture.convert("RGB").convert("L")), []
    pixels = np.asarray(picture.convert("RGBA"))
    colours, alpha = pixels[..., :3], pixels[..., 3]
    if np.ptp(alpha) and not np.ptp(colours.reshape(-1, 3), axis=0).any():
        return alpha, []
    if (colours != colours[..., :1]).any():
        first = tuple(colours[(colours != colours[..., :1]).any(-1)][0].tolist())
        raise _refused(path, f"holds colours such as {first}, whose meaning cannot be known.", case)
    if np.ptp(alpha) and ((colours[..., 0] > 0) & (alpha == 0)).any():
        raise _refused(path, "marks one area by its colour and another by its alpha channel.", case)
    return colours[..., 0], []


def _inverted(picture: Image.Image, values: np.ndarray, path: Path, case: str) -> list[Finding]:
    used = distinct(values)
    palette = np.array(picture.getpalette("RGB") or [], dtype=float).reshape(-1, 3).mean(axis=1)
    bright = [palette[index] if index < len(palette) else 0.0 for index in used]
    if len(used) < 2 or used[0] != 0 or bright[0] <= max(bright[1:]):
        return []
    message = f"{path}: its index 0 is shown brighter ({bright[0]:.0f}) than {some(used[1:])} ({max(bright[1:]):.0f})."
    return [Finding(LabelFault.MASK_INVERTED, message, case)]


def _second_value(values: np.ndarray, path: Path, case: str) -> np.ndarray:
    held = {int(value) for value in distinct(values)}
    if not any(held <= pair for pair in _PAIRS):
        found = f"expected a mask of 0 and 1 or of 0 and 255, found {some(sorted(held))}."
        raise _refused(path, found, case)
    return np.asarray(values > 0)


def _smooth(values: np.ndarray, path: Path, case: str) -> np.ndarray:
    highest = float(values.max())
    if highest <= 1:
        return np.asarray(values > 0)
    full = 255.0 if highest <= 255 else 65535.0
    if highest <= full / 2:
        raise _refused(path, f"expected a mask of 0 and 1 or of 0 and 255, found values up to {highest:g}.", case)
    grey = values * (255.0 / full)
    between = ndimage.binary_erosion((grey > _DARK) & (grey < _LIGHT), np.ones((3, 3)), border_value=1).mean()
    if between > _PLATEAU:
        levels = some(distinct(values)[1:-1])
        raise _refused(path, f"{between:.1%} of its pixels lie in areas neither black nor white ({levels}).", case)
    return np.asarray(values > full / 2)


def shades(picture: Image.Image) -> float:
    """Share of the pixels that are neither black nor white: in a photograph nearly all, in a mask its outline."""
    grey = np.asarray(picture.convert("RGB").convert("L") if picture.mode not in DEEP_MODES else picture, float)
    full = grey.max() or 1.0
    return float(((grey > 0.05 * full) & (grey < 0.95 * full)).mean())


def _refused(path: Path, problem: str, case: str) -> Exception:
    return Finding(LabelFault.MASK_NOT_BINARY, f"{path}: {problem}", case).error()

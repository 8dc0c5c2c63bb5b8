"""Slices with contours, as PNG inside the page."""

from __future__ import annotations

import base64
import io

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

LABEL_COLORS = ("#4cc3ff", "#ffb000", "#7ee081", "#ff5d8f", "#c9a6ff", "#fff06b", "#ff8f5c", "#5ce0d8")
SLICES = 4
_PIXELS, _DPI = 420, 100


def png_address(picture: Image.Image) -> str:
    """A picture as a ``data:`` address of a PNG."""
    stream = io.BytesIO()
    # 256 colours hold all greys that matter beside the contours, in a quarter of the bytes
    picture.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(stream, "PNG")
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"


def slice_picture(
    image: np.ndarray,
    spacing: np.ndarray,
    truth: np.ndarray | None = None,
    prediction: np.ndarray | None = None,
    window: tuple[float, float] = (0.0, 1.0),
    pixels: int = _PIXELS,
) -> Image.Image:
    """Draw an axial slice as radiologists see it: the patient's right at the left, the front at the top.

    Args:
        image: (C, X, Y), axes towards R and A; one channel is grey, three are colours.
        spacing: (3,) in mm.
        truth: (L, X, Y) of 0 and 1, drawn solid; or none.
        prediction: (L, X, Y) of 0 and 1, drawn dashed.
        window: values that are black and white.
        pixels: of the longer side.

    Returns:
        An RGB picture.
    """
    width, height = image.shape[1] * float(spacing[0]), image.shape[2] * float(spacing[1])
    scale = pixels / _DPI / max(width, height)
    figure = Figure(figsize=(width * scale, height * scale), dpi=_DPI, facecolor="black")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    low, high = window
    shown = np.clip((image - low) / max(high - low, 1e-6), 0, 1)
    drawn = shown[0].T if len(shown) == 1 else np.moveaxis(shown, 0, 2).swapaxes(0, 1)
    axes.imshow(drawn, cmap="gray", vmin=0, vmax=1, origin="lower", aspect="auto", interpolation="bilinear")
    for masks, style in ((truth, "-"), (prediction, (0, (2.2, 1.4)))):
        for mask, color in zip(() if masks is None else masks, LABEL_COLORS * 8, strict=False):
            if mask.any():
                # a border of zeros closes contours that touch the edge
                framed = np.pad(mask.astype(np.float32), 1)
                x, y = np.arange(-1, mask.shape[0] + 1), np.arange(-1, mask.shape[1] + 1)
                axes.contour(x, y, framed.T, levels=[0.5], colors=color, linewidths=1.5, linestyles=[style])
    axes.set_xlim(image.shape[1] - 0.5, -0.5)
    axes.set_ylim(-0.5, image.shape[2] - 0.5)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def informative_slices(truth: np.ndarray, prediction: np.ndarray, count: int = SLICES) -> list[int]:
    """Choose axial slices: for each label, rarest first, its largest; then where truth and prediction differ most.

    Args:
        truth: bool (L, X, Y, Z).
        prediction: bool (L, X, Y, Z).
        count: at most so many.

    Returns:
        Indices along Z from low to high, at least one.
    """
    areas = truth.sum(axis=(1, 2))
    rarest_first = sorted((area for area in areas if area.any()), key=lambda area: int(area.sum()))
    difference = (truth ^ prediction).sum(axis=(0, 1, 2))
    wanted = [int(area.argmax()) for area in rarest_first]
    wanted += [int(number) for number in np.argsort(-difference, kind="stable") if difference[number]]
    chosen: list[int] = []
    for number in wanted:
        if len(chosen) < count and all(abs(number - other) > 1 for other in chosen):
            chosen.append(number)
    return sorted(chosen) or [truth.shape[-1] // 2]

"""A picture of a segmentation: some slices side by side, with contours."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image as Picture

from flareseg.config.task import Task
from flareseg.data.preprocess import normalize
from flareseg.inference.images import Image
from flareseg.report.overlays import informative_slices, slice_picture

_HEIGHT = 420


def montage(image: Image, masks: np.ndarray, task: Task) -> bytes:
    """Draw the slices that hold most of each label, as PNG; the contours have the colours of the sidecars.

    Args:
        image: what was segmented.
        masks: bool (L, X, Y, Z) on its grid.
        task: gives the window that the network saw.
    """
    grey = normalize(image.values, task.modalities[image.modality])
    chosen = informative_slices(masks, masks)
    pictures = [
        slice_picture(grey[..., number], image.spacing, truth=masks[..., number]).resize((_HEIGHT, _HEIGHT))
        if image.values.shape[1] == image.values.shape[2]
        else slice_picture(grey[..., number], image.spacing, truth=masks[..., number])
        for number in chosen
    ]
    height = max(picture.height for picture in pictures)
    page = Picture.new("RGB", (sum(picture.width for picture in pictures), height))
    left = 0
    for picture in pictures:
        page.paste(picture, (left, (height - picture.height) // 2))
        left += picture.width
    packed = io.BytesIO()
    page.save(packed, "PNG")
    return packed.getvalue()

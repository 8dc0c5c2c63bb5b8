"""What prediction writes: label maps on the image's grid, sidecars for viewers, tables; whole files or none."""

from __future__ import annotations

import csv
import gzip
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from PIL import Image as Picture

from flareseg.config.task import Task
from flareseg.files import write_whole
from flareseg.inference.images import Image
from flareseg.inference.measure import Measurement
from flareseg.report.overlays import LABEL_COLORS

ITK_SNAP, SLICER = "labels.itksnap.txt", "labels.ctbl"
CASES, LESIONS = "cases.csv", "lesions.csv"


def color_of(index: int) -> tuple[int, int, int]:
    """Red, green and blue of a label's number from 0."""
    code = LABEL_COLORS[index % len(LABEL_COLORS)].lstrip("#")
    red, green, blue = bytes.fromhex(code)
    return red, green, blue


def write_volume(path: Path, volume: np.ndarray, image: Image) -> None:
    """Write a volume (X, Y, Z) on the grid of ``image.values`` as the image was stored: NIfTI, or PNG for a frame."""
    if image.source.kind == "frame":
        pixels = np.ascontiguousarray(volume[..., 0].T[::-1, ::-1])
        packed = io.BytesIO()
        Picture.fromarray(pixels).save(packed, "PNG")
        write_whole(path.with_name(f"{path.name}.png"), packed.getvalue())
        return
    write_whole(path.with_name(f"{path.name}.nii.gz"), _nifti(image.as_stored(volume), image))


def _nifti(volume: np.ndarray, image: Image) -> bytes:
    result = nib.Nifti1Image(volume, image.original_affine)
    codes = (1, 1)
    if isinstance(image.header, nib.Nifti1Header):
        codes = (int(image.header["qform_code"]), int(image.header["sform_code"]))
    result.set_qform(image.original_affine, code=codes[0] or int(not codes[1]))
    result.set_sform(image.original_affine, code=codes[1] or 1)
    result.header.set_xyzt_units("mm")
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=1, fileobj=packed, mtime=0) as stream:
        stream.write(result.to_bytes())
    return packed.getvalue()


def write_sidecars(folder: Path, task: Task) -> None:
    """Write names and colours of the label map's numbers, as ITK-SNAP and 3D Slicer load them."""
    snap = ['    0     0    0    0        0  0  0    "Clear Label"']
    slicer = ["# Color table file", f"# {len(task.labels) + 1} values", "0 background 0 0 0 0"]
    for index, label in enumerate(task.labels):
        red, green, blue = color_of(index)
        snap.append(f'{index + 1:5d}  {red:4d} {green:4d} {blue:4d}        1  1  1    "{label}"')
        slicer.append(f"{index + 1} {label.replace(' ', '_')} {red} {green} {blue} 255")
    write_whole(folder / ITK_SNAP, ("\n".join(snap) + "\n").encode())
    write_whole(folder / SLICER, ("\n".join(slicer) + "\n").encode())


def write_tables(folder: Path, rows: Sequence[tuple[Image, list[Measurement]]], task: Task) -> None:
    """Write ``cases.csv``, a row for each case and label, and ``lesions.csv``, a row for each lesion."""
    unit = ("pixels", "px") if task.in_channels == 3 else ("ml", "mm")
    header = ["case", "modality", "label", unit[0], "components", f"largest_{unit[1]}", "sign", "word", "doubts"]
    lines: list[list[Any]] = [header]
    lesions: list[list[Any]] = [["case", "label", "number", unit[0], f"diameter_{unit[1]}"]]
    for image, found in rows:
        for item in found:
            largest = f"{item.diameters[0]:.2f}" if item.diameters else ""
            sign = "" if math.isnan(item.sign) else f"{item.sign:.3f}"
            numbers = [
                f"{item.size:.3f}",
                item.components,
                largest,
                sign,
                item.word,
                "; ".join([*image.doubts, *item.doubts]),
            ]
            lines.append([image.source.name, image.modality, item.label, *numbers])
            if item.label not in task.organs or len(task.labels) == 1:
                lesions += [
                    [image.source.name, item.label, number, f"{size:.4f}", f"{diameter:.2f}"]
                    for number, (size, diameter) in enumerate(zip(item.sizes, item.diameters, strict=True), 1)
                ]
    write_whole(folder / CASES, _csv(lines))
    if task.lesion is not None:
        write_whole(folder / LESIONS, _csv(lesions))


def _csv(lines: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue().encode()

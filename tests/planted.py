"""A crafted file that writes another one when it is unpickled."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import numpy as np
import torch


class _Bomb:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (self.marker,)  # type: ignore[return-value]


def plant_model(path: Path, marker: Path, *, zipped: bool = True) -> None:
    """Write a model file of PyTorch's format, or a bare pickle, that touches ``marker`` when it is unpickled."""
    if zipped:
        torch.save({"model": _Bomb(marker), "about": "{}"}, path)
        assert zipfile.is_zipfile(path)
    else:
        path.write_bytes(pickle.dumps({"model": _Bomb(marker), "about": "{}"}))


def plant_array(path: Path, marker: Path) -> None:
    """Write a NumPy file with an object that touches ``marker`` when it is unpickled."""
    np.save(path, np.array([_Bomb(marker)], dtype=object), allow_pickle=True)


def goes_off(path: Path, marker: Path) -> bool:
    """Whether the file does what it was made for, where it is loaded without care."""
    if zipfile.is_zipfile(path):
        torch.load(path, weights_only=False)
    else:
        pickle.loads(path.read_bytes())
    gone_off = marker.exists()
    marker.unlink()
    return gone_off

"""Weights between PyTorch and NVFlare's NumPy messages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any
from zipfile import ZIP_STORED, ZipFile

import numpy as np
import torch

from flareseg.errors import ErrorCode, FlaresegError
from flareseg.files import replacing
from flareseg.networks.state import State


def to_numpy(state: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """Share the memory of CPU tensors as arrays; 0-d tensors become 0-d arrays."""
    return {name: value.detach().cpu().numpy() for name, value in state.items()}


def to_torch(state: Mapping[str, Any]) -> State:
    """Copy arrays into tensors of the same dtype; a ciphertext becomes a uint8 tensor of its bytes."""
    return {name: torch.from_numpy(np.array(_storable(value))) for name, value in state.items()}


def _storable(value: Any) -> Any:
    value = value.serialize() if hasattr(value, "serialize") else value
    return np.frombuffer(value, np.uint8) if isinstance(value, bytes) else value


def save_tensors(path: Path, content: Mapping[str, Any]) -> None:
    """Write tensors and plain values atomically, readable with ``torch.load(path, weights_only=True)``.

    Raises:
        OSError: the file cannot be written (disk full); the old one stays.
    """
    with replacing(path) as stream:
        try:
            torch.save(dict(content), stream)
        except RuntimeError as error:  # what PyTorch's writer makes of a full disk
            raise error.__context__ if isinstance(error.__context__, OSError) else error from None


def load_tensors(path: Path) -> dict[str, Any]:
    """Read what :func:`save_tensors` wrote; nothing in the file is executed.

    PyTorch does not look at the checksums that it wrote: a bit that flipped on the disk would be another weight.

    Raises:
        FlaresegError: the file is missing, damaged, or holds more than tensors and plain values.
    """
    try:
        with path.open("rb") as stream:
            _check_sums(stream)
            stream.seek(0)
            return dict(torch.load(stream, map_location="cpu", weights_only=True))
    except Exception as error:  # the zip reader and PyTorch raise many kinds at a damaged or hostile file
        raise _not_ours(path, error) from None


def _check_sums(stream: IO[bytes]) -> None:
    """Compare each part of a zip with its CRC-32.

    Raises:
        ValueError: a part is damaged, or is compressed, which PyTorch never writes and could stand for any size.
        BadZipFile: it is no zip.
    """
    with ZipFile(stream) as archive:
        if any(part.compress_type != ZIP_STORED for part in archive.infolist()):
            raise ValueError("a part is compressed")
        damaged = archive.testzip()
    if damaged is not None:
        raise ValueError(f"{damaged} is damaged")


def to_torch_like(state: Mapping[str, Any], like: Mapping[str, torch.Tensor]) -> State:
    """Copy what a server sent into tensors of a network's shapes and dtypes: what was decrypted is a flat list."""
    return {
        name: torch.from_numpy(np.array(value)).reshape(like[name].shape).to(like[name].dtype)
        for name, value in state.items()
    }


def payload_bytes(state: Mapping[str, Any]) -> int:
    """Bytes of arrays and ciphertexts."""
    return sum(_storable(value).nbytes for value in state.values())


def save_model(path: Path, state: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> None:
    """Write weights atomically.

    Args:
        path: a ``.pt`` file.
        state: weights by name.
        about: plain facts kept beside the weights (task, round, version).

    Raises:
        OSError: the file cannot be written (disk full); the old one stays.
    """
    save_tensors(path, {"model": to_torch(state), "about": json.dumps(about)})


def load_model(path: Path) -> tuple[State, dict[str, Any]]:
    """Read weights and the facts beside them.

    Raises:
        FlaresegError: the file is missing, damaged, or holds more than weights.
    """
    content = load_tensors(path)
    try:
        return dict(content["model"]), dict(json.loads(content["about"]))
    except (KeyError, TypeError, ValueError) as error:
        raise _not_ours(path, error) from None


def _not_ours(path: Path, error: Exception) -> FlaresegError:
    reason = " ".join(str(error).split())[:200]
    if type(error).__name__ == "UnpicklingError":  # its text advises to load the file unsafely
        reason = "it holds more than weights and plain values, and was not loaded"
    elif isinstance(error, OSError) and error.strerror:
        reason = error.strerror
    return FlaresegError(
        f"{path}: is not a flareseg model ({type(error).__name__}: {reason}).",
        "Use a model file that flareseg wrote.",
        code=ErrorCode.BAD_MODEL,
    )

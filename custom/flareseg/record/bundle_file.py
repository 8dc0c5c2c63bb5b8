"""The model in a MONAI bundle that flareseg exported: its weights and plain values, never its configurations.

A MONAI bundle says what to build by class paths and expressions, which run when it is opened. Here none is read: the
task stands in a file of its own, and the weights in safetensors, a format that can hold nothing else.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from flareseg.config.settings import read_json
from flareseg.errors import ErrorCode, FlaresegError

if TYPE_CHECKING:
    from flareseg.networks.state import State

BUNDLE_METADATA = "configs/metadata.json"
BUNDLE_ABOUT = "configs/flareseg.json"
"""What else a model file holds beside its weights: task, rounds done, version."""
BUNDLE_WEIGHTS = "models/model.safetensors"


def is_bundle(path: Path) -> bool:
    """Whether a folder is a MONAI bundle, whoever wrote it."""
    return (path / BUNDLE_METADATA).is_file()


def weights_file(model: Path) -> Path:
    """The file of a model's weights: of a bundle the one that is read, else the model file itself."""
    return model / BUNDLE_WEIGHTS if is_bundle(model) else model


def load_bundle(folder: Path) -> tuple[State, dict[str, Any]]:
    """Read weights and the facts beside them, as :func:`flareseg.record.model_file.load_model` does of a model file.

    Raises:
        SettingsError: the facts are not JSON.
        FlaresegError: the bundle is not one that flareseg exported, or its weights are missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file  # PyTorch, which callers of is_bundle do without

    for name in (BUNDLE_ABOUT, BUNDLE_WEIGHTS):
        if not (folder / name).is_file():
            raise _unusable(folder, f"{name} is missing")
    about = read_json(folder / BUNDLE_ABOUT)
    try:
        return load_file(folder / BUNDLE_WEIGHTS), about
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise _unusable(folder, f"{BUNDLE_WEIGHTS} cannot be read: {' '.join(str(error).split())[:200]}") from None


def _unusable(folder: Path, reason: str) -> FlaresegError:
    return FlaresegError(
        f"{folder}: is not a bundle that this version of flareseg exported ({reason}).",
        "Give a model file of a result, or a bundle of flareseg export.",
        code=ErrorCode.BAD_MODEL,
    )

"""Writing an export: a folder that is there whole, or not at all."""

from __future__ import annotations

import shutil
import tempfile
from enum import Enum
from pathlib import Path

import torch
from safetensors.torch import save_file

from flareseg.errors import SettingsError
from flareseg.export.bundle import inference, metadata
from flareseg.export.card import model_card
from flareseg.export.onnx_file import onnx_graph
from flareseg.export.script import torch_script
from flareseg.files import json_bytes
from flareseg.learning.trained import Trained
from flareseg.record.bundle_file import BUNDLE_ABOUT, BUNDLE_METADATA, BUNDLE_WEIGHTS
from flareseg.report.schema import ReportFacts


class Format(str, Enum):
    """What can be written."""

    BUNDLE = "bundle"
    TORCHSCRIPT = "torchscript"
    ONNX = "onnx"


def export_model(model: Trained, facts: ReportFacts | None, folder: Path, form: Format) -> None:
    """Write a model for other software.

    Args:
        model: the network and its task.
        facts: of its run, where the result is at hand: scores and the number of sites.
        folder: a folder that does not exist yet.
        form: ``bundle`` for MONAI (TorchScript and safetensors in it), ``torchscript`` or ``onnx`` for the network and
            the card.

    Raises:
        SettingsError: the folder exists, or cannot be written, or the form needs a package that is not installed.
        FlaresegError: the network cannot be written in this form.
    """
    if folder.exists():
        raise SettingsError(f"{folder}: exists already.", "Choose a new folder.")
    if form is Format.BUNDLE and model.task.in_channels != 1:
        raise SettingsError("A bundle reads NIfTI, and this model takes RGB frames.", "Give --format torchscript.")
    name, write = ("model.onnx", onnx_graph) if form is Format.ONNX else ("model.ts", torch_script)
    files = {"README.md": model_card(model, facts).encode(), name: write(model)}
    if form is Format.BUNDLE:
        about = {key: model.about.get(key) for key in ("name", "rounds_done", "flareseg")}
        files = {
            "docs/README.md": files["README.md"],
            "models/model.ts": files[name],
            BUNDLE_METADATA: json_bytes(metadata(model, facts)),
            BUNDLE_ABOUT: json_bytes({**about, "task": model.task.model_dump(mode="json")}),
            "configs/inference.json": json_bytes(inference(model.task)),
        }
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            for name, content in files.items():
                (scratch / name).parent.mkdir(parents=True, exist_ok=True)
                (scratch / name).write_bytes(content)
            if form is Format.BUNDLE:
                state = {name: value.detach().cpu().contiguous() for name, value in model.network.state_dict().items()}
                torch.save(state, scratch / "models/model.pt")
                save_file(state, scratch / BUNDLE_WEIGHTS, metadata={"task": model.task.name})
            scratch.chmod(0o755)
            scratch.rename(folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except OSError as error:
        raise SettingsError(
            f"{folder}: cannot be written ({error.strerror or error}).", "Free space there, or choose another folder."
        ) from None

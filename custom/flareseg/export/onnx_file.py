"""A network as ONNX, and proof by onnxruntime that it says the same."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import torch

from flareseg.errors import SettingsError
from flareseg.export.script import exported
from flareseg.learning.trained import Trained

INPUT, OUTPUT = "image", "logits"
"""Names of the graph's input, float32 (N, C, spatial), and output, float32 (N, L, spatial)."""
_OPSET = 18
_FATAL = 4  # of onnxruntime's log: what goes wrong becomes an error of the command


def onnx_graph(model: Trained) -> bytes:
    """Write the network as one ONNX file for any number and size of images, and compare it with the network.

    Raises:
        SettingsError: onnx or onnxruntime is not installed.
        FlaresegError: the graph says something else than the network, or takes one size alone.
    """
    try:
        import onnx  # noqa: F401 - what PyTorch's exporter needs
        import onnxruntime
    except ImportError as error:
        raise SettingsError(
            f"--format onnx needs the package {error.name}.", "Install it: pip install 'flareseg[onnx]'."
        ) from None

    def write(sample: torch.Tensor) -> bytes:
        sizes = {0: "images", **{axis: f"size{axis - 1}" for axis in range(2, sample.ndim)}}
        with tempfile.TemporaryDirectory(prefix="flareseg-onnx-") as scratch:
            path = Path(scratch) / "model.onnx"
            torch.onnx.export(
                model.network,
                (sample,),
                path,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_axes={INPUT: sizes, OUTPUT: sizes},
                opset_version=_OPSET,
                dynamo=False,  # the other exporter needs two packages more and twenty times the time
            )
            return path.read_bytes()

    def load(written: bytes) -> Callable[[torch.Tensor], torch.Tensor]:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _FATAL
        session = onnxruntime.InferenceSession(written, options, providers=["CPUExecutionProvider"])
        return lambda sample: torch.from_numpy(session.run(None, {INPUT: sample.numpy()})[0])

    return exported(model, "ONNX", write, load)

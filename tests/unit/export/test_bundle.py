"""An exported model says what the federation's says, in a process that cannot import flareseg."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle.utils import DEPRECATED_ID_MAPPING
from safetensors.torch import load_file

from bright import body, write, write_model
from flareseg.errors import FlaresegError, SettingsError
from flareseg.export.bundle import SCHEMA, metadata
from flareseg.export.onnx_file import onnx_graph
from flareseg.export.run import Format, export_model
from flareseg.export.script import exported
from flareseg.inference.inputs import find_inputs
from flareseg.inference.run import Wishes, predict
from flareseg.learning.trained import Trained, load_trained

TURNED = np.array([[-1.6, 0, -3, 42], [-1.2, 0, 4, 4], [0, -2, 0, 120], [0, 0, 0, 1.0]])


@pytest.fixture
def trained(tmp_path: Path) -> Trained:
    return load_trained(write_model(tmp_path / "best.pt", spacing=[3.0, 3.0, None]))


def test_the_files_of_a_bundle(trained: Trained, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    export_model(trained, None, folder, Format.BUNDLE)
    state = trained.network.state_dict()
    for found in (
        torch.load(folder / "models/model.pt", weights_only=True),
        load_file(folder / "models/model.safetensors"),
    ):
        assert found.keys() == state.keys()
        assert all(torch.equal(found[name], value) for name, value in state.items())
    content = json.loads((folder / "configs/metadata.json").read_text())
    assert content["schema"] == SCHEMA
    assert content["network_data_format"]["outputs"]["pred"]["channel_def"] == {"0": "liver", "1": "lesion"}
    assert "Not a medical device" in (folder / "docs/README.md").read_text()
    with pytest.raises(SettingsError, match="exists already"):
        export_model(trained, None, folder, Format.BUNDLE)


@pytest.mark.parametrize("patch", [[16, 16], [16, 16, 16]], ids=["2D", "3D"])
def test_every_form_says_what_the_learner_says(patch: list[int], tmp_path: Path) -> None:
    """Logits within 1e-4 for a number and a size of images that no form was made with."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    trained = load_trained(write_model(tmp_path / "best.pt", patch=patch))
    for form in Format:
        export_model(trained, None, tmp_path / form.value, form)
    x = torch.rand(3, 1, *[size + 8 * place for place, size in enumerate(patch, 1)])
    session = onnxruntime.InferenceSession(tmp_path / "onnx/model.onnx", providers=["CPUExecutionProvider"])
    with torch.no_grad():
        wanted = trained.network(x)
        found = {
            "bundle": torch.jit.load(tmp_path / "bundle/models/model.ts")(x),
            "torchscript": torch.jit.load(tmp_path / "torchscript/model.ts")(x),
            "onnx": torch.from_numpy(session.run(["logits"], {"image": x.numpy()})[0]),
            "safetensors": load_trained(tmp_path / "bundle").network(x),
        }
    assert wanted.std() > 0.01
    assert {form for form, logits in found.items() if not float((logits - wanted).abs().max()) <= 1e-4} == set()


def test_a_difference_is_found_before_anything_is_written(trained: Trained) -> None:
    def other(written: bytes) -> Callable[[torch.Tensor], torch.Tensor]:
        return lambda sample: trained.network(sample) + 2e-4

    with pytest.raises(FlaresegError, match=r"as TorchScript its logits differ by 0\.0002"):
        exported(trained, "TorchScript", lambda sample: b"", other)


@pytest.mark.parametrize("form", Format)
def test_a_network_whose_trace_fixes_the_size_is_refused_by_name(form: Format, tmp_path: Path) -> None:
    if form is Format.ONNX:
        pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    trained = load_trained(write_model(tmp_path / "best.pt", patch=[64, 64], network={"name": "utnet"}))
    with pytest.raises(FlaresegError, match=r"The network utnet cannot be exported: as .* fails where images are not"):
        export_model(trained, None, tmp_path / "out", form)
    assert [path.name for path in tmp_path.iterdir()] == ["best.pt"]


def test_without_the_extra_the_message_names_it(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(SettingsError) as caught:
        onnx_graph(trained)
    assert str(caught.value) == "--format onnx needs the package onnx. Install it: pip install 'flareseg[onnx]'."


TENSOR = {"type": str, "format": str, "num_channels": int, "spatial_shape": list, "dtype": str, "value_range": list}
METADATA = {
    **dict.fromkeys(["schema", "version", "monai_version", "pytorch_version", "numpy_version"], str),
    **dict.fromkeys(["task", "description", "authors", "copyright", "intended_use"], str),
    **dict.fromkeys(["changelog", "required_packages_version", "supported_apps", "network_data_format"], dict),
}


@pytest.mark.parametrize("patch", [[16, 16], [16, 16, 16]], ids=["2D", "3D"])
def test_metadata_has_what_monai_s_schema_demands(patch: list[int], tmp_path: Path) -> None:
    """What meta_schema_20240725 requires, and the types it gives; MONAI itself would fetch that file from GitHub."""
    found = metadata(load_trained(write_model(tmp_path / "best.pt", patch=patch)), None)
    content = json.loads(json.dumps(found))
    assert {key: type(content.get(key)) for key in METADATA} == METADATA
    tensors = content["network_data_format"]
    for tensor in (*tensors["inputs"].values(), *tensors["outputs"].values()):
        assert {key: type(tensor.get(key)) for key in TENSOR} == TENSOR
        assert len(tensor["spatial_shape"]) == len(patch)
        assert {type(value) for value in tensor["value_range"]} <= {int, float}
        assert tensor["num_channels"] == len(tensor["channel_def"])
    assert content["required_packages_version"]["nibabel"]
    assert not DEPRECATED_ID_MAPPING.keys() & content.keys(), "MONAI would put its value in place of another's"


RUN = """
import sys
sys.modules["flareseg"] = None
from monai.bundle import ConfigParser
parser = ConfigParser()
parser.read_config("configs/inference.json")
parser.read_meta("configs/metadata.json")
parser["images"] = sys.argv[1:]
parser["modality"] = "CT"
parser.get_parsed_content("run")
"""


def test_the_bundle_runs_without_flareseg(trained: Trained, tmp_path: Path) -> None:
    """The same label map as ``flareseg predict``, on the grid of an oblique, flipped image."""
    folder = tmp_path / "bundle"
    export_model(trained, None, folder, Format.BUNDLE)
    image = write(tmp_path / "a.nii.gz", body((40, 36, 12)), TURNED)
    predict(trained, find_inputs([image]), tmp_path / "out", Wishes(modality="CT"))
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", RUN, image], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    ours = nib.load(tmp_path / "out" / "a.nii.gz")
    theirs = nib.load(folder / "eval" / "a_seg.nii.gz")
    assert np.allclose(ours.affine, theirs.affine, atol=1e-4)
    differing = np.asarray(ours.dataobj) != np.asarray(theirs.dataobj)
    assert len(np.unique(ours.dataobj)) > 1
    assert differing.mean() < 0.01

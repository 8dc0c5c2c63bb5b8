"""An exported model says what the federation's says, in a process that cannot import flareseg."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from bright import body, write, write_model
from flareseg.errors import SettingsError
from flareseg.export.bundle import SCHEMA
from flareseg.export.run import Format, export_model
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
    loaded = torch.jit.load(folder / "models/model.ts")
    x = torch.rand(3, 1, 48, 32)
    assert (loaded(x) - trained.network(x)).abs().max() <= 1e-4
    content = json.loads((folder / "configs/metadata.json").read_text())
    assert content["schema"] == SCHEMA
    assert content["network_data_format"]["outputs"]["pred"]["channel_def"] == {"0": "liver", "1": "lesion"}
    assert "Not a medical device" in (folder / "docs/README.md").read_text()
    with pytest.raises(SettingsError, match="exists already"):
        export_model(trained, None, folder, Format.BUNDLE)


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

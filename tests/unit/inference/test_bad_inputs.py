"""What cannot be segmented: each with a plain message, and nothing half-written."""

from __future__ import annotations

import json
import pickle
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from bright import AFFINE, body, write, write_model
from flareseg.cli.predict import app
from flareseg.errors import FlaresegError

VOLUME = body()


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("this pickle ran code",))


def _nan(path: Path) -> Path:
    values = VOLUME.copy()
    values[0, 0, 0] = np.nan
    return write(path, values)


def _cut(path: Path) -> Path:
    whole = write(path, VOLUME).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    return path


def _damaged(path: Path) -> Path:
    whole = bytearray(write(path, VOLUME).read_bytes())
    whole[-6] ^= 1  # of the checksum: nibabel alone would not notice
    path.write_bytes(whole)
    return path


def _colours(path: Path) -> Path:
    pixels = np.zeros((4, 4, 2), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.save(nib.Nifti1Image(pixels, AFFINE), path)
    return path


def _flat_affine(path: Path) -> Path:
    image = nib.Nifti1Image(VOLUME, None)
    image.header["sform_code"], image.header["srow_x"] = 1, 0
    image.header["srow_y"] = image.header["srow_z"] = 0
    nib.save(image, path)
    return path


def _text(path: Path) -> Path:
    path.write_text("not a volume")
    return path


def _folder(path: Path) -> Path:
    folder = path.parent / "empty"
    folder.mkdir()
    return folder


def _datalist(path: Path) -> Path:
    listed = path.parent / "list.json"
    listed.write_text(json.dumps({"testing": [{"picture": "a"}]}))
    return listed


def _picture(path: Path) -> Path:
    from PIL import Image

    Image.new("RGB", (8, 8), "red").save(path.parent / "a.png")
    return path.parent / "a.png"


IMAGES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "cut short": (_cut, "ends too early"),
    "damaged": (_damaged, "cannot be decoded"),
    "no NIfTI": (_text, "cannot be decoded"),
    "4D": (lambda path: write(path, np.stack([VOLUME] * 2, axis=3)), "expected three dimensions"),
    "2D": (lambda path: write(path, VOLUME[..., 0]), "expected three dimensions"),
    "colours": (_colours, "holds ["),
    "NaN": (_nan, "holds NaN"),
    "empty": (lambda path: write(path, np.zeros_like(VOLUME)), "there is nothing to see"),
    "no grid": (_flat_affine, "the affine is"),
    "missing": (lambda path: path, "no such file"),
    "no image in the folder": (_folder, "holds no image"),
    "no datalist": (_datalist, "is not a MONAI datalist"),
    "a photograph": (_picture, "is RGB; the model of task bright takes CT and MR"),
}


@pytest.mark.parametrize(("make", "said"), IMAGES.values(), ids=IMAGES)
def test_an_image(tmp_path: Path, make: Callable[[Path], Path], said: str) -> None:
    image = make(tmp_path / "a.nii.gz")
    assert said in _predict(write_model(tmp_path / "best.pt"), image, tmp_path)


def _predict(model: Path, image: Path, folder: Path) -> str:
    """What the command says; it neither succeeds nor leaves a file."""
    done = CliRunner().invoke(app, [str(model), str(image), "-o", str(folder / "out")])
    assert done.exit_code != 0
    assert not [path for path in (folder / "out").rglob("*") if path.is_file()]
    if isinstance(done.exception, SystemExit):
        assert done.exit_code == 2
        return " ".join(done.output.split())
    assert isinstance(done.exception, FlaresegError), done.exception
    return str(done.exception)


def _pickle(path: Path) -> Path:
    path.write_bytes(pickle.dumps(Evil()))
    return path


def _torch_pickle(path: Path) -> Path:
    torch.save({"model": Evil(), "about": "{}"}, path)
    return path


def _other_version(path: Path) -> Path:
    write_model(path)
    content = torch.load(path, weights_only=True)
    about = json.loads(content["about"]) | {"flareseg": "9.9.9"}
    about["task"]["labels_of_the_future"] = []
    torch.save({**content, "about": json.dumps(about)}, path)
    return path


def _other_network(path: Path) -> Path:
    write_model(path)
    content = torch.load(path, weights_only=True)
    torch.save({**content, "model": dict(list(content["model"].items())[1:])}, path)
    return path


def _not_finite(path: Path) -> Path:
    write_model(path)
    content = torch.load(path, weights_only=True)
    next(iter(content["model"].values()))[:] = float("nan")
    torch.save(content, path)
    return path


MODELS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "pickle": (_pickle, "is not a flareseg model"),
    "pickle by PyTorch": (_torch_pickle, "is not a flareseg model"),
    "another version": (_other_version, "It was written by flareseg 9.9.9"),
    "another network": (_other_network, "its weights are not those of the network"),
    "not finite": (_not_finite, "holds weights that are not finite"),
    "an image": (lambda path: write(path.with_suffix(".nii.gz"), VOLUME), "is not a flareseg model"),
    "missing": (lambda path: path, ""),
}


@pytest.mark.parametrize(("make", "said"), MODELS.values(), ids=MODELS)
def test_a_model(tmp_path: Path, capfd: pytest.CaptureFixture[str], make: Callable[[Path], Path], said: str) -> None:
    message = _predict(make(tmp_path / "best.pt"), write(tmp_path / "a.nii.gz", VOLUME), tmp_path)
    assert said in message
    assert "weights_only" not in message  # PyTorch's advice to load unsafely
    assert "ran code" not in capfd.readouterr().out


def test_a_full_disk(tmp_path: Path) -> None:
    """The kernel refuses to write more than so many bytes, as a full disk does."""
    model, image = write_model(tmp_path / "best.pt"), write(tmp_path / "a.nii.gz", VOLUME)
    command = [sys.executable, "-c", "from flareseg.cli.main import main; main()"]
    done = subprocess.run(
        [*command, "predict", model, image, "-o", "out"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20)),
    )
    assert done.returncode == 2, done.stderr
    assert "out: cannot be written to (File too large). Free space there" in " ".join(done.stderr.split())
    assert not list((tmp_path / "out").iterdir())

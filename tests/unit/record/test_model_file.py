"""A model file is believed only as it was written."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flareseg.errors import ErrorCode, FlaresegError
from flareseg.record.model_file import load_model, save_model

STATE = {"w": np.arange(24, dtype=np.float32).reshape(4, 6), "steps": np.array(3, np.int64)}


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("model") / "last.pt"
    save_model(path, STATE, {"rounds_done": 3})
    return path.read_bytes()


def loads_as_other(path: Path) -> bool:
    """Whether a file is believed although it holds something else."""
    try:
        state, about = load_model(path)
    except FlaresegError as error:
        return error.code is not ErrorCode.BAD_MODEL
    same = all(np.array_equal(value.numpy(), STATE[name]) for name, value in state.items())
    return not same or state.keys() != STATE.keys() or about != {"rounds_done": 3}


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(position=st.integers(0, 10**9), bit=st.integers(0, 7))
def test_no_flipped_bit_becomes_another_weight(tmp_path: Path, content: bytes, position: int, bit: int) -> None:
    path, spoiled = tmp_path / "last.pt", bytearray(content)
    spoiled[position % len(content)] ^= 1 << bit
    path.write_bytes(spoiled)
    assert not loads_as_other(path)


def test_no_flipped_bit_of_the_weights_themselves_is_read(tmp_path: Path, content: bytes) -> None:
    """Each of 200 bits; without a look at the checksums 196 of them were believed."""
    start = content.index(STATE["w"].tobytes())
    for bit in range(200):
        spoiled = bytearray(content)
        spoiled[start + bit // 8] ^= 1 << bit % 8
        (tmp_path / "last.pt").write_bytes(spoiled)
        with pytest.raises(FlaresegError, match="is damaged"):
            load_model(tmp_path / "last.pt")


@pytest.mark.parametrize("end", [0, 1, 100, -1, -100])
def test_a_file_cut_short_is_refused(tmp_path: Path, content: bytes, end: int) -> None:
    (tmp_path / "last.pt").write_bytes(content[:end])
    with pytest.raises(FlaresegError, match="is not a flareseg model"):
        load_model(tmp_path / "last.pt")


def test_formats_without_checksums_and_with_compression_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "last.pt"
    torch.save({"model": {}, "about": "{}"}, path, _use_new_zipfile_serialization=False)
    with pytest.raises(FlaresegError, match="is not a flareseg model"):
        load_model(path)
    path.write_bytes(pickle.dumps({"model": {}, "about": "{}"}))
    with pytest.raises(FlaresegError, match="is not a flareseg model"):
        load_model(path)
    (tmp_path / "whole.pt").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "whole.pt") as whole, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in whole.namelist():
            packed.writestr(name, whole.read(name))
    with pytest.raises(FlaresegError, match="a part is compressed"):
        load_model(path)


def test_a_model_is_read_as_it_was_written(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "last.pt").write_bytes(content)
    assert not loads_as_other(tmp_path / "last.pt")
    assert load_model(tmp_path / "last.pt")[1] == {"rounds_done": 3}

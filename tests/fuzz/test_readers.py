"""Nothing but our own errors comes out of a reader, and they are one short printable line."""

from __future__ import annotations

import os
import time
import warnings

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from flareseg.errors import FlaresegError
from fuzz.readers import Reader, readers

NAMES = [
    "task.yaml",
    "site.yaml",
    "privacy.json",
    "meta.json",
    "manifest.json",
    "app/config/config_fed_client.json",
    "app/config/config_fed_server.json",
    "received meta",
    "approval",
    "datalist",
    "label map",
    "NIfTI",
    "compressed NIfTI",
    "model",
    "checkpoint",
    "local parameters",
    "ledger",
    "budget",
    "report",
    "scores",
    "site error",
    "meta beside an update",
    "record",
]
SECONDS = float(os.environ.get("FLARESEG_FUZZ_SECONDS", "20"))
FIRST = int(os.environ.get("FLARESEG_FUZZ_SEED", "0"))
LONGEST = 6000


@pytest.fixture(scope="module")
def all_readers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Reader]:
    return readers(tmp_path_factory.mktemp("fuzz"))


def test_every_reader_is_named_here(all_readers: dict[str, Reader]) -> None:
    assert set(all_readers) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_but_our_own_errors_comes_out(name: str, all_readers: dict[str, Reader]) -> None:
    """In batches, until the reader's share of the time is over; the first batch in any case."""
    reader = all_readers[name]

    def attempt(content: object) -> None:
        try:
            reader.read(content)
        except FlaresegError as error:
            text = str(error)
        except reader.may_raise:
            return
        else:
            return
        assert text.isprintable()
        assert len(text) <= LONGEST

    end = time.monotonic() + SECONDS / len(NAMES)
    number = FIRST
    while number == FIRST or time.monotonic() < end:
        batch = settings(
            max_examples=25,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )(given(reader.inputs)(attempt))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what NumPy and PyTorch say of odd headers
            seed(number)(batch)()
        number += 1

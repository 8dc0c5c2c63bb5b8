from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

import pytest

from flareseg.job.allow_list import CLASS_ALLOW_LIST
from flareseg.job.renamed import RENAMED, renamed


@pytest.mark.parametrize("new", sorted(set(RENAMED.values())))
def test_the_present_name_is_there(new: str) -> None:
    module, _, name = new.rpartition(".")
    assert hasattr(import_module(module), name)


@pytest.mark.parametrize("old", RENAMED)
def test_the_old_name_is_gone_and_allowed_nowhere(old: str) -> None:
    assert old not in CLASS_ALLOW_LIST
    assert renamed(old) == f"{old} is now {RENAMED[old]}"
    module, _, name = old.rpartition(".")
    assert find_spec(module) is None or not hasattr(import_module(module), name)


@pytest.mark.parametrize("path", [None, 7, ["x"], "flareseg.flare.site.executor.SegmentationExecutor"])
def test_other_names_pass(path: object) -> None:
    assert renamed(path) == ""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from flareseg.memory import freeze_garbage

FAULTS = """
import resource, sys, torch
from flareseg.memory import keep_freed_pages
if sys.argv[1] == "kept" and not keep_freed_pages():
    sys.exit("no glibc")
def step():
    blocks = [torch.ones(100_000) for _ in range(100)]  # as a training step: 40 MiB, freed together
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=False)
    if "no glibc" in done.stderr:
        pytest.skip("the C library here is not glibc: it has no mallopt")
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_freed_blocks_are_used_again() -> None:
    """Without it the kernel clears every page of every block again."""
    assert page_faults("kept") * 10 < page_faults("returned")


def test_what_is_frozen_is_not_looked_at_again() -> None:
    kept = [[number] for number in range(1000)]
    try:
        freeze_garbage()
        assert gc.get_freeze_count() > len(kept)
        assert not any(kept is item for item in gc.get_objects())
    finally:
        gc.unfreeze()

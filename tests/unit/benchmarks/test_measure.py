from __future__ import annotations

import numpy as np
from benchmarks.measure import in_child, peak_memory


def test_the_peak_of_a_child_is_its_own() -> None:
    ballast = np.ones(150 << 20, dtype=np.uint8)  # this process has had at least 150 MiB in memory
    assert peak_memory() > ballast.nbytes
    assert in_child("benchmarks.measure") < peak_memory() - ballast.nbytes / 2

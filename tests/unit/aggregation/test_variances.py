from __future__ import annotations

import numpy as np
import pytest

from flareseg.aggregation.variances import at_least_zero, check_variances

OLD = {"running_var": np.array([1.0, 1e-9, 50.0, 3e5], np.float32)}


def test_honest_changes_pass_whatever_rounding_leaves() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        new = (10.0 ** rng.uniform(-12, 6, 4)).astype(np.float32)
        check_variances(OLD, {"running_var": new - OLD["running_var"]}, ["running_var"])
    check_variances(OLD, {"running_var": -OLD["running_var"]}, ["running_var"])


@pytest.mark.parametrize("change", [-1000.0, -1.1, np.nan])
def test_a_variance_below_0_is_refused(change: float) -> None:
    changes = {"running_var": np.array([change, 0, 0, 0], np.float32)}
    with pytest.raises(ValueError, match="running_var should stay at or above 0"):
        check_variances(OLD, changes, ["running_var"])


def test_what_rounding_leaves_below_0_is_taken_off() -> None:
    weights = {"v": np.array([-1e-12, 0.5], np.float32), "w": np.array([-1.0], np.float32)}
    at_least_zero(weights, ["v"])
    assert weights["v"].tolist() == [0, 0.5]
    assert weights["w"].tolist() == [-1]

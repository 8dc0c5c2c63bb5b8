"""Whether arrays that somebody sent are those of a template: names, shapes and kinds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def fitting(template: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The values as flat arrays, in the template's order.

    Args:
        template: name to anything with ``shape`` and ``dtype``.
        values: name to array; floats for float variables, integers or booleans for the others.

    Raises:
        ValueError: names are unknown or missing, or a shape or kind differs.
    """
    known = template.keys()
    for names, fault in ((known - values.keys(), "missing"), (values.keys() - known, "unknown")):
        if names:
            raise ValueError(f"variables should be those of the template, got {fault}: {', '.join(sorted(names))}.")
    arrays = {}
    for name, variable in template.items():
        array = np.asarray(values[name])
        if array.shape != variable.shape:
            raise ValueError(f"{name} should have shape {variable.shape}, got {array.shape}.")
        kinds = "f" if variable.dtype.kind == "f" else "iub"
        if array.dtype.kind not in kinds:
            raise ValueError(f"{name} should be {'floating-point' if kinds == 'f' else 'whole'}, got {array.dtype}.")
        arrays[name] = array.reshape(-1)
    return arrays

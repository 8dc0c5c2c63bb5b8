"""Weighted sums whose bits do not depend on the order in which their terms arrive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

QUANTUM_BITS = 30
LIMIT_BITS = 22
MAX_WEIGHT = 1 << 20

# Elements worked on at a time: they, and their float64 product, stay in the cache.
_BLOCK = 1 << 14


class _Sum(NamedTuple):
    values: np.ndarray  # float64, flat: whole multiples of the variable's quantum
    shape: tuple[int, ...]
    dtype: np.dtype
    quanta: float  # how many quanta make 1
    limit: float  # in quanta: what no element's sum may pass


class ExactSum:
    """Streaming weighted mean of sets of named arrays, exact and so independent of the order of arrival.

    Each weight·value is rounded (half to even) to a multiple of 2^-30 and added in float64. As long as no sum passes
    2^22, every sum is a multiple of 2^-30 of at most 52 bits, hence exact. Integer and boolean variables have the
    quantum 1 and the limit 2^52. What could take a sum past its limit is refused.

    The memory is 8 bytes for each element (two float32 models), whatever the number of contributions.

    Args:
        template: name to array; only shapes and dtypes are looked at (float16, float32, float64, integers, bool).

    Raises:
        ValueError: when a variable is of any other type.
    """

    def __init__(self, template: Mapping[str, np.ndarray]) -> None:
        self._sums: dict[str, _Sum] = {}
        for name, array in template.items():
            if array.dtype.kind not in "fiub":
                raise ValueError(f"{name} should be of a real type, got {array.dtype}.")
            bits = QUANTUM_BITS if array.dtype.kind == "f" else 0
            limit = 2.0 ** (QUANTUM_BITS + LIMIT_BITS)
            values = np.zeros(array.size, dtype=np.float64)
            self._sums[name] = _Sum(values, array.shape, array.dtype, 2.0**bits, limit)
        self._bounds = dict.fromkeys(self._sums, 0.0)
        self._weight = 0

    @property
    def weight(self) -> int:
        """Sum of the weights added."""
        return self._weight

    def add(self, values: Mapping[str, np.ndarray], weight: int) -> None:
        """Add one contribution; all of it, or nothing where it is refused.

        Args:
            values: name to array, of the template's names and shapes; floats for float variables, integers or
                booleans for the others.
            weight: from 1 to 2^20.

        Raises:
            ValueError: when the weight is absurd, a variable unknown, missing, misshapen, of the wrong kind, not
                finite, or so large that a sum could pass its limit.
        """
        if isinstance(weight, bool) or not isinstance(weight, (int, np.integer)) or not 1 <= weight <= MAX_WEIGHT:
            raise ValueError(f"weight should be a whole number from 1 to {MAX_WEIGHT}, got {weight!r}.")
        weight = int(weight)
        arrays, bounds = self._checked(values, weight)
        scratch = np.empty(_BLOCK, dtype=np.float64)
        for name, array in arrays.items():
            total = self._sums[name]
            factor = weight * total.quanta
            for start in range(0, array.size, _BLOCK):
                block = array[start : start + _BLOCK]
                product = scratch[: block.size]
                np.multiply(block, factor, out=product, dtype=np.float64)
                np.rint(product, out=product)
                part = total.values[start : start + _BLOCK]
                np.add(part, product, out=part)
        self._bounds = bounds
        self._weight += weight

    def drain(self) -> Iterator[tuple[str, np.ndarray]]:
        """Give the weighted mean of each variable in turn, float64, freeing its sum: the accumulator ends empty.

        Raises:
            ValueError: when nothing was added.
        """
        if self._weight == 0:
            raise ValueError("There is no mean: no contribution was added.")
        for name in list(self._sums):
            total = self._sums.pop(name)
            values = total.values
            values /= total.quanta * self._weight
            yield name, values.reshape(total.shape)

    def mean(self) -> dict[str, np.ndarray]:
        """The weighted means in the template's dtypes; the accumulator ends empty.

        Integers are rounded to the nearest, half to even; a boolean is true where the weight of true is above half.

        Raises:
            ValueError: when nothing was added.
        """
        dtypes = {name: total.dtype for name, total in self._sums.items()}
        return {name: cast(values, dtypes[name]) for name, values in self.drain()}

    def _checked(self, values: Mapping[str, np.ndarray], weight: int) -> tuple[dict[str, np.ndarray], dict[str, float]]:
        for names, fault in ((self._sums.keys() - values.keys(), "missing"), (values.keys() - self._sums, "unknown")):
            if names:
                raise ValueError(f"variables should be those of the template, got {fault}: {', '.join(sorted(names))}.")
        arrays = {}
        bounds = {}
        for name, total in self._sums.items():
            array = np.asarray(values[name])
            if array.shape != total.shape:
                raise ValueError(f"{name} should have shape {total.shape}, got {array.shape}.")
            kinds = "f" if total.dtype.kind == "f" else "iub"
            if array.dtype.kind not in kinds:
                raise ValueError(
                    f"{name} should be {'floating-point' if kinds == 'f' else 'whole'}, got {array.dtype}."
                )
            arrays[name] = array.reshape(-1)
            largest = _largest(arrays[name])
            # Not "above the limit": a NaN is refused as well.
            bounds[name] = self._bounds[name] + np.rint(largest * (weight * total.quanta))
            if not bounds[name] <= total.limit:
                if not np.isfinite(largest):
                    raise ValueError(f"{name} should be finite, got NaN or infinity.")
                raise ValueError(
                    f"{name} should keep the sum of weight times value within {total.limit / total.quanta:g}, "
                    f"got a value of {largest:g} at weight {weight}."
                )
        return arrays, bounds


def cast(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Values rounded to a variable's own type: see :meth:`ExactSum.mean`."""
    if dtype.kind == "f":
        return values.astype(dtype)
    if dtype.kind == "b":
        return values > 0.5
    return np.rint(values).astype(dtype)


def _largest(array: np.ndarray) -> float:
    """Largest absolute value of a flat array, NaN where there is one; 0 for an empty array."""
    largest = 0.0
    for start in range(0, array.size, _BLOCK):
        block = array[start : start + _BLOCK]
        largest = np.maximum(largest, np.maximum(float(block.max()), -float(block.min())))
    return float(largest)

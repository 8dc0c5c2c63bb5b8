"""Weighted sums whose bits do not depend on the order in which their terms arrive."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np

QUANTUM_BITS = 30
LIMIT_BITS = 22
MAX_WEIGHT = 1 << 20

# Elements worked on at a time: they, and their float64 product, stay in the cache.
_BLOCK = 1 << 15
# Below so many elements a second thread does not pay.
_THREADED_ELEMENTS = 1 << 19
_THREADS = min(4, os.cpu_count() or 1)

_Block = tuple[str, slice]
_Result = TypeVar("_Result")


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
        arrays = self._fitting(values)
        bounds = self._bounded(arrays, weight)
        _in_threads(arrays, lambda blocks: self._add_blocks(arrays, weight, blocks))
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

    def _fitting(self, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The values as flat arrays, where names, shapes and kinds are those of the template."""
        for names, fault in ((self._sums.keys() - values.keys(), "missing"), (values.keys() - self._sums, "unknown")):
            if names:
                raise ValueError(f"variables should be those of the template, got {fault}: {', '.join(sorted(names))}.")
        arrays = {}
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
        return arrays

    def _bounded(self, arrays: dict[str, np.ndarray], weight: int) -> dict[str, float]:
        """What each variable's sums cannot pass with these arrays, where that is within the limits."""
        largest = dict.fromkeys(arrays, 0.0)
        for part in _in_threads(arrays, lambda blocks: [(name, _largest(arrays[name][at])) for name, at in blocks]):
            for name, value in part:
                largest[name] = float(np.maximum(largest[name], value))  # a NaN stays
        bounds = {}
        for name, total in self._sums.items():
            bounds[name] = self._bounds[name] + float(np.rint(largest[name] * (weight * total.quanta)))
            if not np.isfinite(largest[name]):
                raise ValueError(f"{name} should be finite, got NaN or infinity.")
            if bounds[name] > total.limit:
                raise ValueError(
                    f"{name} should keep the sum of weight times value within {total.limit / total.quanta:g}, "
                    f"got a value of {largest[name]:g} at weight {weight}."
                )
        return bounds

    def _add_blocks(self, arrays: dict[str, np.ndarray], weight: int, blocks: list[_Block]) -> None:
        scratch = np.empty(_BLOCK, dtype=np.float64)
        for name, at in blocks:
            total = self._sums[name]
            values = arrays[name][at]
            product = scratch[: values.size]
            product[...] = values
            product *= weight * total.quanta
            np.rint(product, out=product)
            part = total.values[at]
            part += product


def _in_threads(arrays: dict[str, np.ndarray], task: Callable[[list[_Block]], _Result]) -> list[_Result]:
    """Results of the task on the blocks of all arrays, dealt out to threads; NumPy lets them run side by side."""
    blocks = [
        (name, slice(start, start + _BLOCK)) for name, array in arrays.items() for start in range(0, array.size, _BLOCK)
    ]
    if _THREADS == 1 or sum(array.size for array in arrays.values()) < _THREADED_ELEMENTS:
        return [task(blocks)]
    return list(_pool().map(task, [blocks[first::_THREADS] for first in range(_THREADS)]))


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="exact-sum")


def cast(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Values rounded to a variable's own type: see :meth:`ExactSum.mean`."""
    if dtype.kind == "f":
        return values.astype(dtype)
    if dtype.kind == "b":
        return values > 0.5
    return np.rint(values).astype(dtype)


def _largest(values: np.ndarray) -> float:
    """Largest absolute value, NaN where there is one: both extremes are NaN then."""
    return max(float(np.maximum.reduce(values)), -float(np.minimum.reduce(values)))

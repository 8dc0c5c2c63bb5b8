"""Weighted sums whose bits do not depend on the order in which their terms arrive."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from flareseg.aggregation.arrays import fitting

QUANTUM_BITS = 30
"""A floating-point value is summed in steps of 2^-30."""
LIMIT_BITS = 33
"""Sums of weight times value stay below 2^33 in magnitude: 63 bits of an int64."""
MAX_WEIGHT = 1 << 20

# Elements worked on at a time: few enough for the cache, and so many that threads seldom wait for Python's lock.
_BLOCK = 1 << 16
# Below so many elements a second thread does not pay.
_THREADED_ELEMENTS = 1 << 18
_THREADS = min(4, os.cpu_count() or 1)
_ROUNDER = 1.5 * 2.0**52
_ROUNDER_BITS = int(np.float64(_ROUNDER).view(np.int64))
_SMALL = 2.0**50
_LIMIT = (1 << QUANTUM_BITS + LIMIT_BITS) - 1
_WHOLE_LIMIT = 1 << 52  # whole numbers pass through float64, which holds no more of them


class _Variable(NamedTuple):
    shape: tuple[int, ...]
    dtype: np.dtype
    sums: np.ndarray  # int64, flat: multiples of the variable's quantum
    quanta: float  # how many quanta make 1


class _Block(NamedTuple):
    """A piece of a large variable, or several small ones side by side."""

    sums: np.ndarray
    quanta: float
    limit: int  # of a contribution, in quanta
    measured: bool
    pieces: list[tuple[str, slice]]  # which elements of which variables


class ExactSum:
    """Streaming weighted mean of sets of named arrays, exact and so independent of the order of arrival.

    Each weight·value is rounded (half to even) to a multiple of 2^-30 and added as int64, which is exact as long as no
    sum reaches 2^33. Integer and boolean variables have the quantum 1 and the limit 2^52. Each contribution has an
    equal share of the limit, so that whether one is refused depends on it alone, and none can use up the room of the
    others: of 200 sites of 500 steps, a value may change by 2^33 / (200·500) = 85,899.

    The memory is 8 bytes for each element (two float32 models), whatever the number of contributions.

    Args:
        template: name to array; only shapes and dtypes are looked at (float16, float32, float64, integers, bool).
        contributions: how many will come at the most.
        measured: names whose values make up a contribution's norm, of the floating-point variables.

    Raises:
        ValueError: when a variable is of any other type, or ``contributions`` below 1.

    Example:
        Two sites of 10 and 30 steps; the mean has the same bits in whatever order they come.

        >>> changes = ExactSum({"weight": np.zeros(2, np.float32)}, contributions=2)
        >>> changes.add({"weight": np.array([1, 0], np.float32)}, weight=10)
        0.0
        >>> changes.add({"weight": np.array([0, 2], np.float32)}, weight=30)
        0.0
        >>> dict(changes.drain())
        {'weight': array([0.25, 1.5 ])}
    """

    def __init__(
        self, template: Mapping[str, np.ndarray], contributions: int, measured: Collection[str] = frozenset()
    ) -> None:
        if contributions < 1:
            raise ValueError(f"contributions should be at least 1, got {contributions}.")
        self._contributions = self._left = contributions
        for name, array in template.items():
            if array.dtype.kind not in "fiub":
                raise ValueError(f"{name} should be of a real type, got {array.dtype}.")
        self._variables: dict[str, _Variable] = {}
        self._blocks: list[_Block] = []
        floats = {name: array for name, array in template.items() if array.dtype.kind == "f"}
        self._lay_out({name: array for name, array in floats.items() if name in measured}, 2.0**QUANTUM_BITS, True)
        self._lay_out({name: array for name, array in floats.items() if name not in measured}, 2.0**QUANTUM_BITS, False)
        self._lay_out({name: array for name, array in template.items() if name not in floats}, 1.0, False)
        self._variables = {name: self._variables[name] for name in template}
        self._rounders = [0] * len(self._blocks)  # how often the constant was added to each
        self._weight = 0

    @property
    def weight(self) -> int:
        """Sum of the weights added."""
        return self._weight

    def add(
        self,
        values: Mapping[str, np.ndarray],
        weight: int,
        check: Callable[[float], None] = lambda norm: None,
        scale: float = 1.0,
    ) -> float:
        """Add one contribution; all of it, or nothing where it is refused.

        Args:
            values: name to change Δ (new minus old), of the template's names and shapes; floats for float variables,
                integers or booleans for the others.
            weight: from 1 to 2^20.
            check: is given the norm, and may refuse the contribution by a ValueError.
            scale: the measured variables count so many times, at most once: how an update is clipped.

        Returns:
            The L2 norm of the measured variables together, before scaling.

        Raises:
            ValueError: when the weight is absurd, a variable unknown, missing, misshapen, of the wrong kind, not
                finite, or so large that it passes its share of the limit; when more come than were announced; or when
                ``check`` says so.
        """
        if not self._left:
            raise ValueError("There should be no more contributions than were announced.")
        if isinstance(weight, bool) or not isinstance(weight, (int, np.integer)) or not 1 <= weight <= MAX_WEIGHT:
            raise ValueError(f"weight should be a whole number from 1 to {MAX_WEIGHT}, got {weight!r}.")
        if not 0 < scale <= 1:
            raise ValueError(f"scale should be above 0 and at most 1, got {scale}.")
        weight = int(weight)
        arrays = fitting(self._variables, values)
        parts = self._parts()
        scratch = np.empty((len(parts), _BLOCK))
        squares = np.zeros(len(self._blocks))
        added = _in_threads(
            lambda part, own: self._add_blocks(arrays, weight, scale, part, own, squares), parts, scratch
        )
        refused = [part[done] for part, done in zip(parts, added, strict=True) if done < len(part)]
        try:
            if refused:
                raise ValueError(_fault(arrays, weight, self._blocks[min(refused)]))
            # In the order of the blocks: the norm is the same for any number of these threads.
            norm = math.sqrt(sum(squares.tolist()))
            check(norm)
        except ValueError:
            # The sums are exact: what was added is taken off again without a trace.
            for part, done in zip(parts, added, strict=True):
                self._add_blocks(arrays, -weight, scale, part[:done], scratch[0], squares)
            raise
        self._left -= 1
        self._weight += weight
        return norm

    def drain(self) -> Iterator[tuple[str, np.ndarray]]:
        """Give the weighted mean of each variable in turn, float64, freeing its sum: the accumulator ends empty.

        Raises:
            ValueError: when nothing was added.
        """
        if self._weight == 0:
            raise ValueError("There is no mean: no contribution was added.")
        for block, rounders in zip(self._blocks, self._rounders, strict=True):
            surplus = rounders * _ROUNDER_BITS  # modulo 2^64, as the sums are
            np.subtract(block.sums.view(np.uint64), np.uint64(surplus % 2**64), out=block.sums.view(np.uint64))
        self._blocks = []
        for name in list(self._variables):
            variable = self._variables.pop(name)
            yield name, _as_float(variable.sums, variable.quanta * self._weight).reshape(variable.shape)

    def _lay_out(self, template: Mapping[str, np.ndarray], quanta: float, measured: bool) -> None:
        """Make the sums of variables of one kind: small ones share a store, a large one has its own."""
        limit = (_LIMIT if quanta > 1 else _WHOLE_LIMIT) // self._contributions
        for names in _packs(template):
            store = np.zeros(sum(template[name].size for name in names), dtype=np.int64)
            start = 0
            for name in names:
                shape, dtype, size = template[name].shape, template[name].dtype, template[name].size
                self._variables[name] = _Variable(shape, dtype, store[start : start + size], quanta)
                start += size
            for start in range(0, store.size, _BLOCK):
                at = slice(start, start + _BLOCK)
                self._blocks.append(_Block(store[at], quanta, limit, measured, [(name, at) for name in names]))

    def _parts(self) -> list[range]:
        """The numbers of the blocks, dealt out to threads."""
        elements = sum(block.sums.size for block in self._blocks)
        threads = 1 if elements < _THREADED_ELEMENTS else _THREADS
        return [range(first, len(self._blocks), threads) for first in range(threads)]

    def _add_blocks(
        self,
        arrays: dict[str, np.ndarray],
        weight: int,
        scale: float,
        part: range,
        scratch: np.ndarray,
        squares: np.ndarray,
    ) -> int:
        """Add to blocks in turn, noting squared norms, until one has no room for its values.

        All that is done to a block is done while it is in the cache.

        Returns:
            How many blocks took their values.
        """
        for done, number in enumerate(part):
            sums, quanta, limit, measured, pieces = self._blocks[number]
            factor = weight * quanta * (scale if measured else 1.0)
            product = scratch[: sums.size]
            start = 0
            for name, at in pieces:
                piece = arrays[name][at]
                product[start : start + piece.size] = piece
                start += piece.size
            with np.errstate(over="ignore", invalid="ignore"):  # refused below
                square = float(product @ product)
            if measured:
                squares[number] = square
            # No value is above the norm: only near the limit, or where it is NaN, each value is looked at.
            within = math.sqrt(square) * abs(factor) <= limit / 2
            if not within and not float(np.rint(_largest(product) * abs(factor))) <= limit:
                return done
            np.multiply(product, factor, out=product)
            if math.sqrt(square) * abs(factor) < _SMALL:
                # Above 2^52 the last bit of a float64 stands for 1: the addition rounds, half to even, and the bits are
                # the whole number and a constant, which is taken off when the round ends.
                np.add(product, _ROUNDER, out=product)
                np.add(sums, product.view(np.int64), out=sums)
                self._rounders[number] += 1
            else:
                np.rint(product, out=product)
                np.add(sums, product.astype(np.int64), out=sums)
        return len(part)


def _packs(template: Mapping[str, np.ndarray]) -> Iterator[list[str]]:
    """Variables in turn, small ones together as long as they fit a block."""
    pack: list[str] = []
    size = 0
    for name, array in template.items():
        if pack and size + array.size > _BLOCK:
            yield pack
            pack, size = [], 0
        pack.append(name)
        size += array.size
    if pack:
        yield pack


def _as_float(sums: np.ndarray, divisor: float) -> np.ndarray:
    """Quotients as float64, in the memory of the int64 sums."""
    quotients = sums.view(np.float64)
    for start in range(0, sums.size, _BLOCK):
        at = slice(start, start + _BLOCK)
        quotients[at] = sums[at] / divisor
    return quotients


def _fault(arrays: dict[str, np.ndarray], weight: int, block: _Block) -> str:
    """Why a block could not take its values."""
    largest = {name: _largest(arrays[name][at]) for name, at in block.pieces if arrays[name].size}
    for name, value in largest.items():
        if not np.isfinite(value):
            return f"{name} should be finite, got NaN or infinity."
    name = max(largest, key=largest.__getitem__)
    return (
        f"{name} should keep weight times value within {block.limit / block.quanta:g}, "
        f"got a value of {largest[name]:g} at weight {weight}."
    )


def _largest(values: np.ndarray) -> float:
    """Largest absolute value, NaN where there is one: both extremes are NaN then."""
    return max(float(np.maximum.reduce(values)), -float(np.minimum.reduce(values)))


def _in_threads(task: Callable[[range, np.ndarray], int], parts: list[range], scratch: np.ndarray) -> list[int]:
    """Results of the task for each part; NumPy lets the threads run side by side."""
    others = _pool().map(task, parts[1:], scratch[1:])
    return [task(parts[0], scratch[0]), *others]


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, _THREADS - 1), thread_name_prefix="exact-sum")

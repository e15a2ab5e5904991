"""Large arrays that NumPy would hand to a ufunc's loop row by row, shared between threads.

Rows arise from parameters that are broadcast, such as a slope per channel, and from views, such as the halves
of an array: each is too short for threads, and costs a call. Where the operands are plain enough, the compiled
driver of this case goes over all rows in one call; everything else, ``where``, casts, subclasses, is left to NumPy.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np

from fastact.runtime import threads
from fastact.runtime.notices import UnavailableError
from fastact.runtime.numpy_api import address
from fastact.simd.layout import Pool
from fastact.ufuncs.memory import empty

__all__ = ["LARGE", "Nest", "broadcast_axes", "coalesced", "loops_over", "run_nested", "run_rows", "words"]

#: Elements from which it is worth looking.
LARGE = 200_000

LEVELS = 3

#: Elements of a vector, at most.
VECTOR = 64

#: Rows of fewer elements are taken together: unless they are whole vectors, as what is left over behind those is moved
#: element by element; and in any case where all but a parameter's follow each other without a gap.
SHORT = 512

#: Rows of at least so many elements, or no more than so many rows, may be passed one by one where calls go without
#: Python: a weighted gradient of 30 x 3 float32 took 0.6 us instead of 20, of 1000 x 50 44 instead of 54; of 2000 x 3
#: 32 instead of 28, of 100000 x 3 1700 instead of 610, because NumPy copies such rows together.
NOT_TINY, FEW = 32, 1000


class Nest(NamedTuple):
    """Nested loops: sizes and, for each loop, the bytes between elements of each operand; innermost first."""

    sizes: list[int]
    steps: list[list[int]]

    def filled(self, operands: int) -> Nest:
        """With the idle loops that drivers expect around it."""
        missing = LEVELS - len(self.sizes)
        return Nest(self.sizes + [1] * missing, self.steps + [[0] * operands] * missing)


def coalesced(shape: Sequence[int], strides: Sequence[Sequence[int]]) -> Nest:
    """The fewest loops over these operands, in the order of memory: neighbouring axes that every operand walks
    evenly become one."""
    nest = Nest([], [])
    axes = [(shape[i], [s[i] for s in strides]) for i in reversed(range(len(shape))) if shape[i] != 1]
    for size, steps in sorted(axes, key=lambda axis: sum(map(abs, axis[1]))):
        if nest.sizes and all(step == nest.sizes[-1] * inner for step, inner in zip(steps, nest.steps[-1])):
            nest.sizes[-1] *= size
        else:
            nest.sizes.append(size)
            nest.steps.append(steps)
    return nest


def broadcast_axes(shape: Sequence[int], full: Sequence[int]) -> tuple[int, ...]:
    """Axes along which a shape is repeated to fill another: those that a gradient must be summed over."""
    surplus = len(full) - len(shape)
    return (*range(surplus), *(surplus + i for i, n in enumerate(shape) if n == 1 != full[surplus + i]))


def words(values: Sequence[int]) -> Any:
    """Machine words, for compiled code."""
    return (ctypes.c_ssize_t * len(values))(*values)


@cache
def _driver_address() -> int:
    from fastact.runtime import compiler

    parts = compiler.compiled("fastact.ufuncs.nested_rows")
    threads.register(Pool.RUN_ROWS, parts["run_rows"])
    threads.register(Pool.RUN_SHORT_ROWS, parts["run_short_rows"])
    return parts["drive_rows"]


@cache
def _driver() -> Any:
    pointer = ctypes.c_void_p
    return ctypes.CFUNCTYPE(None, pointer, pointer, pointer, pointer)(_driver_address())


@cache
def _short(itemsize: int) -> int:
    """With masks, copies pay for rows shorter than a vector. prelu of 5e5 float32 with AVX-512, rows copied or not:
    of 20 elements 190 or 330 us, of 50 equal, of 130 130 or 95, of 500 105 or 80; of 500 float64 170 or 105."""
    from fastact.simd.registers import host_features

    return VECTOR if itemsize > 2 and "+avx" in host_features() else SHORT


@lru_cache(512)
def _rows(
    shape: tuple[int, ...], strides: tuple[tuple[int, ...], ...], inputs: int, itemsize: int
) -> tuple[Any, Any] | None:
    """Sizes and steps as the driver reads them. Kept, because finding them costs more than a thousand elements."""
    nest = coalesced(shape, strides)
    if not 1 < len(nest.sizes) <= LEVELS or 0 in nest.sizes:
        return None
    length, row_bytes = nest.sizes[0], 0
    side_by_side = all(step == itemsize for step in nest.steps[0])
    if length < SHORT and side_by_side and length * itemsize >= 8 and _without_gaps(nest, length * itemsize):
        row_bytes = length * itemsize
    elif length < _short(itemsize) and length % VECTOR:
        row_bytes = length * itemsize
        if row_bytes < 8 or not side_by_side:
            return None
    sizes, steps = nest.filled(len(strides))
    return words([*sizes, row_bytes, inputs]), words([step for loop in steps for step in loop])


def _without_gaps(nest: Nest, row_bytes: int) -> bool:
    """Whether the rows of each operand follow each other, or are one and the same."""
    together = row_bytes
    for size, steps in zip(nest.sizes[1:], nest.steps[1:]):
        if any(step not in (0, together) for step in steps):
            return False
        together *= size
    return all(len({step == 0 for step in steps}) == 1 for steps in zip(*nest.steps[1:]))


def run_rows(record: np.ndarray, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> bool:
    """A ufunc's loop over operands of one shape and dtype; False, and nothing done, if a single loop or more than
    three would be needed, or if rows are short and their elements apart: NumPy's business."""
    operands = [*inputs, *outputs]
    first = operands[0]
    rows = _rows(first.shape, tuple([a.strides for a in operands]), len(inputs), first.itemsize)
    if rows is None:
        return False
    _driver()(words([address(a) for a in operands]), *rows, address(record))
    return True


def loops_over(inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> tuple[int, Any, Any] | None:
    """The address of a compiled driver that computes a ufunc of such operands, of one dtype, and the sizes and steps
    that it is given; None if that is NumPy's business."""
    operands = [*inputs, *outputs]
    shape, strides = operands[-1].shape, tuple([a.strides or (0,) * operands[-1].ndim for a in operands])
    nest = coalesced(shape, strides)
    if len(nest.sizes) <= 1:
        sizes, steps = nest.filled(len(operands))
        return threads.driver(), words(sizes[:1]), words(steps[0])
    rows = _rows(shape, strides, len(inputs), operands[-1].itemsize)
    few = nest.sizes[0] >= NOT_TINY or math.prod(nest.sizes[1:]) <= FEW
    if rows is None and few and len(nest.sizes) <= LEVELS:  # row by row
        sizes, steps = nest.filled(len(operands))
        rows = words([*sizes, 0, len(inputs)]), words([step for loop in steps for step in loop])
    return None if rows is None else (_driver_address(), *rows)


# -- activations with parameters ------------------------------------------------------------------


def run_nested(
    records: np.ndarray, storages: Sequence[str], operands: Sequence[Any], keywords: Mapping[str, Any]
) -> Any:
    """The result of a ufunc's loops on these operands, or NotImplemented if NumPy should see to it.

    The first operand of full shape decides: all others must broadcast to it, in its dtype.
    """
    arrays = [o for o in operands if isinstance(o, np.ndarray) and o.ndim]
    shape, dtype = max((a.shape for a in arrays), key=lambda s: (len(s), np.prod(s))), arrays[0].dtype
    out = keywords.get("out")
    plain = keywords.keys() <= {"out"} and dtype.name in storages and dtype.isnative and dtype.kind == "f"
    if not plain or not all(type(a) is np.ndarray and a.dtype == dtype for a in arrays):
        return NotImplemented
    if any(not isinstance(o, (np.ndarray, float, int)) for o in operands) or all(a.shape == shape for a in arrays):
        return NotImplemented
    if out is None:
        out = empty(shape, dtype)
    elif not fits(out, shape, dtype, arrays):
        return NotImplemented
    try:
        inputs = [np.broadcast_to(np.asarray(o, dtype), shape) for o in operands]
    except ValueError:
        return NotImplemented
    try:
        return out if run_rows(records[storages.index(dtype.name)], inputs, [out]) else NotImplemented
    except UnavailableError:
        return NotImplemented


def fits(out: Any, shape: tuple[int, ...], dtype: np.dtype, arrays: Sequence[np.ndarray]) -> bool:
    """Whether results can be written there directly: in place over an operand, or apart from all of them."""
    if type(out) is not np.ndarray or out.shape != shape or out.dtype != dtype or not out.flags.writeable:
        return False
    same = [a for a in arrays if a.ctypes.data == out.ctypes.data and a.strides == out.strides and a.shape == shape]
    return all(any(a is s for s in same) or not np.may_share_memory(a, out) for a in arrays)

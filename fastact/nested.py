"""Large arrays with broadcast parameters, such as a slope per channel, shared between threads.

NumPy calls a ufunc's loop once per row there, and a row is too short for threads. Where the operands
are plain enough, the compiled driver of this case goes over all rows in one call; everything else,
``where``, casts, subclasses, is left to NumPy.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from fastact import threads
from fastact.layout import Pool

__all__ = ["LARGE", "run_nested"]

#: Elements from which it is worth looking.
LARGE = 200_000

LEVELS = 3


@cache
def _driver() -> Any:
    words = ctypes.c_void_p
    return ctypes.CFUNCTYPE(None, words, words, words, words)(threads.compiled("nested")["drive_nested"])


def run_nested(
    records: np.ndarray, storages: Sequence[str], operands: Sequence[Any], keywords: Mapping[str, Any]
) -> Any:
    """The results of a ufunc's loops on these operands, or NotImplemented if NumPy should see to it.

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
        out = np.empty(shape, dtype)
    elif not _fits(out, shape, dtype, arrays):
        return NotImplemented
    try:
        inputs = [np.broadcast_to(np.asarray(o, dtype), shape) for o in operands]
    except ValueError:
        return NotImplemented
    nest = _coalesced(shape, [a.strides for a in [*inputs, out]])
    if nest is None:
        return NotImplemented
    sizes, steps = nest
    record = records[storages.index(dtype.name)]
    pointers = np.array([a.ctypes.data for a in [*inputs, out]], np.int64)
    threads.pool()[Pool.RUN_ROWS] = threads.compiled("nested")["run_rows"]
    _driver()(pointers.ctypes.data, sizes.ctypes.data, steps.ctypes.data, record.ctypes.data)
    return out


def _fits(out: Any, shape: tuple[int, ...], dtype: np.dtype, arrays: Sequence[np.ndarray]) -> bool:
    """Whether results can be written there directly: in place over an operand, or apart from all of them."""
    if type(out) is not np.ndarray or out.shape != shape or out.dtype != dtype or not out.flags.writeable:
        return False
    same = [a for a in arrays if a.ctypes.data == out.ctypes.data and a.strides == out.strides and a.shape == shape]
    return all(any(a is s for s in same) or not np.may_share_memory(a, out) for a in arrays)


def _coalesced(shape: tuple[int, ...], strides: Sequence[tuple[int, ...]]) -> tuple[np.ndarray, np.ndarray] | None:
    """Sizes and steps of at most three nested loops, innermost first; neighbouring axes that every operand
    walks evenly become one. None if more are left, or if the innermost is too short to be worth a call."""
    axes: list[tuple[int, list[int]]] = []
    for i in reversed(range(len(shape))):
        steps = [s[i] for s in strides]
        if shape[i] == 1:
            continue
        if axes and all(step == axes[-1][0] * inner for step, inner in zip(steps, axes[-1][1])):
            axes[-1] = (axes[-1][0] * shape[i], axes[-1][1])
        else:
            axes.append((shape[i], steps))
    if not 1 < len(axes) <= LEVELS or axes[0][0] < 16 or 0 in shape:
        return None
    axes += [(1, [0] * len(strides))] * (LEVELS - len(axes))
    return np.array([size for size, _ in axes], np.int64), np.array([steps for _, steps in axes], np.int64)

"""What calls without Python (:mod:`fastact.ufuncs.direct`) are to know of a ufunc's loop over parts of arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fastact.runtime.numpy_api import address
from fastact.ufuncs.direct import Calls, Operand, Work, constants
from fastact.ufuncs.nested import loops_over
from fastact.ufuncs.ufunc import STORAGES, records_of

__all__ = ["Part", "loop_work", "note_ufunc"]

#: Part of the array of a parameter, or of the result, which is called "out".
Part = tuple[str, np.ndarray]


def loop_work(
    ufunc: np.ufunc,
    arrays: Mapping[str, np.ndarray],
    parts: Sequence[Part],
    outputs: Sequence[Part],
    numbers: Sequence[float] = (),
) -> Work | None:
    """The work of a ufunc's loop of parts and then numbers; None if casts or strange strides are needed. ``arrays`` are
    what the parts are of."""
    out = arrays["out"]
    dtype, shape = out.dtype, outputs[0][1].shape
    plain = all(type(a) is np.ndarray and a.flags.c_contiguous and a.dtype is dtype for a in arrays.values())
    if not plain or dtype.kind != "f" or dtype.name not in STORAGES:
        return None
    same = constants(numbers, dtype, shape)
    if same is None:
        return None
    loops = loops_over([*(view for _, view in parts), *same], [view for _, view in outputs])
    if loops is None:
        return None
    inputs, results = ([Operand(n, address(v) - address(arrays[n])) for n, v in some] for some in (parts, outputs))
    data = records_of(ufunc)[STORAGES.index(dtype.name)].ctypes.data
    return Work(loops[0], [*inputs, *same, *results], *loops[1:], data, out.shape, dtype)


def note_ufunc(calls: Calls, ufunc: np.ufunc, given: Mapping[str, Any], result: Any) -> None:
    """Note a call of a ufunc with these operands, which are broadcast to its result."""

    def find_work() -> Work | None:
        parts = [(name, np.broadcast_to(operand, result.shape)) for name, operand in given.items()]
        return loop_work(ufunc, {**given, "out": result}, parts, [("out", result)])

    if all(type(operand) is np.ndarray for operand in (*given.values(), result)):
        calls.note(given, find_work)

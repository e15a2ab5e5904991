"""What calls without Python (:mod:`fastact.ufuncs.direct`) are to know of a ufunc's loop over parts of arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from fastact.runtime.numpy_api import address
from fastact.ufuncs.direct import Operand, Work, constant
from fastact.ufuncs.nested import loops_over
from fastact.ufuncs.ufunc import STORAGES, records_of

__all__ = ["Part", "loop_work"]

#: Part of the array of a parameter, or of the result, which is called "out".
Part = tuple[str, np.ndarray]


def loop_work(
    ufunc: np.ufunc, arrays: Mapping[str, np.ndarray], inputs: Sequence[Part | float], outputs: Sequence[Part]
) -> Work | None:
    """The work of a ufunc's loop; None if casts or strange strides are needed. ``arrays`` are those that the parts are
    of; numbers are the same for all elements."""
    out = arrays["out"]
    dtype, shape = out.dtype, outputs[0][1].shape
    plain = all(type(a) is np.ndarray and a.flags.c_contiguous and a.dtype is dtype for a in arrays.values())
    if not plain or dtype.name not in STORAGES:
        return None
    parts = [part if isinstance(part, tuple) else constant(part, dtype, shape) for part in (*inputs, *outputs)]
    views = [part[1] if isinstance(part, tuple) else part for part in parts]
    loops = loops_over(views[: len(inputs)], views[len(inputs) :])
    if loops is None:
        return None
    operands = [
        Operand(part[0], address(part[1]) - address(arrays[part[0]])) if isinstance(part, tuple) else part
        for part in parts
    ]
    data = records_of(ufunc)[STORAGES.index(dtype.name)].ctypes.data
    return Work(loops[0], operands, *loops[1:], data, out.shape, dtype)

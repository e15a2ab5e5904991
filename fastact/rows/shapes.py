"""What functions along an axis have in common: dtypes, axes, and arrays seen as rows."""

from __future__ import annotations

import math
from functools import cache
from typing import Any, SupportsIndex, TypeAlias

import numpy as np

from fastact.containers.recognition import as_array
from fastact.ufuncs.memory import empty
from fastact.ufuncs.operands import check_real
from fastact.ufuncs.targets import check_target, written

__all__ = [
    "Axis", "OneAxis", "SomeAxes", "along", "along_both", "as_floats", "as_rows", "can_write", "engine", "masked",
    "normalized_axes",
]  # fmt: skip

#: An axis, by name where dimensions have names; one or several together; and None for what is meant without one.
OneAxis: TypeAlias = SupportsIndex | str
SomeAxes: TypeAlias = OneAxis | tuple[OneAxis, ...]
Axis: TypeAlias = SomeAxes | None


@cache
def engine(backend: str) -> Any:
    """The module that computes."""
    if backend == "numba":
        from fastact.rows import engine as chosen

        return chosen
    from fastact.rows import fallback

    return fallback


def as_floats(x: Any, name: str = "x", dtype: Any = None) -> np.ndarray:
    """An array of float16, float32 or float64; integers and bools become float64, unless a dtype is given."""
    array = as_array(x)
    check_real(name, array.dtype)
    if dtype is not None:
        wanted = np.dtype(dtype)
        if wanted.kind != "f" or wanted.itemsize > 8:
            raise TypeError(f"dtype must be float16, float32 or float64, not {wanted}")
        with np.errstate(all="ignore"):  # what is too large for float16 is infinite
            return array.astype(wanted.char, copy=False)
    if array.dtype.kind != "f":
        return array.astype(np.float64)
    return array if array.dtype.isnative else array.astype(array.dtype.char)


def normalized_axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """Axes as indices, in rising order; None is all of them."""
    if axis is None:
        return tuple(range(ndim))
    axes = axis if isinstance(axis, tuple) else (axis,)
    if any(isinstance(a, bool) or not isinstance(a, (int, np.integer)) for a in axes):
        raise TypeError(f"axis must be an integer, a tuple of integers or None, not {axis!r}")
    dimensions = max(ndim, 1)
    if any(not -dimensions <= a < dimensions for a in axes):
        raise ValueError(f"axis {axis!r} is out of bounds for an array of {ndim} dimensions")
    found = sorted({int(a) % dimensions for a in axes})
    if len(found) != len(axes):
        raise ValueError(f"axis {axis!r} names an axis twice")
    return tuple(found)


def as_rows(array: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Three dimensions, the axes in the middle: a view if strides allow, otherwise a copy."""
    if array.ndim == 0:
        return array.reshape(1, 1, 1)
    first, last = axes[0], axes[-1]
    if last - first + 1 != len(axes):
        array = np.moveaxis(array, axes, range(first, first + len(axes)))
        last = first + len(axes) - 1
    shape = array.shape
    return array.reshape(math.prod(shape[:first]), math.prod(shape[first : last + 1]), math.prod(shape[last + 1 :]))


def along(compute: Any, operation: str, axis: Any, out: Any, *inputs: np.ndarray) -> np.ndarray:
    """Have an engine apply an operation along an axis of arrays of one shape and dtype."""
    shape, dtype = inputs[0].shape, inputs[0].dtype
    if type(axis) is int and -len(shape) <= axis < len(shape) and _is_plain(out, inputs):
        result = empty(shape, dtype) if out is None else out
        if not compute.apply_plain(operation, axis, *inputs, result):
            axis %= len(shape)
            rows_shape = math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])
            compute.apply(operation, *[a.reshape(rows_shape) for a in (*inputs, result)])
        return result
    axes = normalized_axes(axis, len(shape))
    if out is not None:
        check_target("out", out, shape, dtype)
    if shape and not axes:  # each element is a row of its own
        result = empty(shape, dtype) if out is None else out
        along(compute, operation, -1, np.asarray(result)[..., np.newaxis], *(a[..., np.newaxis] for a in inputs))
        return written(result)
    order = sorted(range(len(shape)), key=lambda i: -abs(inputs[0].strides[i]))
    if len(axes) == 1 and order != list(range(len(shape))):  # a transposed array: see it as the C-ordered one it is
        inputs = tuple(a.transpose(order) for a in inputs)
        axes = (order.index(axes[0]),)
    else:
        order = list(range(len(shape)))
    target = None if out is None else np.asarray(out).transpose(order)  # a hard mask would keep results away
    result = target
    if target is None or target.dtype != dtype or not can_write(target, axes, inputs):
        result = empty(inputs[0].shape, dtype)
    assert result is not None
    rows = as_rows(result, axes)
    if result.size:
        compute.apply(operation, *(as_rows(a, axes) for a in inputs), rows)
    if not np.shares_memory(rows, result) and result.size:  # the axes were not neighbours
        first = axes[0]
        moved = np.moveaxis(result, axes, range(first, first + len(axes)))
        moved[...] = rows.reshape(moved.shape)
    if target is not None and target is not result:
        with np.errstate(all="ignore"):  # what is too large for out's dtype is infinite
            target[...] = result
    if out is not None:
        return written(out)
    return result.transpose(np.argsort(order))[()] if shape else result[()]


def along_both(backend: str, operation: str, grad: Any, y: Any, axis: Any, out: Any) -> Any:
    """Have an engine apply a gradient along an axis, of the forward's output and the gradient with respect to it."""
    grad, y = as_floats(grad, "grad"), as_floats(y, "y")
    if grad.shape != y.shape:
        raise ValueError(f"grad has shape {grad.shape} and y has shape {y.shape}; they must be equal")
    dtype = np.result_type(grad, y)
    grad, y = grad.astype(dtype, copy=False), y.astype(dtype, copy=False)
    # y first: how it lies in memory decides
    return along(engine(backend), operation, axis, out, y, grad)


def _is_plain(out: Any, inputs: tuple[np.ndarray, ...]) -> bool:
    """Whether everything is C-ordered and apart: what most calls are, and what must cost little."""
    first = inputs[0]
    if first.size == 0 or not all(a.flags.c_contiguous for a in inputs):
        return False
    if out is None:
        return True
    fits = type(out) is np.ndarray and out.shape == first.shape and out.dtype == first.dtype
    flags = fits and out.flags
    return bool(flags and flags.c_contiguous and flags.writeable) and all(
        a is out or not np.may_share_memory(a, out) for a in inputs
    )


def can_write(out: np.ndarray, axes: tuple[int, ...], inputs: tuple[np.ndarray, ...]) -> bool:
    """Whether rows can be written there directly: three dimensions without a copy, and no half overlap."""
    if not np.may_share_memory(as_rows(out, axes), out):
        return False
    return all(
        not np.may_share_memory(a, out)
        or (a.__array_interface__["data"] == out.__array_interface__["data"] and a.strides == out.strides)
        for a in inputs
    )


def masked(x: np.ndarray, where: Any) -> np.ndarray:
    """x with minus infinity where an element does not count."""
    if where is None or where is True:
        return x
    mask = as_array(where)
    if mask.dtype != bool:
        raise TypeError(f"where must be truth values, not {mask.dtype}")
    try:
        mask = np.broadcast_to(mask, x.shape)
    except ValueError:
        raise ValueError(f"where of shape {mask.shape} does not broadcast to x, of shape {x.shape}") from None
    return np.where(mask, x, x.dtype.type(-np.inf))

"""Sums of exponentials over chunks, put together in a tree.

Of a part of a row it is enough to know the maximum, the sum of the weights of the elements that are equal to it, and
the sum of the other terms as multiples of exp(maximum). Two parts make one such triple again; a single element is one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from fastact.containers.blocks import blockwise, floating
from fastact.containers.calls import Call
from fastact.formulas.fallback import two_differences

__all__ = ["BY_PARTS", "log_shares", "logarithms"]

PART = np.dtype([("maximum", np.float64), ("first", np.float64), ("others", np.float64)])


def _elements(x: Any, weight: Any = 1.0) -> np.ndarray:
    """Each element as a part."""
    x, weight = np.broadcast_arrays(x, weight)
    made = np.empty(x.shape, PART)
    made["maximum"], made["first"], made["others"] = np.where(weight == 0, -np.inf, x), weight, 0
    return made


def _merged(parts: np.ndarray, axis: Any, keepdims: bool) -> np.ndarray:
    """One part of many along axes."""
    maximum = parts["maximum"].max(axis=axis, keepdims=True)
    with np.errstate(all="ignore"):
        largest = parts["maximum"] == maximum
        factors = _exponential(parts["maximum"], maximum)
        rest = np.where(largest, parts["others"], (parts["first"] + parts["others"]) * factors)
        rest = np.where(parts["maximum"] == -np.inf, 0, rest)
    made = np.empty(maximum.shape, PART)
    made["maximum"] = maximum
    made["first"] = np.where(largest, parts["first"], 0).sum(axis=axis, keepdims=True)
    made["others"] = rest.sum(axis=axis, keepdims=True)
    return made if keepdims else made.squeeze(axis)


def _exponential(x: np.ndarray, maximum: np.ndarray) -> np.ndarray:
    difference, low = two_differences(x, maximum)
    exponential = np.exp(difference)
    made: np.ndarray = exponential + exponential * low
    return made


def _statistics(x: Any, axes: tuple[int, ...], keepdims: bool, weight: Any = None) -> Any:
    """Of each row, lazily."""
    import dask.array as da

    arrays, signature = ([x], "()->()") if weight is None else ([x, da.asanyarray(weight)], "(),()->()")
    parts = blockwise(_elements, signature, arrays, [PART])
    return da.reduction(
        parts, _merged, _merged, axis=axes, keepdims=keepdims, dtype=PART, meta=np.empty((0,) * parts.ndim, PART)
    )


# -- logarithms of sums -----------------------------------------------------------------------------


def _log_total(parts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The logarithm of the size of the sum, over the exponential of the maximum; and the sum."""
    first, others = parts["first"], parts["others"]
    with np.errstate(all="ignore"):
        ratio, total = others / first, first + others
        near = np.abs(ratio) < 0.5
        return np.where(near, np.log1p(ratio) + np.log(np.abs(first)), np.log(np.abs(total))), total


def _logarithm(parts: np.ndarray) -> np.ndarray:
    """Infinite where the maximum is; NaN of a negative sum."""
    log, total = _log_total(parts)
    maximum = parts["maximum"]
    value = np.where(np.isinf(maximum), maximum, maximum + log)
    return np.where(np.isfinite(maximum) & (total < 0), np.nan, value)


def _size(parts: np.ndarray) -> np.ndarray:
    log, _ = _log_total(parts)
    maximum = parts["maximum"]
    return np.where(np.isinf(maximum), maximum, maximum + log)


def _sign(parts: np.ndarray) -> np.ndarray:
    sign: np.ndarray = np.sign(_log_total(parts)[1])
    return np.where(parts["maximum"] == -np.inf, 0, np.where(np.isnan(parts["maximum"]), np.nan, sign))


def logarithms(call: Call) -> Any:
    """logsumexp and logmeanexp."""
    import dask.array as da

    x, where, weight = da.asanyarray(call.given["x"]), call.given.get("where"), call.given.get("b")
    dtype = (
        floating(x) if weight is None or getattr(weight, "dtype", np.dtype(int)).kind != "f" else floating(x, weight)
    )
    axes, keepdims = call.axes(x.ndim), bool(call.option("keepdims"))
    counted = None
    if where is not None:
        counted = da.broadcast_to(da.asanyarray(where), x.shape)
        x = da.where(counted, x, -np.inf)
    parts = _statistics(x, axes, keepdims, weight)
    signed = call.takes("return_sign") and call.option("return_sign")
    result = parts.map_blocks(_size if signed else _logarithm, dtype=np.float64)
    if call.name == "logmeanexp":
        whole = int(np.prod([x.shape[axis] for axis in axes]))
        result = result - np.log(whole if counted is None else counted.sum(axis=axes, keepdims=keepdims))
    if signed:
        return result.astype(dtype), parts.map_blocks(_sign, dtype=np.float64).astype(dtype)
    return result.astype(dtype)


# -- softmax and its kin of rows in parts -----------------------------------------------------------


def _share(dtype: np.dtype, x: Any, parts: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        total = parts["first"] + parts["others"] + (parts["maximum"] - parts["maximum"])  # NaN where that is infinite
        return (_exponential(x.astype(np.float64), parts["maximum"]) / total).astype(dtype)


def _log_share(dtype: np.dtype, x: Any, parts: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        log = _log_total(parts)[0] + (parts["maximum"] - parts["maximum"])
        return ((x.astype(np.float64) - parts["maximum"]) - log).astype(dtype)


def _shares(function: Callable[..., Any], x: Any, axes: tuple[int, ...], dtype: Any = None) -> Any:
    dtype = floating(x) if dtype is None else dtype
    parts = _statistics(x, axes, keepdims=True)
    return blockwise(functools.partial(function, dtype), "(),()->()", [x, parts], [dtype])


def log_shares(x: Any, axes: tuple[int, ...]) -> Any:
    """log_softmax in float64."""
    return _shares(_log_share, x, axes, np.dtype(np.float64))


def _softmin(x: Any, axes: tuple[int, ...]) -> Any:
    return _shares(_share, -x.astype(floating(x)), axes)


def _softmax_backward(grad: Any, y: Any, axes: tuple[int, ...]) -> Any:
    mean = (grad * y).sum(axis=axes, keepdims=True, dtype=np.float64)
    return (y * (grad - mean)).astype(floating(grad, y))


def _softmin_backward(grad: Any, y: Any, axes: tuple[int, ...]) -> Any:
    return -_softmax_backward(grad, y, axes)


def _log_softmax_backward(grad: Any, y: Any, axes: tuple[int, ...]) -> Any:
    total = grad.sum(axis=axes, keepdims=True, dtype=np.float64)
    return (grad - np.exp(y) * total).astype(floating(grad, y))


BY_PARTS: dict[str, Callable[..., Any]] = {
    "softmax": functools.partial(_shares, _share),
    "log_softmax": functools.partial(_shares, _log_share),
    "softmin": _softmin,
    "softmax_backward": _softmax_backward,
    "softmin_backward": _softmin_backward,
    "log_softmax_backward": _log_softmax_backward,
}

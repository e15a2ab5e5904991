"""Sums and means of exponentials along axes, and their logarithms."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastact.containers.recognition import as_array
from fastact.formulas.fallback import wide
from fastact.functions.offered import Family, offered
from fastact.rows.shapes import Axis, as_floats, as_rows, engine, masked, normalized_axes
from fastact.ufuncs.targets import check_target

__all__ = ["logmeanexp", "logsumexp"]

#: Elements of temporaries, at most.
BLOCK = 1 << 16


@offered(Family.SUM)
def logsumexp(
    backend: str,
    x: ArrayLike,
    axis: Axis = None,
    keepdims: bool = False,
    *,
    where: ArrayLike | None = None,
    b: ArrayLike | None = None,
    return_sign: bool = False,
    out: NDArray[Any] | None = None,
) -> Any:
    """Logarithm of the sum of exponentials, without overflow.

        logsumexp(x) = log(sum_j exp(x_j))

    Parameters
    ----------
    x : array_like
        float16 is computed in float32, integers and bools give float64.
    axis : int, tuple of int or None, default None
        What to sum over; None means everything.
    keepdims : bool, default False
        Keep the axes that were summed over, with length 1.
    where : array_like of bool, optional
        Broadcasts against x; elements where it is false do not count.
    b : array_like, optional
        What exponentials are multiplied by; x and it broadcast against each other. It may be negative, and where it
        is 0, an element does not count.
    return_sign : bool, default False
        Return the logarithm of the sum's size, and its sign beside it; without, that of a negative sum is NaN.
    out : ndarray, optional
        Where to put the logarithms.

    Returns
    -------
    ndarray or scalar, or a pair of them
        Minus infinity for the sum of nothing.

    Raises
    ------
    TypeError, ValueError
        As `softmax` does.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> float(fastact.logsumexp(np.array([1000.0, 1000.0])))
    1000.6931471805599
    >>> fastact.logsumexp(np.array([1.0, 1.0]), b=np.array([1.0, -3.0]), return_sign=True)
    (np.float64(1.6931471805599454), np.float64(-1.0))
    """
    array = as_floats(x)
    if b is None:
        array = masked(array, where)
        logarithms = _log_of_sum(backend, array, normalized_axes(axis, array.ndim))
        signs = np.where(np.isnan(logarithms), np.nan, logarithms > -np.inf) if return_sign else None
    else:
        array, factors = _broadcast(array, b)
        array = masked(array, where)
        logarithms, signs = _log_of_weighted_sum(array, factors, normalized_axes(axis, array.ndim))
        if not return_sign:
            logarithms = np.where(signs < 0, np.nan, logarithms)
    results = logarithms if signs is None or not return_sign else (logarithms, signs)
    return _finished(results, array, normalized_axes(axis, array.ndim), keepdims, out)


@offered(Family.SUM)
def logmeanexp(
    backend: str,
    x: ArrayLike,
    axis: Axis = None,
    keepdims: bool = False,
    *,
    where: ArrayLike | None = None,
    out: NDArray[Any] | None = None,
) -> Any:
    """Logarithm of the mean of exponentials, without overflow.

        logmeanexp(x) = log(sum_j exp(x_j) / n)

    Parameters
    ----------
    x, axis, keepdims, where, out
        As for `logsumexp`; n is the number of elements that count.

    Returns
    -------
    ndarray or scalar
        NaN for the mean of nothing.

    Raises
    ------
    TypeError, ValueError
        As `logsumexp` does.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> float(fastact.logmeanexp(np.array([1000.0, 1000.0])))
    1000.0
    """
    array = as_floats(x)
    axes = normalized_axes(axis, array.ndim)
    counted = np.ones((1,) * array.ndim) if where is None else as_array(where)
    array = masked(array, where)
    number = np.broadcast_to(counted, array.shape).sum(axis=axes if array.ndim else None, keepdims=True)
    result = np.where(number == 0, np.nan, _log_of_sum(backend, array, axes, number))
    return _finished(result, array, axes, keepdims, out)


def _broadcast(x: np.ndarray, b: Any) -> tuple[np.ndarray, np.ndarray]:
    """x and its factors, of one shape; x in the dtype of both."""
    factors = as_floats(b, "b")
    dtype = x.dtype if np.asarray(b).dtype.kind != "f" or np.ndim(b) == 0 else np.result_type(x, factors)
    try:
        x, factors = np.broadcast_arrays(x, factors)
    except ValueError:
        raise ValueError(f"x of shape {x.shape} and b of shape {factors.shape} do not broadcast") from None
    return x.astype(dtype, copy=False), factors


def _finished(results: Any, x: np.ndarray, axes: tuple[int, ...], keepdims: bool, out: Any) -> Any:
    """Results, which have kept all axes, in x's dtype and in their shape."""
    shape = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
    shape = shape if keepdims else tuple(n for i, n in enumerate(shape) if i not in axes)
    if out is not None:
        check_target("out", out, shape, x.dtype)
    with np.errstate(all="ignore"):  # what is too large for float16 is infinite
        pair = results if isinstance(results, tuple) else (results,)
        made = [np.asarray(result).reshape(shape).astype(x.dtype, copy=False) for result in pair]
        if out is not None:
            out[...] = made[0]
    given = made[0][()] if out is None else out
    return (given, made[1][()]) if len(made) > 1 else given


def _log_of_sum(backend: str, x: np.ndarray, axes: tuple[int, ...], divisor: Any = None) -> Any:
    """The logarithm of the sum, or of it over a divisor."""
    shape = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
    with np.errstate(all="ignore"):
        shift: Any = x.dtype.type(0) if divisor is None else np.log(np.broadcast_to(divisor, shape))
        if x.size == 0:
            return np.full(shape, -np.inf, x.dtype) - shift
        if not axes and x.ndim:
            return x - shift
        rows = as_rows(x, axes)
        maximum, log = engine(backend).statistics(rows)
        result = maximum + (log if divisor is None else log - shift.reshape(log.shape))
        if not np.isfinite(result).all():
            infinite = np.isinf(maximum)  # comparisons pass over NaN: the maximum of a row with one may be infinite
            maximum = np.where(np.isnan(rows).any(axis=1, keepdims=True), np.nan, maximum)
            result = np.where(infinite, maximum, result)
        return result.reshape(shape)


def _log_of_weighted_sum(x: np.ndarray, b: np.ndarray, axes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The logarithm of the size of a sum with factors, and its sign; in float64, the largest terms apart: what is next
    to 1 keeps its logarithm's last bits."""
    shape = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
    if not axes and x.ndim:
        rows, factors = x.reshape(-1, 1, 1), b.reshape(-1, 1, 1)
    else:
        rows, factors = as_rows(x, axes), as_rows(b, axes)
    outer, length, inner = rows.shape
    dtype = wide(x.dtype)
    results = np.full((2, outer, 1, inner), -np.inf, dtype)
    results[1] = 0
    step = max(1, BLOCK // max(1, length * inner))
    for start in range(0, outer, step) if rows.size else ():
        part = slice(start, start + step)
        results[:, part] = _weighted(rows[part].astype(dtype), factors[part].astype(dtype))
    return results[0].reshape(shape), results[1].reshape(shape)


def _weighted(x: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    with np.errstate(all="ignore"):
        x = np.where(b == 0, -np.inf, x)
        maximum = x.max(axis=1, keepdims=True)
        finite = np.isfinite(maximum)
        shift = np.where(finite, maximum, 0.0)
        terms = np.where(b == 0, 0.0, b * np.exp(x - shift))
        largest = finite & (x == maximum)
        first = np.where(largest, b, 0.0).sum(axis=1, keepdims=True)
        others = np.where(largest, 0.0, terms).sum(axis=1, keepdims=True, dtype=np.longdouble).astype(x.dtype)
        total, ratio = first + others, others / first
        near = finite & (np.abs(ratio) < 0.5)
        logarithm = np.where(near, np.log1p(ratio) + np.log(np.abs(first)), np.log(np.abs(total)))
        return shift + logarithm, np.sign(total)

"""Functions along an axis in plain NumPy, computed in float64: what :mod:`fastact.rows.engine` does in compiled code.

Arrays have three dimensions, of which the middle one is the axis.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = ["apply", "apply_plain", "statistics"]

#: Elements computed at a time, so that temporaries stay in the cache.
BLOCK = 65_536


def _blocks(*arrays: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """Matching pieces of the arrays with whole rows in them."""
    outer, length, inner = arrays[0].shape
    across = max(1, BLOCK // max(1, length * inner))
    for start in range(0, outer, across):
        for first in range(0, inner, max(1, BLOCK // max(1, length))) if across == 1 else [0]:
            last = first + max(1, BLOCK // max(1, length)) if across == 1 else inner
            yield tuple(array[start : start + across, :, first:last] for array in arrays)


def _sum(x: np.ndarray) -> np.ndarray:
    """Along the axis, in the widest type there is: between rows NumPy adds one by one, and loses a bit in each."""
    return x.sum(axis=1, keepdims=True, dtype=np.longdouble).astype(np.float64)


def two_differences(x: np.ndarray, maximum: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x - maximum, and what its rounding lacks (D. E. Knuth, TAOCP 2, 4.2.2): exp would multiply that by its size."""
    difference = x - maximum
    part = difference - x
    low = (x - (difference - part)) - (maximum + part)
    return difference, np.where(np.isfinite(low), low, 0.0)


def _exponentials(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each row's maximum, x minus that, and the exponentials of the difference."""
    maximum = x.max(axis=1, keepdims=True)
    difference, low = two_differences(x, maximum)
    exponential = np.exp(difference)
    return maximum, difference, exponential + exponential * low


def _log_total(exponentials: np.ndarray, difference: np.ndarray) -> np.ndarray:
    """The logarithm of the sum, by log1p of the sum without the largest terms (Blanchard, Higham and Higham, 2021)."""
    largest = difference == 0
    others = _sum(np.where(largest, 0.0, exponentials))
    return np.log1p(others + (largest.sum(axis=1, keepdims=True) - 1.0))


def _exponential(x: np.ndarray, y: np.ndarray, sign: float, logarithm: bool, scale: float) -> None:
    for source, target in _blocks(x, y):
        maximum, difference, exponentials = _exponentials(sign * source.astype(np.float64))
        if logarithm:
            target[...] = difference - (_log_total(exponentials, difference) + (maximum - maximum))
        else:
            target[...] = exponentials * scale / _sum(exponentials)


def statistics(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    outer, _, inner = x.shape
    maxima, logs = np.empty((outer, 1, inner), x.dtype), np.empty((outer, 1, inner), x.dtype)
    with np.errstate(all="ignore"):
        for source, largest, log in _blocks(x, maxima, logs):
            maximum, difference, exponentials = _exponentials(source.astype(np.float64))
            largest[...], log[...] = maximum, _log_total(exponentials, difference) + (maximum - maximum)
    return maxima, logs


def _gradient(y: np.ndarray, grad: np.ndarray, out: np.ndarray, logarithm: bool) -> None:
    for value, g, target in _blocks(*(a.astype(np.float64, copy=False) for a in (y, grad)), out):
        if logarithm:
            target[...] = g - np.exp(value) * _sum(g)
        else:
            target[...] = value * (g - _sum(g * value))


def _sparsemax(x: np.ndarray, y: np.ndarray) -> None:
    """By sorting (A. Martins and R. Astudillo, 2016, algorithm 1)."""
    z = x.astype(np.float64)
    z = z - z.max(axis=1, keepdims=True)
    falling = -np.sort(-z, axis=1)
    count = np.arange(1, z.shape[1] + 1).reshape(1, -1, 1)
    excess = (np.cumsum(falling, axis=1) - 1.0) / count
    support = np.maximum((falling > excess).sum(axis=1, keepdims=True), 1)
    threshold: Any = np.take_along_axis(excess, support - 1, axis=1)
    broken = np.isnan(z).any(axis=1, keepdims=True)
    y[...] = np.where(broken, np.nan, np.maximum(z - threshold, 0.0))


def _hardmax(x: np.ndarray, y: np.ndarray) -> None:
    first = x.argmax(axis=1, keepdims=True)  # NaN, if there is one
    broken = np.isnan(np.take_along_axis(x, first, axis=1))
    y[...] = np.where(broken, np.nan, 0)
    np.put_along_axis(y, first, np.where(broken, np.nan, 1).astype(y.dtype), axis=1)


def apply(operation: str, *arrays: np.ndarray, scale: float = 1.0) -> None:
    """An operation along the middle axis of three. Results, times ``scale``, go to the last array; the others are x,
    or the forward's output and the gradient with respect to it."""
    x, result = arrays[0], arrays[-1]
    with np.errstate(all="ignore"):
        if operation == "hardmax":
            _hardmax(x, result)
        elif operation == "sparsemax":
            for source, target in _blocks(x, result):
                _sparsemax(source, target)
        elif operation.endswith("backward"):
            _gradient(x, arrays[1], result, operation == "log_softmax_backward")
        else:
            _exponential(x, result, -1.0 if operation == "softmin" else 1.0, operation == "log_softmax", scale)


def apply_plain(operation: str, axis: int, *arrays: np.ndarray) -> bool:
    """What compiled code does faster for C-ordered arrays; nothing here."""
    return False

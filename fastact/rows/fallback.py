"""Functions along an axis in plain NumPy: what :mod:`fastact.rows.engine` does in compiled code.

They are computed in float64, or longdouble. Arrays have three dimensions, of which the middle one is the axis.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastact.formulas.fallback import two_differences, wide

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
    return x.sum(axis=1, keepdims=True, dtype=np.longdouble).astype(wide(x.dtype))


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
        maximum, difference, exponentials = _exponentials(sign * source.astype(wide(source.dtype)))
        if logarithm:
            target[...] = difference - (_log_total(exponentials, difference) + (maximum - maximum))
        else:
            target[...] = exponentials * scale / _sum(exponentials)


def statistics(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    outer, _, inner = x.shape
    maxima, logs = np.empty((outer, 1, inner), x.dtype), np.empty((outer, 1, inner), x.dtype)
    with np.errstate(all="ignore"):
        for source, largest, log in _blocks(x, maxima, logs):
            maximum, difference, exponentials = _exponentials(source.astype(wide(source.dtype)))
            largest[...], log[...] = maximum, _log_total(exponentials, difference) + (maximum - maximum)
    return maxima, logs


def _gradient(operation: str, y: np.ndarray, grad: np.ndarray, out: np.ndarray) -> None:
    for value, g, target in _blocks(*(a.astype(wide(a.dtype), copy=False) for a in (y, grad)), out):
        if operation == "log_softmax_backward":
            target[...] = g - np.exp(value) * _sum(g)
        elif operation == "softmin_backward":
            target[...] = value * (_sum(g * value) - g)
        elif operation == "softmax_backward":
            target[...] = value * (g - _sum(g * value))
        else:
            slope = np.where(value > 0, 1.0, value) if operation == "sparsemax_backward" else np.sqrt(value)
            mean = _sum(np.where(slope == 0, 0.0, slope * g)) / _sum(slope)
            target[...] = np.where(slope == 0, 0.0, slope * (g - mean))


def _sparsemax(x: np.ndarray, y: np.ndarray) -> None:
    """By sorting (A. Martins and R. Astudillo, 2016, algorithm 1)."""
    z = x.astype(wide(x.dtype))
    z = z - z.max(axis=1, keepdims=True)
    falling = -np.sort(-z, axis=1)
    count = np.arange(1, z.shape[1] + 1).reshape(1, -1, 1)
    excess = (np.cumsum(falling, axis=1) - 1.0) / count
    support = np.maximum((falling > excess).sum(axis=1, keepdims=True), 1)
    threshold: Any = np.take_along_axis(excess, support - 1, axis=1)
    broken = np.isnan(z).any(axis=1, keepdims=True)
    y[...] = np.where(broken, np.nan, np.maximum(z - threshold, 0.0))


def _entmax15(x: np.ndarray, y: np.ndarray) -> None:
    """By sorting (B. Peters, V. Niculae and A. Martins, 2019, algorithm 2)."""
    z = x.astype(wide(x.dtype))
    z = (z - z.max(axis=1, keepdims=True)) / 2
    falling = -np.sort(-z, axis=1)
    falling = np.maximum(falling, -2.0)  # what is so far below the largest does not count, and may be infinite
    count = np.arange(1, z.shape[1] + 1).reshape(1, -1, 1)
    mean, square = np.cumsum(falling, axis=1) / count, np.cumsum(falling * falling, axis=1) / count
    threshold = mean - np.sqrt(np.maximum((1.0 - count * (square - mean * mean)) / count, 0.0))
    support = np.maximum((threshold <= falling).sum(axis=1, keepdims=True), 1)
    chosen: Any = np.take_along_axis(threshold, support - 1, axis=1)
    broken = np.isnan(z).any(axis=1, keepdims=True)
    y[...] = np.where(broken, np.nan, np.maximum(z - chosen, 0.0) ** 2)


def _norm(operation: str, x: np.ndarray, other: np.ndarray, out: np.ndarray, eps: float) -> None:
    """layer_norm or rms_norm, the other operand being the weight; or their gradient, it being the output's."""
    for source, factor, target in _blocks(x, other, out):
        v, g = source.astype(wide(source.dtype)), factor.astype(wide(factor.dtype))
        if operation.startswith("layer"):
            v = v - _sum(v) / x.shape[1]
        scale = 1.0 / np.sqrt(_sum(v * v) / x.shape[1] + eps)
        v = v * scale
        if not operation.endswith("backward"):
            target[...] = v * g
            continue
        slope = v * (_sum(g * v) / x.shape[1])
        mean = _sum(g) / x.shape[1] if operation.startswith("layer") else 0.0
        target[...] = ((g - mean) - slope) * scale


def _hardmax(x: np.ndarray, y: np.ndarray) -> None:
    first = x.argmax(axis=1, keepdims=True)  # NaN, if there is one
    broken = np.isnan(np.take_along_axis(x, first, axis=1))
    y[...] = np.where(broken, np.nan, 0)
    np.put_along_axis(y, first, np.where(broken, np.nan, 1).astype(y.dtype), axis=1)


def apply(operation: str, *arrays: np.ndarray, scale: float = 1.0) -> None:
    """An operation along the middle axis of three. Results, times ``scale`` (of norms, with that added to variances),
    go to the last array; the others are x, or the forward's output and the gradient with respect to it."""
    x, result = arrays[0], arrays[-1]
    with np.errstate(all="ignore"):
        if operation == "hardmax":
            _hardmax(x, result)
        elif operation in ("sparsemax", "entmax15"):
            for source, target in _blocks(x, result):
                (_sparsemax if operation == "sparsemax" else _entmax15)(source, target)
        elif "norm" in operation:
            _norm(operation, x, arrays[1], result, scale)
        elif operation.endswith("backward"):
            _gradient(operation, x, arrays[1], result)
        else:
            _exponential(x, result, -1.0 if operation == "softmin" else 1.0, operation == "log_softmax", scale)


def apply_plain(operation: str, axis: int, *arrays: np.ndarray) -> bool:
    """What compiled code does faster for C-ordered arrays; nothing here."""
    return False

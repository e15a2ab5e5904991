"""How far results are from the truth, in units in the last place."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

#: Within so much of a derivative's root, an absolute error of so much counts as none: in float32, and in float64.
ROOT_DISTANCE, ROOT_ERROR, ROOT_ERROR_WIDE = 0.05, 1.2e-7, 2.3e-16


class Errors(NamedTuple):
    """Largest and mean error over some inputs, and the input with the largest."""

    largest: float = 0.0
    worst: float = 0.0
    total: float = 0.0
    count: int = 0

    def merged(self, errors: np.ndarray, x: np.ndarray) -> Errors:
        if errors.size == 0:
            return self
        i = int(np.argmax(errors))
        return self.plus(float(errors[i]), float(x[i]), float(errors.sum(dtype=float)), errors.size)

    def plus(self, largest: float, worst: float, total: float, count: int) -> Errors:
        """With some more, whose largest is at ``worst``."""
        most, at = max((self.largest, self.worst), (largest, worst), key=lambda pair: pair[0])
        return Errors(most, at, self.total + total, self.count + count)

    def __str__(self) -> str:
        return f"{self.largest:7.2f} {self.total / max(1, self.count):7.4f}  {self.worst:<14.8g}"


def ulp_errors(result: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Distances from wider truths in ulp of the result's type; infinite where one is NaN and the other is not."""
    information = np.finfo(result.dtype)
    smallest = int(information.minexp - information.nmant)
    with np.errstate(all="ignore"):
        rounded = truth.astype(result.dtype)
        _, exponents = np.frexp(truth)
        spacing = np.ldexp(truth.dtype.type(1), np.maximum(exponents - 1 - int(information.nmant), smallest))
        errors = np.abs(result.astype(truth.dtype) - truth) / spacing
        same = result == rounded  # the nearest there is, or the infinity that it should be
        errors[same] = np.fmin(errors[same], 0.5)
    errors[np.isnan(errors)] = np.inf
    errors[np.isnan(result) & np.isnan(truth)] = 0
    return errors


@cache
def compiled_float32_errors() -> Callable[..., Any] | None:
    """:func:`ulp_errors` and what :class:`Errors` keeps of it, in one pass; None without Numba.

    NumPy takes 60 ns per element for it, which is four minutes for all of float32; this takes 3.
    """
    try:
        from numba import njit
    except ImportError:
        return None
    spacings = np.ldexp(1.0, np.maximum(np.arange(2048) - 1023, -126) - 23)

    @njit(nogil=True, error_model="numpy")
    def errors(x, result, truth, bits, root):  # type: ignore[no-untyped-def]
        largest, worst, total = 0.0, 0.0, 0.0
        for i in range(x.size):
            r, t = float(result[i]), truth[i]
            if r == t or (r != r and t != t):
                continue
            error = abs(r - t) / spacings[(bits[i] >> 52) & 2047]
            if result[i] == np.float32(t):
                error = min(error, 0.5) if error == error else 0.0
            elif not error < np.inf:
                error = np.inf
            if abs(x[i] - root) < ROOT_DISTANCE and abs(r - t) <= ROOT_ERROR:
                continue
            total += error
            if error > largest:
                largest, worst = error, float(x[i])
        return largest, worst, total

    return errors

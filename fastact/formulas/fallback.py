"""Formulas written out as NumPy: functions of float64 arrays, which are what computes where nothing is compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastact.formulas.expressions import Expression, lower
from fastact.formulas.language import DEFINITIONS
from fastact.formulas.primitives import NUMPY_FORMULAS, NUMPY_NAMES
from fastact.formulas.text import Writer, function_text

__all__ = ["numpy_function", "numpy_source", "two_differences", "wide"]


def numpy_source(name: str, inputs: list[str], results: tuple[Expression, ...]) -> str:
    """A function on float64 arrays."""
    writer = Writer(
        lambda value: repr(value).replace("inf", "np.inf").replace("nan", "np.nan"), NUMPY_NAMES.__getitem__
    )
    texts = writer.write(*lower(results, DEFINITIONS | NUMPY_FORMULAS))
    return function_text(name, inputs, writer.lines, texts)


def numpy_function(name: str, inputs: list[str], results: tuple[Expression, ...]) -> Callable[..., Any]:
    namespace: dict[str, Any] = {"np": np, "leading_bits": leading_bits}
    exec(compile(numpy_source(name, inputs, results), f"<fastact {name}>", "exec"), namespace)
    return namespace[name]


def leading_bits(x: Any) -> Any:
    """x with its last 27 bits cleared: half of the significand, whose product with another half is exact."""
    return (np.asarray(x, np.float64).view(np.int64) & -(1 << 27)).view(np.float64)


def wide(dtype: Any) -> np.dtype:
    """What NumPy computes in for a dtype: float64, or longdouble."""
    return np.dtype(np.longdouble if np.dtype(dtype).char == "g" else np.float64)


def two_differences(x: np.ndarray, maximum: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x - maximum, and what its rounding lacks (D. E. Knuth, TAOCP 2, 4.2.2): exp would multiply that by its size."""
    difference = x - maximum
    part = difference - x
    low = (x - (difference - part)) - (maximum + part)
    return difference, np.where(np.isfinite(low), low, 0.0)

"""What results are computed from: real numbers, and the dtype that they promote to."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

from fastact.containers.recognition import ContainedError, as_array, is_bfloat16

__all__ = ["as_operand", "broadcasts", "check_not_negative", "check_real", "result_dtype"]


def check_real(name: str, dtype: np.dtype) -> None:
    """Raise TypeError unless numbers of that dtype are real."""
    if dtype.kind not in "biuf":
        if is_bfloat16(dtype):
            raise ContainedError
        raise TypeError(f"{name} must be real numbers, not {dtype}")


def check_not_negative(name: str, number: Any) -> None:
    """Raise TypeError or ValueError unless it is a number of at least 0."""
    if not isinstance(number, Real):
        raise TypeError(f"{name} must be a number, not {type(number).__name__}")
    if not float(number) >= 0:
        raise ValueError(f"{name} must be at least 0, not {number!r}")


def broadcasts(shape: tuple[int, ...], full: tuple[int, ...]) -> bool:
    """Whether an array of the first shape can be repeated to fill the second."""
    try:
        return np.broadcast_shapes(shape, full) == full
    except ValueError:
        return False


def as_operand(name: str, given: Any) -> Any:
    """An array of real numbers; or a number of Python's, which takes the type of what it meets."""
    if isinstance(given, (bool, int, float)):
        return given
    array = as_array(given)
    check_real(name, array.dtype)
    return array


def result_dtype(*operands: Any) -> np.dtype:
    """NumPy's promotion, in the machine's byte order, and float64 for integers and bools."""
    dtype = np.result_type(*operands)
    return np.dtype(dtype.char if dtype.kind == "f" else np.float64)  # the one object by which it is known at once

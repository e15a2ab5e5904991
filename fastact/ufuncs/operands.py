"""What results are computed from: real numbers, and the dtype that they promote to."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["as_operand", "check_real", "result_dtype"]


def check_real(name: str, dtype: np.dtype) -> None:
    """Raise TypeError unless numbers of that dtype are real and no wider than float64."""
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise TypeError(f"{name} must be real numbers of up to 64 bits, not {dtype}")


def as_operand(name: str, given: Any) -> Any:
    """An array of real numbers; or a number of Python's, which takes the type of what it meets."""
    if isinstance(given, (bool, int, float)):
        return given
    array = np.asarray(given)
    check_real(name, array.dtype)
    return array


def result_dtype(*operands: Any) -> np.dtype:
    """NumPy's promotion, in the machine's byte order, and float64 for integers and bools."""
    dtype = np.result_type(*operands)
    return dtype.newbyteorder("=") if dtype.kind == "f" else np.dtype(np.float64)

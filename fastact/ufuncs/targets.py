"""Arrays that results are to be written to, checked before anything is computed."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["check_target", "written"]


def check_target(name: str, target: Any, shape: tuple[int, ...], result: np.dtype) -> None:
    """Raise TypeError or ValueError unless a result of that shape and dtype can be stored in it."""
    if not isinstance(target, np.ndarray):
        raise TypeError(f"{name} must be an array, not {type(target).__name__}")
    if target.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, as the result, not {target.shape}")
    if not np.can_cast(result, target.dtype, "same_kind"):
        raise TypeError(f"{name} is of {target.dtype}; the result is {result} and cannot be stored there")
    if not target.flags.writeable:
        raise ValueError(f"{name} is read-only")


def written(target: np.ndarray) -> np.ndarray:
    """The same, once results are in it. As NumPy's ufuncs leave it: of a masked array, nothing is masked any more."""
    if type(target) is np.ndarray:
        return target
    wrapped: np.ndarray = target.__array_wrap__(target, (np.positive, (np.empty(target.shape, bool),), 0))
    return wrapped

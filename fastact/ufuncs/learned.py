"""Gradients with respect to a learned parameter, summed in the pass that writes the gradient with respect to x."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fastact.containers.recognition import handler_of
from fastact.runtime.notices import UnavailableError
from fastact.ufuncs.memory import empty_like
from fastact.ufuncs.nested import fits
from fastact.ufuncs.sums import FLOATS, LENGTH, Sum, rounded
from fastact.ufuncs.ufunc import Definition

__all__ = ["LearnedBackward"]


class LearnedBackward:
    """``dx, dparameter`` of an activation with one parameter, where that is a number or has one per channel."""

    def __init__(self, definition: Definition) -> None:
        self.total = Sum(definition, "numba")

    def __call__(self, operands: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
        """Both gradients, or NotImplemented where the ufunc and a sum over its result must do."""
        grad, x, parameter = operands
        if type(x) is not np.ndarray or type(grad) is not np.ndarray or x.dtype not in FLOATS:
            return NotImplemented
        if handler_of(parameter) is not None:
            return NotImplemented
        if type(parameter) is not np.ndarray:  # a number of Python's takes the type of x, one of NumPy's has its own
            parameter = np.asarray(parameter, x.dtype if isinstance(parameter, (bool, int, float)) else None)
        if not x.dtype == grad.dtype == parameter.dtype or grad.shape != x.shape:
            return NotImplemented
        dx = _output(keywords, x, [grad, x, parameter])
        channels = _channels(parameter.shape, x.shape)
        if dx is None or channels is None:
            return NotImplemented
        try:
            sums = self._sums(grad, x, parameter.reshape(channels), dx)
        except UnavailableError:
            return NotImplemented
        return dx, sums.astype(x.dtype).reshape(parameter.shape)[()]

    def _sums(self, grad: np.ndarray, x: np.ndarray, parameter: np.ndarray, dx: np.ndarray) -> np.ndarray:
        """For each channel the parameter's gradient, while dx is written."""
        sums = np.empty(parameter.shape)
        for channel in np.ndindex(parameter.shape):
            part = tuple([slice(None) if size == 1 else i for size, i in zip(parameter.shape, channel)])
            value = parameter[(*channel, ...)]
            sums[channel] = rounded(self.total(x.dtype, [grad[part], x[part], value], [dx[part]]), x.dtype)
        return sums


def _output(keywords: Mapping[str, Any], x: np.ndarray, operands: Sequence[np.ndarray]) -> np.ndarray | None:
    """The array for dx: new, or the first of ``out=(dx, None)``."""
    if not keywords:
        return empty_like(x, x.dtype)
    out = keywords.get("out")
    if keywords.keys() != {"out"} or type(out) is not tuple or len(out) != 2 or out[1] is not None:
        return None
    return out[0] if fits(out[0], x.shape, x.dtype, operands) else None


def _channels(shape: tuple[int, ...], full: tuple[int, ...]) -> tuple[int, ...] | None:
    """The parameter's shape with as many axes as x; None if there are many channels, or if they lie side by side."""
    padded = (1,) * (len(full) - len(shape)) + shape
    one = all(n == 1 for n in padded)
    if len(padded) != len(full) or (not one and padded[-1] != 1) or any(n not in (1, m) for n, m in zip(padded, full)):
        return None
    apart = np.prod(padded) * LENGTH <= np.prod(full)
    return padded if one or apart else None

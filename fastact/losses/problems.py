"""Arguments of losses of whole rows: checked, and seen as rows of classes."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any, NamedTuple, Protocol

import numpy as np

from fastact.containers.recognition import as_array
from fastact.formulas.fallback import wide
from fastact.losses.elementwise import check_reduction
from fastact.rows.shapes import as_floats, as_rows, can_write, normalized_axes
from fastact.ufuncs.memory import empty
from fastact.ufuncs.targets import check_target

__all__ = ["Options", "Problem", "checked", "delivered", "gradient_target", "reduced"]

USUAL_IGNORED = -100


class Options(NamedTuple):
    """What calls have in common beside arrays and the reduction."""

    weight: Any = None
    ignore_index: Any = USUAL_IGNORED
    axis: Any = None
    smoothing: float = 0.0


class Problem(NamedTuple):
    """Checked arguments, seen as rows: three dimensions with the classes in the middle."""

    logits: np.ndarray
    labels: np.ndarray | None  # (outer, 1, inner), 0 where a row does not count
    counted: np.ndarray | None  # which rows count; None is all of them
    probabilities: np.ndarray | None
    weights: np.ndarray | None  # of classes, (1, classes, 1); None is 1 for each
    smoothing: float
    shape: tuple[int, ...]  # of the loss
    axis: int

    @property
    def dtype(self) -> np.dtype:
        return self.logits.dtype

    @property
    def row_weights(self) -> np.ndarray | None:
        """What the label of each row weighs."""
        if self.weights is None or self.labels is None:
            return None
        return self.weights.ravel()[self.labels]

    @property
    def divisor(self) -> float:
        """What a mean is divided by."""
        weights = self.row_weights
        if weights is not None:
            return float(weights.sum() if self.counted is None else weights[self.counted].sum())
        rows = math.prod(self.shape)
        return float(rows if self.counted is None else np.count_nonzero(self.counted))


def checked(pred: Any, target: Any, reduction: str, options: Options) -> Problem:
    check_reduction(reduction)
    smoothing: Any = options.smoothing
    ignored = options.ignore_index
    if not isinstance(smoothing, (Real, np.bool_)):
        raise TypeError(f"label_smoothing must be a number, not {type(smoothing).__name__}")
    if not isinstance(ignored, (Integral, np.integer)):
        raise TypeError(f"ignore_index must be a whole number, not {type(ignored).__name__}")
    if not 0 <= float(smoothing) <= 1:
        raise ValueError(f"label_smoothing must be from 0 to 1, not {smoothing!r}")
    logits, target = as_floats(pred, "pred"), as_array(target)
    if logits.ndim == 0:
        raise ValueError("pred must have an axis of classes, but it is a scalar")
    axis = _class_axis(options.axis, logits.ndim)
    if logits.shape[axis] == 0:
        raise ValueError(f"pred must have at least one class; its shape is {logits.shape}")
    shape = logits.shape[:axis] + logits.shape[axis + 1 :]
    weights = None if options.weight is None else _weights(options.weight, logits.shape[axis])
    rows = as_rows(logits, (axis,))
    if target.dtype.kind in "iu" and target.shape != logits.shape:
        labels, counted = _labels(target, shape, logits.shape[axis], int(ignored))
        flat = labels.reshape(rows.shape[0], 1, rows.shape[2])
        kept = None if counted is None else counted.reshape(flat.shape)
        return Problem(rows, flat, kept, None, weights, float(smoothing), shape, axis)
    probabilities = _probabilities(target, shape, logits.shape)
    return Problem(rows, None, None, as_rows(probabilities, (axis,)), weights, float(smoothing), shape, axis)


def _class_axis(axis: Any, ndim: int) -> int:
    """Where the classes are: torch's axis 1, or the only one, unless another is given."""
    if axis is None:
        return min(1, ndim - 1)
    if isinstance(axis, tuple):
        raise TypeError(f"axis must be an integer or None, not {axis!r}")
    return normalized_axes(axis, ndim)[0]


def _weights(weight: Any, classes: int) -> np.ndarray:
    weights = as_floats(weight, "weight").astype(np.float64)
    if weights.shape != (classes,):
        raise ValueError(f"weight must have shape {(classes,)}, one for each class, not {weights.shape}")
    return weights.reshape(1, -1, 1)


def _probabilities(target: np.ndarray, shape: tuple[int, ...], full: tuple[int, ...]) -> np.ndarray:
    probabilities = as_floats(target, "target")
    if probabilities.shape != full:
        raise ValueError(
            f"target must be integer labels of shape {shape} or probabilities of shape {full}; "
            f"it is {target.dtype} of shape {target.shape}"
        )
    if target.dtype.kind in "iu" and ((target < 0) | (target > 1)).any():
        raise ValueError("target has integers in pred's shape: as one-hot rows, they must be 0 or 1")
    return probabilities


def _labels(target: np.ndarray, shape: tuple[int, ...], classes: int, ignored: int) -> tuple[np.ndarray, Any]:
    """Labels that are all in range, and which of them count."""
    if target.shape != shape:
        raise ValueError(f"labels must have shape {shape}, pred's without its classes; they have {target.shape}")
    inside, counted = (target >= 0) & (target < classes), target != ignored
    if inside.all() and counted.all():
        return target, None
    strange = ~inside & counted
    if strange.any():
        raise ValueError(
            f"labels must be from 0 to {classes - 1}, or {ignored} to be ignored; one is {target[strange].flat[0]}"
        )
    return np.where(inside, target, 0), counted


class Reducible(Protocol):
    """Losses as they come from their arguments."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype: ...

    @property
    def divisor(self) -> float: ...


def reduced(problem: Reducible, losses: np.ndarray, reduction: str, out: Any) -> Any:
    """What becomes of losses, in float64."""
    with np.errstate(all="ignore"):  # what is too large for float16 is infinite
        if reduction == "none":
            values = losses.reshape(problem.shape)
            if out is None:
                return values.astype(problem.dtype)[()]
            out[...] = values
            return out
        total = losses.sum(dtype=wide(problem.dtype))
        if reduction == "mean":
            total = total / problem.divisor
        return problem.dtype.type(total)


def gradient_target(problem: Problem, pred: Any, target: Any, out: Any, reads: bool) -> np.ndarray:
    """Where a gradient is written: out, unless that is read meanwhile; ``reads``: pred too, while it is written."""
    array = as_floats(pred, "pred")
    if out is not None:
        check_target("out", out, array.shape, array.dtype)
        inputs = (array,) if reads else ()
        direct = out.dtype == array.dtype and can_write(out, (problem.axis,), inputs)
        if direct and not np.may_share_memory(out, np.asarray(target)):
            return out
    return empty(array.shape, array.dtype)


def delivered(result: np.ndarray, out: Any) -> Any:
    """The gradient, where it was asked for."""
    if out is None or out is result:
        return result
    with np.errstate(all="ignore"):
        out[...] = result
    return out

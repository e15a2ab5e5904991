"""Cross entropy of logits with integer labels or probabilities; the probabilities of the logits are never formed."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np

from fastact.functions.offered import offered
from fastact.losses.elementwise import check_reduction
from fastact.rows.shapes import as_floats, as_rows, can_write, engine
from fastact.ufuncs.memory import empty
from fastact.ufuncs.targets import check_target

__all__ = ["cross_entropy", "cross_entropy_backward"]

#: Elements of temporaries, at most, where products of two large arrays are summed.
BLOCK = 1 << 18


class Problem(NamedTuple):
    """Checked arguments, seen as rows: three dimensions with the classes in the middle."""

    logits: np.ndarray
    labels: np.ndarray | None  # (outer, 1, inner), 0 where a row does not count
    counted: np.ndarray | None  # which rows count; None is all of them
    probabilities: np.ndarray | None
    smoothing: float
    shape: tuple[int, ...]  # of the loss
    axis: int

    @property
    def divisor(self) -> float:
        """What a mean is divided by."""
        rows = math.prod(self.shape)
        return float(rows if self.counted is None else np.count_nonzero(self.counted))


@offered
def cross_entropy(
    backend: str,
    pred: Any,
    target: Any,
    reduction: str = "mean",
    *,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
) -> Any:
    """Cross entropy of logits with labels or probabilities.

        cross_entropy(x, label) = log(sum_j exp(x_j)) - x_label

    Parameters
    ----------
    pred : array_like
        Logits of shape (classes,), (batch, classes) or (batch, classes, ...). float16 is computed in float32.
    target : array_like
        Integer labels, of pred's shape without the classes; or probabilities, of pred's shape.
    reduction : {"mean", "sum", "none"}, default "mean"
        The mean is over rows that are not ignored.
    label_smoothing : float, default 0.0
        So much of every target is spread evenly over all classes; from 0 to 1.
    ignore_index : int, default -100
        Rows with this label count for nothing.

    Returns
    -------
    scalar or ndarray
        In pred's dtype; sums are made in float64. The mean of nothing is NaN.

    Raises
    ------
    TypeError
        If an argument is complex, an object, a string or a date, or an option is no number.
    ValueError
        If a label is out of range, shapes do not fit, or an option is none of the above.

    References
    ----------
    Good, J. R. Stat. Soc. B 14, 1952; label smoothing: Szegedy et al., arXiv:1512.00567.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> float(fastact.cross_entropy(np.array([[0.0, 0.0], [0.0, 100.0]]), np.array([0, 1])))
    0.34657359027997264
    """
    problem = checked(pred, target, reduction, label_smoothing, ignore_index)
    losses = _losses(engine(backend), problem)
    with np.errstate(all="ignore"):  # what is too large for float16 is infinite
        if reduction == "none":
            return losses.astype(problem.logits.dtype).reshape(problem.shape)[()]
        total = losses.sum(dtype=np.float64)
        if reduction == "mean":
            total = total / problem.divisor
        return problem.logits.dtype.type(total)


@offered
def cross_entropy_backward(
    backend: str,
    pred: Any,
    target: Any,
    reduction: str = "mean",
    *,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
    out: Any = None,
) -> Any:
    """Gradient of `cross_entropy` with respect to the logits.

        cross_entropy_backward(x, label) = softmax(x) - onehot(label), over the number of rows for a mean

    Parameters
    ----------
    pred, target, reduction, label_smoothing, ignore_index
        As for `cross_entropy`; for "none", the gradient of the sum.
    out : ndarray, optional
        Where the result goes; it may be pred.

    Returns
    -------
    ndarray
        Of the shape of pred.

    Raises
    ------
    TypeError, ValueError
        As `cross_entropy` does, and if out does not fit; nothing has been written then.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> fastact.cross_entropy_backward(np.array([[0.0, 0.0]]), np.array([1]))
    array([[ 0.5, -0.5]])
    """
    problem = checked(pred, target, reduction, label_smoothing, ignore_index)
    compute = engine(backend)
    divisor = problem.divisor if reduction == "mean" else 1.0
    scale = 1.0 / divisor if divisor else 1.0
    array = as_floats(pred, "pred")
    if out is not None:
        check_target("out", out, array.shape, array.dtype)

    direct = out is not None and out.dtype == array.dtype and can_write(out, (problem.axis,), (array,))
    result = out if direct and not np.may_share_memory(out, np.asarray(target)) else empty(array.shape, array.dtype)
    if array.size:
        shares = _label_gradients(compute, problem, scale)
        rows = as_rows(result, (problem.axis,))
        compute.apply("softmax", problem.logits, rows, scale=scale)
        _subtract_targets(problem, rows, scale, shares)
    if out is not None and result is not out:
        with np.errstate(all="ignore"):
            out[...] = result
    return result if out is None else out


# -- arguments ------------------------------------------------------------------------------------


def checked(pred: Any, target: Any, reduction: str, smoothing: float, ignore_index: int) -> Problem:
    check_reduction(reduction)
    if not isinstance(smoothing, (Real, np.bool_)):
        raise TypeError(f"label_smoothing must be a number, not {type(smoothing).__name__}")
    if not isinstance(ignore_index, (Integral, np.integer)):
        raise TypeError(f"ignore_index must be a whole number, not {type(ignore_index).__name__}")
    if not 0 <= smoothing <= 1:
        raise ValueError(f"label_smoothing must be from 0 to 1, not {smoothing!r}")
    logits, target = as_floats(pred, "pred"), np.asarray(target)
    if logits.ndim == 0:
        raise ValueError("pred must have an axis of classes, but it is a scalar")
    axis = min(1, logits.ndim - 1)
    if logits.shape[axis] == 0:
        raise ValueError(f"pred must have at least one class; its shape is {logits.shape}")
    shape = logits.shape[:axis] + logits.shape[axis + 1 :]
    rows = as_rows(logits, (axis,))
    if target.dtype.kind in "iu":
        labels, counted = _labels(target, shape, logits.shape[axis], ignore_index)
        flat = labels.reshape(rows.shape[0], 1, rows.shape[2])
        kept = None if counted is None else counted.reshape(flat.shape)
        return Problem(rows, flat, kept, None, smoothing, shape, axis)
    probabilities = as_floats(target, "target")
    if probabilities.shape != logits.shape:
        raise ValueError(
            f"target must be integer labels of shape {shape} or probabilities of shape {logits.shape}; "
            f"it is {target.dtype} of shape {target.shape}"
        )
    return Problem(rows, None, None, as_rows(probabilities, (axis,)), smoothing, shape, axis)


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


# -- values ---------------------------------------------------------------------------------------


def _losses(compute: Any, problem: Problem) -> np.ndarray:
    """The loss of every row, (outer, 1, inner), in float64."""
    x = problem.logits
    if x.size == 0:
        return np.zeros((x.shape[0], 1, x.shape[2]))
    with np.errstate(all="ignore"):
        maximum, log = (a.astype(np.float64) for a in compute.statistics(x))
        if problem.labels is None:
            return _with_probabilities(problem, maximum, log)
        loss = _negative_logarithm(problem, maximum, log)
        if problem.smoothing:
            mean = x.sum(axis=1, keepdims=True, dtype=np.float64) / x.shape[1]
            evenly = problem.smoothing * ((maximum - mean) + log)
            # what does not count at all may be infinite
            loss = evenly if problem.smoothing == 1 else (1 - problem.smoothing) * loss + evenly
        return loss if problem.counted is None else np.where(problem.counted, loss, 0.0)


def _negative_logarithm(problem: Problem, maximum: np.ndarray, log: np.ndarray) -> Any:
    """Minus the logarithm of the label's probability."""
    assert problem.labels is not None
    picked = np.take_along_axis(problem.logits, problem.labels, axis=1).astype(np.float64)
    return (maximum - picked) + log


def _with_probabilities(problem: Problem, maximum: np.ndarray, log: np.ndarray) -> np.ndarray:
    x, p = problem.logits, problem.probabilities
    assert p is not None
    outer, classes, inner = x.shape
    loss = np.empty((outer, 1, inner))
    step = max(1, BLOCK // max(1, classes * inner))
    for start in range(0, outer, step):
        part = slice(start, start + step)
        negative = (maximum[part] - x[part]) + log[part]
        targets = p[part] * (1 - problem.smoothing) + problem.smoothing / classes if problem.smoothing else p[part]
        terms = np.where(targets == 0, 0.0, targets * negative)  # an impossible class may have no finite logarithm
        loss[part] = terms.sum(axis=1, keepdims=True, dtype=np.float64)
    return loss


# -- gradients ------------------------------------------------------------------------------------


def _label_gradients(compute: Any, problem: Problem, scale: float) -> Any:
    """softmax(x)_label - 1 as expm1 of the negative loss, which is right where the probability is next to 1."""
    if problem.labels is None:
        return None
    with np.errstate(all="ignore"):
        maximum, log = (a.astype(np.float64) for a in compute.statistics(problem.logits))
        return np.expm1(-_negative_logarithm(problem, maximum, log)) * scale


def _subtract_targets(problem: Problem, y: np.ndarray, scale: float, shares: Any) -> None:
    """From softmax(x) * scale to the gradient, in place."""
    smoothing, classes = problem.smoothing, y.shape[1]
    with np.errstate(all="ignore"):
        if problem.probabilities is not None:
            outer, _, inner = y.shape
            step = max(1, BLOCK // max(1, classes * inner))
            for start in range(0, outer, step):
                part = slice(start, start + step)
                p = problem.probabilities[part]
                total = p.sum(axis=1, keepdims=True, dtype=np.float64) * (1 - smoothing) + smoothing
                y[part] = y[part] * total - (p * (1 - smoothing) + smoothing / classes) * scale
            return
        labels = problem.labels
        assert labels is not None
        if smoothing:
            y -= y.dtype.type(smoothing / classes * scale)
            shares = shares + smoothing * scale * (1 - 1 / classes)
        np.put_along_axis(y, labels, shares.astype(y.dtype), axis=1)
        if problem.counted is not None:  # times 0 would leave NaN
            np.copyto(y, 0, where=~problem.counted)

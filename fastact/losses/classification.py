"""Cross entropy of logits with integer labels or probabilities; the probabilities of the logits are never formed."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastact.formulas.fallback import wide
from fastact.functions.offered import Family, offered
from fastact.losses.definition import Reduction
from fastact.losses.elementwise import check_values
from fastact.losses.problems import Options, Problem, checked, delivered, gradient_target, reduced
from fastact.rows.shapes import OneAxis, as_rows, engine
from fastact.runtime.guard import once
from fastact.runtime.numpy_api import address, numpy_loop
from fastact.ufuncs.direct import Mean, Operand, Work, note, repeated
from fastact.ufuncs.nested import words

__all__ = ["cross_entropy", "cross_entropy_backward", "note_labels"]

#: The dtypes of logits for which calls without Python are compiled.
DIRECT = (np.dtype(np.float32), np.dtype(np.float64))

#: Elements of temporaries, at most, where products of two large arrays are summed.
BLOCK = 1 << 18


@offered(Family.CLASSES)
@repeated
def cross_entropy(
    backend: str,
    pred: ArrayLike,
    target: ArrayLike,
    reduction: Reduction = "mean",
    *,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
    weight: ArrayLike | None = None,
    axis: OneAxis | None = None,
    out: NDArray[Any] | None = None,
) -> Any:
    """Cross entropy of logits with labels or probabilities.

        cross_entropy(x, label) = log(sum_j exp(x_j)) - x_label

    Parameters
    ----------
    pred : array_like
        Logits of shape (classes,), (batch, classes) or (batch, classes, ...). float16 is computed in float32.
    target : array_like
        Integer labels, of pred's shape without the classes; or probabilities, of pred's shape, or one-hot rows.
    reduction : {"mean", "sum", "none"}, default "mean"
        The mean is over rows that are not ignored; with weights and labels, it is divided by those of the labels.
    label_smoothing : float, default 0.0
        So much of every target is spread evenly over all classes; from 0 to 1.
    ignore_index : int, default -100
        Rows with this label count for nothing.
    weight : array_like, optional
        One number for each class, that its part in a loss is multiplied by; with 0 it counts for nothing.
    axis : int, optional
        Of the classes, if that is not the second axis, or the only one.
    out : ndarray, optional
        Where to put the losses, with reduction "none".

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
    options = Options(weight, ignore_index, axis, label_smoothing)
    problem = checked(pred, target, reduction, options)
    if out is not None:
        check_values("cross_entropy", out, problem.shape, problem.dtype, reduction)
    result = reduced(problem, _losses(engine(backend), problem), reduction, out)
    if backend == "numba":
        note_labels("cross_entropy", problem, pred, target, reduction, options)
    return result


@offered(Family.CLASSES)
@repeated
def cross_entropy_backward(
    backend: str,
    pred: ArrayLike,
    target: ArrayLike,
    reduction: Reduction = "mean",
    *,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
    weight: ArrayLike | None = None,
    axis: OneAxis | None = None,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Gradient of `cross_entropy` with respect to the logits.

        cross_entropy_backward(x, label) = softmax(x) - onehot(label), over the number of rows for a mean

    Parameters
    ----------
    pred, target, reduction, label_smoothing, ignore_index, weight, axis
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
    options = Options(weight, ignore_index, axis, label_smoothing)
    problem = checked(pred, target, reduction, options)
    result = gradient(backend, problem, pred, target, reduction, out, problem.row_weights)
    if backend == "numba":
        note_labels("cross_entropy_backward", problem, pred, target, reduction, options)
    return result


def gradient(
    backend: str, problem: Problem, pred: Any, target: Any, reduction: str, out: Any, factors: np.ndarray | None
) -> Any:
    """Of losses that are ``factors`` steeper than the cross entropy of labels, one for each row."""
    compute = engine(backend)
    divisor = problem.divisor if reduction == "mean" else 1.0
    scale = 1.0 / divisor if divisor else 1.0
    result = gradient_target(problem, pred, target, out, reads=True)
    if result.size:
        logarithms = None if problem.labels is None else negative_logarithms(compute, problem)
        rows = as_rows(result, (problem.axis,))
        compute.apply("softmax", problem.logits, rows, scale=scale)
        with np.errstate(all="ignore"):
            if logarithms is None:
                _subtract_probabilities(problem, rows, scale)
            elif factors is None:
                _subtract_labels(problem, rows, scale, np.expm1(-logarithms) * scale)
            else:
                _subtract_weighted(problem, rows, scale, logarithms, factors)
    return delivered(result, out)


# -- values ---------------------------------------------------------------------------------------


def _losses(compute: Any, problem: Problem) -> np.ndarray:
    """The loss of every row, (outer, 1, inner), in float64."""
    x, smoothing = problem.logits, problem.smoothing
    if x.size == 0:
        return np.zeros((x.shape[0], 1, x.shape[2]))
    with np.errstate(all="ignore"):
        maximum, log = (a.astype(wide(a.dtype)) for a in compute.statistics(x))
        if problem.labels is None:
            return _expected(x, maximum, log, lambda part: _targets(problem, part))
        loss = times(problem.row_weights, _of_labels(problem, maximum, log))
        if smoothing:
            if problem.weights is None:
                mean = x.sum(axis=1, keepdims=True, dtype=wide(x.dtype)) / x.shape[1]
                evenly = smoothing * ((maximum - mean) + log)
            else:
                share = np.broadcast_to(problem.weights * (smoothing / x.shape[1]), x.shape)
                evenly = _expected(x, maximum, log, share.__getitem__)
            # what does not count at all may be infinite
            loss = evenly if smoothing == 1 else (1 - smoothing) * loss + evenly
        return counted(problem, loss)


def counted(problem: Problem, losses: np.ndarray) -> np.ndarray:
    """0 in rows that do not count."""
    return losses if problem.counted is None else np.where(problem.counted, losses, 0.0)


def times(weights: np.ndarray | None, losses: Any) -> Any:
    """Weighted losses; what weighs nothing may be infinite."""
    return losses if weights is None else np.where(weights == 0, 0.0, weights * losses)


def negative_logarithms(compute: Any, problem: Problem) -> Any:
    """Minus the logarithms of the labels' probabilities, in float64."""
    with np.errstate(all="ignore"):
        return _of_labels(problem, *(a.astype(wide(a.dtype)) for a in compute.statistics(problem.logits)))


def _of_labels(problem: Problem, maximum: np.ndarray, log: np.ndarray) -> Any:
    return (maximum - picked(problem)) + log


def picked(problem: Problem) -> np.ndarray:
    """What pred is at the labels, in float64."""
    assert problem.labels is not None
    return np.take_along_axis(problem.logits, problem.labels, axis=1).astype(wide(problem.dtype))


def _expected(x: np.ndarray, maximum: Any, log: Any, targets_of: Callable[[slice], np.ndarray]) -> np.ndarray:
    """The sum of targets times negative logarithms of probabilities."""
    loss = np.empty((x.shape[0], 1, x.shape[2]), wide(x.dtype))
    for part in _parts(x):
        negative, targets = (maximum[part] - x[part]) + log[part], targets_of(part)
        terms = np.where(targets == 0, 0.0, targets * negative)  # an impossible class may have no finite logarithm
        loss[part] = terms.sum(axis=1, keepdims=True, dtype=loss.dtype)
    return loss


def _parts(x: np.ndarray) -> list[slice]:
    """Of the first axis, with no more than so many elements each."""
    outer, classes, inner = x.shape
    step = max(1, BLOCK // max(1, classes * inner))
    return [slice(start, start + step) for start in range(0, outer, step)]


def _targets(problem: Problem, part: slice) -> np.ndarray:
    """Probabilities of some rows, smoothed and weighted."""
    assert problem.probabilities is not None
    p, smoothing = problem.probabilities[part], problem.smoothing
    targets = p * (1 - smoothing) + smoothing / p.shape[1] if smoothing else p
    return targets if problem.weights is None else targets * problem.weights


#: The compiled drivers of functions of labels.
DRIVERS = {
    "cross_entropy": "drive_labels",
    "cross_entropy_backward": "drive_gradient",
    "nll_loss": "drive_logarithms",
    "nll_loss_backward": "drive_slopes",
}


def note_labels(name: str, problem: Problem, pred: Any, target: Any, reduction: str, options: Options) -> None:
    """Note a call for calls without Python, if all its labels count and weights are of pred's dtype."""
    plain = type(pred) is np.ndarray and type(target) is np.ndarray and target.dtype == np.int64
    labelled = problem.labels is not None and problem.counted is None and not problem.smoothing
    weighted = options.weight is not None
    alike = not weighted or (type(options.weight) is np.ndarray and options.weight.dtype is problem.dtype)
    if plain and labelled and alike and pred.dtype is problem.dtype and problem.dtype in DIRECT:
        given = {
            "pred": pred, "target": target, "reduction": reduction, "ignore_index": options.ignore_index,
            "axis": options.axis, "weight": options.weight,
        }  # fmt: skip
        if name.startswith("cross_entropy"):
            given["label_smoothing"] = options.smoothing
        shape = pred.shape if name.endswith("_backward") else None
        note(name, given, lambda: _work(DRIVERS[name], problem, shape, reduction, options.ignore_index, weighted))


def _work(
    driver: str, problem: Problem, shape: tuple[int, ...] | None, reduction: str, ignored: int, weighted: bool
) -> Work | None:
    """The work of a loss or, if a shape is given, of its gradient."""
    from fastact.rows import engine

    layout, dtype, rows = engine.Layout(*problem.logits.shape), problem.dtype, math.prod(problem.shape)
    by_weights = weighted and reduction == "mean"
    divisor = float(rows) if reduction == "mean" and not weighted else 1.0
    known = engine.known_records(layout, dtype, 1.0 / divisor)
    if 0 <= ignored < layout.length or known is None:
        return None
    summed = reduction != "none" and shape is None
    along, statistics, softmax = known
    scale = struct.unpack("q", struct.pack("d", 1.0 / divisor))
    numbers = [rows, layout.length, layout.inner, summed, along, *scale, *numpy_loop(np.expm1, "d->d")]
    numbers += [weighted, by_weights]
    names = ["pred", "target", *["weight"] * weighted, *["out"] * (not summed)]
    operands = [*map(Operand, names)]
    run = _drivers(dtype.name)[driver]
    sizes, data = words([*numbers, *statistics, *softmax]), address(_left())
    if summed:
        return Work(run, operands, sizes, None, data, (), dtype, Mean(1, divisor), data)
    shape = problem.shape if shape is None else shape
    return Work(run, operands, sizes, words([0]), data, shape, dtype, None, data)


@cache
def _drivers(name: str) -> dict[str, int]:
    from fastact.runtime import compiler

    return compiler.compiled("fastact.losses.label_rows", name)


@once
def _left() -> np.ndarray:
    """How often losses were left to Python, or had no memory to go on in place."""
    return np.zeros(2, np.int64)


# -- gradients ------------------------------------------------------------------------------------

# From softmax(x) * scale to the gradient, in place. The label's own is softmax(x) - 1 as expm1 of the negative loss,
# which is right where the probability is next to 1.


def _subtract_probabilities(problem: Problem, y: np.ndarray, scale: float) -> None:
    assert problem.probabilities is not None
    for part in _parts(y):
        targets = _targets(problem, part)
        if problem.weights is None:
            p = problem.probabilities[part]
            total = p.sum(axis=1, keepdims=True, dtype=wide(p.dtype)) * (1 - problem.smoothing) + problem.smoothing
        else:
            total = targets.sum(axis=1, keepdims=True, dtype=wide(targets.dtype))
        y[part] = y[part] * total - targets * scale


def _subtract_labels(problem: Problem, y: np.ndarray, scale: float, shares: np.ndarray) -> None:
    smoothing, classes = problem.smoothing, y.shape[1]
    if smoothing:
        y -= y.dtype.type(smoothing / classes * scale)
        shares = shares + smoothing * scale * (1 - 1 / classes)
    _put(problem, y, shares)


def _subtract_weighted(
    problem: Problem, y: np.ndarray, scale: float, logarithms: np.ndarray, factors: np.ndarray
) -> None:
    """The same with a factor for each label, and weights of the classes that smoothing spreads over."""
    factors = factors * (1 - problem.smoothing)
    shares = times(factors, np.expm1(-logarithms) * scale)
    if not problem.smoothing or problem.weights is None:
        y *= factors.astype(y.dtype)
    else:
        evenly = problem.weights * (problem.smoothing / y.shape[1])
        y *= (factors + evenly.sum()).astype(y.dtype)
        y -= (evenly * scale).astype(y.dtype)
        shares = shares + scale * (np.exp(-logarithms) * evenly.sum() - evenly.ravel()[problem.labels])
    _put(problem, y, shares)
    if not problem.smoothing:
        np.copyto(y, 0, where=factors == 0)  # times 0 would leave NaN


def _put(problem: Problem, y: np.ndarray, shares: np.ndarray) -> None:
    """The gradients of labels' own logits, and 0 in rows that do not count."""
    assert problem.labels is not None
    np.put_along_axis(y, problem.labels, shares.astype(y.dtype), axis=1)
    if problem.counted is not None:  # times 0 would leave NaN
        np.copyto(y, 0, where=~problem.counted)

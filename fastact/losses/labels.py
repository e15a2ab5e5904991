"""Losses of labels beside the cross entropy: of logarithms that are known, and one that looks at what is hard."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastact.functions.offered import Family, offered
from fastact.losses.classification import counted, gradient, negative_logarithms, note_labels, picked, times
from fastact.losses.definition import Reduction
from fastact.losses.elementwise import check_values
from fastact.losses.problems import Options, Problem, checked, delivered, gradient_target, reduced
from fastact.rows.shapes import OneAxis, as_rows, engine
from fastact.ufuncs.direct import repeated
from fastact.ufuncs.operands import check_not_negative

__all__ = ["nll_loss", "nll_loss_backward", "softmax_focal_loss", "softmax_focal_loss_backward"]


@offered(Family.CLASSES)
@repeated
def nll_loss(
    backend: str,
    pred: ArrayLike,
    target: ArrayLike,
    reduction: Reduction = "mean",
    *,
    weight: ArrayLike | None = None,
    ignore_index: int = -100,
    axis: OneAxis | None = None,
    out: NDArray[Any] | None = None,
) -> Any:
    """Negative logarithm of the probability of labels: the cross entropy of what `log_softmax` returned.

        nll_loss(y, label) = -weight_label * y_label

    Parameters
    ----------
    pred : array_like
        Logarithms of probabilities of shape (classes,), (batch, classes) or (batch, classes, ...).
    target : array_like of int
        Labels, of pred's shape without the classes.
    reduction, weight, ignore_index, axis, out
        As for `cross_entropy`.

    Returns
    -------
    scalar or ndarray
        In pred's dtype; sums are made in float64. The mean of nothing is NaN.

    Raises
    ------
    TypeError, ValueError
        As `cross_entropy` does.

    References
    ----------
    Fisher, On the mathematical foundations of theoretical statistics, 1922.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> float(fastact.nll_loss(np.log([[0.5, 0.5], [0.25, 0.75]]), np.array([0, 0]), "sum"))
    2.0794415416798357
    """
    options = Options(weight, ignore_index, axis)
    problem = _labelled(pred, target, reduction, options)
    if out is not None:
        check_values("nll_loss", out, problem.shape, problem.dtype, reduction)
    with np.errstate(all="ignore"):
        losses = times(problem.row_weights, 0.0 - picked(problem))
    result = reduced(problem, counted(problem, losses), reduction, out)
    if backend == "numba":
        note_labels("nll_loss", problem, pred, target, reduction, options)
    return result


@offered(Family.CLASSES)
@repeated
def nll_loss_backward(
    backend: str,
    pred: ArrayLike,
    target: ArrayLike,
    reduction: Reduction = "mean",
    *,
    weight: ArrayLike | None = None,
    ignore_index: int = -100,
    axis: OneAxis | None = None,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Gradient of `nll_loss` with respect to pred: minus the weight at each label, and 0 elsewhere.

    Parameters
    ----------
    pred, target, reduction, weight, ignore_index, axis
        As for `nll_loss`; for "none", the gradient of the sum.
    out : ndarray, optional
        Where the result goes; it may be pred.

    Returns
    -------
    ndarray
        Of the shape of pred.

    Raises
    ------
    TypeError, ValueError
        As `nll_loss` does, and if out does not fit; nothing has been written then.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> fastact.nll_loss_backward(np.log([[0.5, 0.5]]), np.array([1]))
    array([[ 0., -1.]])
    """
    options = Options(weight, ignore_index, axis)
    problem = _labelled(pred, target, reduction, options)
    result = gradient_target(problem, pred, target, out, reads=False)
    divisor = problem.divisor if reduction == "mean" else 1.0
    assert problem.labels is not None
    weights = np.ones(problem.labels.shape) if problem.row_weights is None else problem.row_weights
    slopes = counted(problem, 0.0 - weights / (divisor or 1.0))
    result[...] = 0
    np.put_along_axis(as_rows(result, (problem.axis,)), problem.labels, slopes.astype(result.dtype), axis=1)
    if backend == "numba":
        note_labels("nll_loss_backward", problem, pred, target, reduction, options)
    return delivered(result, out)


@offered(Family.CLASSES)
def softmax_focal_loss(
    backend: str,
    pred: ArrayLike,
    target: ArrayLike,
    reduction: Reduction = "mean",
    gamma: float = 2.0,
    *,
    weight: ArrayLike | None = None,
    ignore_index: int = -100,
    axis: OneAxis | None = None,
    out: NDArray[Any] | None = None,
) -> Any:
    """Cross entropy of logits with labels that pays little attention to rows that are almost right.

        softmax_focal_loss(x, label) = -weight_label * (1 - p_label)**gamma * log(p_label), p = softmax(x)

    Parameters
    ----------
    pred : array_like
        Logits of shape (classes,), (batch, classes) or (batch, classes, ...). float16 is computed in float32.
    target : array_like of int
        Labels, of pred's shape without the classes.
    gamma : float, default 2.0
        How little: with 0, which is the least, it is the cross entropy.
    reduction, weight, ignore_index, axis, out
        As for `cross_entropy`.

    Returns
    -------
    scalar or ndarray
        In pred's dtype; sums are made in float64. The mean of nothing is NaN.

    Raises
    ------
    TypeError, ValueError
        As `cross_entropy` does, or if gamma is negative.

    References
    ----------
    Lin et al., Focal loss for dense object detection, arXiv:1708.02002.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> float(fastact.softmax_focal_loss(np.array([[0.0, 0.0], [0.0, 100.0]]), np.array([0, 1])))
    0.08664339756999316
    """
    check_not_negative("gamma", gamma)
    problem = _labelled(pred, target, reduction, Options(weight, ignore_index, axis))
    if out is not None:
        check_values("softmax_focal_loss", out, problem.shape, problem.dtype, reduction)
    if not problem.logits.size:
        return reduced(problem, np.zeros(problem.shape), reduction, out)
    with np.errstate(all="ignore"):
        logarithms = negative_logarithms(engine(backend), problem)
        losses = times(problem.row_weights, _missed(logarithms, gamma) * logarithms)
    return reduced(problem, counted(problem, losses), reduction, out)


@offered(Family.CLASSES)
def softmax_focal_loss_backward(
    backend: str,
    pred: ArrayLike,
    target: ArrayLike,
    reduction: Reduction = "mean",
    gamma: float = 2.0,
    *,
    weight: ArrayLike | None = None,
    ignore_index: int = -100,
    axis: OneAxis | None = None,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Gradient of `softmax_focal_loss` with respect to the logits.

    Parameters
    ----------
    pred, target, reduction, gamma, weight, ignore_index, axis
        As for `softmax_focal_loss`; for "none", the gradient of the sum.
    out : ndarray, optional
        Where the result goes; it may be pred.

    Returns
    -------
    ndarray
        Of the shape of pred.

    Raises
    ------
    TypeError, ValueError
        As `softmax_focal_loss` does, and if out does not fit; nothing has been written then.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> fastact.softmax_focal_loss_backward(np.array([[0.0, 0.0]]), np.array([1]), gamma=0.0)
    array([[ 0.5, -0.5]])
    """
    check_not_negative("gamma", gamma)
    problem = _labelled(pred, target, reduction, Options(weight, ignore_index, axis))
    factors = None
    if problem.logits.size:
        factors = times(problem.row_weights, _steeper(negative_logarithms(engine(backend), problem), gamma))
    return gradient(backend, problem, pred, target, reduction, out, factors)


# -- what both forms have in common ---------------------------------------------------------------


def _labelled(pred: Any, target: Any, reduction: str, options: Options) -> Problem:
    problem = checked(pred, target, reduction, options)
    if problem.labels is None:
        raise ValueError(f"target must be integer labels of shape {problem.shape}, not {np.asarray(target).dtype}")
    return problem


def _missed(logarithms: np.ndarray, gamma: float) -> Any:
    """(1 - p)**gamma, for -log(p)."""
    return (-np.expm1(-logarithms)) ** gamma


def _steeper(logarithms: np.ndarray, gamma: float) -> Any:
    """How much steeper the focal loss is than -log(p): by (1 - p)**gamma * (1 - gamma * p * log(p) / (1 - p))."""
    with np.errstate(all="ignore"):
        missed = -np.expm1(-logarithms)
        ratio = np.where(logarithms == np.inf, 0.0, np.exp(-logarithms) * logarithms / missed)
        return missed**gamma * (1 + gamma * np.where(missed == 0, 1.0, ratio))

"""The dice loss: how little two soft sets overlap."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastact.formulas.fallback import wide
from fastact.functions.offered import Family, offered
from fastact.losses.definition import Reduction
from fastact.losses.elementwise import check_reduction, check_values
from fastact.losses.problems import reduced
from fastact.rows.shapes import Axis, as_floats, as_rows, normalized_axes
from fastact.ufuncs.memory import empty
from fastact.ufuncs.operands import check_not_negative
from fastact.ufuncs.targets import check_target

__all__ = ["dice_loss", "dice_loss_backward"]


class Overlap(NamedTuple):
    """Checked arguments, and the sums over an axis that is kept, in float64."""

    pred: np.ndarray
    target: np.ndarray
    dtype: np.dtype
    shape: tuple[int, ...]  # of the losses
    twice: Any  # twice the common part, smoothed
    both: Any  # the sizes of both together, smoothed

    @property
    def divisor(self) -> float:
        """What a mean is divided by."""
        return float(np.size(self.both))


@offered(Family.SETS)
def dice_loss(
    backend: str,
    pred: ArrayLike,
    target: ArrayLike,
    reduction: Reduction = "mean",
    smooth: float = 1.0,
    *,
    axis: Axis = None,
    out: NDArray[Any] | None = None,
) -> Any:
    """One less the share that two soft sets, masks of an image for instance, have in common.

        dice_loss(p, t) = 1 - (2 * sum_i p_i t_i + smooth) / (sum_i p_i + sum_i t_i + smooth)

    Parameters
    ----------
    pred : array_like
        Probabilities, from 0 to 1. float16, float32 or float64; integers and bools count as float64.
    target : array_like
        Probabilities, or truth values; of pred's shape.
    reduction : {"mean", "sum", "none"}, default "mean"
        What becomes of the losses; the mean of nothing is NaN.
    smooth : float, default 1.0
        At least 0. Two empty sets have all in common.
    axis : int, tuple of int or None, default None
        What to sum over within a loss: by default all axes but the first, which is the batch; of one axis, that.
    out : ndarray, optional
        Where to put the losses, with reduction "none".

    Returns
    -------
    scalar or ndarray
        In the dtype of both promoted; sums are made in float64.

    Raises
    ------
    TypeError
        If an argument is complex, an object, a string or a date.
    ValueError
        If shapes differ, an axis does not exist, or smooth is negative.

    References
    ----------
    Dice, Measures of the amount of ecologic association between species, 1945; Milletari et al., arXiv:1606.04797.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> float(fastact.dice_loss(np.array([[1.0, 0.0, 1.0]]), np.array([[True, False, False]]), smooth=0.0))
    0.33333333333333337
    """
    overlap = _checked(pred, target, reduction, smooth, axis)
    if out is not None:
        check_values("dice_loss", out, overlap.shape, overlap.dtype, reduction)
    with np.errstate(all="ignore"):
        losses = 1 - np.where(overlap.both == 0, 1, overlap.twice / overlap.both)
    return reduced(overlap, losses, reduction, out)


@offered(Family.SETS)
def dice_loss_backward(
    backend: str,
    pred: ArrayLike,
    target: ArrayLike,
    reduction: Reduction = "mean",
    smooth: float = 1.0,
    *,
    axis: Axis = None,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Gradient of `dice_loss` with respect to pred.

    Parameters
    ----------
    pred, target, reduction, smooth, axis
        As for `dice_loss`; for "none", the gradient of the sum.
    out : ndarray, optional
        Where the result goes; it may be pred.

    Returns
    -------
    ndarray
        Of the shape of pred; 0 where both sets are empty.

    Raises
    ------
    TypeError, ValueError
        As `dice_loss` does, and if out does not fit; nothing has been written then.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> fastact.dice_loss_backward(np.array([[1.0, 1.0]]), np.array([[True, True]]), smooth=0.0)
    array([[-0.25, -0.25]])
    """
    overlap = _checked(pred, target, reduction, smooth, axis)
    if out is not None:
        check_target("out", out, overlap.pred.shape, overlap.dtype)
    count = overlap.divisor if reduction == "mean" else 1
    with np.errstate(all="ignore"):
        share = np.where(overlap.both == 0, 0, 1 / overlap.both) / max(count, 1)
        constant = share * (overlap.twice / overlap.both)
        slopes = np.where(share == 0, 0, constant - 2 * share * overlap.target)
        result = empty(overlap.pred.shape, overlap.dtype) if out is None else out
        result[...] = slopes
    return result


def _checked(pred: Any, target: Any, reduction: str, smooth: Any, axis: Any) -> Overlap:
    check_reduction(reduction)
    check_not_negative("smooth", smooth)
    p, t = as_floats(pred, "pred"), as_floats(target, "target")
    if p.shape != t.shape:
        raise ValueError(f"pred has shape {p.shape} and target has shape {t.shape}; they must be equal")
    axes = tuple(range(min(1, p.ndim - 1), p.ndim)) if axis is None else normalized_axes(axis, p.ndim)
    axes = axes if p.ndim else ()
    kept = tuple(1 if i in axes else n for i, n in enumerate(p.shape))
    rows = [as_rows(a, axes) if axes else a.reshape(1, 1, -1) for a in (p, t)]
    sums = wide(np.result_type(*rows))
    common = np.einsum("oni,oni->oi", *rows, dtype=sums, casting="same_kind")
    sizes = rows[0].sum(axis=1, dtype=sums) + rows[1].sum(axis=1, dtype=sums)
    shape = tuple(n for i, n in enumerate(p.shape) if i not in axes)
    dtype = p.dtype if np.asarray(target).dtype == bool else np.result_type(p, t)  # truth values have none of their own
    return Overlap(p, t, dtype, shape, (2 * common + smooth).reshape(kept), (sizes + smooth).reshape(kept))

"""Functions along an axis: the softmax family."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastact.functions.offered import Family, offered
from fastact.rows.shapes import Axis, along, along_both, as_floats, engine, masked, normalized_axes
from fastact.ufuncs.direct import repeated
from fastact.ufuncs.memory import empty

__all__ = [
    "gumbel_softmax", "log_softmax", "log_softmax_backward", "softmax", "softmax_backward", "softmin",
    "softmin_backward",
]  # fmt: skip


@offered(Family.ALONG)
@repeated
def softmax(
    backend: str,
    x: ArrayLike,
    axis: Axis = -1,
    *,
    out: NDArray[Any] | None = None,
    where: ArrayLike | None = None,
    dtype: DTypeLike | None = None,
) -> NDArray[Any]:
    """Probabilities that belong to logits, along an axis.

        softmax(x)_i = exp(x_i) / sum_j exp(x_j)

    Parameters
    ----------
    x : array_like
        float16 is computed in float32, integers and bools give float64.
    axis : int, tuple of int or None, default -1
        The axis, or the axes together, along which results add up to 1; None means all.
    out : ndarray, optional
        Where the result goes; it may be x itself.
    where : array_like of bool, optional
        Broadcasts against x; where it is false, an element does not count, and its result is 0.
    dtype : dtype, optional
        float16, float32 or float64: what x is converted to first, and the dtype of results.

    Returns
    -------
    ndarray or scalar
        Of the shape of x. A row with NaN or plus infinity in it, or of nothing but minus infinity, is NaN.

    Raises
    ------
    TypeError
        If x is complex, an object, a string or a date, or out cannot hold the result.
    ValueError
        If the axis does not exist or out has another shape.

    References
    ----------
    Boltzmann, 1868; Bridle, NIPS 1989.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> fastact.softmax(np.array([[0.0, 0.0], [1000.0, 1000.0]]))
    array([[0.5, 0.5],
           [0.5, 0.5]])
    """
    return along(engine(backend), "softmax", axis, out, masked(as_floats(x, dtype=dtype), where))


@offered(Family.ALONG)
@repeated
def softmin(
    backend: str, x: ArrayLike, axis: Axis = -1, *, out: NDArray[Any] | None = None, dtype: DTypeLike | None = None
) -> NDArray[Any]:
    """softmax of -x: the smallest element gets the largest share.

    Parameters
    ----------
    x, axis, out, dtype
        As for `softmax`.

    Returns
    -------
    ndarray or scalar
        Of the shape of x.

    Raises
    ------
    TypeError, ValueError
        As `softmax` does.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> fastact.softmin(np.array([3.0, 3.0]))
    array([0.5, 0.5])
    """
    return along(engine(backend), "softmin", axis, out, as_floats(x, dtype=dtype))


@offered(Family.ALONG)
@repeated
def log_softmax(
    backend: str,
    x: ArrayLike,
    axis: Axis = -1,
    *,
    out: NDArray[Any] | None = None,
    where: ArrayLike | None = None,
    dtype: DTypeLike | None = None,
) -> NDArray[Any]:
    """Logarithm of `softmax`, right also where a probability is next to 1 or vanishes.

        log_softmax(x)_i = x_i - log(sum_j exp(x_j))

    Parameters
    ----------
    x, axis, out, where, dtype
        As for `softmax`; where an element does not count, its result is minus infinity.

    Returns
    -------
    ndarray or scalar
        Of the shape of x.

    Raises
    ------
    TypeError, ValueError
        As `softmax` does.

    References
    ----------
    Blanchard, Higham and Higham, IMA J. Numer. Anal. 41, 2021.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> fastact.log_softmax(np.array([0.0, 50.0]))
    array([-5.00000000e+01, -1.92874985e-22])
    """
    return along(engine(backend), "log_softmax", axis, out, masked(as_floats(x, dtype=dtype), where))


@offered(Family.ALONG)
def gumbel_softmax(
    backend: str,
    logits: ArrayLike,
    tau: float = 1.0,
    hard: bool = False,
    axis: Axis = -1,
    rng: np.random.Generator | int | None = None,
) -> NDArray[Any]:
    """A draw from the distribution that logits stand for, made soft so that it has a gradient.

        gumbel_softmax(x) = softmax((x - log(E)) / tau), each E a standard exponential random number

    Parameters
    ----------
    logits : array_like
        float16 is computed in float32, integers and bools give float64.
    tau : float, default 1.0
        Temperature: towards 0, draws become one-hot.
    hard : bool, default False
        Return the one-hot vector of the largest element instead.
    axis : int, tuple of int or None, default -1
        Along which results add up to 1.
    rng : None, int or numpy.random.Generator, default None
        Where random numbers come from.

    Returns
    -------
    ndarray or scalar
        Of the shape of logits.

    Raises
    ------
    TypeError
        As `softmax` does.
    ValueError
        If tau is not positive, or as `softmax` does.

    References
    ----------
    Jang, Gu and Poole, arXiv:1611.01144; Maddison, Mnih and Teh, arXiv:1611.00712.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> y = fastact.gumbel_softmax(np.zeros((2, 3)), hard=True, rng=0)
    >>> y.sum(axis=-1)
    array([1., 1.])
    """
    if not isinstance(tau, Real):
        raise TypeError(f"tau must be a number, not {type(tau).__name__}")
    if not tau > 0:
        raise ValueError(f"tau must be positive, not {tau!r}")
    x = as_floats(logits)
    axes = normalized_axes(axis, x.ndim)
    kind: Any = np.float64 if x.dtype.itemsize >= 8 else np.float32
    noise = np.random.default_rng(rng).standard_exponential(x.shape, kind)
    # A temperature that float32 has no full precision for; infinite differences say all there is to say in float64.
    wide: Any = kind if float(np.finfo(kind).tiny) <= tau <= float(np.finfo(kind).max) else np.float64
    wide = np.longdouble if x.dtype.char == "g" else wide
    with np.errstate(all="ignore"):
        drawn = np.asarray(x - np.log(np.maximum(noise, np.finfo(kind).tiny)), wide)
        # Only distances from the largest are divided: those of a tiny tau would all be infinite otherwise.
        drawn -= drawn.max(axis=axes if x.ndim else None, keepdims=True, initial=-np.inf)
        if not hard:
            drawn /= wide(tau)
    target = None if drawn.dtype == x.dtype else empty(x.shape, x.dtype)
    operation, computing = ("hardmax", "numpy") if hard else ("softmax", backend)
    result = along(engine(computing), operation, axis, target, drawn)
    return result if x.ndim else result[()]


@offered(Family.ALONG)
@repeated
def softmax_backward(
    backend: str, grad: ArrayLike, y: ArrayLike, axis: Axis = -1, *, out: NDArray[Any] | None = None
) -> NDArray[Any]:
    """Gradient with respect to the logits, from the gradient with respect to ``y = softmax(x)`` and y itself.

        softmax_backward(grad, y) = y * (grad - sum_j grad_j y_j)

    Parameters
    ----------
    grad : array_like
        Of the shape of y.
    y : array_like
        What `softmax` returned.
    axis : int, tuple of int or None, default -1
        The axis of that call.
    out : ndarray, optional
        Where the result goes; it may be grad or y.

    Returns
    -------
    ndarray or scalar
        Of the shape of y.

    Raises
    ------
    TypeError
        If an array is complex, an object, a string or a date.
    ValueError
        If shapes differ or the axis does not exist.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> fastact.softmax_backward(np.array([1.0, 0.0]), np.array([0.5, 0.5]))
    array([ 0.25, -0.25])
    """
    return along_both(backend, "softmax_backward", grad, y, axis, out)


@offered(Family.ALONG)
@repeated
def softmin_backward(
    backend: str, grad: ArrayLike, y: ArrayLike, axis: Axis = -1, *, out: NDArray[Any] | None = None
) -> NDArray[Any]:
    """Gradient with respect to x, from the gradient with respect to ``y = softmin(x)`` and y itself.

        softmin_backward(grad, y) = y * (sum_j grad_j y_j - grad)

    Parameters
    ----------
    grad, y, axis, out
        As for `softmax_backward`; y is what `softmin` returned.

    Returns
    -------
    ndarray or scalar
        Of the shape of y.

    Raises
    ------
    TypeError, ValueError
        As `softmax_backward` does.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> fastact.softmin_backward(np.array([1.0, 0.0]), np.array([0.5, 0.5]))
    array([-0.25,  0.25])
    """
    return along_both(backend, "softmin_backward", grad, y, axis, out)


@offered(Family.ALONG)
@repeated
def log_softmax_backward(
    backend: str, grad: ArrayLike, y: ArrayLike, axis: Axis = -1, *, out: NDArray[Any] | None = None
) -> NDArray[Any]:
    """Gradient with respect to the logits, from the gradient with respect to ``y = log_softmax(x)`` and y itself.

        log_softmax_backward(grad, y) = grad - exp(y) * sum_j grad_j

    Parameters
    ----------
    grad, y, axis, out
        As for `softmax_backward`; y is what `log_softmax` returned.

    Returns
    -------
    ndarray or scalar
        Of the shape of y.

    Raises
    ------
    TypeError, ValueError
        As `softmax_backward` does.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> fastact.log_softmax_backward(np.array([1.0, 0.0]), np.log(np.array([0.5, 0.5])))
    array([ 0.5, -0.5])
    """
    return along_both(backend, "log_softmax_backward", grad, y, axis, out)

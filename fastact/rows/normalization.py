"""Normalization along axes: layer_norm and rms_norm."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastact.formulas.fallback import wide
from fastact.functions.offered import Family, offered
from fastact.rows.shapes import Axis, as_floats, as_rows, can_write, engine, normalized_axes
from fastact.ufuncs.memory import empty
from fastact.ufuncs.operands import check_not_negative
from fastact.ufuncs.targets import check_target, written

__all__ = ["layer_norm", "layer_norm_backward", "rms_norm", "rms_norm_backward"]


@offered(Family.NORM)
def layer_norm(
    backend: str,
    x: ArrayLike,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    axis: Axis = -1,
    eps: float = 1e-5,
    *,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Rows brought to mean 0 and variance 1, then scaled and shifted.

        layer_norm(x) = (x - mean(x)) / sqrt(variance(x) + eps) * weight + bias

    Parameters
    ----------
    x : array_like
        float16 is computed in float32, integers and bools give float64.
    weight, bias : array_like, optional
        Of the shape of x along the axes.
    axis : int, tuple of int or None, default -1
        The axis, or the axes together, of a row; None means all.
    eps : float, default 1e-5
        What is added to the variance; at least 0.
    out : ndarray, optional
        Where the result goes; it may be x itself.

    Returns
    -------
    ndarray or scalar
        Of the shape and dtype of x.

    Raises
    ------
    TypeError
        If an array is complex, an object, a string or a date, or out cannot hold the result.
    ValueError
        If the axis does not exist, a shape does not fit, or eps is negative.

    References
    ----------
    Ba, Kiros and Hinton, arXiv:1607.06450.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> fastact.layer_norm(np.array([[1.0, 3.0], [-5.0, 5.0]]), eps=0.0)
    array([[-1.,  1.],
           [-1.,  1.]])
    """
    return _value(backend, "layer_norm", x, weight, bias, axis, eps, out)


@offered(Family.NORM)
def rms_norm(
    backend: str,
    x: ArrayLike,
    weight: ArrayLike | None = None,
    axis: Axis = -1,
    eps: float | None = None,
    *,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Rows brought to a mean square of 1, then scaled.

        rms_norm(x) = x / sqrt(mean(x**2) + eps) * weight

    Parameters
    ----------
    x, weight, axis, out
        As for `layer_norm`.
    eps : float, optional
        What is added to the mean square; by default, the distance from 1 to the next number of x's dtype.

    Returns
    -------
    ndarray or scalar
        Of the shape and dtype of x.

    Raises
    ------
    TypeError, ValueError
        As `layer_norm` does.

    References
    ----------
    Zhang and Sennrich, arXiv:1910.07467.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> fastact.rms_norm(np.array([[1.0, 7.0]]), eps=0.0)
    array([[0.2, 1.4]])
    """
    return _value(backend, "rms_norm", x, weight, None, axis, eps, out)


@offered(Family.NORM)
def layer_norm_backward(
    backend: str,
    grad: ArrayLike,
    x: ArrayLike,
    weight: ArrayLike | None = None,
    axis: Axis = -1,
    eps: float = 1e-5,
    *,
    out: NDArray[Any] | None = None,
) -> NDArray[Any] | tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Gradients of `layer_norm` with respect to x, weight and bias.

    Parameters
    ----------
    grad : array_like
        Gradient with respect to the result; of the shape of x.
    x, weight, axis, eps
        As for `layer_norm`.
    out : ndarray, optional
        Where the gradient with respect to x goes; it may be x or grad.

    Returns
    -------
    ndarray, or a tuple of three
        dx; with a weight, also dweight and dbias.

    Raises
    ------
    TypeError, ValueError
        As `layer_norm` does, and if shapes differ.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> dx, dweight, dbias = fastact.layer_norm_backward(np.ones((1, 2)), np.array([[1.0, 3.0]]), np.ones(2), eps=0.0)
    >>> dx, dweight, dbias
    (array([[0., 0.]]), array([-1.,  1.]), array([1., 1.]))
    """
    return _gradients(backend, "layer_norm", grad, x, weight, axis, eps, out)


@offered(Family.NORM)
def rms_norm_backward(
    backend: str,
    grad: ArrayLike,
    x: ArrayLike,
    weight: ArrayLike | None = None,
    axis: Axis = -1,
    eps: float | None = None,
    *,
    out: NDArray[Any] | None = None,
) -> NDArray[Any] | tuple[NDArray[Any], NDArray[Any]]:
    """Gradients of `rms_norm` with respect to x and weight.

    Parameters
    ----------
    grad, x, weight, axis, eps, out
        As for `layer_norm_backward`; eps as for `rms_norm`.

    Returns
    -------
    ndarray, or a pair
        dx; with a weight, also dweight.

    Raises
    ------
    TypeError, ValueError
        As `layer_norm_backward` does.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> fastact.rms_norm_backward(np.ones((1, 2)), np.array([[3.0, 3.0]]), eps=0.0)
    array([[0., 0.]])
    """
    return _gradients(backend, "rms_norm", grad, x, weight, axis, eps, out)


# -- what both have in common ---------------------------------------------------------------------


def _value(backend: str, name: str, x: Any, weight: Any, bias: Any, axis: Any, eps: Any, out: Any) -> Any:
    x = as_floats(x)
    axes = normalized_axes(axis, x.ndim)
    eps = _checked_eps(eps, x.dtype)
    weight, bias = _fitted("weight", weight, x, axes), _fitted("bias", bias, x, axes)
    if out is not None:
        check_target("out", out, x.shape, x.dtype)
    factor = np.ones((1,) * x.ndim, x.dtype) if weight is None else weight
    result = _along(backend, name, axes, eps, out, x, np.broadcast_to(factor, x.shape))
    with np.errstate(all="ignore"):
        if bias is not None:
            result += bias
        if out is not None and result is not out:
            np.asarray(out)[...] = result
    return result[()] if out is None else written(out)


def _gradients(backend: str, name: str, grad: Any, x: Any, weight: Any, axis: Any, eps: Any, out: Any) -> Any:
    grad, x = as_floats(grad, "grad"), as_floats(x)
    if grad.shape != x.shape:
        raise ValueError(f"grad has shape {grad.shape} and x has shape {x.shape}; they must be equal")
    dtype = np.result_type(grad, x)
    grad, x = grad.astype(dtype, copy=False), x.astype(dtype, copy=False)
    axes = normalized_axes(axis, x.ndim)
    eps = _checked_eps(eps, dtype)
    weight = _fitted("weight", weight, x, axes)
    if out is not None:
        check_target("out", out, x.shape, dtype)
    learned: tuple[Any, ...] = ()
    with np.errstate(all="ignore"):
        if weight is not None:
            ones = np.broadcast_to(np.ones((1,) * x.ndim, dtype), x.shape)
            others = tuple(i for i in range(x.ndim) if i not in axes)
            products = [grad * _along(backend, name, axes, eps, None, x, ones)]
            products += [grad] if name == "layer_norm" else []
            learned = tuple(p.sum(axis=others, dtype=wide(dtype)).astype(dtype) for p in products)
            grad = grad * weight
        result = _along(backend, f"{name}_backward", axes, eps, out, x, grad)
        if out is not None and result is not out:
            np.asarray(out)[...] = result
    result = result[()] if out is None else written(out)
    return (result, *learned) if weight is not None else result


def _along(backend: str, operation: str, axes: tuple[int, ...], eps: float, out: Any, x: Any, other: Any) -> Any:
    """The engine's result; in out, where it can be written there."""
    usable = out is not None and type(out) is np.ndarray and out.dtype == x.dtype and bool(axes)
    target = out if usable and can_write(out, axes, (x, other)) else None
    result: np.ndarray = empty(x.shape, x.dtype) if target is None else target
    if not x.size:
        return result
    if x.ndim and not axes:  # each element is a row of its own
        engine(backend).apply(operation, *(a.reshape(-1, 1, 1) for a in (x, other, result)), scale=eps)
        return result
    rows = as_rows(result, axes)
    engine(backend).apply(operation, as_rows(x, axes), as_rows(other, axes), rows, scale=eps)
    if not np.shares_memory(rows, result):  # the axes were not neighbours
        moved = np.moveaxis(result, axes, range(axes[0], axes[0] + len(axes)))
        moved[...] = rows.reshape(moved.shape)
    return result


def _checked_eps(eps: Any, dtype: np.dtype) -> float:
    if eps is None:
        return float(np.finfo(dtype).eps)
    check_not_negative("eps", eps)
    return float(eps)


def _fitted(name: str, given: Any, x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray | None:
    """A weight or bias in x's dtype, with an axis for each of x's."""
    if given is None:
        return None
    array = as_floats(given, name)
    shape = tuple(x.shape[i] for i in axes) if x.ndim else ()
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, as x along the axes, not {array.shape}")
    with np.errstate(all="ignore"):
        return array.astype(x.dtype, copy=False).reshape(tuple(n if i in axes else 1 for i, n in enumerate(x.shape)))

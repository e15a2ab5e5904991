"""Dense layers: a matrix product with bias and activation, and its gradients."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastact import matmul
from fastact.activations import Activation
from fastact.functions import offered
from fastact.layer_checks import COMPUTED_IN, activation_of, are_plain, check_target, common_dtype, forward_shape
from fastact.memory import empty
from fastact.ufunc import loop_of, make_ufunc

__all__ = ["dense", "dense_backward"]

#: Bytes of a block of intermediate results that stays in the third-level cache, in the backward pass and where another
#: library multiplies: large beside the weights, which are packed once for each.
BLOCK_BYTES = 4 << 20


@offered
def dense(
    backend: str,
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    activation: str | Activation = "identity",
    *,
    out: np.ndarray | None = None,
    preactivation: np.ndarray | None = None,
) -> np.ndarray:
    """A dense layer: ``activation(x @ weight.T + bias)``.

    Parameters
    ----------
    x : array_like, shape (..., n_in)
        Real numbers; whatever strides it has.
    weight : array_like, shape (n_out, n_in)
    bias : array_like, shape (n_out,), optional
        None (the default) adds nothing.
    activation : str or Activation, default "identity"
        A name in ``fastact.ACTIVATIONS``, or an activation made with `fastact.activation`; its parameters take their
        defaults.
    out : ndarray, shape (..., n_out), optional
        Receives the result; it may overlap the operands.
    preactivation : ndarray, shape (..., n_out), optional
        Receives ``x @ weight.T + bias``, which `dense_backward` needs.

    Returns
    -------
    ndarray, shape (..., n_out)
        ``out`` if given. The dtype is that of NumPy's promotion: float32 if all operands are, float64 for integers;
        float16 is computed in float32.

    Raises
    ------
    TypeError
        If an operand is not real, or a result cannot be cast to the dtype of where it is to go.
    ValueError
        If shapes do not fit, ``out`` or ``preactivation`` cannot be written or overlap each other, no activation has
        that name, or it has a parameter without a default.

    References
    ----------
    Rosenblatt, The perceptron, 1958. ``torch.nn.functional.linear`` has the same layout of weights.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> x = np.array([[1.0, 2.0], [0.0, -1.0]])
    >>> weight, bias = np.array([[0.5, 0.5], [-1.0, 0.0], [0.0, 1.0]]), np.array([0.5, 0.0, 0.0])
    >>> fastact.dense(x, weight, bias, "relu")
    array([[2., 0., 2.],
           [0., 0., 0.]])
    """
    entry = activation_of(activation)
    if out is None and preactivation is None and are_plain(x, weight, bias) and _compiled(backend):
        return _forward_plain(x, weight, bias, entry)
    arrays = {"x": np.asarray(x), "weight": np.asarray(weight)}
    if bias is not None:
        arrays["bias"] = np.asarray(bias)
    result = common_dtype(arrays)
    shape = forward_shape(arrays)
    if out is not None:
        check_target("out", out, shape, result)
    if preactivation is not None:
        check_target("preactivation", preactivation, shape, result)
        if out is not None and np.may_share_memory(out, preactivation):
            raise ValueError("out and preactivation overlap in memory; each needs its own")
    computed = COMPUTED_IN[result.char]
    operands = [np.asarray(array, computed) for array in arrays.values()]
    y = _writable_as_rows(out, shape, computed, operands)
    z = None if preactivation is None else _writable_as_rows(preactivation, shape, computed, operands)
    x2 = operands[0].reshape(_rows(shape), operands[0].shape[-1])
    _forward(backend, x2, operands[1], operands[2] if bias is not None else None, entry, y, z)
    if z is not None:
        _hand_over(z, preactivation, shape, result)
    return _hand_over(y, out, shape, result)


@offered
def dense_backward(
    backend: str,
    grad: ArrayLike,
    x: ArrayLike,
    weight: ArrayLike,
    preactivation: ArrayLike,
    activation: str | Activation = "identity",
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients of a dense layer: ``dz @ weight``, ``dz.T @ x`` and dz's column sums, ``dz = grad * activation'(z)``.

    Parameters
    ----------
    grad : array_like, shape (..., n_out)
        The gradient with respect to what `dense` returned.
    x : array_like, shape (..., n_in)
    weight : array_like, shape (n_out, n_in)
    preactivation : array_like, shape (..., n_out)
        What `dense` wrote there.
    activation : str or Activation, default "identity"
        The same as in `dense`.

    Returns
    -------
    dx : ndarray, shape (..., n_in)
    dweight : ndarray, shape (n_out, n_in)
    dbias : ndarray, shape (n_out,)
        In the dtypes of x, weight and weight; float64 for integers.

    Raises
    ------
    TypeError
        If an operand is not real.
    ValueError
        If shapes do not fit, no activation has that name, or it has a parameter without a default.

    References
    ----------
    Rumelhart, Hinton and Williams, Learning representations by back-propagating errors, 1986.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> x, weight, z = np.array([[1.0, 2.0]]), np.array([[0.5, 0.5], [-1.0, 0.0]]), np.empty((1, 2))
    >>> y = fastact.dense(x, weight, activation="relu", preactivation=z)
    >>> dx, dweight, dbias = fastact.dense_backward(np.ones((1, 2)), x, weight, z, "relu")
    >>> dx, dweight, dbias
    (array([[0.5, 0.5]]), array([[1., 2.],
           [0., 0.]]), array([1., 0.]))
    """
    entry = activation_of(activation)
    arrays = {"grad": np.asarray(grad), "x": np.asarray(x), "weight": np.asarray(weight)}
    arrays["preactivation"] = np.asarray(preactivation)
    computed = COMPUTED_IN[common_dtype(arrays).char]
    shape = forward_shape(arrays)
    for name in ("grad", "preactivation"):
        if arrays[name].shape != shape:
            raise ValueError(f"{name} must have shape {shape}, as the layer's result, not {arrays[name].shape}")
    n_out, n_in = arrays["weight"].shape
    g, x2, w, z = (np.asarray(array, computed) for array in arrays.values())
    rows = _rows(shape)
    g, x2, z = g.reshape(rows, n_out), x2.reshape(rows, n_in), z.reshape(rows, n_out)
    dx, dweight, dbias = empty((rows, n_in), computed), empty((n_out, n_in), computed), np.empty(n_out, computed)
    _backward(backend, g, x2, w, z, entry, dx, dweight, dbias)
    dx_dtype, dw_dtype = (common_dtype({name: arrays[name]}) for name in ("x", "weight"))
    return (
        _cast(dx.reshape(arrays["x"].shape), dx_dtype),
        _cast(dweight, dw_dtype),
        _cast(dbias, dw_dtype),
    )


# -- where results go ---------------------------------------------------------------------------------


def _rows(shape: tuple[int, ...]) -> int:
    return math.prod(shape[:-1])


def _writable_as_rows(
    target: np.ndarray | None, shape: tuple[int, ...], dtype: np.dtype, operands: list[np.ndarray]
) -> np.ndarray:
    """The target as a matrix with contiguous rows that can be written while the operands are read, or new memory."""
    rows = (_rows(shape), shape[-1])
    if target is None or type(target) is not np.ndarray or target.dtype != dtype:
        return empty(rows, dtype)
    if any(np.may_share_memory(target, operand) for operand in operands):
        return empty(rows, dtype)
    if target.flags.c_contiguous:
        return target.reshape(rows)
    if target.ndim == 2 and target.strides[1] == dtype.itemsize:
        return target
    return empty(rows, dtype)


def _hand_over(computed: np.ndarray, target: np.ndarray | None, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """The result where and as it was wanted."""
    if target is None:
        return _cast(computed.reshape(shape), dtype)
    if not np.may_share_memory(computed, target):
        target[...] = _cast(computed.reshape(shape), target.dtype)
    return target


def _cast(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if array.dtype == dtype:
        return array
    with np.errstate(all="ignore"):  # what is too large for float16 is infinite
        return array.astype(dtype)


# -- how it is computed -----------------------------------------------------------------------------


@cache
def _loop(entry: Activation, kind: str) -> tuple[int, int]:
    """The compiled loop of the activation's value for a dtype's letter; none for the identity."""
    return (0, 0) if entry.name == "identity" else loop_of(_ufunc(entry, "value", "numba"), np.dtype(kind))


@cache
def _ufunc(entry: Activation, kind: str, backend: str) -> np.ufunc:
    """The activation as a ufunc without parameters."""
    if not entry.parameters and not entry.options:
        ufunc: Any = entry.callable(kind, backend)
        return ufunc
    definition = entry.definition(kind, fixed=True)
    return make_ufunc(definition._replace(results=definition.results[:1]), backend)


def _compiled(backend: str) -> bool:
    return backend == "numba" and matmul.choice()[0] == "jit"


def _blocks(rows: int, row_bytes: int) -> list[slice]:
    """Runs of rows of about BLOCK_BYTES."""
    count = max(1, -(-rows * row_bytes // BLOCK_BYTES))
    return [slice(rows * i // count, rows * (i + 1) // count) for i in range(count)]


def _forward_plain(x: Any, weight: Any, bias: Any, entry: Activation) -> np.ndarray:
    y = empty((len(x), len(weight)), x.dtype)
    matmul.multiply(x, weight.T, y, bias, loop=_loop(entry, y.dtype.char))
    return y


def _forward(
    backend: str,
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    entry: Activation,
    y: np.ndarray,
    z: np.ndarray | None,
) -> None:
    """``y = activation(x @ weight.T + bias)``, and z without the activation."""
    if _compiled(backend):
        bias = None if bias is None else np.ascontiguousarray(bias)
        loop = _loop(entry, y.dtype.char)
        if z is None:
            matmul.multiply(x, weight.T, y, bias, loop=loop)
        elif loop[0]:
            matmul.multiply(x, weight.T, z, bias, loop=loop, out=y)
        else:
            matmul.multiply(x, weight.T, z, bias)
            y[...] = z
        return
    ufunc = None if entry.name == "identity" else _ufunc(entry, "value", backend)
    with np.errstate(all="ignore"):
        for rows in _blocks(len(x), y.itemsize * y.shape[1]):
            target = y[rows] if z is None else z[rows]
            np.matmul(x[rows], weight.T, out=target)
            if bias is not None:
                target += bias
            if ufunc is not None:
                ufunc(target, out=y[rows])
            elif z is not None:
                y[rows] = target


def _backward(
    backend: str,
    grad: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray,
    z: np.ndarray,
    entry: Activation,
    dx: np.ndarray,
    dweight: np.ndarray,
    dbias: np.ndarray,
) -> None:
    """The three gradients, block by block of rows: dz is read three times while it is in the cache."""
    ufunc = None if entry.name == "identity" else _ufunc(entry, "backward", backend)
    compiled = _compiled(backend)
    blocks = _blocks(len(x), grad.itemsize * max(grad.shape[1], 1))
    memory = None if ufunc is None else np.empty((max(s.stop - s.start for s in blocks), grad.shape[1]), grad.dtype)
    ones = np.broadcast_to(grad.dtype.type(1), (1, len(x)))
    with np.errstate(all="ignore"):
        for number, rows in enumerate(blocks):
            dz = grad[rows]
            if ufunc is not None and memory is not None:
                dz = ufunc(grad[rows], z[rows], out=memory[: len(dz)])
            if compiled:
                again = number > 0
                matmul.multiply(dz, weight, dx[rows])
                matmul.multiply(dz.T, x[rows], dweight, accumulate=again)
                matmul.multiply(ones[:, : len(dz)], dz, dbias[np.newaxis], accumulate=again)
            else:
                np.matmul(dz, weight, out=dx[rows])
                product, total = np.matmul(dz.T, x[rows]), np.add.reduce(dz, axis=0)
                np.add(dweight if number else 0, product, out=dweight)
                np.add(dbias if number else 0, total, out=dbias)

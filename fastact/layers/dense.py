"""Dense layers: a matrix product with bias and activation, and its gradients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastact.catalogue import Activation
from fastact.containers.recognition import as_array
from fastact.functions.offered import Family, offered
from fastact.layers import compiled
from fastact.layers.checks import (
    COMPUTED_IN,
    activation_of,
    are_matrices,
    are_plain,
    common_dtype,
    forward_shape,
    is_identity,
)
from fastact.layers.matmul import BLOCK_BYTES, multiplies_here
from fastact.ufuncs.direct import note, repeated
from fastact.ufuncs.memory import empty
from fastact.ufuncs.targets import check_target

__all__ = ["dense", "dense_backward"]


@offered(Family.DENSE)
@repeated
def dense(
    backend: str,
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    activation: str | Activation = "identity",
    *,
    out: NDArray[Any] | None = None,
    preactivation: NDArray[Any] | None = None,
) -> NDArray[Any]:
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
    given = {"x": x, "weight": weight, "bias": bias, "activation": activation, "preactivation": preactivation}
    if are_plain(x, weight, bias, out, preactivation) and _compiled(backend, x, weight):
        try:
            y = compiled.forward(x, weight, bias, entry, out, preactivation)  # type: ignore[arg-type]
        except ValueError:
            pass  # NumPy found shapes that do not fit; what follows says so in our words
        else:
            note("dense", given, lambda: compiled.forward_work(given, entry), "weight")
            return y
    arrays = {"x": as_array(x), "weight": as_array(weight)}
    if bias is not None:
        arrays["bias"] = as_array(bias)
    result = common_dtype(arrays)
    shape = forward_shape(arrays)
    if out is not None:
        check_target("out", out, shape, result)
    if preactivation is not None:
        check_target("preactivation", preactivation, shape, result)
        if out is not None and np.may_share_memory(out, preactivation):
            raise ValueError("out and preactivation overlap in memory; each needs its own")
    y = empty(shape, result) if out is None else out
    computed = COMPUTED_IN[result.char]
    operands = [np.asarray(array, computed) for array in arrays.values()]
    y_rows = _as_rows(y, computed, operands)
    z_rows = None if preactivation is None else _as_rows(preactivation, computed, operands)
    x2 = operands[0].reshape(len(y_rows), operands[0].shape[-1])
    bias = operands[2] if bias is not None else None
    if _compiled(backend, x2, operands[1]):
        compiled.forward(x2, operands[1], bias, entry, y_rows, z_rows)
        note("dense", given, lambda: compiled.forward_work(given, entry), "weight")
    else:
        _forward(backend, x2, operands[1], bias, entry, y_rows, z_rows)
    if preactivation is not None and z_rows is not None:
        _hand_over(z_rows, preactivation)
    return _hand_over(y_rows, y)


@offered(Family.DENSE)
@repeated
def dense_backward(
    backend: str,
    grad: ArrayLike,
    x: ArrayLike,
    weight: ArrayLike,
    preactivation: ArrayLike,
    activation: str | Activation = "identity",
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
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
    given = {"grad": grad, "x": x, "weight": weight, "preactivation": preactivation, "activation": activation}
    if are_matrices(grad, x, weight, preactivation) and _compiled(backend, x, weight, gradients=True):
        try:
            gradients = compiled.backward(grad, x, weight, preactivation, entry)  # type: ignore[arg-type]
        except ValueError:
            pass  # as in dense
        else:
            note("dense_backward", given, lambda: compiled.backward_work(given, entry), "weight")
            return gradients
    arrays = {"grad": as_array(grad), "x": as_array(x), "weight": as_array(weight)}
    arrays["preactivation"] = as_array(preactivation)
    computed = COMPUTED_IN[common_dtype(arrays).char]
    shape = forward_shape(arrays)
    for name in ("grad", "preactivation"):
        if arrays[name].shape != shape:
            raise ValueError(f"{name} must have shape {shape}, as the layer's result, not {arrays[name].shape}")
    g, x2, w, z = (np.asarray(array, computed) for array in arrays.values())
    rows = math.prod(shape[:-1])
    g, x2, z = (array.reshape(rows, array.shape[-1]) for array in (g, x2, z))
    dx, dweight = (empty(arrays[name].shape, common_dtype({name: arrays[name]})) for name in ("x", "weight"))
    gradients = dx, dweight, empty(shape[-1:], dweight.dtype)
    targets = tuple(_as_rows(gradient, computed, ()) for gradient in gradients)
    if _compiled(backend, x2, w, gradients=True):
        compiled.backward(g, x2, w, z, entry, *targets[:2], targets[2][0])
        note("dense_backward", given, lambda: compiled.backward_work(given, entry), "weight")
    else:
        _backward(backend, g, x2, w, z, entry, *targets)
    for target, gradient in zip(targets, gradients):
        _hand_over(target, gradient)
    return gradients


# -- where results go ---------------------------------------------------------------------------------


def _as_rows(target: np.ndarray, dtype: np.dtype, operands: Sequence[np.ndarray]) -> np.ndarray:
    """The target as a matrix with contiguous rows that can be written while the operands are read, or new memory."""
    rows = math.prod(target.shape[:-1]), target.shape[-1]
    own = type(target) is np.ndarray and target.dtype == dtype
    if own and not any(np.may_share_memory(target, operand) for operand in operands):
        if target.flags.c_contiguous:
            return target.reshape(rows)
        if target.ndim == 2 and target.strides[1] == dtype.itemsize:
            return target
    return empty(rows, dtype)


def _hand_over(computed: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The target, with the result in it."""
    if not np.may_share_memory(computed, target):
        with np.errstate(all="ignore"):  # what is too large for float16 is infinite
            target[...] = computed.reshape(target.shape)
    return target


def _compiled(backend: str, x: Any, weight: Any, gradients: bool = False) -> bool:
    return backend == "numba" and multiplies_here(len(x), weight, gradients)


# -- by NumPy -----------------------------------------------------------------------------------------


def _blocks(rows: int, row_bytes: int) -> list[slice]:
    """Runs of rows of about BLOCK_BYTES."""
    count = max(1, -(-rows * row_bytes // BLOCK_BYTES))
    return [slice(rows * i // count, rows * (i + 1) // count) for i in range(count)]


def _forward(
    backend: str,
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    entry: Activation,
    y: np.ndarray,
    z: np.ndarray | None,
) -> None:
    """The same as in compiled code, block by block of rows."""
    ufunc = None if is_identity(entry) else compiled.ufunc_of(entry, "value", backend)
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
    ufunc = None if is_identity(entry) else compiled.ufunc_of(entry, "backward", backend)
    blocks = _blocks(len(x), grad.itemsize * max(grad.shape[1], 1))
    memory = None if ufunc is None else np.empty((max(s.stop - s.start for s in blocks), grad.shape[1]), grad.dtype)
    with np.errstate(all="ignore"):
        for number, rows in enumerate(blocks):
            dz = grad[rows]
            if ufunc is not None and memory is not None:
                dz = ufunc(grad[rows], z[rows], out=memory[: len(dz)])
            np.matmul(dz, weight, out=dx[rows])
            if number == 0:
                np.matmul(dz.T, x[rows], out=dweight)
                np.add.reduce(dz, axis=0, out=dbias[0])
            else:
                dweight += np.matmul(dz.T, x[rows])
                dbias += np.add.reduce(dz, axis=0)

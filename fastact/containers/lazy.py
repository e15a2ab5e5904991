"""Dask's arrays: nothing is computed, and nothing is loaded that the result does not need.

Rows that lie in one chunk are computed chunk by chunk. Of longer ones, softmax and its kin are put together from parts
(:mod:`.lazy_sums`); whatever needs a whole row says that it must be rechunked. Losses are reductions
(:mod:`.lazy_losses`). What runs in workers are the public functions themselves, which are found under their names.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastact.containers import lazy_losses, lazy_sums
from fastact.containers.blocks import blockwise, check_whole, floating
from fastact.containers.calls import Call, Family

__all__ = ["hand_over"]


def hand_over(call: Call) -> Any:
    for target in ("out", "preactivation"):
        if call.given.get(target) is not None and not (target == "preactivation" and call.backward):
            raise TypeError(f"{call.name} of a Dask array is computed later, so nothing can be put into {target}")
    return RULES[call.family](call)


# -- along an axis ----------------------------------------------------------------------------------


def _along(call: Call) -> Any:
    import dask.array as da

    if call.name == "gumbel_softmax":
        return _drawn(call)
    names = [name for name in ("grad", "y", "x") if name in call.given]
    arrays = [da.asanyarray(call.given[name]) for name in names]
    if call.given.get("dtype") is not None:
        arrays = [array.astype(call.given["dtype"]) for array in arrays]
    if call.given.get("where") is not None:
        arrays = [da.where(call.given["where"], arrays[0], arrays[0].dtype.type(-np.inf))]
    axes = call.axes(arrays[-1].ndim)
    if any(array.numblocks[axis] > 1 for array in arrays for axis in axes) and call.name in lazy_sums.BY_PARTS:
        return lazy_sums.BY_PARTS[call.name](*arrays, axes)
    for name, array in zip(names, arrays):
        check_whole(call, name, array, axes)
    core = tuple(range(-len(axes), 0))
    function = functools.partial(call.function, axis=core if len(axes) != 1 else -1)
    return _rows(function, arrays, axes)


def _rows(function: Callable[..., Any], arrays: Sequence[Any], axes: tuple[int, ...]) -> Any:
    """A function of rows that keeps their shape."""
    letters = ",".join("abcdefgh"[: len(axes)])
    signature = f"{','.join([f'({letters})'] * len(arrays))}->({letters})"
    return blockwise(function, signature, arrays, [floating(*arrays)], axes=[axes] * (len(arrays) + 1))


def _drawn(call: Call) -> Any:
    """gumbel_softmax, each chunk with random numbers of its own."""
    import dask.array as da

    x = da.asanyarray(call.given["logits"])
    x = x.astype(floating(x))
    if not call.option("tau") > 0:
        raise ValueError(f"tau must be positive, not {call.option('tau')!r}")
    noise = da.random.default_rng(call.given.get("rng")).standard_exponential(size=x.shape, chunks=x.chunks)
    drawn = (x - da.log(noise)) / call.option("tau")
    function = call.sibling("hardmax" if call.option("hard") else "softmax")
    return function(drawn, axis=call.option("axis")).astype(x.dtype)


def _norm(call: Call) -> Any:
    import dask.array as da

    x = da.asanyarray(call.given["x"])
    axes = call.axes(x.ndim)
    if call.backward:
        return _norm_gradients(call, x, axes)
    check_whole(call, "x", x, axes)
    names = [name for name in ("weight", "bias") if call.given.get(name) is not None]
    letters = ",".join("abcdefgh"[: len(axes)])
    signature = f"{','.join([f'({letters})'] * (1 + len(names)))}->({letters})"
    arrays = [x, *(da.asanyarray(call.given[name]).rechunk(-1) for name in names)]
    core = tuple(range(-len(axes), 0))
    function = functools.partial(_named, call.function, ("x", *names), axis=core, eps=call.option("eps"))
    whole = [tuple(range(len(axes)))] * len(names)
    return blockwise(function, signature, arrays, [floating(x)], axes=[axes, *whole, axes])


def _named(function: Callable[..., Any], names: Sequence[str], *blocks: Any, **options: Any) -> Any:
    """Call it with arrays by name."""
    return function(**dict(zip(names, blocks)), **options)


def _norm_gradients(call: Call, x: Any, axes: tuple[int, ...]) -> Any:
    import dask.array as da

    grad, weight = da.asanyarray(call.given["grad"]), call.given.get("weight")
    for name, array in (("x", x), ("grad", grad)):
        check_whole(call, name, array, axes)
    options = {"axis": tuple(range(-len(axes), 0)), "eps": call.option("eps")}
    function = functools.partial(call.function, **options)
    if weight is None:
        return _rows(function, [grad, x], axes)
    shape = tuple(n if i in axes else 1 for i, n in enumerate(x.shape))
    dx = _rows(function, [grad * da.asanyarray(weight).reshape(shape), x], axes)
    normed = call.sibling(call.name.removesuffix("_backward"))(x, axis=axes, eps=call.option("eps"))
    products = [grad * normed, grad][: 2 if call.name.startswith("layer") else 1]
    others = tuple(i for i in range(x.ndim) if i not in axes)
    return dx, *(product.sum(axis=others, dtype=np.float64).astype(dx.dtype) for product in products)


# -- gates ------------------------------------------------------------------------------------------


def _gate(call: Call) -> Any:
    import dask.array as da

    x, gate, grad = (call.given.get(name) for name in ("x", "gate", "grad"))
    x = da.asanyarray(x)
    axis = None
    if gate is None:
        axis = call.axes(x.ndim)[0]
        if x.shape[axis] % 2:
            raise ValueError(f"{call.name} halves axis {axis}, whose size must be even; it is {x.shape[axis]}")
        x, gate = (da.take(x, np.arange(i, i + x.shape[axis] // 2), axis) for i in (0, x.shape[axis] // 2))
    if not call.backward:
        return blockwise(functools.partial(_gated, call.function), "(),()->()", [x, gate], [floating(x, gate)])
    dtype = floating(grad, x, gate)
    function = functools.partial(_gated_gradients, call.function)
    pair = blockwise(function, "(),(),()->(),()", [grad, x, gate], [dtype, dtype])
    return tuple(pair) if axis is None else da.concatenate(pair, axis)


def _gated(function: Callable[..., Any], x: Any, gate: Any) -> Any:
    return function(x, gate=gate)


def _gated_gradients(function: Callable[..., Any], grad: Any, x: Any, gate: Any) -> Any:
    x, gate = np.broadcast_arrays(x, gate)
    return function(grad, x, gate=gate)


# -- dense layers -----------------------------------------------------------------------------------


def _dense(call: Call) -> Any:
    import dask.array as da

    x, weight = da.asanyarray(call.given["x"]), da.asanyarray(call.given["weight"]).rechunk(-1)
    if call.backward:
        return _dense_gradients(call, x, weight)
    check_whole(call, "x", x, (x.ndim - 1,))
    arrays, signature = [x, weight], "(k),(n,k)->(n)"
    if call.given.get("bias") is not None:
        arrays.append(da.asanyarray(call.given["bias"]).rechunk(-1))
        signature = "(k),(n,k),(n)->(n)"
    function = functools.partial(_layer, call.function, call.option("activation"))
    return blockwise(function, signature, arrays, [floating(*arrays)])


def _layer(function: Callable[..., Any], activation: Any, x: Any, weight: Any, bias: Any = None) -> Any:
    return function(x, weight, bias, activation)


def _dense_gradients(call: Call, x: Any, weight: Any) -> Any:
    """By Dask's own products, which are summed over chunks: only the activation is ours."""
    import dask.array as da

    activation = call.option("activation")
    backward = call.sibling(f"{activation}_backward") if isinstance(activation, str) else activation.backward
    dz = backward(da.asanyarray(call.given["grad"]), da.asanyarray(call.given["preactivation"]))
    if isinstance(dz, tuple):
        dz = dz[0]
    rows = tuple(range(x.ndim - 1))
    dx, dweight = da.matmul(dz, weight), da.tensordot(dz, x, (rows, rows))
    kinds = floating(x), floating(weight)
    dbias = dz.sum(axis=rows, dtype=np.float64)
    return dx.astype(kinds[0]), dweight.astype(kinds[1]), dbias.astype(kinds[1])


RULES: dict[Family, Callable[[Call], Any]] = {
    Family.ALONG: _along,
    Family.SUM: lazy_sums.logarithms,
    Family.NORM: _norm,
    Family.GATE: _gate,
    Family.TERMS: lazy_losses.terms,
    Family.CLASSES: lazy_losses.classes,
    Family.SETS: lazy_losses.sets,
    Family.DENSE: _dense,
}

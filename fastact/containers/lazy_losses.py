"""Losses of Dask's arrays, as reductions."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastact.containers.blocks import blockwise, check_whole, floating
from fastact.containers.calls import Call
from fastact.containers.lazy_sums import log_shares
from fastact.containers.recognition import handler_of

__all__ = ["classes", "sets", "terms"]


def _by_name(function: Callable[..., Any], names: Sequence[str], options: dict[str, Any], *blocks: Any) -> Any:
    return function(**dict(zip(names, blocks)), **options)


def _reduced(losses: Any, reduction: str, divisor: Any, dtype: np.dtype) -> Any:
    if reduction == "none":
        return losses.astype(dtype)
    total = losses.sum(dtype=np.float64)
    return (total if reduction == "sum" else total / divisor).astype(dtype)


# -- of every element -------------------------------------------------------------------------------


def terms(call: Call) -> Any:
    import dask.array as da

    given = {name: value for name, value in call.given.items() if value is not None and name != "reduction"}
    names = [n for n, value in given.items() if n in ("pred", "target") or np.ndim(value) or handler_of(value)]
    options = {name: value for name, value in given.items() if name not in names}
    deciding = [given[name] for name in names]
    dtype = floating(*deciding)
    arrays = [da.asanyarray(array) for array in deciding]
    arrays = [array.astype(_wide(array.dtype)) for array in arrays]
    compute = _gradients if call.backward else _values
    return compute(call, names, options, arrays, dtype, _wide(dtype))


def _wide(dtype: np.dtype) -> np.dtype:
    """What chunks are computed in: losses and slopes that are still to be summed or divided may be beyond float16."""
    return np.dtype(np.float32) if dtype == np.float16 else dtype


def _divisor(reduction: str, shape: tuple[int, ...]) -> float:
    """NaN for the mean of nothing."""
    count = {"mean": math.prod(shape), "batchmean": shape[0] if shape else 1}.get(reduction, 1)
    return count or math.nan


def _values(call: Call, names: Any, options: Any, arrays: Any, dtype: np.dtype, wide: np.dtype) -> Any:
    function = functools.partial(_by_name, call.function, names, options | {"reduction": "none"})
    losses = blockwise(function, f"{','.join(['()'] * len(arrays))}->()", arrays, [wide])
    reduction = call.option("reduction")
    return _reduced(losses, reduction, _divisor(reduction, losses.shape), dtype)


def _gradients(call: Call, names: Any, options: Any, arrays: Any, dtype: np.dtype, wide: np.dtype) -> Any:
    """Of terms, each broadcast; and summed to the shape of what they are gradients of."""
    import dask.array as da

    shapes = [array.shape for array in arrays]
    arrays = da.broadcast_arrays(*arrays)
    owners = [owner for owner in call.owners(2) if owner in names]
    function = functools.partial(_by_name, call.function, names, options | {"reduction": "sum"})
    signature = f"{','.join(['()'] * len(arrays))}->{','.join(['()'] * len(owners))}"
    slopes = blockwise(function, signature, arrays, [wide] * len(owners))
    reduction, full = call.option("reduction"), arrays[0].shape
    divisor = _divisor(reduction, full)
    made = [
        _summed_to(shapes[names.index(owner)], slope / divisor if divisor > 1 else slope).astype(dtype)
        for owner, slope in zip(owners, slopes if len(owners) > 1 else [slopes])
    ]
    return tuple(made) if len(made) > 1 else made[0]


def _summed_to(shape: tuple[int, ...], gradient: Any) -> Any:
    surplus = gradient.ndim - len(shape)
    axes = (*range(surplus), *(surplus + i for i, n in enumerate(shape) if n != gradient.shape[surplus + i]))
    return gradient.sum(axis=axes, dtype=np.float64).reshape(shape) if axes else gradient


# -- of every row -----------------------------------------------------------------------------------


def classes(call: Call) -> Any:
    import dask.array as da

    pred, target = da.asanyarray(call.given["pred"]), da.asanyarray(call.given["target"])
    axis = call.axes(pred.ndim)[0]
    if pred.numblocks[axis] > 1 and call.name.startswith("cross_entropy"):
        return _of_cut_rows(call, pred, target, axis)
    check_whole(call, "pred", pred, [axis])
    labelled = _labelled(pred, target, axis)
    weight = [] if call.given.get("weight") is None else [da.asanyarray(call.given["weight"]).rechunk(-1)]
    names = ["pred", "target", "weight"][: 2 + len(weight)]
    inputs = f"(c),{'()' if labelled else '(c)'}{',(c)' * len(weight)}"
    axes = [(axis,), () if labelled else (axis,), *[(0,)] * len(weight)]
    dtype, computed = floating(pred), _wide(floating(pred))
    arrays = [pred.astype(computed), target, *weight]
    shares = blockwise(
        functools.partial(_row_shares, labelled, call.option("ignore_index")), f"{inputs}->()", arrays,
        [np.dtype(np.float64)], axes=[*axes, ()],
    )  # fmt: skip
    options = {n: value for n, value in call.given.items() if n not in (*names, "weight", "reduction", "axis")}
    reduction = call.option("reduction")
    options |= {"axis": -1, "reduction": "sum" if call.backward else "none"}
    function = functools.partial(_by_name, call.function, names, options)
    if call.backward:
        slopes = blockwise(function, f"{inputs}->(c)", arrays, [computed], axes=[*axes, (axis,)])
        divisor = da.maximum(shares.sum(), np.finfo(float).tiny) if reduction == "mean" else 1.0
        return (slopes / divisor).astype(dtype)
    losses = blockwise(function, f"{inputs}->()", arrays, [computed], axes=[*axes, ()])
    return _reduced(losses, reduction, shares.sum(), dtype)


def _labelled(pred: Any, target: Any, axis: int) -> bool:
    """Whether a target is labels; or else probabilities."""
    rows = pred.shape[:axis] + pred.shape[axis + 1 :]
    labelled = target.dtype.kind in "iu" and target.shape != pred.shape
    if target.shape != (rows if labelled else pred.shape):
        raise ValueError(
            f"target must be integer labels of shape {rows} or probabilities of shape {pred.shape}; "
            f"it is {target.dtype} of shape {target.shape}"
        )
    return labelled


def _row_shares(labelled: bool, ignored: int, pred: Any, target: Any, weight: Any = None) -> Any:
    """What each row adds to what a mean is divided by."""
    if not labelled:
        return np.ones(pred.shape[:-1])
    shares = np.ones(target.shape) if weight is None else weight[np.where(target == ignored, 0, target)]
    return np.where(target == ignored, 0.0, shares)


def _of_cut_rows(call: Call, pred: Any, target: Any, axis: int) -> Any:
    """The cross entropy where classes are in several chunks: from the logarithms of all probabilities, in float64."""
    import dask.array as da

    shape = tuple(n if i == axis else 1 for i, n in enumerate(pred.shape))
    count, dtype, reduction = pred.shape[axis], floating(pred), call.option("reduction")
    kept: Any = True
    shares: Any = None
    weight = call.given.get("weight")
    weights = 1.0 if weight is None else da.asanyarray(weight).astype(np.float64).reshape(shape)
    if _labelled(pred, target, axis):
        labels = da.expand_dims(target, axis)
        kept = labels != call.option("ignore_index")
        hits = da.arange(count, chunks=pred.chunks[axis]).reshape(shape) == labels
        shares = (hits * weights * kept).sum()
        target = hits.astype(np.float64)
    smoothing = call.option("label_smoothing")
    target = (target * (1 - smoothing) + smoothing / count) * weights
    divisor = math.prod(pred.shape) / count if shares is None else shares
    logarithms = log_shares(pred, (axis,))
    if call.backward:
        total = target.sum(axis=axis, keepdims=True)
        slopes = da.where(kept, np.exp(logarithms) * total - target, 0)
        return (slopes / divisor if reduction == "mean" else slopes).astype(dtype)
    losses = da.where(kept & (target != 0), -target * logarithms, 0).sum(axis=axis)
    return _reduced(losses, reduction, divisor, dtype)


def sets(call: Call) -> Any:
    """The dice loss: each set in one chunk."""
    import dask.array as da

    pred, target = da.asanyarray(call.given["pred"]), da.asanyarray(call.given["target"])
    axes, reduction = call.axes(pred.ndim), call.option("reduction")
    for name, array in (("pred", pred), ("target", target)):
        check_whole(call, name, array, axes)
    letters, core = ",".join("abcdefgh"[: len(axes)]), tuple(range(-len(axes), 0))
    dtype = floating(pred) if target.dtype == bool else floating(pred, target)
    options = {"axis": core, "smooth": call.option("smooth"), "reduction": "sum" if call.backward else "none"}
    function = functools.partial(_by_name, call.function, ["pred", "target"], options)
    output = f"({letters})" if call.backward else "()"
    result = blockwise(
        function, f"({letters}),({letters})->{output}", [pred, target], [dtype],
        axes=[axes, axes, axes if call.backward else ()],
    )  # fmt: skip
    count = math.prod(n for i, n in enumerate(pred.shape) if i not in axes)
    if call.backward:
        return (result / max(count, 1)).astype(dtype) if reduction == "mean" else result
    return _reduced(result, reduction, count or math.nan, dtype)

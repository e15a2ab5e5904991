"""Losses of masked arrays: what is masked is neither summed nor counted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastact.containers.calls import Call

__all__ = ["broadcast", "classes", "sets", "terms"]


def broadcast(arrays: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """What is in arrays, of one shape, and where any of them is masked."""
    data = dict(zip(arrays, np.broadcast_arrays(*map(np.ma.getdata, arrays.values()))))
    masks = np.broadcast_arrays(*map(np.ma.getmaskarray, arrays.values()))
    return data, np.logical_or.reduce(masks)


def terms(call: Call) -> Any:
    """A loss of every element: computed of those that count alone, which are laid in a row."""
    arrays, mask = broadcast({name: value for name, value in call.given.items() if _is_operand(name, value)})
    reduction = call.option("reduction")
    if reduction == "none" and not call.backward:
        return np.ma.array(call.again(**arrays), mask=mask)
    data = {name: array[~mask] for name, array in arrays.items()}
    batch = mask.shape[0] if reduction == "batchmean" and mask.ndim else 1
    results = call.again(**data, reduction="sum" if reduction == "batchmean" else reduction)
    if not call.backward:
        return results / batch if batch > 1 else results
    if not isinstance(results, tuple):
        return _gradient(call.given["pred"], results / batch if batch > 1 else results, mask)
    owners = (call.given[str(name)] for name in call.owners(len(results)))
    return tuple(_gradient(owner, result, mask) for owner, result in zip(owners, results))


def _is_operand(name: str, value: Any) -> bool:
    return value is not None and (name in ("pred", "target") or (np.ndim(value) > 0 and name != "out"))


def _gradient(owner: Any, kept: Any, mask: np.ndarray) -> Any:
    """The gradients of terms that count, where those are; summed where several belong to one element."""
    full = np.zeros(mask.shape, kept.dtype)
    full[~mask] = kept
    shape = np.shape(owner)
    surplus = mask.ndim - len(shape)
    axes = (*range(surplus), *(surplus + i for i, n in enumerate(shape) if n != mask.shape[surplus + i]))
    if axes:
        full = full.sum(axis=axes, dtype=np.float64).astype(kept.dtype).reshape(shape)
        mask = mask.all(axis=axes).reshape(shape)
    return np.ma.array(full, mask=mask)


def classes(call: Call) -> Any:
    """A loss of every row: a masked logit is a class that cannot be, a row with a masked label is ignored, and so is
    one whose label is such a class."""
    pred, target = call.given["pred"], call.given["target"]
    if np.ndim(pred) == 0:
        return call.again(pred=np.ma.getdata(pred), target=np.ma.getdata(target))  # which is refused
    axis, mask = call.axes(np.ndim(pred))[0], np.ma.getmaskarray(pred)
    if mask.any() and call.given.get("label_smoothing"):
        raise ValueError("label_smoothing spreads over all classes, so none may be masked")
    changes: dict[str, Any] = {"pred": np.where(mask, -math.inf, np.ma.getdata(pred))}
    labelled = np.asarray(target).dtype.kind in "iu" and np.shape(target) == _without(np.shape(pred), axis)
    if labelled:
        ignored = np.ma.getmaskarray(target) | _picked(mask, np.ma.getdata(target), axis)
        changes["target"] = np.where(ignored, call.option("ignore_index"), np.ma.getdata(target))
    else:
        nothing = np.ma.getmaskarray(target) | mask
        ignored = nothing.all(axis=axis)
        changes["target"] = np.where(nothing, 0, np.ma.getdata(target))
        changes["pred"] = np.where(np.expand_dims(ignored, axis), 0, changes["pred"])
    if np.ma.isMaskedArray(call.given.get("weight")):
        changes["weight"] = call.given["weight"].filled(0)
    if call.backward:
        return np.ma.array(_class_gradient(call, changes, ignored, labelled), mask=mask | np.expand_dims(ignored, axis))
    return _reduced(call, changes, ignored, labelled)


def _without(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return shape[:axis] + shape[axis + 1 :]


def _picked(mask: np.ndarray, labels: np.ndarray, axis: int) -> np.ndarray:
    """Whether the classes that labels name are masked."""
    inside = (labels >= 0) & (labels < mask.shape[axis])
    found = np.take_along_axis(mask, np.expand_dims(np.where(inside, labels, 0), axis), axis).squeeze(axis)
    return found & inside


def _reduced(call: Call, changes: dict[str, Any], ignored: np.ndarray, labelled: bool) -> Any:
    """What becomes of rows' losses; by labels, the function itself knows which are ignored."""
    reduction = call.option("reduction")
    if reduction == "none":
        losses = call.again(**changes)
        return np.ma.array(losses, mask=ignored) if np.ndim(losses) else (np.ma.masked if ignored[()] else losses)
    if labelled or reduction != "mean":
        return call.again(**changes)
    total, count = call.again(**changes, reduction="sum"), np.count_nonzero(~ignored)
    return type(total)(total / count if count else np.nan)


def _class_gradient(call: Call, changes: dict[str, Any], ignored: np.ndarray, labelled: bool) -> np.ndarray:
    gradient = call.again(**changes)
    if not labelled and call.option("reduction") == "mean":
        gradient *= ignored.size / max(int(np.count_nonzero(~ignored)), 1)
    return gradient


def sets(call: Call) -> Any:
    """The dice loss: what is masked is in neither set, and a loss of nothing else is ignored."""
    pred, target = call.given["pred"], call.given["target"]
    mask = np.ma.getmaskarray(pred) | np.ma.getmaskarray(target)
    changes = {name: np.where(mask, 0, np.ma.getdata(array)) for name, array in (("pred", pred), ("target", target))}
    axes, reduction = call.axes(mask.ndim), call.option("reduction")
    ignored = mask.all(axis=axes) if mask.ndim else mask
    mean, rows = reduction == "mean", max(int(np.count_nonzero(~ignored)), 1)
    if call.backward:
        gradient = call.again(**changes)
        return np.ma.array(gradient * (ignored.size / rows) if mean else gradient, mask=mask)
    losses = np.ma.array(call.again(**changes, reduction="none"), mask=ignored)
    if reduction == "none":
        return losses
    total = losses.compressed().sum(dtype=np.float64)
    return losses.dtype.type(total / rows if mean else total)

"""Losses of one prediction and one target at a time: the functions made from their formulas.

Every loss is a formula in :mod:`fastact.losses.catalogue`, value and gradient side by side, and what
:mod:`fastact.losses.definition` makes of it. From it follow, for both backends, the value summed or averaged in one
pass over memory (:mod:`fastact.ufuncs.sums`), the values themselves (``reduction="none"``, a ufunc), and the gradient
(another).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastact.functions.offered import offered
from fastact.losses.definition import LOSSES, REDUCTIONS, Loss, Variant
from fastact.losses.documentation import public
from fastact.ufuncs.memory import empty, from_kept
from fastact.ufuncs.nested import broadcast_axes
from fastact.ufuncs.operands import as_operand, result_dtype
from fastact.ufuncs.sums import FLOATS, rounded
from fastact.ufuncs.targets import check_target

__all__ = ["check_reduction", "loss"]


def loss(**details: Any) -> Callable[..., Loss]:
    """A decorator: offer a loss and its backward, given a formula that returns term and gradient."""

    def decorated(function: Callable[..., Any]) -> Loss:
        made = LOSSES[function.__name__] = Loss(function, **details)
        for compute, suffix in ((_value, ""), (_gradient, "_backward")):
            offered(public(made, compute, suffix))
        return made

    return decorated


# -- what the functions do ------------------------------------------------------------------------


def _value(
    loss: Loss,
    backend: str,
    pred: Any,
    target: Any,
    reduction: str,
    numbers: tuple[Any, ...],
    options: tuple[Any, ...],
    arrays: tuple[Any, ...],
    out: Any,
) -> Any:
    variant, operands, dtype, shape = _checked(loss, loss.name, pred, target, reduction, numbers, options, arrays)
    if reduction == "none":
        if out is not None:
            check_target("out", out, shape, dtype)
        size = math.prod(shape) * dtype.itemsize if out is None else 0
        return from_kept(size, variant.elementwise(backend), *operands, *numbers, out=out)
    if out is not None:
        raise ValueError(f"{loss.name} puts results into out with reduction='none' only; {reduction!r} gives a number")
    operands = [o if o.shape == shape else np.broadcast_to(o, shape) for o in operands]
    total = variant.total(backend)(dtype, [*operands, *[np.asarray(number, dtype) for number in numbers]])
    if reduction != "sum":
        count = _count(reduction, shape)
        total = total / count if count else np.nan
    return rounded(total, dtype)


def _gradient(
    loss: Loss,
    backend: str,
    pred: Any,
    target: Any,
    reduction: str,
    numbers: tuple[Any, ...],
    options: tuple[Any, ...],
    arrays: tuple[Any, ...],
    out: Any,
) -> Any:
    name = f"{loss.name}_backward"
    variant, operands, dtype, shape = _checked(loss, name, pred, target, reduction, numbers, options, arrays)
    by = [o for o, operand in zip(operands, variant.operands) if operand in variant.slopes]
    outs = _targets(loss, out, by, dtype)
    scale: Any = 1.0 / (_count(reduction, shape) or 1)
    ufunc, others = variant.backward(backend), (*operands[2:], *numbers)
    if dtype != np.float16 and all(o.shape == shape for o in by):
        size = by[0].nbytes if out is None else 0
        given = out if len(by) == 1 else outs
        return from_kept(size, ufunc, operands[0], operands[1], scale, *others, out=given)
    wide = np.float32(scale) if dtype == np.float16 else scale  # too small a number for float16
    made = ufunc(operands[0], operands[1], wide, *others)
    fulls = made if isinstance(made, tuple) else (made,)
    results = tuple(_summed(full, o, shape, dtype, target) for full, o, target in zip(fulls, by, outs))
    return results if len(by) > 1 else results[0]


def _summed(full: Any, operand: np.ndarray, shape: tuple[int, ...], dtype: np.dtype, out: Any) -> Any:
    """A gradient in its dtype, and summed where several elements of the loss depend on one of the operand."""
    axes = broadcast_axes(operand.shape, shape)
    if axes:
        full = full.sum(axis=axes, dtype=np.float64).reshape(operand.shape)
    result = empty(operand.shape, dtype) if out is None else out
    with np.errstate(all="ignore"):
        np.copyto(result, full, casting="same_kind")
    return result[()] if out is None else out


def _count(reduction: str, shape: tuple[int, ...]) -> int:
    """What the sum of all terms is divided by."""
    if reduction == "mean":
        return math.prod(shape)
    return shape[0] if reduction == "batchmean" and shape else 1


# -- arguments ------------------------------------------------------------------------------------


def check_reduction(reduction: Any, known: tuple[str, ...] = REDUCTIONS) -> None:
    if not isinstance(reduction, str) or reduction not in known:
        raise ValueError(f"reduction must be one of {', '.join(known)}, not {reduction!r}")


def _checked(
    loss: Loss,
    name: str,
    pred: Any,
    target: Any,
    reduction: str,
    numbers: tuple[Any, ...],
    options: tuple[Any, ...],
    arrays: tuple[Any, ...],
) -> tuple[Variant, list[np.ndarray], np.dtype, tuple[int, ...]]:
    """What to compute, the operands as arrays, their dtype promoted, and their shape broadcast."""
    check_reduction(reduction, loss.reductions)
    if numbers:
        _check_numbers(loss, numbers)
    variant = _variant(loss, options, arrays) if options or arrays else loss.usual
    operands = [pred, target]
    if variant.arrays or not (
        type(pred) is np.ndarray and type(target) is np.ndarray and pred.dtype == target.dtype in FLOATS
    ):
        operands += [array for array in arrays if array is not None]
        operands, dtype = _promoted(variant.operands, operands)
        pred, target = operands[:2]
    else:
        dtype = pred.dtype
    shape = pred.shape
    if target.shape != shape:
        try:
            shape = np.broadcast_shapes(shape, target.shape)
        except ValueError:
            message = f"{name} cannot broadcast pred of shape {pred.shape} and target of shape {target.shape}"
            raise ValueError(message) from None
    for other, array in zip(variant.arrays, operands[2:]):
        if not _broadcasts(array.shape, shape):
            raise ValueError(f"{name} cannot broadcast {other} of shape {array.shape} to terms of shape {shape}")
    return variant, operands, dtype, shape


def _check_numbers(loss: Loss, numbers: tuple[Any, ...]) -> None:
    for number, value in zip(loss.numbers, numbers):
        if np.ndim(value) or np.asarray(value).dtype.kind not in "biuf":
            raise TypeError(f"{number} must be a number, not {type(value).__name__}")
        bounds = loss.about[number]
        if not bounds.hold(value):
            raise ValueError(f"{number} must be {bounds.words}, not {value!r}")


def _variant(loss: Loss, options: tuple[Any, ...], arrays: tuple[Any, ...]) -> Variant:
    for option, value in zip(loss.options, options):
        if not isinstance(value, (bool, np.bool_)):
            raise TypeError(f"{option} must be True or False, not {value!r}")
    given = tuple([array is not None for array in arrays])
    for (name, default), array in zip(loss.arrays.items(), arrays):
        if array is None and default is not None:
            raise TypeError(f"{name} must be an array of real numbers, not None")
    return loss.variant(tuple(map(bool, options)), given)


def _promoted(names: Sequence[str], given: Sequence[Any]) -> tuple[list[np.ndarray], np.dtype]:
    """Arrays and the floating type of results."""
    operands = [as_operand(name, array) for name, array in zip(names, given)]
    dtype = result_dtype(*operands)
    return [o if isinstance(o, np.ndarray) else np.asarray(o, dtype) for o in operands], dtype


def _broadcasts(shape: tuple[int, ...], full: tuple[int, ...]) -> bool:
    """Whether an array of the first shape can be repeated to fill the second."""
    try:
        return np.broadcast_shapes(shape, full) == full
    except ValueError:
        return False


def _targets(loss: Loss, out: Any, by: Sequence[np.ndarray], dtype: np.dtype) -> tuple[Any, ...]:
    """An array or None for each gradient."""
    if out is None:
        return (None,) * len(by)
    outs = (out,) if len(by) == 1 else out
    if not isinstance(outs, tuple) or len(outs) != len(by):
        raise TypeError(f"out must be a tuple of arrays, one for each of {', '.join(loss.learned)}, not {out!r}")
    for array, operand in zip(outs, by):
        check_target("out", array, operand.shape, dtype)
    return outs

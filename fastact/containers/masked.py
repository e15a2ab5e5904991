"""NumPy's masked arrays: what is masked does not count, and stays masked.

In rows it is what ``where=`` leaves out. A masked term of a loss is neither summed nor counted by a mean; a masked
label is one to be ignored, a masked logit a class that cannot be. Where everything depends on what is masked, in dense
layers and norms, a call is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fastact.containers import masked_losses
from fastact.containers.calls import Call, Family

__all__ = ["hand_over"]


def hand_over(call: Call) -> Any:
    if call.family not in RULES:
        raise TypeError(
            f"{call.name} takes no masked arrays, because all of its results would depend on what is masked; "
            "fill them first, with x.filled(0) say"
        )
    return RULES[call.family](call)


def _mask(array: Any) -> np.ndarray:
    return np.ma.getmaskarray(array)


def _data(array: Any, fill: float) -> np.ndarray:
    """What is in an array, and something harmless where that is masked."""
    return np.where(_mask(array), fill, np.ma.getdata(array)) if np.ma.isMaskedArray(array) else np.asarray(array)


def _result(values: Any, mask: Any, out: Any = None) -> Any:
    """A masked array; of no dimensions, a number, or the constant ``masked``."""
    mask = np.broadcast_to(mask, np.shape(values))
    if out is not None:
        if np.ma.isMaskedArray(out):
            out.mask = mask
        return out
    if np.ndim(values) == 0:
        return np.ma.masked if mask[()] else values
    return np.ma.array(values, mask=mask)


def _out(call: Call) -> dict[str, Any]:
    """Where the values go, if it was said where."""
    out = call.given.get("out")
    return {} if out is None else {"out": np.ma.getdata(out)}


# -- along an axis ----------------------------------------------------------------------------------


def _along(call: Call) -> Any:
    out = call.given.get("out")
    if call.backward:
        grad, y = call.given["grad"], call.given["y"]
        if np.shape(grad) != np.shape(y):
            return call.again(grad=np.ma.getdata(grad), y=np.ma.getdata(y))  # which is refused
        mask = _mask(grad) | _mask(y)
        changes = {"grad": np.where(mask, 0, np.ma.getdata(grad)), "y": np.where(mask, 0, np.ma.getdata(y))}
        return _result(call.again(**changes, **_out(call)), mask, out)
    name = call.leading(call.held("masked"))
    x = call.given[name]
    if call.takes("where"):
        return _result(call.again(x=np.ma.getdata(x), where=_counting(call, _mask(x)), **_out(call)), _mask(x), out)
    nothing = math.inf if call.name == "softmin" else -math.inf
    return _result(call.again(**{name: _data(x, nothing)}, **_out(call)), _mask(x), out)


def _counting(call: Call, mask: np.ndarray) -> Any:
    """``where``, less what is masked."""
    where = call.given.get("where")
    return ~mask if where is None else ~mask & np.asarray(where)


def _sum(call: Call) -> Any:
    """Over nothing but what is masked, the sum is masked, as NumPy has it."""
    given = {name: call.given[name] for name in ("x", "b") if call.given.get(name) is not None}
    data, mask = masked_losses.broadcast(given)
    results = call.again(**data, where=_counting(call, mask), **_out(call))
    axes, keepdims = call.axes(mask.ndim), bool(call.option("keepdims"))
    empty = mask.all(axis=axes, keepdims=keepdims) if mask.ndim else mask
    if isinstance(results, tuple):
        return _result(results[0], empty, call.given.get("out")), _result(results[1], empty)
    return _result(results, empty, call.given.get("out"))


def _gate(call: Call) -> Any:
    """Masked where either half is; of the gradients, both are."""
    x, gate, grad = call.given["x"], call.given.get("gate"), call.given.get("grad")
    halves: Any = (x, gate)
    if gate is None:
        axis = call.axes(np.ndim(x))[0]
        halves = np.split(_mask(x), 2, axis) if np.shape(x)[axis] % 2 == 0 else (x,)
    arrays = {"x": x, "gate": gate, "grad": grad}
    data = {name: _data(array, 0) for name, array in arrays.items() if array is not None}
    mask: Any = False
    for half in halves:
        mask = mask | (half if gate is None else _mask(half))
    if grad is not None:
        mask = mask | _mask(grad)
    out = call.given.get("out")
    if gate is None:
        values = call.again(**data, **_out(call))
        return _result(values, np.concatenate([mask, mask], axis) if call.backward else mask, out)
    if not call.backward:
        return _result(call.again(**data, **_out(call)), mask, out)
    outs = (None, None) if out is None else out
    pair = call.again(**data, out=tuple(None if o is None else np.ma.getdata(o) for o in outs))
    return tuple(_result(values, mask, given) for values, given in zip(pair, outs))


RULES: dict[Family, Callable[[Call], Any]] = {
    Family.ALONG: _along,
    Family.SUM: _sum,
    Family.GATE: _gate,
    Family.TERMS: masked_losses.terms,
    Family.CLASSES: masked_losses.classes,
    Family.SETS: masked_losses.sets,
}

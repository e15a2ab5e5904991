"""ml_dtypes' bfloat16 beyond ufuncs, which have loops for it: computed in float32, and rounded once."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastact.containers.calls import Call, Family
from fastact.containers.recognition import is_bfloat16

__all__ = ["hand_over"]

#: The distance from 1 to the next number.
EPS = 2.0**-7


def hand_over(call: Call) -> Any:
    held = call.held("narrow")
    dtype = next(array.dtype for array in held.values())
    changes: dict[str, Any] = {n: array.astype(np.float32) for n, array in held.items() if n not in _targets(call)}
    if call.takes("eps") and call.option("eps") is None:
        changes["eps"] = EPS
    targets = {name: call.given[name] for name in _targets(call) if call.given.get(name) is not None}
    changes |= {name: _wide(target) for name, target in targets.items()}
    results = call.again(**changes)
    for name, target in targets.items():
        _fill(target, changes[name])
    if "out" in targets:
        return targets["out"]
    if not isinstance(results, tuple):
        return _rounded(call, dtype, results)
    owners = ("x", "weight", "weight") if call.family is Family.DENSE else (None,) * len(results)
    return tuple(_rounded(call, dtype, values, owner) for values, owner in zip(results, owners))


def _targets(call: Call) -> tuple[str, ...]:
    """Where results go: the layer writes the preactivation that its gradient reads."""
    return ("out",) if call.backward else ("out", "preactivation")


def _rounded(call: Call, dtype: np.dtype, values: Any, owner: str | None = None) -> Any:
    """In bfloat16, unless something wider takes part in what the result's dtype depends on."""
    if owner is not None:
        deciding = [call.given[owner]]
    elif call.family is Family.CLASSES:
        deciding = [call.given["pred"]]
    else:
        deciding = [value for name, value in call.given.items() if name not in _targets(call)]
    wider = any(getattr(getattr(value, "dtype", None), "kind", "") == "f" for value in deciding)
    if wider or call.given.get("dtype") is not None or np.asarray(values).dtype != np.float32:
        return values
    with np.errstate(all="ignore"):  # what is too large is infinite
        return np.asarray(values).astype(dtype)[()]


def _wide(target: Any) -> Any:
    """Where float32 can be put for the time being."""
    if isinstance(target, tuple):
        return tuple(map(_wide, target))
    return np.empty(target.shape, np.float32) if is_bfloat16(target.dtype) else target


def _fill(target: Any, values: Any) -> None:
    if isinstance(target, tuple):
        for one, made in zip(target, values):
            _fill(one, made)
    elif target is not values:
        with np.errstate(all="ignore"):
            target[...] = values.astype(target.dtype)

"""xarray's Datasets: every variable by itself, as ``np.exp`` takes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastact.containers.calls import Call

__all__ = ["hand_over"]


def hand_over(call: Call) -> Any:
    held = call.held("datasets")
    lead = held[call.leading(held)]
    names = list(lead.data_vars)
    for name, other in held.items():
        if list(other.data_vars) != names:
            raise ValueError(f"{name} has the variables {list(other.data_vars)}, not {names} as what it belongs to")
    if not names:
        raise ValueError(f"{call.name} of a Dataset without variables")
    if call.given.get("out") is not None:
        raise TypeError(f"{call.name} of a Dataset makes new variables, so nothing can be put into out")
    if call.given.get("rng") is not None:  # one sequence of numbers for all
        call = call._replace(given={**call.given, "rng": np.random.default_rng(call.given["rng"])})
    parts = {name: call.again(**{argument: other[name] for argument, other in held.items()}) for name in names}
    first = parts[names[0]]
    if not isinstance(first, tuple):
        return _dataset(call, lead, parts)
    return tuple(_dataset(call, lead, {name: part[i] for name, part in parts.items()}) for i in range(len(first)))


def _dataset(call: Call, lead: Any, parts: Mapping[Any, Any]) -> Any:
    if not all(hasattr(part, "dims") for part in parts.values()):
        raise TypeError(f"{call.name} of a Dataset needs its weights as DataArrays: gradients have their dimensions")
    return type(lead)(parts, attrs=lead.attrs)

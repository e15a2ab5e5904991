"""xarray's DataArrays: dimensions, coordinates, name and attributes stay; an axis may be a dimension's name."""

from __future__ import annotations

from collections.abc import Hashable
from functools import partial
from typing import Any

import numpy as np

from fastact.containers.calls import Call, Family
from fastact.containers.labels import kept_axes, with_labels

__all__ = ["hand_over"]

#: Arguments that have the shape of what leads, or are repeated to it.
LIKEWISE = ("grad", "y", "gate", "where", "b")


def hand_over(call: Call) -> Any:
    held = call.held("xarrays")
    if call.family is Family.TERMS and not call.backward:
        held = _repeated(held)
    lead = held[call.leading(held)]
    call = call._replace(given={**call.given, **_axis(call, lead)})
    results = call.again(**{name: _values(call, name, array, lead) for name, array in held.items()})
    return with_labels(call, held, lead, results, partial(_labelled, call))


def _repeated(held: dict[str, Any]) -> dict[str, Any]:
    """Of the same dimensions, in the same order, with the same labels."""
    import xarray

    aligned = xarray.align(*held.values(), join="exact")
    return dict(zip(held, xarray.broadcast(*aligned)))


def _axis(call: Call, lead: Any) -> dict[str, Any]:
    """Axes as numbers, if they were given by name."""
    axis = call.given.get("axis")
    numbers = axis is None or isinstance(axis, (int, np.integer))
    if numbers or (isinstance(axis, tuple) and all(isinstance(a, (int, np.integer)) for a in axis)):
        return {}
    names = axis if isinstance(axis, tuple) else (axis,)
    if any(not isinstance(name, Hashable) or name not in lead.dims for name in names):
        raise ValueError(f"axis {axis!r} is no dimension; there are {', '.join(map(str, lead.dims))}")
    found = tuple(lead.dims.index(name) for name in names)
    return {"axis": found if isinstance(axis, tuple) else found[0]}


def _values(call: Call, name: str, array: Any, lead: Any) -> Any:
    """What is in an array, with its dimensions in the order of those of the one that leads."""
    if array is lead or not set(array.dims) <= set(lead.dims) or call.family is Family.DENSE:
        return array.data
    import xarray

    halved = [lead.dims[axis] for axis in call.axes(lead.ndim)] if call.family is Family.GATE else []
    xarray.align(lead, array, join="exact", exclude=halved if name == "grad" else [])  # which says what labels differ
    array = array.transpose(*(dim for dim in lead.dims if dim in array.dims))
    repeated = name in LIKEWISE or call.family is Family.TERMS
    if not repeated or not array.ndim:
        return array.data
    return array.data[tuple(slice(None) if dim in array.dims else np.newaxis for dim in lead.dims)]


def _labelled(call: Call, lead: Any, values: Any) -> Any:
    kept = kept_axes(call, lead, values)
    if len(kept) != values.ndim:
        return values
    dims = [lead.dims[axis] for axis, _ in kept]
    same = {lead.dims[axis] for axis, unaltered in kept if unaltered}
    coords = {name: coord for name, coord in lead.coords.items() if set(coord.dims) <= same}
    weight = call.given.get("weight")
    if call.family is Family.DENSE and not call.backward and isinstance(weight, type(lead)):
        dims[-1] = weight.dims[0]
        coords |= {name: coord for name, coord in weight.coords.items() if coord.dims == (dims[-1],)}
    return type(lead)(values, coords, dims, lead.name, lead.attrs)

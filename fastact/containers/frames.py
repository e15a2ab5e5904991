"""pandas' frames and series: index, columns and name stay; what is missing in nullable columns does not count."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from fastact.containers.calls import Call, Family
from fastact.containers.labels import kept_axes, with_labels

__all__ = ["hand_over"]


def hand_over(call: Call) -> Any:
    held = call.held("frames")
    lead = held[call.leading(held)]
    results = call.again(**{name: _values(_aligned(call, name, other, lead)) for name, other in held.items()})
    return with_labels(call, held, lead, results, partial(_labelled, call))


def _aligned(call: Call, name: str, other: Any, lead: Any) -> Any:
    """With its rows, and columns, in the order of those of what leads: pandas goes by labels, not by places."""
    if other is lead or call.family is Family.DENSE:
        return other
    if other.ndim == lead.ndim:
        for number, labels in enumerate(lead.axes):
            other = _in_order(name, other, number, labels)
        return other
    if name == "target" or lead.ndim < other.ndim:
        return _in_order(name, other, 0, lead.axes[0])
    return _in_order(name, other, 0, lead.axes[-1])


def _in_order(name: str, other: Any, axis: int, labels: Any) -> Any:
    found = other.axes[axis]
    if found.equals(labels) or (len(found) == 1 != len(labels)):
        return other
    if len(found) != len(labels):
        return other  # shapes do not fit, which the function says
    if not labels.is_unique or not found.isin(labels).all() or not labels.isin(found).all():
        raise ValueError(f"{name} has other labels than what it belongs to: {list(found[:3])} and {list(labels[:3])}")
    return other.reindex(labels, axis=axis)


def _values(data: Any) -> np.ndarray:
    """What is in it: masked, where something is missing that is no NaN."""
    dtypes = [data.dtype] if data.ndim == 1 else list(data.dtypes)
    if not any(hasattr(dtype, "numpy_dtype") for dtype in dtypes):
        values: np.ndarray = data.to_numpy()
        return values
    missing = data.isna().to_numpy()
    dtype = np.result_type(*(getattr(dtype, "numpy_dtype", dtype) for dtype in dtypes))
    if not missing.any():
        return np.asarray(data.to_numpy(dtype))
    dtype = dtype if dtype.kind == "f" else np.dtype(float)
    return np.ma.array(data.to_numpy(dtype, na_value=np.nan), mask=missing)


def _labelled(call: Call, lead: Any, values: Any) -> Any:
    import pandas

    kept = kept_axes(call, lead, values)
    if values.ndim not in (1, 2) or len(kept) != values.ndim:
        return values
    axes = [
        lead.axes[axis] if unaltered else pandas.RangeIndex(size) for (axis, unaltered), size in zip(kept, values.shape)
    ]
    missing = np.ma.getmaskarray(values)
    plain = np.ma.filled(values, np.nan) if np.ma.isMaskedArray(values) else values
    if values.ndim == 2:
        made = pandas.DataFrame(plain, *axes)
    else:
        made = pandas.Series(plain, *axes, name=lead.name if lead.ndim == 1 else None)
    if missing.any():
        made = made.astype({4: "Float32", 8: "Float64"}.get(plain.dtype.itemsize, plain.dtype)).mask(missing)
    made.attrs.update(lead.attrs)
    return made

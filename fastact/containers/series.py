"""polars' series: nulls do not count, and stay null."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastact.containers.calls import Call

__all__ = ["hand_over"]


def hand_over(call: Call) -> Any:
    held = call.held("series")
    lead = held[call.leading(held)]
    results = call.again(**{name: _values(series) for name, series in held.items()})
    if isinstance(results, tuple):
        return tuple(_series(lead, values) for values in results)
    return _series(lead, results)


def _values(series: Any) -> np.ndarray:
    """What is in it, masked where that is null."""
    values: np.ndarray = series.to_numpy()
    return np.ma.array(values, mask=series.is_null().to_numpy()) if series.null_count() else values


def _series(lead: Any, values: Any) -> Any:
    """A series with the name of another; of what is no row of numbers, that itself."""
    if np.ndim(values) != 1:
        return None if values is np.ma.masked else values
    made = type(lead)(lead.name, np.ma.getdata(values))
    if not np.ma.isMaskedArray(values):
        return made
    return made.set(type(lead)(np.ma.getmaskarray(values)), None)

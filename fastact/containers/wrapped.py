"""Subclasses of NumPy's arrays, and arrays of other libraries that NumPy's ufuncs give back as they came."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastact.containers.calls import Call

__all__ = ["hand_over"]


def hand_over(call: Call) -> Any:
    held = call.held("wrapped")
    for value in held.values():
        if isinstance(value, np.ndarray):
            _exponential(value)  # which refuses what has a unit, whatever the result has
    lead = held[call.leading(held)]
    results = call.again(**{name: np.asarray(value) for name, value in held.items()})
    if call.given.get("out") is not None:
        return results
    if isinstance(results, tuple):
        return tuple(_wrapped(lead, values) for values in results)
    return _wrapped(lead, results)


def _wrapped(lead: Any, values: Any) -> Any:
    """As ``np.exp`` would give it back. A matrix knows no rows of one dimension, so only what has as many axes is made
    one."""
    if isinstance(lead, np.ndarray):
        if not np.ndim(values) or (isinstance(lead, np.matrix) and np.ndim(values) != lead.ndim):
            return values
        lead = _exponential(lead)
    return lead.__array_wrap__(np.asarray(values))


def _exponential(lead: Any) -> Any:
    """What a subclass makes of exponentials: those of metres, say, it refuses, and of degrees it makes numbers."""
    return lead if type(lead).__array_ufunc__ is np.ndarray.__array_ufunc__ else np.exp(lead.ravel()[:0])

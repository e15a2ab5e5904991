"""What arrays with labels have in common: which axes of a result are those of an argument."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastact.containers.calls import Call, Family

__all__ = ["kept_axes", "with_labels"]


def kept_axes(call: Call, lead: Any, result: Any) -> list[tuple[int, bool]]:
    """For each axis of a result, the axis of the argument that it comes from, and whether that has the same elements
    still: a gate halves its axis, and a dense layer makes another of the last."""
    removed = call.axes(lead.ndim) if result.ndim < lead.ndim else ()
    kept = [axis for axis in range(lead.ndim) if axis not in removed]
    if len(kept) != result.ndim:
        return []
    altered: tuple[int, ...] = ()
    if call.family is Family.DENSE and not call.backward:
        altered = (lead.ndim - 1,)
    return [(axis, axis not in altered and lead.shape[axis] == size) for axis, size in zip(kept, result.shape)]


def with_labels(call: Call, held: Mapping[str, Any], lead: Any, results: Any, label: Callable[[Any, Any], Any]) -> Any:
    """One result or several, labelled as what they belong to: ``label`` is given that and the values. A gradient with
    respect to something without labels has none, unless it is of the same shape."""
    if call.given.get("out") is not None:
        return results
    if not isinstance(results, tuple):
        return label(lead, results)
    likes = [held.get(str(owner)) for owner in call.owners(len(results))]
    likes = [lead if like is None and values.shape == lead.shape else like for like, values in zip(likes, results)]
    return tuple(values if like is None else label(like, values) for like, values in zip(likes, results))

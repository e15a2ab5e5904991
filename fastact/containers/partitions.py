"""Dask's DataFrames: functions of rows, partition by partition, lazily.

How many rows a partition has is not known. So what goes along columns, or sums over all, needs Dask's arrays.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastact.containers.calls import Call, Family

__all__ = ["hand_over"]

#: Families that compute every row by itself.
BY_ROWS = (Family.ALONG, Family.NORM, Family.SUM, Family.GATE, Family.DENSE)


def hand_over(call: Call) -> Any:
    held = call.held("partitions")
    lead = held[call.leading(held)]
    by_rows = call.family in BY_ROWS and lead.ndim == 2 and call.axes(2) == (1,)
    if not by_rows or _has_more(call) or call.leading(held) not in ("x", "y"):
        raise TypeError(
            f"{call.name} of a Dask {type(lead).__name__} works by rows, with one result: give it arrays for all else, "
            "x.to_dask_array(lengths=True)"
        )
    import dask.dataframe

    rest = {name: value for name, value in call.given.items() if name not in held}
    return dask.dataframe.map_partitions(functools.partial(_part, call.function, list(held), rest), *held.values())


def _has_more(call: Call) -> bool:
    """Whether it draws numbers, writes elsewhere, sees which rows there are, or gives gradients of weights as well."""
    others = ("out", "preactivation", "where", "b", "return_sign")
    learned = call.backward and (
        call.family is Family.DENSE or any(call.given.get(name) is not None for name in ("weight", "gate"))
    )
    return call.takes("rng") or learned or any(call.given.get(name) is not None for name in others)


def _part(function: Callable[..., Any], names: Sequence[str], rest: Mapping[str, Any], *parts: Any) -> Any:
    return function(**rest, **dict(zip(names, parts)))

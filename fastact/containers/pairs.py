"""Ufuncs of several results on Dask's arrays.

Of a ufunc with one result, Dask makes a lazy array by itself. One with several it looks up in its own module of ufuncs,
by name, and there are none but NumPy's: so that module is told whom to ask for a name that it does not have.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastact.containers.blocks import blockwise, floating
from fastact.containers.recognition import handler_of
from fastact.runtime.imports import when_imported

__all__ = ["enter"]

ASKED = "dask.array.ufunc"

#: By name: each with what tells whether two compute the same, though one is compiled and the other is not.
_entered: dict[str, list[tuple[np.ufunc, Sequence[Any]]]] = {}


def enter(ufunc: np.ufunc, formulas: Sequence[Any]) -> None:
    """Have Dask know a ufunc, whether it has been imported or will be."""
    if not _entered:
        when_imported(ASKED, _tell)
    _entered.setdefault(ufunc.__name__, []).append((ufunc, formulas))


def _tell(module: Any) -> None:
    module.__getattr__ = _look_up


def _look_up(name: str) -> Any:
    if name not in _entered:
        raise AttributeError(f"module {ASKED!r} has no attribute {name!r}")
    return functools.partial(_lazily, name)


def _lazily(name: str, *inputs: Any, **keywords: Any) -> Any:
    """What the ufunc of that name gives, chunk by chunk."""
    found = [(ufunc, formulas) for ufunc, formulas in _entered[name] if ufunc.nin == len(inputs)]
    ufunc, first = found[0]
    if any(a is not b for _, formulas in found for a, b in zip(formulas, first)):
        raise TypeError(f"{name} belongs to several activations, and Dask knows it by name: call one with x.map_blocks")
    if keywords.keys() - {"dtype"}:
        raise TypeError(f"{name} of Dask arrays takes no {', '.join(sorted(keywords.keys() - {'dtype'}))}")
    import dask.array as da

    arrays = [da.asanyarray(value) for value in inputs if _is_array(value)]
    given = [None if _is_array(value) else value for value in inputs]
    dtype = np.dtype(keywords["dtype"]) if "dtype" in keywords else floating(*inputs)
    signature = f"{','.join(['()'] * len(arrays))}->{','.join(['()'] * ufunc.nout)}"
    return tuple(blockwise(functools.partial(_call, ufunc, given, keywords), signature, arrays, [dtype] * ufunc.nout))


def _is_array(value: Any) -> bool:
    """Numbers are no arrays: they take the dtype of what they meet."""
    return handler_of(value) is not None or np.ndim(value) > 0


def _call(ufunc: np.ufunc, given: Sequence[Any], keywords: dict[str, Any], *blocks: Any) -> Any:
    arrays = iter(blocks)
    return ufunc(*(next(arrays) if value is None else value for value in given), **keywords)

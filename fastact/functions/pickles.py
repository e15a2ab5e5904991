"""Activations, and what is made of them, on their way to other processes.

What others can import, they are told by name. A formula in ``__main__`` or inside a function they cannot: it is sent as
the graph that it was traced into. No code travels, so every kind of pickle will do.
"""

from __future__ import annotations

import functools
import operator
import pickle
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fastact.functions.graphs import Graphs
from fastact.runtime.backends import backend as backend_in_use

__all__ = ["Own", "by_value", "importable", "portable", "ufunc_of"]

#: Activations by what they were pickled as: one that comes again, with every task say, is made and compiled once.
_known: dict[bytes, Any] = {}

#: What an activation makes of itself when it is asked for, or cannot be pickled.
DERIVED = ("_function", "_derivative", "_made", "graphs", "shown")


def importable(activation: Any) -> bool:
    """Whether other processes find it under its name."""
    module = sys.modules.get(activation.__module__)
    if module is None or activation.__module__ == "__main__":
        return False
    try:
        return operator.attrgetter(activation.__qualname__)(module) is activation
    except AttributeError:
        return False


def by_value(activation: Any, state: Mapping[str, Any], graphs: Graphs) -> tuple[Any, ...]:
    kept = {name: value for name, value in state.items() if name not in DERIVED}
    content = pickle.dumps((type(activation), kept, graphs.table()))
    _known[content] = activation  # of several that are equal, the last
    return _restored, (content,)


def _restored(content: bytes) -> Any:
    if content not in _known:
        kind, state, table = pickle.loads(content)
        activation = kind.__new__(kind)
        vars(activation).update(state, _made={}, graphs=Graphs.from_table(*table))
        _known.setdefault(content, activation)
    return _known[content]


def portable(backend: str) -> str | None:
    """How another process is told of a backend: it may have another one in use."""
    return None if backend == "numba" else backend


def ufunc_of(activation: Any, kind: str, backend: str | None, fixed: bool) -> np.ufunc:
    ufunc: np.ufunc = activation.ufunc(kind, backend or backend_in_use(), fixed)
    return ufunc


def _callable_of(activation: Any, kind: str, backend: str | None) -> Callable[..., Any]:
    function: Callable[..., Any] = activation.callable(kind, backend)
    return function


class Own(functools.partial):
    """A function of somebody's own activation. Nothing finds it under its name; it is pickled as what makes it."""

    __qualname__: str
    origin: tuple[Any, ...]

    def __new__(cls, function: Callable[..., Any], activation: Any, kind: str, backend: str) -> Own:
        made = super().__new__(cls, function)
        functools.update_wrapper(made, function)
        made.__module__ = activation.__module__
        made.__qualname__ = f"{activation.__qualname__}.{kind}"
        made.origin = activation, kind, portable(backend)
        return made

    def __get__(self, instance: Any, owner: Any = None) -> Own:
        """Itself: it is none of a class's methods, and ``help`` takes it for a function."""
        return self

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _callable_of, self.origin

    def __repr__(self) -> str:
        return f"<function {self.__qualname__}>"

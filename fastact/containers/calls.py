"""A call that is handed over: what it is, and how axes of its results belong to those of its arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from fastact.containers.recognition import ORDER, handler_of

__all__ = ["Call", "Family", "hand_over"]


class Family(Enum):
    """What a function does to shapes; it is offered with that."""

    ALONG = "the shape of x"
    NORM = "the shape of x, with weights along the axis"
    SUM = "without the axes"
    GATE = "half of the axis"
    TERMS = "a loss of every element"
    CLASSES = "a loss of every row"
    SETS = "a loss of every row, seen as a set"
    DENSE = "another last axis"


#: Arguments whose labels a result takes, in the order of preference; and those of several results.
LEADING = ("y", "x", "logits", "pred")


class Call(NamedTuple):
    """A public function, and what it was given by name; what it was not given is missing."""

    function: Callable[..., Any]
    family: Family
    given: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.function.__name__

    @property
    def backward(self) -> bool:
        return self.name.endswith("_backward")

    def takes(self, parameter: str) -> bool:
        return parameter in _parameters(self.function)

    def option(self, name: str) -> Any:
        """What was given, or the default."""
        return self.given.get(name, _parameters(self.function)[name].default)

    def again(self, **changes: Any) -> Any:
        """The same function, of something else."""
        return self.function(**{**self.given, **changes})

    def sibling(self, name: str) -> Callable[..., Any]:
        """Another public function of the same backend."""
        function: Callable[..., Any] = getattr(import_module(self.function.__module__), name)
        return function

    def held(self, handler: str) -> dict[str, Any]:
        """The arguments that are of a handler's kind. ``out`` is looked after by itself."""
        return {n: value for n, value in self.given.items() if n != "out" and handler_of(value) == handler}

    def leading(self, names: Iterable[str]) -> str:
        """Whose labels the result takes."""
        among = list(names)
        return next((name for name in LEADING if name in among), among[0])

    def owners(self, results: int) -> tuple[str | None, ...]:
        """Of several results, which argument each is the gradient of, or like."""
        if self.family is Family.DENSE:
            return "x", "weight", None
        if self.family is Family.NORM:
            return "x", "weight", "weight"
        if self.family is Family.GATE:
            return "x", "gate"
        if self.family is Family.TERMS:
            return "pred", "var"
        return ("x",) * results

    def axes(self, ndim: int) -> tuple[int, ...]:
        """The axes that the function works along, as indices."""
        if self.family is Family.TERMS:
            return tuple(range(ndim))
        axis = self.option("axis") if self.takes("axis") else -1
        if axis is None and self.family is Family.CLASSES:
            axis = min(1, ndim - 1)
        if axis is None:
            axis = tuple(range(min(1, ndim - 1) if self.family is Family.SETS else 0, ndim))
        return tuple(sorted(normalize_axis_tuple(axis, ndim))) if ndim else ()


@cache
def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(function).parameters


def _handlers(given: Mapping[str, Any]) -> set[str]:
    found = {handler_of(value) for name, value in given.items() if name != "out"}
    return {handler for handler in found if handler is not None}


def hand_over(
    function: Callable[..., Any], family: Family, arguments: tuple[Any, ...], keywords: Mapping[str, Any]
) -> Any:
    """The result of a call with an argument that is no plain array."""
    given = inspect.signature(function).bind(*arguments, **keywords).arguments
    found = _handlers(given)
    if not found:  # lists of what is no plain number
        given = {name: np.asarray(value) if isinstance(value, list) else value for name, value in given.items()}
        found = _handlers(given)
    handler = min(found, key=ORDER.index)
    return import_module(f"fastact.containers.{handler}").hand_over(Call(function, family, given))

"""A function that a command names, and the parameters that go with it as text."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from fastact.catalogue import ACTIVATIONS, SPECIAL, Activation
from fastact.commands.errors import UsageError
from fastact.functions.registry import unknown
from fastact.names import functions, public_callable

__all__ = ["Chosen", "chosen_function"]


class Chosen(NamedTuple):
    """A function of one array, with everything else that it is called with."""

    name: str
    function: Callable[..., Any]
    keywords: dict[str, Any]
    axis: int | None = None  # of a function along an axis; None for one of each element


def chosen_function(name: str, settings: Sequence[str], axis: int | None) -> Chosen:
    elementwise = ACTIVATIONS.public_names() | SPECIAL.public_names()
    if name in elementwise:
        entry, kind = elementwise[name]
        if kind not in ("value", "derivative"):
            raise UsageError(f"{name} takes or returns two arrays; apply can do NAME and NAME_derivative")
        if axis is not None:
            raise UsageError(f"{name} takes each element by itself: it has no axis")
        return Chosen(name, entry.callable(kind), _of_activation(entry, settings))
    rows = _rows()
    if name not in rows:
        if name in functions():
            raise UsageError(f"{name} takes or returns other arrays, too; apply does functions of one")
        raise UsageError(unknown(name, [*SPECIAL, *rows], "function of one array"))
    function, numbers = public_callable(name), _numbers(name)
    axis = -1 if axis is None else axis
    keywords = {key: _number(key, value) for key, value in _pairs(name, settings, numbers)}
    return Chosen(name, function, keywords | {"axis": axis}, axis)


def _rows() -> list[str]:
    """Functions that take one array and give one for it, along an axis."""
    found = []
    for name in functions():
        parameters = inspect.signature(public_callable(name)).parameters
        required = [p for p in parameters.values() if p.default is p.empty]
        if len(required) == 1 and "axis" in parameters and parameters["axis"].default == -1:
            found.append(name)
    return found


def _numbers(name: str) -> list[str]:
    """What a function along an axis has to set that is a number."""
    parameters = inspect.signature(public_callable(name)).parameters
    return [key for key, p in parameters.items() if type(p.default) is float or key == "eps"]


def _of_activation(entry: Activation, settings: Sequence[str]) -> dict[str, Any]:
    options = ["approximate"] if entry.choice else []
    keywords: dict[str, Any] = {}
    for key, value in _pairs(entry.name, settings, [*entry.parameters, *options]):
        keywords[key] = _approximation(entry, value) if key in options else _number(key, value)
    missing = [p for p, default in entry.parameters.items() if not isinstance(default, float) and p not in keywords]
    if missing:
        raise UsageError(f"{entry.name} needs --set {missing[0]}=VALUE")
    return keywords


def _pairs(name: str, settings: Sequence[str], known: Sequence[str]) -> list[tuple[str, str]]:
    pairs = [(key, value) for key, _, value in (setting.partition("=") for setting in settings)]
    for key, _ in pairs:
        if key not in known:
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise UsageError(f"{name} has no parameter {key!r}; {has}")
    return pairs


def _number(key: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise UsageError(f"{key} must be a number, not {value!r}") from None


def _approximation(entry: Activation, value: str) -> str:
    known = ["none", *(word for word in entry.choice if isinstance(word, str))]
    if value not in known:
        raise UsageError(f"approximate must be one of {', '.join(known)}, not {value!r}")
    return value

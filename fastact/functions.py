"""Public functions other than activations: each written once, for both backends.

A module of :data:`FAMILIES` defines them with ``backend`` as first parameter and decorates them with
:func:`offered`. From that follow ``fastact.NAME`` (with the backend in use), ``fastact.fallback.NAME``,
``fastact.__all__``, the type stubs and the README's table.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any

__all__ = ["FUNCTIONS", "offered", "public_callable", "repeated"]

#: The modules that offer functions.
FAMILIES: tuple[str, ...] = ("rows", "gates", "catalogue.losses", "classification", "layers")


class _Functions(Mapping[str, Callable[..., Any]]):
    """The offered functions by name, as they were written: with the backend as first argument."""

    def __init__(self) -> None:
        self._by_name: dict[str, Callable[..., Any]] = {}
        self._bound: dict[tuple[str, str], Callable[..., Any]] = {}

    def _load(self) -> None:
        for family in FAMILIES:
            import_module(f"fastact.{family}")

    def add(self, function: Callable[..., Any]) -> None:
        self._by_name[function.__name__] = function

    def __getitem__(self, name: str) -> Callable[..., Any]:
        self._load()
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        self._load()
        return iter(sorted(self._by_name))  # and not as they came, which depends on what else was imported

    def __len__(self) -> int:
        self._load()
        return len(self._by_name)

    def callable(self, name: str, backend: str | None = None) -> Callable[..., Any]:
        """The public function of that name, computed by ``"numba"`` or ``"numpy"``."""
        if backend is None:
            from fastact.backends import backend as chosen

            backend = chosen()
        if (name, backend) not in self._bound:
            self._bound[name, backend] = _bind(self[name], backend)
        return self._bound[name, backend]


def _bind(function: Callable[..., Any], backend: str) -> Callable[..., Any]:
    @functools.wraps(function)
    def bound(*arguments: Any, **keywords: Any) -> Any:
        return function(backend, *arguments, **keywords)

    signature = inspect.signature(function)
    described: Any = bound
    described.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])
    described.__module__ = "fastact" if backend == "numba" else "fastact.fallback"
    if backend == "numba" and hasattr(function, "operands"):
        from fastact.direct import with_direct_calls

        return with_direct_calls(bound, function.operands)
    return bound


FUNCTIONS = _Functions()


def offered(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator: make a public function of one whose first parameter is the backend."""
    FUNCTIONS.add(function)
    return function


def repeated(operands: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator of functions along an axis, with so many operands: calls that repeat themselves take no step in
    Python (fastact.direct)."""

    def marked(function: Callable[..., Any]) -> Callable[..., Any]:
        described: Any = function
        described.operands = operands
        return function

    return marked


def public_callable(name: str, backend: str | None = None) -> Any:
    """A public function: an activation's callable, or one of another family; None if there is none of that name."""
    from fastact.activations import ACTIVATIONS

    if name in ACTIVATIONS.public_names():
        entry, kind = ACTIVATIONS.public_names()[name]
        return entry.callable(kind, backend)
    return FUNCTIONS.callable(name, backend) if name in FUNCTIONS else None

"""Public functions other than activations: each written once, for both backends.

A module of :data:`FAMILIES` defines them with ``backend`` as first parameter and decorates them with
:func:`offered`. From that follow ``fastact.NAME`` (with the backend in use), ``fastact.fallback.NAME``,
``fastact.__all__``, the type stubs and the README's table.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from fastact.containers.calls import Family, hand_over
from fastact.containers.recognition import ContainedError
from fastact.functions.homes import home
from fastact.runtime.backends import backend as backend_in_use
from fastact.runtime.backends import do_without
from fastact.runtime.notices import UnavailableError

__all__ = ["FUNCTIONS", "Family", "offered"]


class _Functions(Mapping[str, Callable[..., Any]]):
    """The offered functions by name, as they were written: with the backend as first argument."""

    def __init__(self) -> None:
        self._by_name: dict[str, Callable[..., Any]] = {}
        self._families: dict[str, Family] = {}
        self._bound: dict[tuple[str, str], Callable[..., Any]] = {}

    def add(self, function: Callable[..., Any], family: Family) -> None:
        self._by_name[function.__name__] = function
        self._families[function.__name__] = family

    def family(self, name: str) -> Family:
        """What the function of that name does to shapes."""
        return self._families[name]

    def __getitem__(self, name: str) -> Callable[..., Any]:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._by_name))  # and not as they came, which depends on what else was imported

    def __len__(self) -> int:
        return len(self._by_name)

    def callable(self, name: str, backend: str | None = None) -> Callable[..., Any]:
        """The public function of that name, computed by ``"numba"`` or ``"numpy"``."""
        if backend is None:
            backend = backend_in_use()
        if (name, backend) not in self._bound:
            self._bound[name, backend] = _bind(self[name], backend)
        return self._bound[name, backend]


def _bind(function: Callable[..., Any], backend: str) -> Callable[..., Any]:
    computing = backend

    @functools.wraps(function)
    def bound(*arguments: Any, **keywords: Any) -> Any:
        nonlocal computing
        try:
            return function(computing, *arguments, **keywords)
        except UnavailableError as error:
            computing = do_without(error)
            return function(computing, *arguments, **keywords)
        except ContainedError:
            pass  # what else may be raised has nothing to do with it
        name = function.__name__
        return hand_over(FUNCTIONS.callable(name, backend), FUNCTIONS.family(name), arguments, keywords)

    signature = inspect.signature(function)
    described: Any = bound
    described.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])
    described.__module__ = home(backend)
    if backend == "numba" and hasattr(described, "in_front"):
        with contextlib.suppress(UnavailableError):  # the call will say so
            return described.in_front(bound)
    return bound


FUNCTIONS = _Functions()


def offered(family: Family) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator: make a public function of one whose first parameter is the backend. ``family``: what it does to
    shapes, for arrays of other kinds than NumPy's."""

    def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
        FUNCTIONS.add(function, family)
        return function

    return decorated

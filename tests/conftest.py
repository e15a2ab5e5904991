"""What the tests iterate over: the registry."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

import fastact
from fastact.catalogue import ACTIVATIONS, Activation
from fastact.commands.bench import sample_parameters as parameters
from fastact.functions.registry import KINDS
from fastact.names import functions

__all__ = ["BACKENDS", "Network", "callable_of", "compiled_only", "needs_posix", "offered", "parameters"]

Network = Any  # a class: fastact.MLP or fastact.fallback.MLP

BACKENDS = ["fallback"] if fastact.backend() == "numpy" else ["compiled", "fallback"]

# An example that compiles takes long, and any may on a busy machine.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

compiled_only = pytest.mark.skipif(fastact.backend() == "numpy", reason="the NumPy backend compiles nothing")
needs_posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="this machine has other forks and signals")


def callable_of(entry: Activation, kind: str, backend: str) -> Callable[..., Any]:
    return entry.callable(kind, "numpy" if backend == "fallback" else "numba")


def offered(name: str, backend: str) -> Callable[..., Any]:
    """A function of another family than activations."""
    function: Callable[..., Any] = functions().callable(name, "numpy" if backend == "fallback" else "numba")
    return function


@pytest.fixture(params=list(ACTIVATIONS))
def entry(request: pytest.FixtureRequest) -> Activation:
    return ACTIVATIONS[request.param]


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def gradient(name: str, backend: str) -> Callable[..., Any]:
    """The backward of the function that a module's own fixture names."""
    return offered(f"{name}_backward", backend)


@pytest.fixture
def network(backend: str) -> Network:
    """The class of networks of a backend."""
    return fastact.fallback.MLP if backend == "fallback" else fastact.MLP


@pytest.fixture(params=list(KINDS.values()))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)

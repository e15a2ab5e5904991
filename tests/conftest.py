"""What the tests iterate over: the registry."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

import fastact
from benchmarks import wide
from fastact.catalogue import ACTIVATIONS, Activation
from fastact.functions.parameters import sample_parameters as parameters
from fastact.functions.registry import KINDS
from fastact.names import functions
from fastact.ufuncs import direct
from fastact.ufuncs.keywords import REQUIRED

__all__ = [
    "BACKENDS",
    "WITHOUT_REQUIRED",
    "Network",
    "callable_of",
    "compiled_only",
    "needs_built_in_functions",
    "needs_posix",
    "needs_wide_longdouble",
    "offered",
    "parameters",
]

Network = Any  # a class: fastact.MLP or fastact.fallback.MLP

BACKENDS = ["fallback"] if fastact.backend() == "numpy" else ["compiled", "fallback"]
if BACKENDS == ["fallback"]:
    os.environ["FASTACT_BACKEND"] = "numpy"  # as it is meant: programs that tests start need not be warned

#: Activations all of whose parameters have defaults.
WITHOUT_REQUIRED = [entry.name for entry in ACTIVATIONS.values() if REQUIRED not in entry.parameters.values()]

# An example that compiles takes long, and any may on a busy machine.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

compiled_only = pytest.mark.skipif(fastact.backend() == "numpy", reason="the NumPy backend compiles nothing")

# What the machine cannot do has a reason that begins with "this machine": .ci/ran_nowhere.py excuses it.
needs_posix = pytest.mark.skipif(os.name != "posix", reason="this machine has other forks and signals")
needs_wide_longdouble = pytest.mark.skipif(
    not wide.available(), reason="this machine's longdouble is no wider than float64"
)
needs_built_in_functions = pytest.mark.skipif(
    sys.version_info < (3, 11), reason="this machine's Python, 3.10, cannot be asked to make functions of C"
)

#: Which of its two runs of the suite .ci/run is at, "numba" or "numpy": each leaves to the other what does the same
#: there. It is skipped, not left out, so that .ci/ran_nowhere.py sees whether the other has run it.
SHARE = os.environ.get("FASTACT_TESTS_SHARE")

#: Folders of tests that give arrays to NumPy's versions, in this process: whether there is Numba makes no difference.
ARRAYS_ALONE = {"catalogue", "formulas", "layers", "losses", "rows"}


@pytest.fixture(autouse=True)
def registry_as_it_was() -> Iterator[None]:
    """What a test registers, no other finds, which the same process may run."""
    known, aliases = dict(ACTIVATIONS._by_name), dict(ACTIVATIONS._aliases)
    yield
    if known != ACTIVATIONS._by_name:
        ACTIVATIONS._by_name, ACTIVATIONS._aliases = known, aliases
        ACTIVATIONS.changes += 1
        direct.forget()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Workers compare what they have collected: an address in a name differs from process to process."""
    named = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if named:
        raise pytest.UsageError(f"a test's name must be the same in every process: {named[0]}")
    for item in items:
        if left_to_the_other_run(item):
            item.add_marker(pytest.mark.skip(reason="the other run of the suite does it as well"))


def left_to_the_other_run(item: pytest.Item) -> bool:
    if SHARE == "numba":
        given = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        arrays_alone = item.path.parent.name in ARRAYS_ALONE
        return (given.get("backend") == "fallback" and arrays_alone) or given.get("compute") == "numpy"
    return SHARE == "numpy" and item.get_closest_marker("either_backend") is not None


def pytest_collection_finish() -> None:
    """Compiling makes millions of objects; to look for cycles among them as often as usual takes a twentieth longer."""
    gc.freeze()
    gc.set_threshold(100_000)


def callable_of(entry: Activation, kind: str, backend: str) -> Callable[..., Any]:
    return entry.callable(kind, "numpy" if backend == "fallback" else "numba")


def offered(name: str, backend: str) -> Callable[..., Any]:
    """A function of another family than activations."""
    function: Callable[..., Any] = functions().callable(name, "numpy" if backend == "fallback" else "numba")
    return function


@pytest.fixture(params=list(ACTIVATIONS))
def entry(request: pytest.FixtureRequest) -> Activation:
    return ACTIVATIONS[request.param]


@pytest.fixture(params=WITHOUT_REQUIRED)
def usual(request: pytest.FixtureRequest) -> Activation:
    """An activation that needs no parameters."""
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

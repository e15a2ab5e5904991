"""``pytest benchmarks``: each function beside plain NumPy and beside a copy, over sizes, dtypes and kinds.

Compare within one group of the printed table: a group is one size, dtype and way of calling.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastact
from fastact.catalogue import ACTIVATIONS
from fastact.commands.bench import parallel_copy
from fastact.commands.peers import plain_numpy
from fastact.functions.parameters import sample_parameters

SIZES = [1, 1_000, 100_000, 10_000_000]
DTYPES = ["float32", "float64"]


@pytest.fixture(params=SIZES, ids=lambda size: f"{size:.0e}")
def size(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(params=DTYPES)
def x(request: pytest.FixtureRequest, size: int) -> np.ndarray:
    return (np.random.default_rng(0).standard_normal(size) * 3).astype(request.param)


def rounds(benchmark: Any, function: Any, x: np.ndarray, group: str) -> None:
    """Few long rounds or many short ones: a tenth of a second in all."""
    benchmark.group = f"{group} {x.size:.0e} {x.dtype}"
    iterations = max(1, 20_000 // x.size)
    with np.errstate(all="ignore"):
        benchmark.pedantic(function, rounds=9, iterations=iterations, warmup_rounds=1)


@pytest.mark.parametrize("fresh", [False, True], ids=["out", "fresh"])
@pytest.mark.parametrize("kind", ["value", "backward"])
@pytest.mark.parametrize("name", list(ACTIVATIONS))
def test_function(benchmark: Any, name: str, kind: str, fresh: bool, x: np.ndarray) -> None:
    entry = ACTIVATIONS[name]
    function = entry.callable(kind)
    arguments = [*([np.ones_like(x)] if kind == "backward" else []), x, *sample_parameters(entry).values()]
    two = kind == "backward" and entry.learned
    out: Any = (np.empty_like(x), np.empty_like(x)) if two else np.empty_like(x)
    keywords = {} if fresh else {"out": out}
    rounds(benchmark, lambda: function(*arguments, **keywords), x, f"{kind} {'fresh' if fresh else 'out'}")


@pytest.mark.parametrize("name", list(ACTIVATIONS))
def test_plain_numpy(benchmark: Any, name: str, x: np.ndarray) -> None:
    entry = ACTIVATIONS[name]
    plain = plain_numpy(entry)
    if plain is None:
        pytest.skip("needs SciPy")
    parameters = sample_parameters(entry)
    rounds(benchmark, lambda: plain(x, **parameters), x, "value fresh")


@pytest.mark.parametrize("fresh", [False, True], ids=["out", "fresh"])
def test_copy(benchmark: Any, fresh: bool, x: np.ndarray) -> None:
    """The limit: the bytes of a value function, moved by as many threads."""
    copy = x.copy if fresh else parallel_copy(np.empty_like(x), x, fastact.get_num_threads())
    rounds(benchmark, copy, x, f"value {'fresh' if fresh else 'out'}")

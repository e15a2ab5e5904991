"""Calls without Python of activations whose parameters must be given, as arrays."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastact
from fastact.catalogue import ACTIVATIONS
from tests.conftest import callable_of, compiled_only, needs_built_in_functions
from tests.processes import run

pytestmark = [compiled_only, needs_built_in_functions]

SHAPES: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((1000, 64), (64,)),
    ((300, 7), (7,)),
    ((2, 5, 300), (5, 1)),
    ((40, 50), (40, 50)),
    ((64,), (1,)),
    ((600, 1000), (1000,)),
    ((20,), (30, 20)),
]


def calls_of_python(call: Callable[[], Any]) -> list[str]:
    """Files whose functions run in a call."""
    seen: list[str] = []
    sys.setprofile(lambda frame, event, argument: seen.append(frame.f_code.co_filename) if event == "call" else None)
    try:
        call()
    finally:
        sys.setprofile(None)
    return [name for name in seen if name.startswith("<fastact") or "numpy" in name]


@pytest.mark.parametrize(("shape", "channels"), SHAPES)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("kind", ["value", "derivative"])
def test_a_parameter_per_channel(shape: tuple[int, ...], channels: tuple[int, ...], dtype: str, kind: str) -> None:
    function, numpy = (callable_of(ACTIVATIONS["prelu"], kind, backend) for backend in ("compiled", "fallback"))
    rng = np.random.default_rng(0)
    made = [rng.standard_normal((2, *n)).astype(dtype) for n in (shape, channels)]
    (x, other), (slope, steeper) = made
    expected = numpy(other, steeper)
    out = np.empty_like(expected)
    function(x, slope, out=np.empty_like(expected))
    files = calls_of_python(lambda: function(other, weight=steeper, out=out))
    assert dtype == "float16" or files == []
    assert np.array_equal(out, expected)
    assert np.array_equal(function(other, steeper), expected)
    if other.shape == expected.shape:
        assert function(other, steeper, out=other) is other
        assert np.array_equal(other, expected)


def test_what_is_left_to_python() -> None:
    rng = np.random.default_rng(0)
    x, slope = rng.standard_normal((40, 8), np.float32), rng.standard_normal(8, np.float32)
    expected = np.where(x > 0, x, slope * x)
    for _ in range(2):
        assert np.array_equal(fastact.prelu(x, slope), expected)
    assert fastact.prelu(x, slope, dtype=float).dtype == np.float64
    assert fastact.prelu(x, slope.astype(float)).dtype == np.float64
    assert np.array_equal(fastact.prelu(x.T, slope[:, None]), expected.T)
    assert np.array_equal(fastact.prelu(x, slope, where=x > 0, out=np.zeros_like(x)), np.where(x > 0, x, 0))
    assert np.array_equal(fastact.prelu(x, 0.25), np.where(x > 0, x, 0.25 * x))
    assert np.array_equal(fastact.prelu(x, slope, out=(np.empty_like(x),)), expected)
    overlapping = np.zeros(x.size + 4, np.float32)
    overlapping[4:] = x.ravel()
    assert np.array_equal(
        fastact.prelu(overlapping[4:].reshape(40, 8), slope, out=overlapping[:-4].reshape(40, 8)), expected
    )
    for wrong in ({"weight": slope, "out": np.empty((3, 3), np.float32)}, {"weight": slope, "unknown": 1}, {}):
        with pytest.raises((TypeError, ValueError)):
            fastact.prelu(x, **wrong)
    with pytest.raises(ValueError, match="broadcast"):
        fastact.prelu(x, slope[:5])


def test_own_activations_of_one_name_are_kept_apart() -> None:
    x, factor = np.ones((4, 5)), np.full(5, 2.0)
    doubled = fastact.activation(lambda x, factor: factor * x, name="prelu")
    tripled = fastact.activation(lambda x, factor: 1.5 * factor * x, name="prelu")
    for _ in range(3):
        assert np.array_equal(doubled.value(x, factor), 2 * x)
        assert np.array_equal(tripled.value(x, factor), 3 * x)


def test_it_can_be_pickled_and_shows_its_signature() -> None:
    code = """
import inspect, pickle, fastact
assert pickle.loads(pickle.dumps(fastact.prelu)) is fastact.prelu
print(inspect.signature(fastact.prelu), fastact.prelu.__module__)
"""
    result = run(code)
    assert result.stdout == "(x, weight, **keywords) fastact\n", result.stderr

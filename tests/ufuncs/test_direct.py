"""Calls of functions along an axis that take no step in Python: only those that may, with the same results."""

from __future__ import annotations

import inspect
import os
import pickle
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import fastact
from fastact.names import functions
from fastact.simd.known import Direct
from fastact.ufuncs import direct
from tests.conftest import compiled_only, needs_built_in_functions, needs_posix
from tests.threads import at_once

pytestmark = [compiled_only, needs_built_in_functions]

NAMES = ["softmax", "softmin", "log_softmax", "sparsemax", "entmax15"]
NAMES += [f"{name}_backward" for name in NAMES]


class ForwardedError(Exception):
    """A call has reached Python."""


@pytest.fixture
def without_python() -> Iterator[None]:
    """Whatever is left to Python raises ForwardedError."""

    def forward(*arguments: Any, **keywords: Any) -> None:
        raise ForwardedError

    before = {}
    for name in NAMES:
        getattr(fastact, name)
        record = direct._calls[name].record
        before[name] = int(record[Direct.FUNCTION])
        direct._calls[name].forget()
        record[Direct.FUNCTION] = id(forward)
    yield
    for name, function in before.items():
        direct._calls[name].record[Direct.FUNCTION] = function


def operands(name: str, shape: tuple[int, ...], dtype: Any, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape).astype(dtype)
    return [x, rng.uniform(0, 1, shape).astype(dtype)] if name.endswith("backward") else [x]


def by_python(name: str, *arguments: Any, **keywords: Any) -> Any:
    """The function's result as it comes through Python, which notes the call."""
    return functions()[name]("numba", *arguments, **keywords)


@pytest.mark.parametrize(("name", "dtype"), [(name, "float32") for name in NAMES] + [("softmax", "float16")])
def test_the_same_results(name: str, dtype: str, without_python: None) -> None:
    function = getattr(fastact, name)
    for shape, axis in (((7,), -1), ((5, 100), -1), ((5, 100), 0), ((3, 4, 50), 1), ((2, 1, 3, 1, 2, 20), 5)):
        arrays = operands(name, shape, dtype)
        with pytest.raises(ForwardedError):
            function(*arrays, axis=axis)
        by_python(name, *arrays, axis=axis)
        other = operands(name, shape, dtype, seed=1)
        expected, out = by_python(name, *other, axis=axis), np.empty_like(other[0])
        results = [function(*other, axis=axis), function(*other, axis), function(*other, axis, out=None)]
        assert all(type(result) is np.ndarray and result.flags.owndata for result in results)
        assert function(*other, axis=axis, out=out) is out
        assert function(*other, out=other[0], axis=axis) is other[0]
        assert all(np.array_equal(result, expected) for result in [*results, out, other[0]])


@pytest.mark.parametrize("name", NAMES)
def test_what_is_left_to_python(name: str, without_python: None) -> None:
    function = getattr(fastact, name)
    arrays = operands(name, (6, 20), np.float32)
    by_python(name, *arrays)
    function(*arrays)  # known
    read_only, memory = np.empty_like(arrays[0]), np.empty(121 + 119, np.float32)
    read_only.flags.writeable = False
    overlapping = [memory[:120].reshape(6, 20)] * len(arrays)
    for given, keywords in (
        (arrays, {"where": True}),
        (arrays, {"axis": 0}),
        (arrays, {"axis": np.int64(-1)}),
        (arrays, {"unknown": 1}),
        (arrays, {"out": read_only}),
        (arrays, {"out": np.empty((6, 20))}),
        (arrays, {"out": np.empty((20, 6), np.float32)}),
        (arrays, {"out": np.empty((20, 6), np.float32).T}),
        (arrays, {"out": np.ma.empty((6, 20), np.float32)}),
        (arrays, {"out": 3}),
        (overlapping, {"out": memory[60:180].reshape(6, 20)}),
        ([a.astype(float) for a in arrays], {}),
        ([a.astype(">f4") for a in arrays], {}),
        ([a[:, ::2] for a in arrays], {}),
        ([a.T for a in arrays], {}),
        ([np.ma.array(a) for a in arrays], {}),
        ([a.tolist() for a in arrays], {}),
        ([], {}),
        ([*arrays, -1, 0], {}),
        ([*arrays, -1], {"axis": -1}),
    ):
        with pytest.raises(ForwardedError):
            function(*given, **keywords)


def test_a_large_result_goes_into_memory_that_is_kept(without_python: None) -> None:
    x = np.zeros((600, 1000), np.float32)
    by_python("softmax", x)
    with pytest.raises(ForwardedError):
        fastact.softmax(x)
    fastact.softmax(x, out=x)


def test_more_shapes_than_are_kept() -> None:
    arrays = [operands("softmax", (5, n), np.float32)[0] for n in range(1, 3 * Direct.NUMBER)]
    expected = [by_python("softmax", x) for x in arrays]
    for _ in range(2):
        assert all(np.array_equal(fastact.softmax(x), y) for x, y in zip(arrays, expected))


def test_no_reference_is_lost_or_kept() -> None:
    x, out = np.zeros((5, 40)), np.zeros((5, 40))
    fastact.softmax(x, out=out)
    before = sys.getrefcount(x), sys.getrefcount(out), sys.getrefcount(x.dtype), sys.getrefcount(None)
    for _ in range(1000):
        fastact.softmax(x, out=out)
        fastact.softmax(x, out=None)
    after = sys.getrefcount(x), sys.getrefcount(out), sys.getrefcount(x.dtype), sys.getrefcount(None)
    assert max(abs(a - b) for a, b in zip(after, before)) < 100
    assert sys.getrefcount(fastact.softmax(x)) == sys.getrefcount(np.exp(x))


def test_many_python_threads() -> None:
    arrays = [operands("softmax", (n, 300), np.float32)[0] for n in range(1, 5)]
    expected = [by_python("softmax", x) for x in arrays]
    wrong: list[int] = []

    def run() -> None:
        for i in range(400):
            x, y = arrays[i % 4], expected[i % 4]
            if not np.array_equal(fastact.softmax(x), y):
                wrong.append(i)

    at_once(16, run)
    assert not wrong


@needs_posix
@pytest.mark.filterwarnings("ignore:.*fork")
def test_in_a_forked_child() -> None:
    x = operands("softmax", (100, 1000), np.float32)[0]
    expected = fastact.softmax(x)
    child = os.fork()
    if child == 0:
        os._exit(0 if np.array_equal(fastact.softmax(x), expected) else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_it_looks_like_the_function_it_stands_for() -> None:
    assert str(inspect.signature(fastact.softmax)) == "(x, axis=-1, *, out=None, where=None, dtype=None)"
    assert "Probabilities" in (fastact.softmax.__doc__ or "")
    assert pickle.loads(pickle.dumps(fastact.softmax)) is fastact.softmax

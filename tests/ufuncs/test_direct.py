"""Calls that take no step in Python: only those that may, with the same results."""

from __future__ import annotations

import inspect
import math
import pickle
import sys
import tracemalloc
import weakref
from typing import Any

import numpy as np
import pytest

import fastact
from fastact.simd.known import Direct
from fastact.ufuncs import direct
from tests.conftest import compiled_only, needs_built_in_functions, needs_posix
from tests.processes import PRELUDE, run
from tests.threads import at_once
from tests.ufuncs.direct_calls import (
    GATES,
    LOSSES,
    NAMES,
    ROWS,
    ForwardedError,
    by_python,
    check,
    operands,
)

pytestmark = [compiled_only, needs_built_in_functions]


@pytest.mark.parametrize(("name", "dtype"), [(name, "float32") for name in ROWS] + [("softmax", "float16")])
@pytest.mark.parametrize("suffix", ["", "_backward"])
def test_rows(name: str, suffix: str, dtype: str, without_python: None) -> None:
    for shape, axis in (((7,), -1), ((5, 100), -1), ((5, 100), 0), ((3, 4, 50), 1), ((2, 1, 3, 1, 2, 20), 5)):
        check(name + suffix, *(operands(name + suffix, shape, dtype, seed) for seed in (0, 1)), {"axis": axis})


@pytest.mark.parametrize("name", GATES)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_gates(name: str, dtype: str, without_python: None) -> None:
    for shape in ((8,), (2,), (1000,), (5, 100), (3, 4, 50), (300, 30), (2, 60_000)):
        if dtype != "float16" or shape[-1] > 6 or len(shape) == 1:
            check(name, *(operands(name, shape, dtype, seed) for seed in (0, 1)), {})
            both = [operands(f"{name}_backward", shape, dtype, seed) for seed in (0, 1)]
            check(f"{name}_backward", *both, {})
    x = [operands(name, (6, 20, 8), dtype, seed) for seed in (0, 1)]
    for axis in (0, 1, -2):
        check(name, *([np.copy(a) for a in arrays] for arrays in x), {"axis": axis})


@pytest.mark.parametrize("name", NAMES)
def test_what_is_left_to_python(name: str, without_python: None) -> None:
    function = getattr(fastact, name)
    arrays = operands(name, (6, 20), np.float32)
    loss = name.removesuffix("_backward") in LOSSES
    arrays = [a.copy() for a in arrays]
    keywords: dict[str, Any] = {"reduction": "none"} if loss else {}
    by_python(name, *arrays, **keywords)
    shape = function(*arrays, **keywords).shape  # known
    read_only, memory = np.empty(shape, np.float32), np.empty(121 + 119, np.float32)
    read_only.flags.writeable = False
    overlapping = [memory[: a.size].reshape(a.shape) for a in arrays]
    bytes_ = np.empty(4 * arrays[0].size + 1, np.uint8)[1:].view(np.float32).reshape(arrays[0].shape)
    for given, more in (
        (arrays, {"reduction": "sums"} if loss else {"axis": 0}),
        (arrays, {"reduction": "".join(["no", "ne"])} if loss else {"axis": np.int64(-1)}),
        (arrays, {"unknown": 1}),
        (arrays, {"out": read_only}),
        (arrays, {"out": np.empty(shape)}),
        (arrays, {"out": np.empty(shape[::-1], np.float32)}),
        (arrays, {"out": np.empty(shape[::-1], np.float32).T}),
        (arrays, {"out": np.ma.empty(shape, np.float32)}),
        (arrays, {"out": 3}),
        (overlapping, {"out": memory[19 : 19 + math.prod(shape)].reshape(shape)}),
        ([bytes_, *arrays[1:]], {}),
        ([a.astype(float) for a in arrays], {}),
        ([a.astype(">f4") for a in arrays], {}),
        ([a[:, ::2] for a in arrays], {}),
        ([a.T for a in arrays], {}),
        ([np.ma.array(a) for a in arrays], {}),
        ([a.tolist() for a in arrays], {}),
        ([], {}),
        ([*arrays, "none" if loss else -1, 0, 0, 0], {}),
    ):
        with pytest.raises(ForwardedError):
            function(*given, **{**keywords, **more})


def test_the_other_backend_is_not_noted(without_python: None) -> None:
    x, y = np.ones((4, 6)), np.zeros((4, 6))
    for name, arrays in (("softmax", [x]), ("glu", [x]), ("glu_backward", [x[:, :3].copy(), x]), ("mse_loss", [x, y])):
        getattr(fastact.fallback, name)(*arrays)
        with pytest.raises(ForwardedError):
            getattr(fastact, name)(*arrays)


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


@pytest.mark.parametrize(
    "name", ["softmax", "glu", "glu_backward", "mse_loss", "mse_loss_backward", "dense", "dense_backward"]
)
def test_no_memory_is_kept(name: str) -> None:
    shapes = {"dense": [(20, 10), (7, 10)], "dense_backward": [(20, 7), (20, 10), (7, 10), (20, 7)]}.get(name)
    arrays = [np.ones(shape, np.float32) for shape in shapes or ()] or operands(name, (20, 10), np.float32)
    function = getattr(fastact, name)
    function(*arrays)
    function(*arrays)
    watched = [*arrays, arrays[0].dtype, None, -1, "mean", "identity"]
    tracemalloc.start()
    try:
        counts, memory = [sys.getrefcount(thing) for thing in watched], tracemalloc.get_traced_memory()[0]
        for _ in range(100_000):
            function(*arrays)
        grown = tracemalloc.get_traced_memory()[0] - memory
    finally:
        tracemalloc.stop()
    assert max(abs(sys.getrefcount(thing) - count) for thing, count in zip(watched, counts)) < 100
    assert grown < 20_000


def test_no_array_lives_longer() -> None:
    x = np.zeros((5, 40))
    fastact.glu(x)
    fastact.mse_loss(x, x)
    fastact.dense(x, x)
    fastact.dense(x, x, preactivation=np.zeros((5, 5)))
    fastact.dense_backward(np.zeros((5, 5)), x, x, np.zeros((5, 5)))
    reference = weakref.ref(x)
    del x
    assert reference() is None


def test_a_call_forgotten_while_it_computes() -> None:
    x = operands("glu", (400, 500), np.float32)[0]
    expected, wrong = by_python("glu", x), []

    def run() -> None:
        for i in range(100):
            if i % 5 == 0:
                direct.forget()
            if not np.array_equal(fastact.glu(x), expected):
                wrong.append(i)

    at_once(8, run)
    assert not wrong


def test_the_number_of_threads_may_change() -> None:
    pred, target = operands("mse_loss", (200_000,), np.float32)
    before = fastact.get_num_threads()
    try:
        results = set()
        for threads in (1, 2, 4, 1):
            fastact.set_num_threads(threads)
            results |= {fastact.mse_loss(pred, target).tobytes() for _ in range(3)}
    finally:
        fastact.set_num_threads(before)
    assert len(results) == 1


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
def test_in_a_forked_child() -> None:
    """In a process of its own: what other tests have imported may have threads that do not survive it."""
    code = """
x, weight = np.random.default_rng(0).standard_normal((100, 1000), np.float32), np.ones((30, 1000), np.float32)
def results():
    return [fastact.softmax(x), fastact.glu(x), np.array(fastact.mse_loss(x, x + 1)), fastact.dense(x, weight)]
before = results()
assert in_child(lambda: all(map(np.array_equal, results(), before)))
"""
    result = run(PRELUDE + code)
    assert result.returncode == 0, result.stderr


def test_it_looks_like_the_function_it_stands_for() -> None:
    assert str(inspect.signature(fastact.softmax)) == "(x, axis=-1, *, out=None, where=None, dtype=None)"
    assert "Probabilities" in (fastact.softmax.__doc__ or "")
    assert pickle.loads(pickle.dumps(fastact.softmax)) is fastact.softmax

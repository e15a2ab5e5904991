"""Few elements, and those left over behind whole vectors: the same bits as elsewhere, no memory touched but theirs."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastact
from fastact.ufuncs.ufunc import bfloat16
from tests.conftest import needs_posix

FUNCTIONS: list[Callable[..., Any]] = [
    fastact.relu,
    fastact.gelu,
    fastact.silu_with_derivative,
    lambda x, out=None: fastact.sigmoid_backward(x, x, out=out),
    lambda x, out=None: fastact.leaky_relu(x, 0.25, out=out),
]
DTYPES = ["float16", "float32", "float64", "int64", "bfloat16"]

every_function = pytest.mark.parametrize("function", FUNCTIONS, ids=["value", "long", "pair", "backward", "parameter"])
every_dtype = pytest.mark.parametrize("dtype", DTYPES)


def sample(size: int, dtype: str) -> np.ndarray:
    kind: Any = bfloat16() if dtype == "bfloat16" else dtype
    if kind is None:
        pytest.skip("needs ml_dtypes")
    return (np.random.default_rng(5).standard_normal(size) * 4).astype(kind)


def as_tuple(results: Any) -> tuple[np.ndarray, ...]:
    return results if isinstance(results, tuple) else (results,)


@every_function
@every_dtype
def test_any_number_of_elements(function: Callable[..., Any], dtype: str) -> None:
    x = sample(400, dtype)
    expected = as_tuple(function(x))
    for size in [*range(140), 199]:
        for step in (1, 2):
            part = slice(1, 1 + size * step, step)
            memory = [np.full(470, 77, e.dtype) for e in expected]
            out = tuple(m[part] for m in memory)
            function(x[part], out=out if len(out) > 1 else out[0])
            for m, o, e in zip(memory, out, expected):
                assert o.tobytes() == e[part].tobytes(), (size, step)
                o[...] = 77
                assert np.all(m == 77), (size, step)


def array_before_forbidden_memory(size: int, dtype: np.dtype) -> np.ndarray:
    """An array whose end is the end of what may be read or written."""
    page, forbidden = mmap.PAGESIZE, 0
    memory = mmap.mmap(-1, 2 * page)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(start + page), page, forbidden) == 0
    return np.frombuffer(memory, dtype, size, page - size * dtype.itemsize)


@needs_posix
@every_function
@every_dtype
def test_nothing_behind_the_end_is_touched(function: Callable[..., Any], dtype: str) -> None:
    """A wrong access would end the process."""
    for size in (1, 3, 8, 15, 16, 17, 40, 63, 65, 127):
        x = sample(size, dtype)
        expected = as_tuple(function(x))
        at_end = array_before_forbidden_memory(size, x.dtype)
        at_end[:] = x
        out = tuple(array_before_forbidden_memory(size, e.dtype) for e in expected)
        function(at_end, out=out if len(out) > 1 else out[0])
        for o, e in zip(out, expected):
            assert o.tobytes() == e.tobytes()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_rows_of_any_length(dtype: str) -> None:
    """A slope for each channel, in rows that are copied and in rows that are not: as one for each element."""
    rng = np.random.default_rng(0)
    for length in (5, 31, 63, 64, 65, 127, 130, 500, 511, 513):
        x = rng.normal(size=(200_000 // length + 1, length)).astype(dtype)
        weight = rng.uniform(0.1, 0.5, length).astype(dtype)
        expected = fastact.prelu(x, np.ascontiguousarray(np.broadcast_to(weight, x.shape)))
        memory = np.full(x.size + 2, 7, dtype)  # nothing beside it is touched
        assert fastact.prelu(x, weight, out=memory[1:-1].reshape(x.shape)).tobytes() == expected.tobytes()
        assert memory[0] == memory[-1] == 7

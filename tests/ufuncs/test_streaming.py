"""Results larger than the last cache are written past it: the same ones, to the same places."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import fastact
from fastact.runtime import threads
from fastact.simd.layout import Pool
from tests.conftest import compiled_only

SIZE = 1_000_003


@pytest.fixture
def small_cache() -> Iterator[Callable[[int], None]]:
    """Have drivers take the last cache for one of so many bytes."""
    record = threads.pool()
    before = record[Pool.LAST_CACHE]
    yield lambda size: record.__setitem__(Pool.LAST_CACHE, size)
    record[Pool.LAST_CACHE] = before


def sample(dtype: str) -> np.ndarray:
    return np.random.default_rng(5).normal(0, 4, SIZE).astype(dtype)


def room(dtype: str, offset: int, stride: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Memory full of marks, and an array in it, so many bytes from the beginning of a cache line."""
    size = SIZE * abs(stride) * np.dtype(dtype).itemsize + 256
    memory = np.full(size + 64, 0xA5, np.uint8)
    memory = memory[-memory.ctypes.data % 64 :][:size]
    return memory, np.ndarray((SIZE * abs(stride),), dtype, memory, offset)[::stride]


@compiled_only
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("function", [fastact.relu, fastact.sigmoid, fastact.silu_with_derivative])
def test_same_bytes_in_the_same_places(function: Any, dtype: str, small_cache: Callable[[int], None]) -> None:
    x = sample(dtype)
    outputs = 2 if function is fastact.silu_with_derivative else 1
    for offset, stride in ((0, 1), (16, 1), (48, 1), (3, 1), (8, 2), (0, -1)):
        found = []
        for cache in (0, 4 * x.nbytes - 4, 1000):  # nothing, only fetching ahead, and streaming too
            small_cache(cache)
            rooms = [room(dtype, offset + 16 * i, stride) for i in range(outputs)]
            function(x, out=tuple(array for _, array in rooms))
            found.append(hashlib.sha256(b"".join(memory.tobytes() for memory, _ in rooms)).digest())
        assert len(set(found)) == 1, (offset, stride)


@compiled_only
def test_in_place(small_cache: Callable[[int], None]) -> None:
    small_cache(1000)
    x = sample("float32")
    y = x.copy()
    assert fastact.gelu(y, out=y) is y
    np.testing.assert_array_equal(y[:1000], fastact.gelu(x[:1000]))
    np.testing.assert_array_equal(y[-1000:], fastact.gelu(x[-1000:]))


@compiled_only
@pytest.mark.parametrize("channels", [7, 64, 1000, 1001])
def test_rows(channels: int, small_cache: Callable[[int], None]) -> None:
    small_cache(1000)
    x = sample("float32")[: SIZE // channels * channels].reshape(-1, channels)
    weight = np.linspace(-1, 1, channels, dtype=np.float32)
    np.testing.assert_array_equal(fastact.prelu(x, weight), np.where(x > 0, x, weight * x))


@compiled_only
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", ["softmax", "softmin", "log_softmax", "softmax_backward", "log_softmax_backward"])
def test_long_rows(name: str, dtype: str, small_cache: Callable[[int], None]) -> None:
    arrays = (sample(dtype), sample(dtype)[::-1].copy())[: 2 if name.endswith("backward") else 1]
    for rows, offset in ((1, 0), (1, 16), (1, 48), (1, 3), (3, 8)):
        length, found = SIZE // rows, []
        inputs = [array[: rows * length].reshape(rows, length) for array in arrays]
        for cache in (0, 1000):
            small_cache(cache)
            memory, array = room(dtype, offset)
            getattr(fastact, name)(*inputs, axis=1, out=array[: rows * length].reshape(rows, length))
            found.append(hashlib.sha256(memory.tobytes()).digest())
        assert found[0] == found[1], (rows, offset)


@compiled_only
def test_what_another_thread_reads_is_there(small_cache: Callable[[int], None]) -> None:
    """Stores past the caches are not in order by themselves."""
    small_cache(1000)
    x, y = sample("float32"), np.empty(SIZE, np.float32)
    for shift in range(30):
        fastact.relu(np.roll(x, shift), out=y)
        np.testing.assert_array_equal(y, np.maximum(np.roll(x, shift), 0))


def test_size_of_the_last_cache() -> None:
    """Unknown, or something that a processor may have."""
    assert threads.last_cache() == 0 or 1 << 18 <= threads.last_cache() <= 1 << 32

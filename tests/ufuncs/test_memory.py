"""Memory that is kept for the next large array."""

from __future__ import annotations

import gc
import itertools
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy._core.multiarray import get_handler_name

import fastact
from fastact.layers import matmul
from fastact.simd.layout import Kept
from fastact.ufuncs import memory
from tests import processes
from tests.conftest import compiled_only, needs_posix
from tests.threads import at_once

needs_madvise = pytest.mark.skipif(memory._record() is None, reason="this machine's system keeps no memory on request")
LARGE = 3_000_000  # elements of 4 bytes


def compiled(test: Callable[..., None]) -> Callable[..., None]:
    return compiled_only(needs_madvise(test))


@pytest.fixture(autouse=True)
def _same_handler_afterwards() -> Iterator[None]:
    before = get_handler_name()
    yield
    assert get_handler_name() == before


def kept_results() -> dict[str, Callable[[], Any]]:
    x = np.ones((2000, 600), np.float32)
    target, labels = np.zeros_like(x), np.zeros(len(x), int)
    weight = np.ones((500, 600), np.float32)
    return {
        "softmax": lambda: fastact.softmax(x),
        "softmax of a transposed array": lambda: fastact.softmax(np.asfortranarray(x)).base,
        "softmax_backward": lambda: fastact.softmax_backward(x, x, axis=0),
        "fallback": lambda: fastact.fallback.softmax(x),
        "swiglu": lambda: fastact.swiglu(x),
        "swiglu_backward": lambda: fastact.swiglu_backward(x[:, :300], x),
        "mse_loss": lambda: fastact.mse_loss(x, target, reduction="none"),
        "mse_loss_backward": lambda: fastact.mse_loss_backward(x, target),
        "cross_entropy_backward": lambda: fastact.cross_entropy_backward(x, labels),
        "dense": lambda: fastact.dense(x, weight, activation="relu"),
        "prelu": lambda: fastact.prelu(x, np.ones((2000, 1), np.float32)),
    }


@compiled
@pytest.mark.parametrize("name", kept_results())
def test_large_results_are_kept(name: str) -> None:
    make = kept_results()[name]
    make()  # the first call may have compiled, and taken its memory in another order
    gc.collect()  # or what an earlier test left might be given back in between, and be taken again first
    result = make()
    assert get_handler_name(result) == "fastact"
    assert result.flags.owndata
    if "transposed" not in name:
        assert result.base is None
    expected, place = result.copy(), result.ctypes.data
    del result
    again = make()
    assert again.ctypes.data == place
    assert np.array_equal(again, expected)


@compiled
@pytest.mark.parametrize("library", ["jit", "blas"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(2000, 300), (40, 50, 300)])
def test_large_results_of_layers_are_kept(
    library: str, dtype: str, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matmul, "choice", lambda: (library, "asked for"))
    x, weight = np.ones(shape, dtype), np.ones((4000, 300), dtype)
    y = fastact.dense(x, weight, activation="relu")
    gradients = fastact.dense_backward(y, x, weight, y, "relu")
    for result in (y, *gradients[:2]):
        assert get_handler_name(result) == "fastact"
        assert result.flags.owndata
        assert result.base is None
    for result, expected in zip((y, *gradients), (300, 300 * 4000, 300 * 2000, 300 * 2000)):
        assert result.dtype == dtype
        with np.errstate(over="ignore"):
            assert (result == np.dtype(dtype).type(expected)).all()


@compiled
def test_the_callers_arrays_are_the_callers() -> None:
    x = np.ones(LARGE, np.float32)
    fastact.softmax(x)
    assert get_handler_name(x) == get_handler_name(np.empty(LARGE)) == "default_allocator"
    assert get_handler_name(fastact.softmax(x[:10])) == "default_allocator"
    assert get_handler_name(np.exp(x)) == "default_allocator"
    with fastact.kept_memory():
        assert get_handler_name(np.exp(x)) == get_handler_name(np.empty(3)) == "fastact"
        with fastact.kept_memory():
            fastact.softmax(x)
        assert get_handler_name() == "fastact"
    with pytest.raises(ValueError, match="broadcast"), fastact.kept_memory():
        np.ones(2) + np.ones(3)


@compiled
def test_contexts_that_end_in_any_order() -> None:
    """As those of generators do, of which one may also end in another thread."""

    def holder() -> Generator[None, None, None]:
        with fastact.kept_memory():
            yield

    for order in itertools.permutations(range(3)):
        holders = [holder() for _ in range(3)]
        for generator in holders:
            next(generator)
        for count, i in enumerate(order, 1):
            assert get_handler_name() == "fastact"
            holders[i].close()
            assert get_handler_name() == ("fastact" if count < 3 else "default_allocator")
    first, second = holder(), holder()
    next(first), next(second)
    at_once(1, first.close)
    assert get_handler_name() == "fastact"
    second.close()
    assert get_handler_name() == "default_allocator"


def test_the_context_changes_no_value() -> None:
    x = np.random.default_rng(0).standard_normal(LARGE)
    expected = np.sqrt(np.abs(x)) + fastact.sigmoid(x)
    with fastact.kept_memory():
        for _ in range(3):
            assert np.array_equal(np.sqrt(np.abs(x)) + fastact.sigmoid(x), expected)


@pytest.mark.parametrize("dtype", ["O", "U5", "S3", "M8[s]", "c16", "?", "f2", [("a", "i4"), ("b", "O")]])
@pytest.mark.parametrize("size", [0, 1, 1000, 700_000])
def test_any_dtype(dtype: Any, size: int) -> None:
    with fastact.kept_memory():
        for _ in range(2):
            array = np.zeros(size, dtype)
            array[: size // 2] = np.ones(size // 2, bool)
            assert np.array_equal(array[size // 2 :], np.zeros(size - size // 2, dtype))
            assert np.array_equal(array[: size // 2], np.ones(size // 2, bool).astype(dtype))


def test_zeros_are_zeros() -> None:
    with fastact.kept_memory():
        for size in (10, 200_000, LARGE):
            for _ in range(3):
                array = np.zeros(size)
                assert not array.any()
                array[:] = 7.0
                del array


def test_resizing() -> None:
    sizes = [10, 1000, 100_000, 200_000, 1_000_000, 1_010_000, 900_000, 300_000, 1000, 400_000, 0, 5, LARGE]
    with fastact.kept_memory():
        array = np.arange(sizes[0])
        for before, after in itertools.pairwise(sizes):
            array.resize(after, refcheck=False)
            common = min(before, after) if before else 0
            assert np.array_equal(array[:common], np.arange(common))
            assert not array[common:].any()
            array[:] = np.arange(after)


@pytest.mark.parametrize("size", [1 << 48, 1 << 62, (1 << 62) + 1, (1 << 63) - (1 << 21), (1 << 63) - 1])
def test_more_than_there_is(size: int) -> None:
    """What the sizes of blocks are computed from must not overflow, or a kept block would pass for what is wanted."""
    with fastact.kept_memory():
        kept, array = np.ones(LARGE), np.ones(LARGE)
        del kept
        with pytest.raises(MemoryError):
            np.empty(size, np.uint8)
        with pytest.raises(MemoryError):
            np.zeros(size, np.uint8)
        with pytest.raises(MemoryError):
            array.resize(size // 8, refcheck=False)
        assert array.sum() == LARGE


@compiled
def test_as_much_is_kept_as_is_allowed() -> None:
    record = memory._record()
    for megabytes in (90, 80, 70, 60, 50, 40):
        arrays = [memory.empty((megabytes << 20,), np.dtype(np.uint8)) for _ in range(3)]
        for array in arrays:
            array[:: 1 << 12] = 1
        del arrays, array
        assert 0 < record[Kept.TOTAL] <= record[Kept.LIMIT]
        assert record[Kept.COUNT] <= Kept.BLOCKS
    many = [memory.empty((2 << 20,), np.dtype(np.uint8)) for _ in range(40)]
    del many
    assert record[Kept.COUNT] == Kept.BLOCKS
    assert sum(record[Kept.TABLE + 1 : Kept.TABLE + 3 * Kept.BLOCKS : 3]) == record[Kept.TOTAL]
    before = record[Kept.TOTAL]
    too_large = memory.empty((record[Kept.LIMIT] + 1,), np.dtype(np.uint8))
    del too_large
    assert record[Kept.TOTAL] == before


@compiled
def test_what_goes_unused_is_offered_to_the_system_and_can_still_be_used() -> None:
    record, dtype = memory._record(), np.dtype(np.uint8)
    unusual = memory.empty((150 << 20,), dtype)
    place = unusual.ctypes.data
    del unusual
    for _ in range(2 * Kept.BLOCKS):
        memory.empty((3 << 20,), dtype)
    index = [record[Kept.TABLE + 3 * i] for i in range(record[Kept.COUNT])].index(place - 64)
    assert record[Kept.TABLE + 3 * index + 2] == 0
    assert record[Kept.TABLE + 3 * (record[Kept.COUNT] - 1) + 2] > 0
    again = memory.empty((150 << 20,), dtype)
    assert again.ctypes.data == place
    again[:] = 5
    assert again.min() == again.max() == 5


def test_threads() -> None:
    """Each fills arrays with its number and lets another free them."""
    handed: list[np.ndarray] = []
    lock = threading.Lock()

    def work(number: int) -> bool:
        rng, fine = np.random.default_rng(number), True
        for _ in range(60):
            with fastact.kept_memory():
                array = np.full(int(rng.integers(1, 1_200_000)), number)
            with lock:
                handed.append(array)
                if len(handed) > 8:
                    handed.pop(0)
            fine = fine and bool((array == number).all())
        return fine

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(work, range(8)))


@needs_posix
def test_fork() -> None:
    """In a process of its own: what other tests have imported may have threads that do not survive it."""
    code = """
x = np.random.default_rng(0).standard_normal((1500, 1000))
kept, softmax_of_x = fastact.softmax(x), fastact.softmax(x)
fastact.softmax(x)  # a block that both will want
def same(): return all(np.array_equal(fastact.softmax(x), softmax_of_x) for _ in range(5))
assert in_child(lambda: same() and np.array_equal(kept, softmax_of_x))
assert same() and np.array_equal(kept, softmax_of_x)
"""
    result = processes.run(processes.PRELUDE + code)
    assert result.returncode == 0, result.stderr


def run(code: str, **settings: str) -> Any:
    lines = "import numpy as np, fastact, sys\nfrom numpy._core.multiarray import get_handler_name as name\n" + code
    return processes.run(lines, **settings)


def test_arrays_may_outlive_everything() -> None:
    code = """
x = np.ones((2000, 1000), np.float32)
with fastact.kept_memory():
    sys.last_one = [fastact.softmax(x), np.arange(5), fastact.sigmoid(x)]
class Late:
    def __init__(self): self.array = fastact.softmax(x)
    def __del__(self): self.array[:] = 2; self.array = None
late = Late()
late.itself = late
import builtins; builtins.kept = Late()
for name in [m for m in sys.modules if m.startswith("fastact")]: del sys.modules[name]
del fastact
"""
    done = run(code)
    assert (done.returncode, done.stderr) == (0, "")


def test_it_can_be_turned_off() -> None:
    code = "x = np.ones(10**6)\nwith fastact.kept_memory(): print(name(fastact.softmax(x)), name(np.empty(10**6)))"
    done = run(code, FASTACT_KEPT_MEMORY="0")
    assert done.stdout.split() == ["default_allocator"] * 2, done.stderr
    assert "FASTACT_KEPT_MEMORY must be a whole number" in run(code, FASTACT_KEPT_MEMORY="many").stderr
    assert run(code, FASTACT_BACKEND="numpy").stdout.split() == ["default_allocator"] * 2


@compiled
def test_more_than_a_word_holds_is_no_limit() -> None:
    code = "x = np.ones(10**6)\nplaces = [fastact.softmax(x).ctypes.data for _ in range(3)]\nprint(len(set(places)))"
    done = run(code, FASTACT_KEPT_MEMORY=str(1 << 64))
    assert done.stdout == "1\n", done.stderr


@compiled
def test_small_results_do_not_compile_it() -> None:
    code = "fastact.softmax(np.ones(1000)); print('fastact.ufuncs.kept_blocks' in sys.modules, end=' ')\n"
    code += "from fastact.ufuncs import memory; print(memory._handler.cache_info().currsize)"
    done = run(code)
    assert done.stdout == "False 0\n", done.stderr

"""Many threads, on however few cores: as many work as there is work for, others sleep, and results stay the same."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import fastact
from fastact.runtime.threads import pool
from fastact.simd.layout import JOBS, MAX_THREADS, Pool, Thread
from tests.conftest import compiled_only, needs_posix
from tests.processes import PATIENCE, run

pytestmark = [compiled_only, needs_posix]

MANY = 64


@pytest.fixture(autouse=True)
def _same_threads_afterwards() -> Iterator[None]:
    before = fastact.get_num_threads()
    yield
    fastact.set_num_threads(before)


def sample(size: int) -> np.ndarray:
    return np.random.default_rng(size).normal(0, 4, size).astype(np.float32)


def last_job_was_for() -> int:
    return int(pool()[Pool.GENERATION] % JOBS)


def asleep(number: int) -> bool:
    return bool(pool()[Pool.FIRST_THREAD + Thread.SIZE * number + Thread.ASLEEP])


def all_asleep(threads: int) -> bool:
    return all(asleep(number) for number in range(1, threads))


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def count_on_workers() -> None:
    """Forget that some were stopped, as happens where so many share so few cores: callers would do without them."""
    pool()[[Pool.ALONE_FOR, Pool.ALONE_UNTIL]] = 0


def gelu(x: np.ndarray) -> None:
    count_on_workers()
    fastact.gelu(x)


def test_what_one_thread_writes_is_not_beside_what_another_does() -> None:
    pair = 128 // 8
    assert pool().ctypes.data % 128 == 0
    assert (Pool.FIRST_THREAD % pair, Thread.SIZE % pair, Thread.INSIDE % pair) == (0, 0, 0)
    assert max(Thread.NEXT, Thread.END) < pair <= min(Thread.INSIDE, Thread.ASLEEP)
    assert Pool.SIZE == Pool.FIRST_THREAD + Thread.SIZE * MAX_THREADS
    assert MAX_THREADS < JOBS


def test_little_work_is_for_few_threads() -> None:
    fastact.set_num_threads(MANY)
    little, much = sample(200_000), sample(10_000_000)
    for _ in range(3):
        gelu(much)
        assert last_job_was_for() == MANY
        for _ in range(1000):
            gelu(little)
        assert 2 <= last_job_was_for() < MANY // 2
    wait_until(lambda: all_asleep(MANY))
    time.sleep(0.01)  # no close succession
    gelu(sample(1_000_000))  # must wake them: as large as what keeps all busy that are awake
    assert 2 <= last_job_was_for() < MANY


def test_more_work_wakes_as_many_again_as_are_awake() -> None:
    """And not all that it is worth to have awake: waking 20 can take longer than the work."""
    fastact.set_num_threads(MANY)
    little, more = sample(30_000), sample(200_000)

    def doubled() -> bool:
        for _ in range(300):
            gelu(little)
        few = last_job_was_for()
        gelu(more)
        first = last_job_was_for()
        assert first <= max(2 * few, 8)
        for _ in range(5):
            gelu(more)
        return few < first < last_job_was_for()

    wait_until(doubled)


def test_threads_that_work_is_not_for_sleep() -> None:
    """While calls of little work follow each other, and keep others awake."""
    fastact.set_num_threads(MANY)
    gelu(sample(10_000_000))
    little = sample(200_000)

    def others_sleep() -> bool:
        for _ in range(200):
            gelu(little)
        return all(asleep(number) for number in range(MANY // 2, MANY))

    wait_until(others_sleep)


@pytest.mark.parametrize("threads", [2, 3, 17, MANY])
def test_all_are_woken(threads: int) -> None:
    """Chunks that each wait for all others: none may stay with a thread that nobody wakes."""
    fastact.set_num_threads(MANY)
    gelu(sample(10_000_000))
    wait_until(lambda: all_asleep(MANY))
    count_on_workers()
    together, arrived = threading.Barrier(threads, timeout=60), []
    chunk = ctypes.CFUNCTYPE(None, *[ctypes.c_ssize_t] * 3)(lambda begin, end, context: arrived.append(together.wait()))
    share_out = ctypes.CFUNCTYPE(None, *[ctypes.c_ssize_t] * 6)(int(pool()[Pool.SHARE_OUT]))
    share_out(pool().ctypes.data, threads, ctypes.cast(chunk, ctypes.c_void_p).value, 0, threads, 1)
    assert sorted(arrived) == list(range(threads))
    assert last_job_was_for() == threads


def test_no_more_threads_are_started_than_there_is_work_for() -> None:
    code = """
import numpy as np, fastact
from fastact.runtime.threads import pool
from fastact.simd.layout import Pool
fastact.set_num_threads(64)
x = np.zeros(200_000, np.float32)
for _ in range(1000): fastact.gelu(x)
print(1 <= pool()[Pool.CREATED] < 32)
"""
    assert run(code).stdout == "True\n"


@pytest.mark.parametrize("rounds", [1, 2])
def test_chunks_are_even_and_some_are_left_to_take_over_from_slow_cores(rounds: int) -> None:
    """Elements of a chunk where a thread takes 140,000 at a time; never less than a tenth of that."""
    from fastact.runtime.drivers import even_grain

    record = np.zeros(Pool.SIZE, np.int64)
    record[Pool.ROUNDS] = rounds
    for threads, size in ((2, 250_000), (2, 1_000_000), (8, 300_000), (64, 10_000_000)):
        grain = even_grain.py_func(record, threads, size, 140_000)
        chunks = -(-size // grain)
        assert grain % 64 == 0
        assert grain <= 140_000
        assert grain == 14_016 or chunks in range(rounds * threads, chunks + 1, threads)
    assert even_grain.py_func(record, 64, 100_000, 140_000) == 14_016


@pytest.mark.parametrize("asleep", [False, True])
@pytest.mark.parametrize("size", [50_000, 10**5, 10**6, 10**7])
def test_more_threads_do_not_cost_more_than_they_bring(size: int, asleep: bool) -> None:
    """By the model of machines that are not here: with all threads for any work, 128 took three times as long as 16."""
    from benchmarks.cores import THREADS, Machine, expected

    for machine in (Machine(), Machine(signal=2, latency=50)):
        times = [expected(machine, threads, size, asleep) for threads in THREADS]
        assert all(times[i] <= 1.2 * min(times[:i]) for i in range(1, len(times))), times


CALLS: dict[str, Callable[[np.ndarray], Any]] = {
    "elementwise": fastact.sigmoid,
    "rows": lambda x: fastact.softmax(x.reshape(-1, 500)),
    "long row": fastact.log_softmax,
    "columns": lambda x: fastact.softmax(x.reshape(500, -1), axis=0),
    "strided": lambda x: fastact.elu(x.reshape(-1, 500)[:, ::2], 0.5),
    "sum": lambda x: fastact.mse_loss(x, x[::-1]),
    "dense": lambda x: fastact.dense(x.reshape(-1, 500), x[:40_000].reshape(-1, 500), activation="gelu"),
}


@pytest.mark.parametrize("threads", [16, MANY, MAX_THREADS])
@pytest.mark.parametrize("name", CALLS)
def test_same_bits_with_many_threads(name: str, threads: int) -> None:
    for size in (100_000, 1_000_000):
        x = sample(size)
        fastact.set_num_threads(1)
        expected = np.asarray(CALLS[name](x)).tobytes()
        fastact.set_num_threads(threads)
        assert all(np.asarray(CALLS[name](x)).tobytes() == expected for _ in range(5))


def test_python_threads_while_the_number_changes() -> None:
    x, small = sample(400_000), sample(30_000)
    expected = [fastact.gelu(a).tobytes() for a in (x, small)]
    done, right = threading.Event(), []

    def compute() -> None:
        right.append(all([fastact.gelu(a).tobytes() for a in (x, small)] == expected for _ in range(50)))

    def change() -> None:
        numbers = np.random.default_rng(0)
        while not done.is_set():
            fastact.set_num_threads(int(numbers.integers(1, MANY)))
            time.sleep(0)

    changing, computing = threading.Thread(target=change), [threading.Thread(target=compute) for _ in range(8)]
    for thread in (changing, *computing):
        thread.start()
    for thread in computing:
        thread.join(PATIENCE)
    done.set()
    changing.join()
    assert right == [True] * 8

"""Where workers run, and what callers do if somebody else is there."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

import fastact
from fastact.runtime.threads import pool
from fastact.simd.layout import Pool, Thread
from tests.conftest import compiled_only, needs_posix
from tests.processes import PATIENCE, run

pytestmark = [compiled_only, needs_posix]

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="this machine does not say where threads run")

SHARE_OUT = ctypes.CFUNCTYPE(None, *[ctypes.c_ssize_t] * 6)
TASK = ctypes.CFUNCTYPE(None, *[ctypes.c_ssize_t] * 3)


@pytest.fixture(autouse=True)
def _two_threads() -> Iterator[None]:
    before = fastact.get_num_threads()
    fastact.set_num_threads(2)
    share_something()
    yield
    fastact.set_num_threads(before)
    pool()[[Pool.ALONE_FOR, Pool.ALONE_UNTIL]] = 0


def share_something() -> None:
    fastact.gelu(np.ones(1_000_000))


def shared() -> bool:
    before = pool()[Pool.GENERATION]
    share_something()
    return bool(pool()[Pool.GENERATION] > before)


def stop_a_worker(seconds: float, work: float = 0.0) -> None:
    """In the middle of its chunk, for twice as long as its caller has worked and some seconds, if any."""
    caller, joined, finished = threading.get_ident(), threading.Event(), threading.Event()
    start = time.perf_counter()

    def chunk(begin: int, end: int, context: int) -> None:
        if threading.get_ident() == caller:
            joined.wait(PATIENCE)
            time.sleep(work)
            finished.set()
        else:
            joined.set()
            finished.wait(PATIENCE)
            time.sleep(2 * (time.perf_counter() - start) + seconds if seconds else 0)

    record, context, task = pool(), np.zeros(1, np.int64), TASK(chunk)
    address, share_out = ctypes.cast(task, ctypes.c_void_p).value, SHARE_OUT(int(record[Pool.SHARE_OUT]))
    share_out(record.ctypes.data, 2, address, context.ctypes.data, 2, 1)
    assert finished.is_set()


def now() -> int:
    """In cycles."""
    share_something()
    if not pool()[Pool.LAST_CALL]:
        pytest.skip("this machine has no clock that costs nothing to read")
    return int(pool()[Pool.LAST_CALL])


def alone_for() -> int:
    return int(pool()[Pool.ALONE_FOR])


def test_a_caller_that_was_kept_waiting_does_without_workers_for_a_while() -> None:
    pool()[[Pool.ALONE_FOR, Pool.ALONE_UNTIL]] = 1, now() - 1_000_000
    stop_a_worker(0.05)
    assert alone_for() > 2_000_000
    assert pool()[Pool.ALONE_UNTIL] > now() - alone_for()
    assert any(not shared_soon() for _ in range(100))
    while not shared():
        pass


def shared_soon() -> bool:
    """Before the time has passed in which callers do without workers, unless this process is stopped meanwhile."""
    pool()[Pool.ALONE_UNTIL] = now() + 400_000_000
    return shared()


def test_who_is_kept_waiting_again_and_again_does_without_them_for_longer() -> None:
    pool()[[Pool.ALONE_FOR, Pool.ALONE_UNTIL]] = 200_000_000, now()
    stop_a_worker(0.05)
    assert alone_for() == 400_000_000
    pool()[Pool.ALONE_UNTIL] = now()
    stop_a_worker(0.05)
    assert alone_for() == 500_000_000  # but not for ever


def test_who_has_waited_for_less_than_it_worked_goes_on() -> None:
    pool()[[Pool.ALONE_FOR, Pool.ALONE_UNTIL]] = 1, now() - 1_000_000
    stop_a_worker(0, work=0.5)
    assert alone_for() == 1


def test_a_clock_that_began_anew_keeps_nobody_alone() -> None:
    pool()[Pool.ALONE_UNTIL] = 2**62
    assert shared()


# -- cores ----------------------------------------------------------------------------------------


@on_linux
def test_a_thread_is_kept_off_a_core_and_may_come_back() -> None:
    from numba import njit

    from fastact.runtime import workers
    from fastact.runtime.system import pthread_self, this_core

    @njit
    def kept_off(record, core):  # type: ignore[no-untyped-def]
        record[Thread.HANDLE] = pthread_self()
        workers.keep_off(record, core)
        return this_core()

    @njit
    def come_back(record):  # type: ignore[no-untyped-def]
        workers.come_back(record)

    record, allowed = np.zeros(Thread.SIZE, np.int64), os.sched_getaffinity(0)
    try:
        for core in (*allowed, -1, max(allowed) + 1, 1024):
            on = kept_off(record, core)
            expected = allowed - {core} or allowed
            assert on in expected
            assert os.sched_getaffinity(0) == expected
            assert bool(record[Thread.AVOIDS]) == (expected != allowed)
            come_back(record)
            assert os.sched_getaffinity(0) == allowed
            assert not record[Thread.AVOIDS]
    finally:
        os.sched_setaffinity(0, allowed)


@on_linux
def test_workers_keep_their_bounds() -> None:
    """Wherever they are woken from."""
    code = """
import os, time, numpy as np, fastact
from fastact.runtime.threads import pool
from fastact.simd.layout import Pool, Thread
fastact.set_num_threads(2)
cores, x = os.sched_getaffinity(0), np.ones(10_000_000)
before = set(os.listdir("/proc/self/task"))
fastact.gelu(x)
worker, = set(os.listdir("/proc/self/task")) - before
first = Pool.FIRST_THREAD + Thread.SIZE
for bounds in [cores, {min(cores)}, {max(cores)}]:
    os.sched_setaffinity(int(worker), bounds)
    for core in [*cores] * 3:
        os.sched_setaffinity(0, {core})
        fastact.gelu(x)
        while not pool()[first + Thread.ASLEEP] or pool()[first + Thread.AVOIDS]:  # it wakes when all is over, maybe
            time.sleep(0.001)
        assert os.sched_getaffinity(int(worker)) == bounds
print("right")
"""
    result = run(code)
    assert result.stdout == "right\n", result.stderr


@on_linux
def test_a_worker_that_has_only_the_callers_core_stays_there() -> None:
    code = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import numpy as np, fastact
fastact.set_num_threads(2)
for _ in range(20): fastact.gelu(np.ones(1_000_000))
print({len(os.sched_getaffinity(int(task))) for task in os.listdir("/proc/self/task")})
"""
    assert run(code).stdout == "{1}\n"

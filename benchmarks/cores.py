"""``python -m benchmarks.cores``: what calls take with 1, 2, 4, ... 128 threads, measured and expected.

Measured is as far as this machine has cores. Expected is what a model of events says, for machines that nobody here
has: it shares work out as fastact.runtime.workers does, and knows of a machine what can be set, in the order in which
it is printed. Two states: workers awake, as in calls that follow each other, and asleep, as after a pause.
"""

from __future__ import annotations

import argparse
import heapq
import statistics
import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

import fastact
from fastact.runtime.drivers import even_grain, threads_awake, threads_woken
from fastact.runtime.limits import available_cores
from fastact.runtime.workers import WAKES
from fastact.simd.layout import Loop, Pool
from fastact.ufuncs.costs import set_thresholds

SIZES = 10**5, 10**6, 10**7, 10**8
THREADS = 1, 2, 4, 8, 16, 32, 64, 128


class Machine(NamedTuple):
    """Times in microseconds, as measured on two cores of a virtual machine with AMD Zen 4."""

    element: float = 0.33e-3  # sigmoid of a float32, in the cache
    call: float = 0.3  # what a call takes without elements
    line: float = 0.17  # until a cache line has come that another core has written
    signal: float = 10.0  # what it takes to wake a thread,
    latency: float = 15.0  # and until that one runs; cores in deep sleep take 50
    bandwidth: float = 25e3  # bytes per microsecond of one core,
    others: float = 20e3  # of each core more,
    most: float = 400e3  # and of all together
    cache: int = 32 << 20  # bytes of the last one


class Job:
    """One call's work, as dealt."""

    def __init__(self, machine: Machine, threads: int, size: int, asleep: bool) -> None:
        self.machine, self.size, self.asleep = machine, size, asleep
        record, pool = np.zeros(Loop.SIZE, np.int64), np.zeros(Pool.SIZE, np.int64)
        set_thresholds(record, 1e3 * machine.element)
        pool[Pool.ROUNDS] = 1
        worth = threads_woken.py_func(size, int(record[Loop.WORTH_WAKING])) if asleep else 0
        if not asleep and size >= record[Loop.WORTH_SHARING]:
            worth = threads_awake.py_func(size, int(record[Loop.GRAIN]))
        self.grain = int(even_grain.py_func(pool, max(1, min(threads, worth)), size, int(record[Loop.GRAIN])))
        chunks = -(-size // self.grain)
        self.shares = max(1, min(threads, worth, chunks))
        self.next = [chunks * i // self.shares for i in range(self.shares)]
        self.end = [*self.next[1:], chunks]

    def chunk_of(self, thread: int) -> int | None:
        """Whose share the thread's next chunk is from; None if nothing is left."""
        for i in range(self.shares):
            share = (thread + i) % self.shares
            if self.next[share] < self.end[share]:
                self.next[share] += 1
                return share
        return None

    def time_of_chunk(self, active: int) -> float:
        machine, elements = self.machine, min(self.grain, self.size)
        computing = elements * machine.element
        if 8 * self.size <= machine.cache:
            return computing
        all_cores = min(machine.most, machine.bandwidth + (self.shares - 1) * machine.others)
        return max(computing, 8 * elements / min(machine.bandwidth, all_cores / active))

    def woken_by(self, thread: int, now: float) -> Iterator[tuple[float, int]]:
        """When its waker is done with each thread that this one wakes, and which that is."""
        for other in range(WAKES * thread + 1, min(WAKES * (thread + 1) + 1, self.shares)):
            if self.next[other] < self.end[other]:
                now += self.machine.signal
                yield now, other


def expected(machine: Machine, threads: int, size: int, asleep: bool) -> float:
    """Microseconds of a call."""
    job = Job(machine, threads, size, asleep)
    begin = finish = machine.call
    events = [(begin, 0, True)]  # when, which thread, and whether it only comes now
    if not asleep:
        events += [(begin + machine.line * (1 + 0.3 * i), i, True) for i in range(1, job.shares)]
    active = 0
    while events:
        now, thread, comes = heapq.heappop(events)
        active += comes
        if comes and asleep:
            woken = list(job.woken_by(thread, now))
            for done, other in woken:
                heapq.heappush(events, (done - machine.signal + machine.latency, other, True))
            if woken:
                heapq.heappush(events, (woken[-1][0], thread, False))
                continue
        share = job.chunk_of(thread)
        if share is None:
            continue
        end = now + job.time_of_chunk(min(active, job.shares)) + (0 if share == thread else 2 * machine.line)
        finish = max(finish, end)
        heapq.heappush(events, (end, thread, False))
    return finish + machine.line * (job.shares - 1) / 2  # whether each is still inside


def measured(threads: int, size: int, asleep: bool) -> float:
    """Microseconds of a call; the median of some, or of some that follow pauses."""
    before = fastact.get_num_threads()
    fastact.set_num_threads(threads)
    x = np.random.default_rng(0).normal(0, 3, size).astype(np.float32)
    out, times = np.empty_like(x), []
    for _ in range(3):
        fastact.sigmoid(x, out=out)
    for _ in range(max(9, min(301, 3 * 10**7 // size)) if not asleep else 21):
        time.sleep(0.005 * asleep)
        start = time.perf_counter()
        fastact.sigmoid(x, out=out)
        times.append(time.perf_counter() - start)
    fastact.set_num_threads(before)
    return 1e6 * statistics.median(times)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cores")
    for name, value in Machine._field_defaults.items():
        parser.add_argument(f"--{name}", type=type(value), default=value)
    machine, cores = Machine(**vars(parser.parse_args(arguments))), available_cores()
    print(f"sigmoid of float32, us expected, and measured up to the {cores} cores here; {machine}")
    for asleep in (False, True):
        print(f"\nworkers {'asleep' if asleep else 'awake'}")
        print(f"{'elements':>9}" + "".join(f"{threads:>16}" for threads in THREADS))
        for size in SIZES:
            cells = []
            for threads in THREADS:
                here = f" ({measured(threads, size, asleep):.0f})" if threads <= cores else ""
                cells.append(f"{expected(machine, threads, size, asleep):.0f}{here}")
            print(f"{size:9.0e}" + "".join(f"{cell:>16}" for cell in cells))


if __name__ == "__main__":
    main()

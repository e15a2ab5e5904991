"""Timing several things fairly in one process: they take turns, and medians are compared."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

__all__ = ["Call", "medians"]

Call = Callable[[], object]

#: Seconds. A pause before each turn, because the threads of OpenMP go on looking for work for milliseconds on cores
#: that the next in turn needs (those of OpenBLAS for longer: see benchmarks.layers); then calls for as long as a turn
#: lasts, in batches long enough for the clock.
PAUSE, TURN, BATCH = 0.02, 0.02, 1e-4

TURNS = 5


def medians(calls: Mapping[str, Call], pause: float = PAUSE) -> dict[str, float]:
    """Seconds per call of each."""
    numbers = {name: _batch(call) for name, call in calls.items()}
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(TURNS):
        for name, call in calls.items():
            time.sleep(pause)
            call()  # wakes its threads
            begin = end = time.perf_counter()
            while end - begin < TURN:
                start = time.perf_counter()
                for _ in range(numbers[name]):
                    call()
                end = time.perf_counter()
                times[name].append((end - start) / numbers[name])
    return {name: statistics.median(values) for name, values in times.items()}


def _batch(call: Call) -> int:
    """How many calls take as long as a batch should."""
    call()
    number = 1
    while True:
        start = time.perf_counter()
        for _ in range(number):
            call()
        if time.perf_counter() - start >= BATCH:
            return number
        number *= 2

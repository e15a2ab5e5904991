"""What a loop takes per element, measured when it is first called, and from how many elements threads pay.

A processor with narrow registers takes three times as long as one with wide ones, and the C library ten times: no count
of operations says so. Measured alone, in its own cache, in less than half a millisecond.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Sequence

import numpy as np

from fastact.runtime.callbacks import LOOP, Words
from fastact.runtime.numpy_api import address
from fastact.simd.layout import Loop

__all__ = ["nanoseconds", "set_thresholds"]

#: Nanoseconds of work from which threads pay, with workers that are awake and with workers asleep. Those that are awake
#: gain from 3,000 on, but if somebody else has their core, sharing in vain costs 300. And of work that a thread takes
#: at a time: with smaller chunks, threads take from each other what their own caches hold.
WORTH_SHARING, WORTH_WAKING, CHUNK = 8_000, 65_000, 20_000

#: Elements that are timed, and so few that they take what a call takes; how often, as others may have had the core.
ELEMENTS, FEW, TURNS = 8_192, 64, 3

#: No loop is faster: what a clock that stands still would say is no threshold.
LEAST = 0.01


def nanoseconds(loop: int, record: np.ndarray, operands: Sequence[np.dtype]) -> float:
    """Per element, of the loop at an address that is called with a record and with operands of these types."""
    arrays = [np.full(ELEMENTS, 0.5, dtype) for dtype in operands]
    pointers, steps = _words([address(a) for a in arrays]), _words([a.itemsize for a in arrays])
    function, data = LOOP(loop), record.ctypes.data_as(Words)
    few, all_of_them = (
        min(_turn(function, pointers, count, steps, data) for _ in range(TURNS)) for count in (FEW, ELEMENTS)
    )
    return max(LEAST, (all_of_them - few) / (ELEMENTS - FEW))


def _turn(function: ctypes._FuncPointer, pointers: object, count: int, steps: object, data: object) -> int:
    sizes = _words([count])
    begin = time.perf_counter_ns()
    function(pointers, sizes, steps, data)
    return time.perf_counter_ns() - begin


def _words(values: Sequence[int]) -> ctypes.Array[ctypes.c_ssize_t]:
    return (ctypes.c_ssize_t * len(values))(*values)


def set_thresholds(record: np.ndarray, nanoseconds: float) -> None:
    """Note in a loop's record from how many elements threads pay."""
    for slot, work in ((Loop.WORTH_SHARING, WORTH_SHARING), (Loop.WORTH_WAKING, WORTH_WAKING), (Loop.GRAIN, CHUNK)):
        record[slot] = max(1024, int(work / nanoseconds) // 1024 * 1024)

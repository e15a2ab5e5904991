"""The record through which the compiled pool of threads (fastact.runtime.pool) is governed."""

from __future__ import annotations

import os
import signal
import sys
from functools import cache
from pathlib import Path

import numpy as np

from fastact.runtime.callbacks import RESOLVE, InterruptOnReturn, address_of, as_c
from fastact.runtime.guard import compiling, in_a_thread, once
from fastact.runtime.limits import cores_differ, default_threads
from fastact.runtime.notices import UnavailableError, warn_once
from fastact.simd.layout import MAX_THREADS, Pool

__all__ = ["begin_sharing", "driver", "last_cache", "most_threads", "number", "pool", "register", "set_number"]

#: Turns of an idle worker before it sleeps, about 100 us. Back-to-back calls find it awake (waking one
#: costs the caller 20 us, and 35 us pass until it runs); a program that has gone on to something else
#: soon has its core back.
SPIN = 4000


@cache
def last_cache() -> int:
    """Bytes in the cache next to memory; 0 if that is unknown, or where going past it has not been measured."""
    sizes = sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"))
    size = sizes[-1].read_text().strip() if sizes and os.uname().machine == "x86_64" else ""
    return int(size[:-1]) << 10 if size.endswith("K") and size[:-1].isdecimal() else 0


def most_threads() -> int:
    """Threads that a loop can have: the pool is made of POSIX threads, whose functions have no address elsewhere."""
    return MAX_THREADS if hasattr(signal, "pthread_sigmask") else 1


def _initial_threads() -> int:
    setting = os.environ.get("FASTACT_NUM_THREADS", "").strip()
    if not setting:
        return default_threads()
    if not setting.isdecimal() or int(setting) < 1:
        raise ValueError(f"FASTACT_NUM_THREADS must be a whole number of at least 1, not {setting!r}")
    return int(setting)


@cache
def _drivers() -> dict[str, int]:
    from fastact.runtime import compiler

    return compiler.compiled("fastact.runtime.drivers", "ufuncs")


#: Addresses of the workers' function, and of the one that shares work out with them; 0 until they are needed.
_sharing = [0, 0]

_tasks: dict[int, int] = {}

#: The pool's record, once there is one; and the number of threads that was set before.
_made: list[np.ndarray] = []
_set_before: list[int] = []


def number() -> int:
    """How many threads a loop may use. Asking, as setting, needs no pool, which would have to be compiled."""
    if _made:
        return int(_made[0][Pool.THREADS])
    return _set_before[-1] if _set_before else min(_initial_threads(), most_threads())


def set_number(threads: int) -> None:
    """Let loops use so many, or as many as there can be."""
    allowed = max(1, min(threads, most_threads()))
    if not _made:
        with compiling:  # nobody makes the pool between the question and the answer
            if not _made:
                _set_before[:] = [allowed]
                return
    _made[0][Pool.THREADS] = allowed


def register(slot: int, task: int) -> None:
    """Note the address of a compiled task in the pool's record, here and in forked children."""
    _tasks[slot] = task
    pool()[slot] = task


@once
def pool() -> np.ndarray:
    """The pool's record, aligned to pairs of cache lines and never freed: workers use it until the process ends."""
    memory = np.zeros(Pool.SIZE + 16, np.int64)
    start = (-memory.ctypes.data % 128) // 8
    record = memory[start : start + Pool.SIZE]
    _fill(record, number())
    _made.append(record)
    if hasattr(os, "register_at_fork"):
        # The child has none of the parent's workers; with an empty record it starts its own.
        os.register_at_fork(after_in_child=lambda: _fill(record, int(record[Pool.THREADS])))
    return record


def _fill(record: np.ndarray, threads: int) -> None:
    record[:] = 0
    record[Pool.PROCESS] = os.getpid()
    record[Pool.SPIN] = SPIN
    record[Pool.RESOLVE] = address_of(_resolve)
    record[Pool.WORKER], record[Pool.SHARE_OUT] = _sharing
    record[Pool.RUN_CHUNK] = _drivers()["run_chunk"]
    record[Pool.LAST_CACHE] = last_cache()
    # Of one chunk each, nothing would be left for fast cores to take over from slow ones. Expected, eight cores of
    # which four are half as fast: 42 us of work in 10 instead of 12 us, 140 in 28 instead of 37.
    record[Pool.ROUNDS] = 2 if cores_differ() else 1
    for slot, task in _tasks.items():
        record[slot] = task
    record[Pool.SIGNAL_MASK] = getattr(signal, "SIG_SETMASK", 0)
    record[Pool.THREADS] = threads


def begin_sharing() -> None:
    """Have compiled what shares work out, if it is not yet. Where that cannot be, whoever calls works alone."""
    ending, found = sys.is_finalizing(), (0, _drivers()["work_alone"])
    if not compiling.acquire(blocking=not ending):  # who holds it has been stopped for good
        _note_sharing(*found)
        return
    try:
        pool()
        found = (_sharing[0], _sharing[1]) if _sharing[1] else _compiled_sharing()
    except UnavailableError as error:
        warn_once("threads", f"one thread computes: {error}")
    except BaseException:
        if not ending:  # when modules go, nothing is wrong
            raise
    finally:
        _note_sharing(*found)
        compiling.release()


def _compiled_sharing() -> tuple[int, int]:
    from fastact.runtime import compiler

    functions = compiler.compiled("fastact.runtime.drivers", "threads")
    return functions["worker"], functions["share_out"]


def _note_sharing(worker: int, share_out: int) -> None:
    """The workers' function comes first: whoever finds the other one starts them."""
    _sharing[:] = worker, share_out
    _made[0][Pool.WORKER] = worker
    _made[0][Pool.SHARE_OUT] = share_out


@as_c(RESOLVE)
def _resolve(record: object) -> None:
    """Called by compiled code that finds work to share."""
    while not _made[0][Pool.SHARE_OUT]:
        try:
            in_a_thread(begin_sharing)
        except KeyboardInterrupt:  # who called cannot stop before there is an address to jump to
            interrupt = InterruptOnReturn()  # noqa: F841


def driver() -> int:
    """Address of the loop that NumPy is given for every ufunc."""
    return _drivers()["drive"]

"""The compiled drivers of ufuncs and of functions along an axis, over the pool of :mod:`fastact.runtime.pool`."""

from __future__ import annotations

import math
from typing import Any

from numba import types

from fastact.runtime.pool import (
    TASK_SIGNATURE,
    atomic_add,
    atomic_load,
    awake_or_soon,
    call_loop,
    call_resolve,
    call_task,
    clear_floating_point_flags,
    note_end,
    offset,
    record_at,
    share_among,
    stack_record,
    store_fence,
)
from fastact.runtime.workers import SHARE_OUT_SIGNATURE, WORKER_SIGNATURE, share_out, work_alone, worker
from fastact.simd.addresses import scratch
from fastact.simd.blocks import LOOP_SIGNATURE, Address, inline
from fastact.simd.layout import JOBS, MAX_OPERANDS, Axis, Loop, Pool, Traffic

AXIS_BYTES = 8 * Axis.SIZE

#: Lines that come from other cores, one after the other, while a thread does 20 us of work.
LINES_IN_A_CHUNK = 120

#: Chunks of rows for which one more thread is woken: they take as long as a thread takes to come.
CHUNKS_WORTH_WAKING = 5


@inline
def finish_streams(context):
    """Whoever learns that this part of a call is done shall find its results."""
    if context[Loop.TRAFFIC] == Traffic.STREAMS:
        store_fence()


def run_chunk(begin, end, context):
    """A ufunc's loop over part of its range. ``context``: loop, number of operands, traffic, steps, pointers."""
    operands = context[1]
    pointers = stack_record()
    for i in range(operands):
        pointers[i] = context[3 + MAX_OPERANDS + i] + begin * context[3 + i]
    size = stack_record()
    size[0] = end - begin
    call_loop(context[0], pointers, size, offset(context, 3), context)
    finish_streams(context)


@inline
def open_context(context, data, pool, result_bytes):
    """What a loop is to know of a call that is shared between threads.

    A result larger than the last cache goes past it: its beginning would be gone before its end is there, and what is
    written by way of a cache is first read. Measured on 1e7 float32: 0.70 to 0.85 of the time, for the next function
    in a chain as well. Where one still fits, what reads it next would lose that much.
    """
    context[Loop.FUNCTION], context[Loop.OPERANDS] = data[Loop.FUNCTION], data[Loop.OPERANDS]
    cache = pool[Pool.LAST_CACHE]
    context[Loop.TRAFFIC] = Traffic.CACHED
    if 0 < cache < 4 * result_bytes:
        context[Loop.TRAFFIC] = Traffic.STREAMS if result_bytes > cache else Traffic.FETCHES


@inline
def threads_awake(size, grain):
    """How many threads pay that need not be woken. Each takes some lines that another core has written, in 0.17 us, to
    learn of the work and to be waited for: as many pay as keep all that below the part of each. At least two: what has
    come here is worth sharing."""
    return max(2, int(math.sqrt(LINES_IN_A_CHUNK * size / grain)))


@inline
def threads_woken(size, worth_waking):
    """And how many of those asleep: to wake one takes as long as half of what two must have to be woken."""
    return 2 * size // worth_waking


@inline
def threads_at_hand(pool):
    """As many as the last job was for are awake, and not more: of those that sleep, each job shall wake as many again,
    lest a single larger one spends more on waking than it takes."""
    return 2 * (atomic_load(pool, Pool.GENERATION) & (JOBS - 1))


@inline
def threads_worth(pool, data, size):
    """How many threads pay for so many elements; 0 where not even the way to them does."""
    if size < data[Loop.WORTH_SHARING]:
        return 0
    worth_waking = data[Loop.WORTH_WAKING]
    threads = threads_woken(size, worth_waking)
    if awake_or_soon(pool, 100 * size // worth_waking):
        threads = min(max(2, max(threads, threads_at_hand(pool))), threads_awake(size, data[Loop.GRAIN]))
    return min(pool[Pool.THREADS], threads) if threads >= 2 else 0


@inline
def note_end_of(pool, data, size):
    """The end of a call of which :func:`threads_worth` has noted the beginning."""
    if size >= data[Loop.WORTH_SHARING]:
        note_end(pool)


@inline
def even_grain(pool, threads, size, grain):
    """Elements in a chunk of whole vectors, if all threads are to have as many chunks, of at most that grain.

    Nobody then waits for another's last chunk. Of many threads, few get a chunk of little work.
    """
    rounds = ((size - 1) // (threads * grain) + 1) * pool[Pool.ROUNDS]
    return (max(grain // 10, (size - 1) // (threads * rounds) + 1) + 63) & -64


def drive(pointers, dimensions, steps, data):
    """The loop that NumPy calls for every ufunc: alone on few elements, with the pool on many."""
    while data[Loop.FUNCTION] == 0:  # an interrupt can make the callback return before its work is done
        call_resolve(data[Loop.RESOLVE], data)
    size, pool = dimensions[0], record_at(data[Loop.POOL])
    threads = threads_worth(pool, data, size)
    if threads > 0:
        context = stack_record()
        operands = data[Loop.OPERANDS]
        open_context(context, data, pool, size * steps[operands - 1])
        for i in range(operands):
            context[3 + i], context[3 + MAX_OPERANDS + i] = steps[i], pointers[i]
        grain = even_grain(pool, threads, size, data[Loop.GRAIN])
        share_among(pool, threads, pool[Pool.RUN_CHUNK], context, size, grain)
    else:
        call_loop(data[Loop.FUNCTION], pointers, dimensions, steps, data)
    note_end_of(pool, data, size)
    clear_floating_point_flags()


def drive_rows(context):
    """A task of fastact.rows.kernels on all its items."""
    pool, count, grain = record_at(context[Axis.POOL]), context[Axis.COUNT], context[Axis.GRAIN]
    threads = 1
    if context[Axis.SHARE] > 0:
        woken = max(2, count // (CHUNKS_WORTH_WAKING * grain))
        if awake_or_soon(pool, 25):
            threads = max(woken, threads_at_hand(pool))
        elif context[Axis.SHARE] == 2:
            threads = woken
    if threads > 1:
        share_among(pool, threads, context[Axis.TASK], context, count, grain)
    else:
        call_task(context[Axis.TASK], 0, count, context)
    if context[Axis.SHARE] > 0:
        note_end(pool)
    clear_floating_point_flags()


drive_described = inline(drive_rows)


def drive_known_rows(pointers, description, idle, data):
    """The same, called as a ufunc's loop is, of C-ordered operands: all that is known of them but where they are.
    ``data``: how often there was no memory to compute with, or to go on in place; and the number of inputs."""
    context = record_at(scratch(AXIS_BYTES))
    for i in range(Axis.SIZE):
        context[i] = description[i]
    inputs = data[2]
    context[Axis.X], context[Axis.Y] = pointers[0], pointers[inputs]
    if inputs == 2:
        context[Axis.OTHER] = pointers[1]
    drive_described(context)
    if context[Axis.REFUSED] != 0:
        atomic_add(data, 1 if pointers[0] == pointers[inputs] or pointers[inputs - 1] == pointers[inputs] else 0, 1)


#: What is compiled, by the moment at which it is needed: every function of this module that is called by address.
def functions(part: str) -> dict[str, tuple[Any, Any]]:
    """What is compiled for ``"ufuncs"``, for functions along an ``"axis"``, and when ``"threads"`` first share work: a
    part at a time, because compiling costs time."""
    if part == "axis":
        return {
            "drive_rows": (types.void(Address), drive_rows),
            "drive_known_rows": (LOOP_SIGNATURE, drive_known_rows),
        }
    if part == "threads":
        return {"share_out": (SHARE_OUT_SIGNATURE, share_out), "worker": (WORKER_SIGNATURE, worker)}
    return {
        "drive": (LOOP_SIGNATURE, drive),
        "run_chunk": (TASK_SIGNATURE, run_chunk),
        "work_alone": (SHARE_OUT_SIGNATURE, work_alone),
    }

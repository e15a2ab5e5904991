"""The threads that compiled drivers share work with. Compiled by Numba, cached like any loop.

Why not ``prange``: its OpenMP layer kills a forked child, its workqueue layer aborts the process
when two Python threads meet in it and needs 100 us to wake, and which one a user gets depends on
what happens to be installed. This pool needs POSIX threads and nothing else:

* Work is cut into chunks taken from atomic counters, and the caller takes chunks too, so
  nobody ever waits for a thread to wake up: one that comes too late finds nothing left to do.
* A caller that finds the pool busy (another Python thread got there first), or that lives in a
  forked child, computes alone.
* Idle workers look for new work for some microseconds, then sleep, each on a condition variable of its own. A job
  is for as many threads as it has work for: others sleep on, and those awake go to sleep. Whoever joins a job wakes
  some others, so that of many threads nobody wakes all, and they do not meet at one lock.
* Workers are kept off the core of whoever wakes them: the system would put half of them there, to wait for their turn.
* Where workers are stopped again and again because others want their cores, callers compute alone for a while.

All shared slots (:class:`fastact.simd.layout.Pool`) are read and written with sequentially consistent
atomics. The two places where that order matters (:mod:`fastact.runtime.workers`) say so.
"""

from __future__ import annotations

import platform
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastact.runtime.system import X86, cycles, declared
from fastact.simd.addresses import call
from fastact.simd.blocks import Address, inline
from fastact.simd.layout import MAX_OPERANDS, Pool, Thread

#: Cycles from the end of a call to the next one, which finds workers awake: less than they look for work.
RECENT = 150_000

TASK_SIGNATURE = types.void(types.intp, types.intp, Address)

# -- operations Numba has no word for -------------------------------------------------------------


def _slot(builder: ir.IRBuilder, record: Any, index: Any) -> Any:
    return builder.gep(record, [index])


@intrinsic
def atomic_load(typing_context, record, slot):
    return types.intp(record, slot), lambda context, builder, signature, args: builder.load_atomic(
        _slot(builder, *args), "seq_cst", 8
    )


@intrinsic
def atomic_store(typing_context, record, slot, value):
    def generate(context, builder, signature, args):
        builder.store_atomic(args[2], _slot(builder, *args[:2]), "seq_cst", 8)
        return context.get_dummy_value()

    return types.void(record, slot, types.intp), generate


@intrinsic
def atomic_add(typing_context, record, slot, value):
    """Add and return what stood there before."""
    return types.intp(record, slot, types.intp), lambda context, builder, signature, args: builder.atomic_rmw(
        "add", _slot(builder, *args[:2]), args[2], "seq_cst"
    )


@intrinsic
def atomic_exchange(typing_context, record, slot, value):
    return types.intp(record, slot, types.intp), lambda context, builder, signature, args: builder.atomic_rmw(
        "xchg", _slot(builder, *args[:2]), args[2], "seq_cst"
    )


@intrinsic
def stack_record(typing_context):
    """Room for one value per operand, and three more."""

    def generate(context, builder, signature, args):
        with builder.goto_entry_block():
            return builder.bitcast(
                builder.alloca(ir.ArrayType(ir.IntType(64), 2 * MAX_OPERANDS + 3)), ir.IntType(64).as_pointer()
            )

    return Address(), generate


@intrinsic
def offset(typing_context, record, slot):
    return Address(record, slot), lambda context, builder, signature, args: _slot(builder, *args)


def _call(builder: ir.IRBuilder, function: Any, arguments: Any) -> None:
    function_type = ir.FunctionType(ir.VoidType(), [argument.type for argument in arguments])
    builder.call(builder.inttoptr(function, function_type.as_pointer()), arguments)


@intrinsic
def call_resolve(typing_context, function, data):
    """Call the function at an address, here and in the two below."""

    def generate(context, builder, signature, args):
        _call(builder, args[0], args[1:])
        return context.get_dummy_value()

    return types.void(function, data), generate


@intrinsic
def call_task(typing_context, function, begin, end, context):
    def generate(context, builder, signature, args):
        _call(builder, args[0], args[1:])
        return context.get_dummy_value()

    return types.void(function, types.intp, types.intp, Address), generate


@intrinsic
def call_loop(typing_context, function, pointers, dimensions, steps, data):
    def generate(context, builder, signature, args):
        _call(builder, args[0], args[1:])
        return context.get_dummy_value()

    return types.void(function, Address, Address, Address, Address), generate


@intrinsic
def store_fence(typing_context):
    """Have what was written past the caches arrive before anything that this thread writes from now on."""

    def generate(context, builder, signature, args):
        if platform.machine() in X86:
            declared(builder, "llvm.x86.sse.sfence", ir.VoidType())
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def clear_floating_point_flags(typing_context):
    """Polynomials overflow and underflow on lanes that are not selected; NumPy must not warn of that.

    On x86 only the SSE status word is cleared: the C library's feclearexcept also reloads the x87
    environment, which costs more than a one-element kernel.
    """

    def generate(context, builder, signature, args):
        if platform.machine() in X86:
            with builder.goto_entry_block():
                word = builder.alloca(ir.IntType(32))
            pointer = builder.bitcast(word, ir.IntType(8).as_pointer())
            declared(builder, "llvm.x86.sse.stmxcsr", ir.VoidType(), pointer)
            builder.store(builder.and_(builder.load(word), ir.Constant(ir.IntType(32), ~0x3F)), word)
            declared(builder, "llvm.x86.sse.ldmxcsr", ir.VoidType(), pointer)
        else:
            declared(builder, "feclearexcept", ir.IntType(32), ir.Constant(ir.IntType(32), 0x1F))
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def address_of(typing_context, record):
    return types.intp(record), lambda context, builder, signature, args: builder.ptrtoint(args[0], ir.IntType(64))


@intrinsic
def record_at(typing_context, address):
    return Address(address), lambda context, builder, signature, args: builder.inttoptr(
        args[0], ir.IntType(64).as_pointer()
    )


# -- the pool -----------------------------------------------------------------------------------


@inline
def thread_of(pool, number):
    """The record of a thread; number 0 is the caller."""
    return offset(pool, Pool.FIRST_THREAD + Thread.SIZE * number)


@inline
def parallel_for(pool, task, context, count, grain):
    """Call ``task(begin, end, context)`` on chunks of ``range(count)``, in any order, on all free threads."""
    share_among(pool, pool[Pool.THREADS], task, context, count, grain)


@inline
def share_among(pool, threads, task, context, count, grain):
    """The same, on so many threads at most.

    What does that is compiled when it is first needed: it is most of what a first small call would wait for."""
    if pool[Pool.THREADS] < 2:
        call_task(task, 0, count, context)
        return
    while pool[Pool.SHARE_OUT] == 0:  # an interrupt can make the callback return before its work is done
        call_resolve(pool[Pool.RESOLVE], pool)
    call(pool[Pool.SHARE_OUT], pool, threads, task, context, count, grain)


@inline
def awake_or_soon(pool, work):
    """Whether the first worker is awake, or should be because calls follow each other so fast that it will stay awake.

    ``work``: of this call, as a percentage of what waking it takes. It is woken once as much has been done in
    close succession: if it ends there, no more is lost than the work itself.
    """
    now = cycles()
    if now == 0 or now - pool[Pool.LAST_CALL] > RECENT:
        pool[Pool.SUCCESSION] = 0
    succession = pool[Pool.SUCCESSION]
    pool[Pool.SUCCESSION], pool[Pool.LAST_CALL] = succession + work, now
    return succession >= 100 or atomic_load(thread_of(pool, 1), Thread.ASLEEP) == 0


@inline
def note_end(pool):
    """That a call has ended for which awake threads would have paid: however long it took, the next may be close."""
    pool[Pool.LAST_CALL] = cycles()

"""The threads that compiled drivers share work with. Compiled by Numba, cached like any loop.

Why not ``prange``: its OpenMP layer kills a forked child, its workqueue layer aborts the process
when two Python threads meet in it and needs 100 us to wake, and which one a user gets depends on
what happens to be installed. This pool needs POSIX threads and nothing else:

* Work is cut into chunks taken from atomic counters, and the caller takes chunks too, so
  nobody ever waits for a thread to wake up: one that comes too late finds nothing left to do.
* A caller that finds the pool busy (another Python thread got there first), or that lives in a
  forked child, computes alone.
* Idle workers look for new work for some microseconds, then sleep on a condition variable.

All shared slots (:class:`fastact.simd.layout.Pool`) are read and written with sequentially consistent
atomics. The two places where that order matters say so.
"""

from __future__ import annotations

import platform
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastact.simd.addresses import call
from fastact.simd.blocks import Address, inline
from fastact.simd.layout import MAX_OPERANDS, Pool

#: Cycles from the end of a call to the next one, which finds workers awake: less than they look for work.
RECENT = 150_000

TASK_SIGNATURE = types.void(types.intp, types.intp, Address)
WORKER_SIGNATURE = types.intp(Address)
SHARE_OUT_SIGNATURE = types.void(Address, types.intp, Address, types.intp, types.intp)

X86 = ("x86_64", "AMD64")

# -- operations Numba has no word for -------------------------------------------------------------


def _declared(builder: ir.IRBuilder, name: str, result: ir.Type, *arguments: Any) -> Any:
    """Call a function that LLVM or the C library provides."""
    function_type = ir.FunctionType(result, [argument.type for argument in arguments])
    function = builder.module.globals.get(name) or ir.Function(builder.module, function_type, name)
    return builder.call(function, arguments)


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
def relax(typing_context):
    """Tell the core that this thread only waits."""

    def generate(context, builder, signature, args):
        if platform.machine() in X86:
            _declared(builder, "llvm.x86.sse2.pause", ir.VoidType())
        elif platform.machine() in ("aarch64", "arm64"):
            _declared(builder, "llvm.aarch64.hint", ir.VoidType(), ir.Constant(ir.IntType(32), 1))
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def store_fence(typing_context):
    """Have what was written past the caches arrive before anything that this thread writes from now on."""

    def generate(context, builder, signature, args):
        if platform.machine() in X86:
            _declared(builder, "llvm.x86.sse.sfence", ir.VoidType())
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def cycles(typing_context):
    """A clock that costs nothing to read; 0 where there is none."""

    def generate(context, builder, signature, args):
        if platform.machine() in X86:
            return _declared(builder, "llvm.x86.rdtsc", ir.IntType(64))
        return ir.Constant(ir.IntType(64), 0)

    return types.intp(), generate


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
            _declared(builder, "llvm.x86.sse.stmxcsr", ir.VoidType(), pointer)
            builder.store(builder.and_(builder.load(word), ir.Constant(ir.IntType(32), ~0x3F)), word)
            _declared(builder, "llvm.x86.sse.ldmxcsr", ir.VoidType(), pointer)
        else:
            _declared(builder, "feclearexcept", ir.IntType(32), ir.Constant(ir.IntType(32), 0x1F))
        return context.get_dummy_value()

    return types.void(), generate


def c_function(name: str, arguments: int) -> Any:
    return types.ExternalFunction(name, types.int32(*[types.intp] * arguments))


getpid = c_function("getpid", 0)
sched_yield = c_function("sched_yield", 0)
sigfillset = c_function("sigfillset", 1)
pthread_sigmask = types.ExternalFunction("pthread_sigmask", types.int32(types.int32, types.intp, types.intp))
pthread_create = c_function("pthread_create", 4)
pthread_detach = c_function("pthread_detach", 1)
pthread_mutex_init = c_function("pthread_mutex_init", 2)
pthread_mutex_lock = c_function("pthread_mutex_lock", 1)
pthread_mutex_unlock = c_function("pthread_mutex_unlock", 1)
pthread_cond_init = c_function("pthread_cond_init", 2)
pthread_cond_wait = c_function("pthread_cond_wait", 2)
pthread_cond_broadcast = c_function("pthread_cond_broadcast", 1)


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
def pause(turn):
    """Wait a moment. Every now and then, let whoever else wants this core have it: on a busy machine that
    may be the very thread one is waiting for."""
    if turn % 16 == 15:
        sched_yield()
    else:
        relax()


@inline
def take_chunks(pool, me):
    """Work through one's own share, then help with the others'.

    A share of its own, and not just the next chunk: repeated calls on the same array then find it in the
    same core's cache.
    """
    grain, shares = pool[Pool.TASK_GRAIN], pool[Pool.SHARES]
    for i in range(shares):
        share = 8 * ((me + i) % shares)
        end = pool[Pool.END + share]
        # Read before it is written: of a share with nothing left, many threads would take the line from each other.
        while atomic_load(pool, Pool.NEXT + share) < end:
            begin = atomic_add(pool, Pool.NEXT + share, grain)
            if begin < end:
                call_task(pool[Pool.TASK], begin, min(begin + grain, end), record_at(pool[Pool.CONTEXT]))


@inline
def deal_shares(pool, count, grain):
    """Cut ``range(count)`` into one run of whole chunks per thread."""
    shares = pool[Pool.THREADS]
    pool[Pool.SHARES], pool[Pool.TASK_GRAIN] = shares, grain
    chunks = (count + grain - 1) // grain
    for i in range(shares):
        atomic_store(pool, Pool.NEXT + 8 * i, chunks * i // shares * grain)
        pool[Pool.END + 8 * i] = min(count, chunks * (i + 1) // shares * grain)


@inline
def wait_for_job(pool, seen):
    for turn in range(pool[Pool.SPIN]):
        if atomic_load(pool, Pool.GENERATION) != seen:
            return atomic_load(pool, Pool.GENERATION)
        pause(turn)
    mutex, condition = address_of(offset(pool, Pool.MUTEX)), address_of(offset(pool, Pool.CONDITION))
    pthread_mutex_lock(mutex)
    # SLEEPING before GENERATION here, GENERATION before SLEEPING in publish: one sees the other.
    atomic_add(pool, Pool.SLEEPING, 1)
    while atomic_load(pool, Pool.GENERATION) == seen:
        pthread_cond_wait(condition, mutex)
    atomic_add(pool, Pool.SLEEPING, -1)
    pthread_mutex_unlock(mutex)
    return atomic_load(pool, Pool.GENERATION)


def worker(pool):
    """What each thread of the pool runs, for as long as the process lives."""
    index = atomic_add(pool, Pool.STARTED, 1)
    seen = 0
    while True:
        seen = wait_for_job(pool, seen)
        # ACTIVE before OPEN here, OPEN before ACTIVE in parallel_for: either this thread sees the
        # job closed, or the owner sees it inside and waits.
        atomic_add(pool, Pool.ACTIVE, 1)
        if atomic_load(pool, Pool.OPEN) == 1 and index + 1 < pool[Pool.SHARES]:
            take_chunks(pool, index + 1)
        atomic_add(pool, Pool.ACTIVE, -1)
    return 0


@inline
def start_workers(pool):
    """Bring the number of workers up to what is wanted, or to what the system allows."""
    if pool[Pool.CREATED] == 0:
        pthread_mutex_init(address_of(offset(pool, Pool.MUTEX)), 0)
        pthread_cond_init(address_of(offset(pool, Pool.CONDITION)), 0)
    # Signals are for Python's threads: a worker would only delay their handlers.
    every_signal, before = address_of(offset(pool, Pool.SIGNALS)), address_of(offset(pool, Pool.SIGNALS + 16))
    sigfillset(every_signal)
    pthread_sigmask(pool[Pool.SIGNAL_MASK], every_signal, before)
    thread = stack_record()
    while pool[Pool.CREATED] < pool[Pool.THREADS] - 1:
        if pthread_create(address_of(thread), 0, pool[Pool.WORKER], address_of(pool)) != 0:
            pool[Pool.THREADS] = pool[Pool.CREATED] + 1
            break
        pthread_detach(thread[0])
        pool[Pool.CREATED] += 1
    pthread_sigmask(pool[Pool.SIGNAL_MASK], before, 0)


@inline
def publish(pool):
    atomic_add(pool, Pool.GENERATION, 1)
    if atomic_load(pool, Pool.SLEEPING) > 0:
        mutex = address_of(offset(pool, Pool.MUTEX))
        pthread_mutex_lock(mutex)
        pthread_mutex_unlock(mutex)
        pthread_cond_broadcast(address_of(offset(pool, Pool.CONDITION)))


@inline
def parallel_for(pool, task, context, count, grain):
    """Call ``task(begin, end, context)`` on chunks of ``range(count)``, in any order, on all free threads.

    What does that is compiled when it is first needed: it is most of what a first small call would wait for."""
    if pool[Pool.THREADS] < 2:
        call_task(task, 0, count, context)
        return
    while pool[Pool.SHARE_OUT] == 0:  # an interrupt can make the callback return before its work is done
        call_resolve(pool[Pool.RESOLVE], pool)
    call(pool[Pool.SHARE_OUT], pool, task, context, count, grain)


def work_alone(pool, task, context, count, grain):
    """What stands for ``share_out`` where that cannot be compiled."""
    call_task(task, 0, count, context)


def share_out(pool, task, context, count, grain):
    """:func:`parallel_for`, once it is compiled."""
    alone = pool[Pool.THREADS] < 2 or pool[Pool.PROCESS] != getpid()
    if alone or atomic_exchange(pool, Pool.BUSY, 1) == 1:
        call_task(task, 0, count, context)
        return
    if pool[Pool.CREATED] < pool[Pool.THREADS] - 1:
        start_workers(pool)
    pool[Pool.TASK], pool[Pool.CONTEXT] = task, address_of(context)
    deal_shares(pool, count, grain)
    atomic_store(pool, Pool.OPEN, 1)
    publish(pool)
    take_chunks(pool, 0)
    atomic_store(pool, Pool.OPEN, 0)
    turn = 0
    while atomic_load(pool, Pool.ACTIVE) > 0:
        pause(turn)
        turn += 1
    atomic_store(pool, Pool.BUSY, 0)


@inline
def awake_or_soon(pool, work):
    """Whether workers are awake, or should be because calls follow each other so fast that they will stay awake.

    ``work``: of this call, as a percentage of what waking them takes. They are woken once as much has been done in
    close succession: if it ends there, no more is lost than the work itself.
    """
    now = cycles()
    if now == 0 or now - pool[Pool.LAST_CALL] > RECENT:
        pool[Pool.SUCCESSION] = 0
    succession = pool[Pool.SUCCESSION]
    pool[Pool.SUCCESSION], pool[Pool.LAST_CALL] = succession + work, now
    return succession >= 100 or atomic_load(pool, Pool.SLEEPING) == 0


@inline
def note_end(pool):
    """That a call has ended for which awake threads would have paid: however long it took, the next may be close."""
    pool[Pool.LAST_CALL] = cycles()

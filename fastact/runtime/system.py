"""What the pool of threads asks of the system and of the core it runs on. Compiled by Numba.

Where a worker runs is the system's choice, and on Linux often a bad one: it may wake a thread on the core of whoever
wakes it, although another is idle, and there it waits until the waker has had its turn or the system notices, 2 to 4 ms
later. With two cores that was the case in half of the calls after a pause.
"""

from __future__ import annotations

import platform
import sys
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastact.simd.addresses import memory
from fastact.simd.blocks import inline

X86 = ("x86_64", "AMD64")

#: Bytes of a set of cores, as the C library has it.
SET_BYTES = 128


def declared(builder: ir.IRBuilder, name: str, result: ir.Type, *arguments: Any) -> Any:
    """Call a function that LLVM or the C library provides."""
    function_type = ir.FunctionType(result, [argument.type for argument in arguments])
    function = builder.module.globals.get(name) or ir.Function(builder.module, function_type, name)
    return builder.call(function, arguments)


@intrinsic
def relax(typing_context):
    """Tell the core that this thread only waits."""

    def generate(context, builder, signature, args):
        if platform.machine() in X86:
            declared(builder, "llvm.x86.sse2.pause", ir.VoidType())
        elif platform.machine() in ("aarch64", "arm64"):
            declared(builder, "llvm.aarch64.hint", ir.VoidType(), ir.Constant(ir.IntType(32), 1))
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def cycles(typing_context):
    """A clock that costs nothing to read; 0 where there is none."""

    def generate(context, builder, signature, args):
        if platform.machine() in X86:
            return declared(builder, "llvm.x86.rdtsc", ir.IntType(64))
        return ir.Constant(ir.IntType(64), 0)

    return types.intp(), generate


def c_function(name: str, arguments: int) -> Any:
    return types.ExternalFunction(name, types.int32(*[types.intp] * arguments))


getpid = c_function("getpid", 0)
sched_yield = c_function("sched_yield", 0)
sigfillset = c_function("sigfillset", 1)
pthread_sigmask = types.ExternalFunction("pthread_sigmask", types.int32(types.int32, types.intp, types.intp))
pthread_self = types.ExternalFunction("pthread_self", types.intp())
pthread_create = c_function("pthread_create", 4)
pthread_detach = c_function("pthread_detach", 1)
pthread_mutex_init = c_function("pthread_mutex_init", 2)
pthread_mutex_lock = c_function("pthread_mutex_lock", 1)
pthread_mutex_unlock = c_function("pthread_mutex_unlock", 1)
pthread_cond_init = c_function("pthread_cond_init", 2)
pthread_cond_wait = c_function("pthread_cond_wait", 2)
pthread_cond_signal = c_function("pthread_cond_signal", 1)


@inline
def pause(turn):
    """Wait a moment. Every now and then, let whoever else wants this core have it: on a busy machine that
    may be the very thread one is waiting for."""
    if turn % 16 == 15:
        sched_yield()
    else:
        relax()


# -- cores ----------------------------------------------------------------------------------------

get_word, put_word, _ = memory(ir.IntType(64), types.intp, 1)

if sys.platform == "linux":
    sched_getcpu = c_function("sched_getcpu", 0)
    get_cores = c_function("pthread_getaffinity_np", 3)
    set_cores = c_function("pthread_setaffinity_np", 3)

    @inline
    def this_core():
        """The number of the core that this thread is on, or -1."""
        return types.intp(sched_getcpu())

    @inline
    def cores_of(thread, cores):
        """Write the set of cores that a thread may run on; whether that is known."""
        return get_cores(thread, SET_BYTES, cores) == 0

    @inline
    def bound_to(thread, cores):
        """Let a thread run on these cores alone; whether it does."""
        return set_cores(thread, SET_BYTES, cores) == 0

else:

    @inline
    def this_core():
        return -1

    @inline
    def cores_of(thread, cores):
        return False

    @inline
    def bound_to(thread, cores):
        return False


@inline
def has_core(cores, core):
    return get_word(cores + core // 64 * 8) >> core % 64 & 1 != 0


@inline
def add_core(cores, core):
    word = cores + core // 64 * 8
    put_word(get_word(word) | (1 << core % 64), word)


@inline
def remove_core(cores, core):
    word = cores + core // 64 * 8
    put_word(get_word(word) & ~(1 << core % 64), word)


@inline
def is_empty(cores):
    some = 0
    for i in range(SET_BYTES // 8):
        some |= get_word(cores + 8 * i)
    return some == 0

"""The workers of the pool: how they come to work, share it and go to sleep. Compiled when work is first shared.

The caller cuts work into a share per thread, and opens it as a job. How the parts fit together: fastact.runtime.pool.
"""

from __future__ import annotations

from numba import types

from fastact.runtime.pool import (
    address_of,
    atomic_add,
    atomic_exchange,
    atomic_load,
    atomic_store,
    call_task,
    offset,
    record_at,
    stack_record,
    thread_of,
)
from fastact.runtime.system import (
    SET_BYTES,
    add_core,
    bound_to,
    cores_of,
    cycles,
    getpid,
    has_core,
    is_empty,
    pause,
    pthread_cond_init,
    pthread_cond_signal,
    pthread_cond_wait,
    pthread_create,
    pthread_detach,
    pthread_mutex_init,
    pthread_mutex_lock,
    pthread_mutex_unlock,
    pthread_self,
    pthread_sigmask,
    remove_core,
    sigfillset,
    this_core,
)
from fastact.simd.addresses import scratch
from fastact.simd.blocks import Address, inline
from fastact.simd.layout import JOBS, Pool, Thread

__all__ = ["SHARE_OUT_SIGNATURE", "WORKER_SIGNATURE", "share_out", "work_alone", "worker"]

#: How many others each thread wakes. With two, 63 that sleep deeply come in six steps, with four in three: expected
#: time of 1e7 sigmoids on 64 cores, 50 us to wake up and 2 to wake somebody, 420 or 350 us; with eight, 320, but then
#: the caller spends up to 80 us waking before it begins, where that takes 10 (on virtual machines).
WAKES = 4

#: Cycles that no chunk takes: whoever waits that long waits for a worker that the system has stopped, as it does for
#: 3 ms and more. And for how many callers do without workers at most: then they try again.
STOPPED, LONGEST_ALONE = 2_000_000, 500_000_000

WORKER_SIGNATURE = types.intp(Address)
SHARE_OUT_SIGNATURE = types.void(Address, types.intp, types.intp, Address, types.intp, types.intp)


def work_alone(pool, threads, task, context, count, grain):
    """What stands for ``share_out`` where that cannot be compiled."""
    call_task(task, 0, count, context)


def share_out(pool, threads, task, context, count, grain):
    """:func:`share_among`, once it is compiled."""
    chunks = (count + grain - 1) // grain
    threads = min(min(threads, pool[Pool.THREADS]), chunks)
    alone = threads < 2 or pool[Pool.PROCESS] != getpid() or kept_waiting(pool)
    if alone or atomic_exchange(pool, Pool.BUSY, 1) == 1:
        call_task(task, 0, count, context)
        return
    if pool[Pool.CREATED] < threads - 1:
        threads = start_workers(pool, threads)
    pool[Pool.TASK], pool[Pool.CONTEXT] = task, address_of(context)
    pool[Pool.OWNERS_CORE] = this_core()
    deal_shares(pool, count, grain, chunks, threads)
    atomic_store(pool, Pool.OPEN, threads)
    atomic_store(pool, Pool.GENERATION, (pool[Pool.GENERATION] | (JOBS - 1)) + 1 + threads)
    wake_next(pool, 0, threads)
    begun = cycles()
    take_chunks(pool, 0, threads)
    done = cycles()
    atomic_store(pool, Pool.OPEN, 0)
    turn = 0
    for number in range(1, threads):
        while atomic_load(thread_of(pool, number), Thread.INSIDE) == 1:
            pause(turn)
            turn += 1
    note_wait(pool, done - begun, cycles() - done)
    atomic_store(pool, Pool.BUSY, 0)


@inline
def kept_waiting(pool):
    """Whether workers have kept callers waiting so often that it is better to do without them for a while."""
    left = atomic_load(pool, Pool.ALONE_UNTIL) - cycles()
    return 0 < left <= LONGEST_ALONE  # the clock may begin anew when a computer wakes up


@inline
def note_wait(pool, work, wait):
    """How long a caller has worked and then waited for workers to finish their chunks.

    If it waited long and longer than it worked, the system has stopped one in the middle, for somebody else who wants
    its core. If that happens once, callers do without workers for as long as it took, and no more is lost than that;
    if again and again, for twice as long each time, so that little of all time goes into waiting.
    """
    if wait < STOPPED or wait < work:
        return
    since = cycles() - pool[Pool.ALONE_UNTIL]
    again = 0 <= since < 8 * pool[Pool.ALONE_FOR]
    pool[Pool.ALONE_FOR] = min(2 * pool[Pool.ALONE_FOR] if again else wait, LONGEST_ALONE)
    atomic_store(pool, Pool.ALONE_UNTIL, cycles() + pool[Pool.ALONE_FOR])


@inline
def take_chunks(pool, me, shares):
    """Work through one's own share, then help with the others'.

    A share of its own, and not just the next chunk: repeated calls on the same array then find it in the
    same core's cache.
    """
    grain = pool[Pool.TASK_GRAIN]
    for i in range(shares):
        share = thread_of(pool, (me + i) % shares)
        end = share[Thread.END]
        # Read before it is written: of a share with nothing left, many threads would take the line from each other.
        while atomic_load(share, Thread.NEXT) < end:
            begin = atomic_add(share, Thread.NEXT, grain)
            if begin < end:
                call_task(pool[Pool.TASK], begin, min(begin + grain, end), record_at(pool[Pool.CONTEXT]))


@inline
def deal_shares(pool, count, grain, chunks, shares):
    """Cut ``range(count)`` into runs of whole chunks, one per thread."""
    pool[Pool.TASK_GRAIN] = grain
    for i in range(shares):
        share = thread_of(pool, i)  # nobody looks before OPEN is stored
        share[Thread.NEXT] = chunks * i // shares * grain
        share[Thread.END] = min(count, chunks * (i + 1) // shares * grain)


@inline
def wake_next(pool, me, shares):
    """Wake the threads that this one is to wake, if they sleep and nobody has done their work meanwhile."""
    for number in range(WAKES * me + 1, min(WAKES * me + WAKES + 1, shares)):
        other = thread_of(pool, number)
        if atomic_load(other, Thread.ASLEEP) == 1 and atomic_load(other, Thread.NEXT) < other[Thread.END]:
            mutex = address_of(offset(other, Thread.MUTEX))
            pthread_mutex_lock(mutex)
            if atomic_load(other, Thread.ASLEEP) == 1 and other[Thread.AVOIDS] == 0:
                keep_off(other, this_core())
            pthread_mutex_unlock(mutex)
            pthread_cond_signal(address_of(offset(other, Thread.CONDITION)))


@inline
def keep_off(sleeper, core):
    """Have a worker wake on another core than that, if there is one: before it does more, it undoes this."""
    cores = scratch(SET_BYTES)
    if 0 <= core < 8 * SET_BYTES and cores_of(sleeper[Thread.HANDLE], cores) and has_core(cores, core):
        remove_core(cores, core)
        if not is_empty(cores) and bound_to(sleeper[Thread.HANDLE], cores):
            sleeper[Thread.AVOIDS] = core + 1


@inline
def come_back(own):
    """Undo that. The system may move this thread as before, and seldom does so at once."""
    cores = scratch(SET_BYTES)
    if own[Thread.AVOIDS] != 0 and cores_of(own[Thread.HANDLE], cores):
        add_core(cores, own[Thread.AVOIDS] - 1)
        bound_to(own[Thread.HANDLE], cores)
    own[Thread.AVOIDS] = 0


@inline
def leave_core_to(owner, own):
    """Where the owner has come to the core of this worker since."""
    if this_core() == owner:
        keep_off(own, owner)
        come_back(own)


@inline
def is_for(job, seen, number):
    """Whether a job is a new one, and has work for the thread of this number."""
    return job != seen and job & (JOBS - 1) > number


@inline
def wait_for_job(pool, number, seen):
    own = thread_of(pool, number)
    # Jobs for fewer threads do not keep this one awake.
    for turn in range(pool[Pool.SPIN]):
        job = atomic_load(pool, Pool.GENERATION)
        if is_for(job, seen, number):
            return job
        if turn % 256 == 0:
            leave_core_to(pool[Pool.OWNERS_CORE], own)
        pause(turn)
    mutex, condition = address_of(offset(own, Thread.MUTEX)), address_of(offset(own, Thread.CONDITION))
    pthread_mutex_lock(mutex)
    # ASLEEP before GENERATION here, GENERATION before ASLEEP in whoever wakes: one sees the other.
    atomic_store(own, Thread.ASLEEP, 1)
    job = atomic_load(pool, Pool.GENERATION)
    while not is_for(job, seen, number):
        pthread_cond_wait(condition, mutex)
        job = atomic_load(pool, Pool.GENERATION)
    atomic_store(own, Thread.ASLEEP, 0)
    come_back(own)
    pthread_mutex_unlock(mutex)
    return job


def worker(pool):
    """What each thread of the pool runs, for as long as the process lives."""
    number = atomic_add(pool, Pool.STARTED, 1) + 1
    own = thread_of(pool, number)
    own[Thread.HANDLE] = pthread_self()
    seen = 0
    while True:
        seen = wait_for_job(pool, number, seen)
        # INSIDE before OPEN here, OPEN before INSIDE in share_out: either this thread sees the
        # job closed, or the owner sees it inside and waits.
        atomic_store(own, Thread.INSIDE, 1)
        shares = atomic_load(pool, Pool.OPEN)
        if number < shares:  # of a job that is for fewer, the owner does not wait for this thread
            wake_next(pool, number, shares)
            take_chunks(pool, number, shares)
        atomic_store(own, Thread.INSIDE, 0)
    return 0


@inline
def start_workers(pool, threads):
    """Bring the number of threads up to what a job wants, or to what the system allows; returns how many there are."""
    # Signals are for Python's threads: a worker would only delay their handlers.
    every_signal, before = address_of(offset(pool, Pool.SIGNALS)), address_of(offset(pool, Pool.SIGNALS + 16))
    sigfillset(every_signal)
    pthread_sigmask(pool[Pool.SIGNAL_MASK], every_signal, before)
    thread = stack_record()
    while pool[Pool.CREATED] < threads - 1:
        created = thread_of(pool, pool[Pool.CREATED] + 1)
        pthread_mutex_init(address_of(offset(created, Thread.MUTEX)), 0)
        pthread_cond_init(address_of(offset(created, Thread.CONDITION)), 0)
        if pthread_create(address_of(thread), 0, pool[Pool.WORKER], address_of(pool)) != 0:
            threads = pool[Pool.THREADS] = pool[Pool.CREATED] + 1
            break
        pthread_detach(thread[0])
        pool[Pool.CREATED] += 1
    pthread_sigmask(pool[Pool.SIGNAL_MASK], before, 0)
    return threads

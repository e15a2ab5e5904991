"""An allocator that keeps large blocks for the next array of about their size, in Numba's language.

Memory fresh from the system costs more than most functions that write to it: each page is cleared when it is first
touched, 0.3 to 0.8 ns per float32. In huge pages that is a quarter of it, so blocks are whole huge pages; and a block
that is used again costs nothing. One that is not, while others come and go, is offered to the system (MADV_FREE),
which takes it when anyone runs short. Not at once: doing so to each made sigmoid of 1e7 take 0.176 ns instead of 0.142.
An array of half a page wastes the other half, but has one page fault and not 256.

Functions have the signatures that NumPy asks of a handler of memory. They may be called from any thread: one that
finds another at the table of kept blocks does without it. Nobody waits, so a fork cannot leave anybody waiting.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from fastact.runtime.pool import atomic_exchange, atomic_store, offset, record_at
from fastact.simd.blocks import Address, inline
from fastact.simd.layout import Kept

__all__ = ["functions"]

#: Bytes in a huge page.
PAGE = 1 << 21

#: Bytes in front of an array: they tell the size of its block, or 0 for one of the C library's, and the array's.
HEAD = 64

#: Bytes that no machine has. With more, sizes in pages would pass the largest whole number and come out negative.
MOST = 1 << 62

malloc = types.ExternalFunction("malloc", types.intp(types.intp))
calloc = types.ExternalFunction("calloc", types.intp(types.intp, types.intp))
realloc = types.ExternalFunction("realloc", types.intp(types.intp, types.intp))
release = types.ExternalFunction("free", types.void(types.intp))
memcpy = types.ExternalFunction("memcpy", types.intp(types.intp, types.intp, types.intp))
mmap = types.ExternalFunction(
    "mmap", types.intp(types.intp, types.intp, types.int32, types.int32, types.int32, types.intp)
)
munmap = types.ExternalFunction("munmap", types.int32(types.intp, types.intp))
madvise = types.ExternalFunction("madvise", types.int32(types.intp, types.intp, types.int32))


def functions() -> dict[str, tuple[Any, Any]]:
    word = types.intp
    return {
        "allocate": (word(Address, word), lambda kept, size: allocate(kept, size)),
        "allocate_zeros": (word(Address, word, word), allocate_zeros),
        "reallocate": (word(Address, word, word), reallocate),
        "deallocate": (types.void(Address, word, word), lambda kept, address, size: deallocate(kept, address, size)),
    }


@inline
def headed(block, length, size):
    """The address behind a block's head; 0 if there is no block."""
    if block == 0:
        return block
    head = record_at(block)
    head[0], head[1] = length, size
    return block + HEAD


@inline
def in_pages(size):
    return (size + HEAD + PAGE - 1) // PAGE * PAGE


@inline
def fresh_pages(kept, size):
    """New huge pages; 0 if there are none."""
    flags, protection = np.int32(kept[Kept.FLAGS]), np.int32(kept[Kept.PROTECTION])
    start = mmap(0, size + PAGE, protection, flags, np.int32(-1), 0)
    if start == -1:
        return 0
    before = -start & (PAGE - 1)
    block = start + before
    if before > 0:
        munmap(start, before)
    munmap(block + size, PAGE - before)
    madvise(block, size, np.int32(kept[Kept.HUGEPAGE]))
    return block


@inline
def entry(kept, index):
    """What the table says of a block: address, bytes, turn."""
    return offset(kept, Kept.TABLE + 3 * index)


@inline
def remove(kept, index):
    kept[Kept.TOTAL] -= entry(kept, index)[1]
    kept[Kept.COUNT] -= 1
    for i in range(index, kept[Kept.COUNT]):
        here, next_one = entry(kept, i), entry(kept, i + 1)
        here[0], here[1], here[2] = next_one[0], next_one[1], next_one[2]


@inline
def append(kept, block, size):
    kept[Kept.TURN] += 1
    new = entry(kept, kept[Kept.COUNT])
    new[0], new[1], new[2] = block, size, kept[Kept.TURN]
    kept[Kept.COUNT] += 1
    kept[Kept.TOTAL] += size


@inline
def take(kept, size):
    """The smallest block kept of at least that size and at most a quarter more, and its size; 0 if there is none.
    Of equals the one kept last, which may still be in the cache."""
    best, found = -1, size
    if atomic_exchange(kept, Kept.LOCK, 1) == 1:
        return 0, found
    for i in range(kept[Kept.COUNT]):
        there = entry(kept, i)[1]
        if size <= there <= size + size // 4 and (best < 0 or there <= found):
            best, found = i, there
    block = 0
    if best >= 0:
        block = entry(kept, best)[0]
        remove(kept, best)
    atomic_store(kept, Kept.LOCK, 0)
    return block, found


@inline
def put(kept, block, size):
    """Keep a block, at the cost of the oldest ones if there are too many; False if it cannot be kept."""
    if size > kept[Kept.LIMIT] or atomic_exchange(kept, Kept.LOCK, 1) == 1:
        return False
    while kept[Kept.COUNT] == Kept.BLOCKS or kept[Kept.TOTAL] + size > kept[Kept.LIMIT]:
        oldest = entry(kept, 0)
        munmap(oldest[0], oldest[1])
        remove(kept, 0)
    append(kept, block, size)
    for i in range(kept[Kept.COUNT]):
        idle = entry(kept, i)
        if idle[2] > 0 and kept[Kept.TURN] - idle[2] >= Kept.BLOCKS:
            madvise(idle[0], idle[1], np.int32(kept[Kept.RECLAIM]))
            idle[2] = 0
    atomic_store(kept, Kept.LOCK, 0)
    return True


@inline
def allocate(kept, size):
    if size < Kept.LARGE:
        return headed(malloc(size + HEAD), 0, size)
    if size > MOST:
        return 0
    block, length = take(kept, in_pages(size))
    if block == 0:
        block = fresh_pages(kept, length)
    return headed(block, length, size)


def allocate_zeros(kept, count, size):
    """Always new: the system's zeros cost nothing until they are touched."""
    size *= count
    if size < Kept.LARGE:
        return headed(calloc(size + HEAD, 1), 0, size)
    if size > MOST:
        return 0
    return headed(fresh_pages(kept, in_pages(size)), in_pages(size), size)


def reallocate(kept, address, size):
    head = record_at(address - HEAD)
    if head[0] == 0 and size < Kept.LARGE:
        return headed(realloc(address - HEAD, size + HEAD), 0, size)
    if size >= Kept.LARGE and head[0] == in_pages(size):
        return headed(address - HEAD, head[0], size)
    moved = allocate(kept, size)
    if moved != 0:
        memcpy(moved, address, min(size, head[1]))
        deallocate(kept, address, size)
    return moved


@inline
def deallocate(kept, address, size):
    """What size NumPy says does not matter: it is the array's, which a view may have changed."""
    block = address - HEAD
    length = record_at(block)[0]
    if length == 0:
        release(block)
    elif not put(kept, block, length):
        munmap(block, length)

"""How blocks of panels (fastact.rows.moves) are copied between memory and the cache, in Numba's language."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from fastact.simd.blocks import kernel
from fastact.simd.layout import Axis

__all__ = ["copies"]

#: Bytes.
PREFETCHED = 1 << 17


def copies(words: SimpleNamespace) -> SimpleNamespace:
    """Moving a block of neighbouring panels between memory and the cache: in memory, long runs of neighbours."""
    blocks = _blocks(words)
    lanes, work, load, store = words.lanes, words.work, words.load, words.store
    load_work, store_work = words.load_work, words.store_work

    @kernel
    def fetch_vector(address, stride, count, copies, first):
        store_work(load(address, stride, 0, count), copies, work, first, lanes)

    @kernel
    def deliver_vector(address, stride, count, copies, first):
        store(load_work(copies, work, first, lanes), address, stride, 0, count)

    fetch, deliver = (_of_every_vector(words, blocks.place, move) for move in (fetch_vector, deliver_vector))
    return SimpleNamespace(**vars(blocks), fetch=fetch, deliver=deliver)


def _of_every_vector(words: SimpleNamespace, place: Any, move: Any) -> Any:
    """What moves the vectors of a block, each between its place in memory and its copy."""
    lanes, work = words.lanes, words.work

    @kernel
    def move_block(context, slot, block, memory, length):
        count = block[2]
        address, stride, step = place(context, slot, block), context[slot + 2], context[slot + 3]
        for i in range(length):
            copies = memory + i * context[Axis.PART] * lanes * work
            for first in range(0, count, lanes):
                move(address + i * step + first * stride, stride, min(lanes, count - first), copies, first)

    return move_block


def _blocks(words: SimpleNamespace) -> SimpleNamespace:
    """Which rows are in a block, and where it is: in memory, and in the cache."""
    lanes, work, size = words.lanes, words.work, words.size

    @kernel
    def block_of(context, item):
        """Which row outside of the axis, the first row inside of it, and how many from there on."""
        inner, width = context[Axis.INNER], context[Axis.PART] * lanes
        blocks_inside = (inner + width - 1) // width
        start = item % blocks_inside * width
        return item // blocks_inside, start, min(width, inner - start)

    @kernel
    def following(context, item):
        """The block after this one, which is the next to be copied."""
        return block_of(context, min(item + 1, context[Axis.COUNT] - 1))

    @kernel
    def place(context, slot, block):
        return context[slot] + block[0] * context[slot + 1] + block[1] * context[slot + 2]

    @kernel
    def bytes_of(context, length):
        return length * context[Axis.PART] * lanes * work

    @kernel
    def panel(context, memory, number, length, slot, block):
        """The operand for one panel of a block in the cache; and where, in memory, another block of it is. Blocks of
        which not three fit the cache are not prefetched."""
        address = memory + number * lanes * work
        elsewhere, step = memory, 0
        if context[slot + 2] == size and bytes_of(context, length) <= PREFETCHED:
            elsewhere, step = place(context, slot, block) + number * lanes * size, context[slot + 3]
        return address, context[Axis.PART] * lanes * work, length, elsewhere, step

    return SimpleNamespace(block_of=block_of, following=following, place=place, bytes_of=bytes_of, panel=panel)

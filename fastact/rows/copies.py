"""How blocks of panels (fastact.rows.moves) are copied between memory and the cache, in Numba's language."""

from __future__ import annotations

from types import SimpleNamespace

from fastact.simd.blocks import kernel
from fastact.simd.layout import Axis

__all__ = ["copies"]

#: Bytes.
PREFETCHED = 1 << 17


def copies(words: SimpleNamespace) -> SimpleNamespace:
    """Moving a block of neighbouring panels between memory and the cache: in memory, long runs of neighbours."""
    lanes, work, size, load, store = words.lanes, words.work, words.size, words.load, words.store
    load_work, store_work = words.load_work, words.store_work

    @kernel
    def block_of(context, item):
        """Which row outside of the axis, the first row inside of it, and how many from there on."""
        inner, width = context[Axis.INNER], context[Axis.PART] * lanes
        blocks_inside = (inner + width - 1) // width
        start = item % blocks_inside * width
        return item // blocks_inside, start, min(width, inner - start)

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

    @kernel
    def place(context, slot, block):
        return context[slot] + block[0] * context[slot + 1] + block[1] * context[slot + 2]

    @kernel
    def following(context, item):
        """The block after this one, which is the next to be copied."""
        return block_of(context, min(item + 1, context[Axis.COUNT] - 1))

    @kernel
    def fetch(context, slot, block, memory, length):
        count = block[2]
        address, stride, step = place(context, slot, block), context[slot + 2], context[slot + 3]
        for i in range(length):
            target = memory + i * context[Axis.PART] * lanes * work
            for first in range(0, count, lanes):
                v = load(address + i * step + first * stride, stride, 0, min(lanes, count - first))
                store_work(v, target, work, first, lanes)

    @kernel
    def deliver(context, slot, block, memory, length):
        count = block[2]
        address, stride, step = place(context, slot, block), context[slot + 2], context[slot + 3]
        for i in range(length):
            source = memory + i * context[Axis.PART] * lanes * work
            for first in range(0, count, lanes):
                v = load_work(source, work, first, lanes)
                store(v, address + i * step + first * stride, stride, 0, min(lanes, count - first))

    words_of_copies = {"block_of": block_of, "following": following, "panel": panel, "fetch": fetch}
    return SimpleNamespace(**words_of_copies, deliver=deliver, bytes_of=bytes_of)

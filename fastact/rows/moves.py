"""How rows and panels of them move between memory and vectors, in Numba's language.

A *row* has its elements side by side: a vector holds consecutive elements of one row, and what is known of a row is
the same in every lane. A *panel* is a bundle of as many rows as a vector has lanes, one in each lane, whose elements
are far apart: columns of a C-ordered array, or rows too short to fill a register. Panels are copied into the cache,
some neighbours at a time, and copied back when they are done.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from fastact.kernels import lookups
from fastact.kernels.emit import precision_of
from fastact.rows.formulas import sources
from fastact.rows.streams import past_caches_of, through_caches
from fastact.simd import blocks, lanes, quarters
from fastact.simd.blocks import kernel
from fastact.simd.lanes import (
    compensated_sum_of_lanes,
    first_lane,
    first_lanes,
    float_at,
    floats_at,
    folded,
    largest_lane,
    narrow,
    prefetch,
    put_float,
    put_floats,
    spread,
    sum_of_lanes,
    widen,
)
from fastact.simd.layout import Axis
from fastact.simd.quarters import (
    QUARTERS,
    compensated_sum_of_each,
    first_of_each,
    folded_each,
    largest_of_each,
    one_of_each,
    repeat_each,
    sum_of_each,
)
from fastact.simd.vectors import LANES, select

__all__ = ["bundles", "columns", "panels", "places", "rows", "words_for"]


def words_for(storage: str) -> SimpleNamespace:
    """What depends on the type in memory: moving vectors, and the formulas' kernels."""
    precision = precision_of(storage)
    words = SimpleNamespace(
        size=np.dtype(storage).itemsize,
        work=precision.size // 8,
        lanes=LANES[precision.name],
        load=getattr(blocks, f"load_{storage}"),
        store=getattr(blocks, f"store_{storage}"),
        stream_whole=getattr(blocks, f"stream_whole_{storage}"),
        load_first=getattr(lanes, f"load_first_{storage}"),
        store_first=getattr(lanes, f"store_first_{storage}"),
        load_bundle=getattr(quarters, f"load_bundle_{storage}"),
        store_bundle=getattr(quarters, f"store_bundle_{storage}"),
        load_work=getattr(blocks, f"load_{precision.name}"),
        store_work=getattr(blocks, f"store_{precision.name}"),
        add=_add_compensated if precision.name == "float64" else _add_wide,
        total_of_lanes=compensated_sum_of_lanes if precision.name == "float64" else _total_of_lanes,
        total_of_each=compensated_sum_of_each if precision.name == "float64" else _total_of_each,
    )
    for name, source in sources(precision).items():
        namespace = vars(blocks) | vars(lookups)
        exec(compile(source, f"<fastact {name}>", "exec"), namespace)
        setattr(words, name, namespace[f"{name}_kernel"])
    return words


@kernel
def _add_wide(total, low, v):
    """float32 is summed in float64; four of a row are added up before, which costs less than half."""
    return total + widen(v), low


@kernel
def _add_compensated(total, low, v):
    """float64 with what rounding takes away (D. E. Knuth, TAOCP 2, 4.2.2)."""
    larger = total + v
    part = larger - total
    return larger, low + ((total - (larger - part)) + (v - part))


@kernel
def _total_of_lanes(total, low):
    return sum_of_lanes(total + low)


@kernel
def _total_of_each(total, low):
    return sum_of_each(total + low)


@kernel
def unchanged(v):
    return v


@kernel
def itself(v, like):
    return v


@kernel
def no_prefetch(operand, i):
    pass


def rows(words: SimpleNamespace) -> SimpleNamespace:
    """One row at a time; its i-th vector holds elements from i * lanes on."""
    size, lanes, load_whole, store_whole = words.size, words.lanes, words.load, words.store
    load_first, store_first = words.load_first, words.store_first

    @kernel
    def positions(length):
        return (length + lanes - 1) // lanes

    @kernel
    def load(operand, i, rest):
        address, _, count = operand
        start = i * lanes
        if start + lanes <= count:
            return load_whole(address, size, start, lanes)
        v = load_first(address + start * size, count - start)
        return select(first_lanes(count - start, v), v, rest)

    @kernel
    def store(v, operand, i):
        address, _, count = operand
        start = i * lanes
        if start + lanes <= count:
            store_whole(v, address, size, start, lanes)
        else:
            store_first(v, address + start * size, count - start)

    @kernel
    def prefetch_next(operand, i):
        """The row behind this one is usually the next: fetch it while this one is computed, and where results go."""
        address, _, count = operand
        ahead = address + (count + i * lanes) * size
        for line in range(0, lanes * size, 64):
            prefetch(ahead + line)

    @kernel
    def across_max(v):
        return spread(largest_lane(v), v)

    @kernel
    def across_sum(v):
        return np.float64(sum_of_lanes(v))

    across_total = words.total_of_lanes

    @kernel
    def number_of(v):
        return np.float64(first_lane(v))

    fold, vector_of, prefetch_bundle, prefetch_ahead = folded, spread, no_prefetch, no_prefetch
    few_of, every, past_caches = one_of_each, repeat_each, past_caches_of(words, store)

    @kernel
    def get(record, what, like):
        return float_at(record, what)

    put = put_float

    return SimpleNamespace(**{k: v for k, v in locals().items() if k in MODE})


def bundles(words: SimpleNamespace) -> SimpleNamespace:
    """Four rows at a time, each in a register of the vector; their i-th vector holds a register's width of each.

    What a row costs besides its elements (a maximum and a sum across lanes, a division, the wait for each) is paid
    once for all four.
    """
    size, width = words.size, words.lanes // QUARTERS
    load_bundle, store_bundle = words.load_bundle, words.store_bundle

    @kernel
    def positions(length):
        return (length + width - 1) // width

    @kernel
    def load(operand, i, rest):
        address, stride, count, last = operand
        left = count - i * width
        v = load_bundle(address + i * width * size, stride, last, left)
        if left < width:
            v = select(first_of_each(left, v), v, rest)
        return v

    @kernel
    def store(v, operand, i):
        address, stride, count, last = operand
        store_bundle(v, address + i * width * size, stride, last, count - i * width)

    @kernel
    def prefetch_next(operand, i):
        """Of the bundle after the next: one of four rows of 50 is done before memory has answered."""
        address, stride, _, _ = operand
        for row in range(2 * QUARTERS, 3 * QUARTERS):
            prefetch(address + row * stride + i * width * size)

    @kernel
    def across_max(v):
        return repeat_each(largest_of_each(v), v)

    @kernel
    def across_sum(v):
        return sum_of_each(widen(v))

    across_total = words.total_of_each

    @kernel
    def number_of(v):
        return widen(one_of_each(v))

    fold, prefetch_bundle, prefetch_ahead = folded_each, prefetch_next, no_prefetch
    few_of, every = one_of_each, repeat_each
    vector_of, past_caches = repeat_each, through_caches(store)

    return SimpleNamespace(**{k: v for k, v in locals().items() if k in MODE})


def places(words: SimpleNamespace) -> SimpleNamespace:
    """Where the operands of rows, and of parts of a row, are in memory."""
    size, lanes = words.size, words.lanes

    @kernel
    def row_of(context, slot, item):
        inner = context[Axis.INNER]
        address = context[slot] + item // inner * context[slot + 1] + item % inner * context[slot + 2]
        return address, size, context[Axis.LENGTH]

    @kernel
    def part_of(context, slot, item):
        start = item * context[Axis.PART]
        count = min(context[Axis.PART], context[Axis.LENGTH] - start)
        return context[slot] + start * size, size, count

    @kernel
    def bundle_of(context, slot, item):
        """Rows that follow each other at the same distance; their number is in PART."""
        first = item * QUARTERS
        last = min(QUARTERS, context[Axis.PART] - first) - 1
        return context[slot] + first * context[slot + 1], context[slot + 1], context[Axis.LENGTH], last

    @kernel
    def columns_of(context, slot, item):
        """A panel's worth of columns in a part; the panels of a part follow each other."""
        panels = (context[Axis.INNER] + lanes - 1) // lanes
        start, first = item // panels * context[Axis.PART], item % panels * lanes
        step, length = context[slot + 3], min(context[Axis.PART], context[Axis.LENGTH] - start)
        address = context[slot] + start * step + first * size
        return address, step, length, min(lanes, context[Axis.INNER] - first)

    return SimpleNamespace(row_of=row_of, part_of=part_of, bundle_of=bundle_of, columns_of=columns_of)


def panels(words: SimpleNamespace) -> SimpleNamespace:
    """As many rows at a time as there are lanes; their i-th vector holds the i-th element of each.

    Operands here are copies in the cache, in the type that is computed in (see copies).
    """
    lanes, work, size = words.lanes, words.work, words.size
    load_work, store_work = words.load_work, words.store_work

    @kernel
    def positions(length):
        return length

    @kernel
    def load(operand, i, rest):
        address, step, _, _, _ = operand
        return load_work(address + i * step, work, 0, lanes)

    @kernel
    def store(v, operand, i):
        address, step, _, _, _ = operand
        store_work(v, address + i * step, work, 0, lanes)

    @kernel
    def prefetch_next(operand, i):
        """What will be copied next, from or to memory: copying would wait for it."""
        _, _, _, place, step = operand
        for line in range(0, lanes * size, 64):
            prefetch(place + i * step + line)

    prefetch_bundle, prefetch_ahead = prefetch_next, no_prefetch

    @kernel
    def across_total(total, low):
        return widen(total + low)

    across_max = fold = few_of = unchanged
    across_sum, number_of, vector_of, every = widen, widen, narrow, itself
    past_caches = through_caches(store)

    return SimpleNamespace(**{k: v for k, v in locals().items() if k in MODE})


def columns(words: SimpleNamespace) -> SimpleNamespace:
    """Panels of columns that stay where they are: too long for copies in the cache, they are cut into parts."""
    size, lanes, load_whole, store_whole = words.size, words.lanes, words.load, words.store
    load_first, store_first = words.load_first, words.store_first

    @kernel
    def load(operand, i, rest):
        address, step, _, count = operand
        if count == lanes:
            return load_whole(address + i * step, size, 0, lanes)
        return load_first(address + i * step, count)

    @kernel
    def store(v, operand, i):
        address, step, _, count = operand
        if count == lanes:
            store_whole(v, address + i * step, size, 0, lanes)
        else:
            store_first(v, address + i * step, count)

    @kernel
    def get(record, what, like):
        return floats_at(record, what * lanes, like)

    @kernel
    def put(record, what, number):
        put_floats(record, what * lanes, number)

    moves = {"load": load, "store": store, "past_caches": through_caches(store), "get": get, "put": put}

    @kernel
    def prefetch_ahead(operand, i):
        """Elements ahead of this one, which the processor does not foresee if they are pages apart."""
        address, step, _, _ = operand
        for line in range(0, lanes * size, 64):
            prefetch(address + (i + AHEAD) * step + line)

    moves |= {"prefetch_next": no_prefetch, "prefetch_bundle": no_prefetch, "prefetch_ahead": prefetch_ahead}
    return SimpleNamespace(**(vars(panels(words)) | moves))


#: What a mode defines: how many vectors a row takes, how they are moved, what is prefetched (where there is little to
#: compute, of whole rows nothing: the processor does that better by itself), and how what is in their lanes becomes
#: knowledge about a row: a number (a float64, four of them, or a vector) and back, `vector_of` it; also ``few_of`` a
#: vector, for what is the same in many lanes and costs much, and `every` lane of it again. Modes that work on parts
#: `get` and `put` numbers, which a record holds side by side.
MODE = {
    "positions", "load", "store", "prefetch_next", "prefetch_bundle", "prefetch_ahead", "fold", "across_max",
    "across_sum", "across_total", "number_of", "vector_of", "few_of", "every", "get", "put",
    "past_caches",
}  # fmt: skip


#: Elements.
AHEAD = 40

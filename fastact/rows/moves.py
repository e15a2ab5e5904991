"""How rows and panels of them move between memory and vectors, in Numba's language.

A *row* has its elements side by side: a vector holds consecutive elements of one row, and what is known of a row is
the same in every lane. A *panel* is a bundle of as many rows as a vector has lanes, one in each lane, whose elements
are far apart: columns of a C-ordered array, or rows too short to fill a register. Panels are copied into the cache,
some neighbours at a time, and copied back when they are done.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from fastact.rows.streams import past_caches_of, through_caches
from fastact.simd.blocks import kernel
from fastact.simd.lanes import (
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
    first_of_each,
    folded_each,
    largest_of_each,
    one_of_each,
    repeat_each,
    sum_of_each,
)
from fastact.simd.vectors import select

__all__ = ["Mode", "bundles", "columns", "panels", "places", "rows"]

#: Elements.
AHEAD = 40


@kernel
def no_prefetch(operand, i):
    pass


class Mode(NamedTuple):
    """What every mode defines."""

    # How many vectors a row takes, and how they are moved.
    positions: Any
    load: Any
    store: Any
    past_caches: Any

    # How what is in the lanes of vectors becomes knowledge about a row: a number (a float64, four of them, or a vector)
    # and back, `vector_of` it; also `few_of` a vector, for what is the same in many lanes and costs much, and `every`
    # lane of it again.
    fold: Any
    across_max: Any
    across_sum: Any
    across_total: Any
    number_of: Any
    vector_of: Any
    few_of: Any
    every: Any

    # What is prefetched: where there is little to compute, of whole rows nothing, the processor does that better.
    prefetch_next: Any = no_prefetch
    prefetch_bundle: Any = no_prefetch
    prefetch_ahead: Any = no_prefetch

    # Modes that work on parts put numbers into a record, where they stand side by side, and get them.
    get: Any = None
    put: Any = None


def _vectors_of(width: int) -> Any:
    @kernel
    def positions(length):
        return (length + width - 1) // width

    return positions


# -- one row --------------------------------------------------------------------------------------


def rows(words: SimpleNamespace) -> Mode:
    """One row at a time; its i-th vector holds elements from i * lanes on."""
    size, lanes, load_whole, store_whole = words.size, words.lanes, words.load, words.store
    load_first, store_first = words.load_first, words.store_first

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

    return Mode(
        positions=_vectors_of(lanes), load=load, store=store, past_caches=past_caches_of(words, store),
        fold=folded, across_max=_largest_of_row, across_sum=_sum_of_row, across_total=words.total_of_lanes,
        number_of=_number_of_row, vector_of=spread, few_of=one_of_each, every=repeat_each,
        prefetch_next=prefetch_next, get=_number_at, put=put_float,
    )  # fmt: skip


@kernel
def _largest_of_row(v):
    return spread(largest_lane(v), v)


@kernel
def _sum_of_row(v):
    return np.float64(sum_of_lanes(v))


@kernel
def _number_of_row(v):
    return np.float64(first_lane(v))


@kernel
def _number_at(record, what, like):
    return float_at(record, what)


# -- four rows ------------------------------------------------------------------------------------


def bundles(words: SimpleNamespace) -> Mode:
    """Four rows at a time, each in a register of the vector; their i-th vector holds a register's width of each.

    What a row costs besides its elements (a maximum and a sum across lanes, a division, the wait for each) is paid
    once for all four.
    """
    size, width = words.size, words.lanes // QUARTERS
    load_bundle, store_bundle = words.load_bundle, words.store_bundle

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

    return Mode(
        positions=_vectors_of(width), load=load, store=store, past_caches=through_caches(store),
        fold=folded_each, across_max=_largest_of_each, across_sum=_sum_of_each, across_total=words.total_of_each,
        number_of=_number_of_each, vector_of=repeat_each, few_of=one_of_each, every=repeat_each,
        prefetch_next=prefetch_next, prefetch_bundle=prefetch_next,
    )  # fmt: skip


@kernel
def _largest_of_each(v):
    return repeat_each(largest_of_each(v), v)


@kernel
def _sum_of_each(v):
    return sum_of_each(widen(v))


@kernel
def _number_of_each(v):
    return widen(one_of_each(v))


# -- as many rows as lanes ------------------------------------------------------------------------


def panels(words: SimpleNamespace) -> Mode:
    """As many rows at a time as there are lanes; their i-th vector holds the i-th element of each.

    Operands here are copies in the cache, in the type that is computed in (see copies).
    """
    lanes, work, size = words.lanes, words.work, words.size
    load_work, store_work = words.load_work, words.store_work

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

    return Mode(
        positions=_unchanged, load=load, store=store, past_caches=through_caches(store),
        fold=_unchanged, across_max=_unchanged, across_sum=widen, across_total=_total_in_lanes,
        number_of=widen, vector_of=narrow, few_of=_unchanged, every=_itself,
        prefetch_next=prefetch_next, prefetch_bundle=prefetch_next,
    )  # fmt: skip


def columns(words: SimpleNamespace) -> Mode:
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
    def prefetch_ahead(operand, i):
        """Elements ahead of this one, which the processor does not foresee if they are pages apart."""
        address, step, _, _ = operand
        for line in range(0, lanes * size, 64):
            prefetch(address + (i + AHEAD) * step + line)

    @kernel
    def get(record, what, like):
        return floats_at(record, what * lanes, like)

    @kernel
    def put(record, what, number):
        put_floats(record, what * lanes, number)

    return panels(words)._replace(
        load=load, store=store, past_caches=through_caches(store), get=get, put=put,
        prefetch_next=no_prefetch, prefetch_bundle=no_prefetch, prefetch_ahead=prefetch_ahead,
    )  # fmt: skip


@kernel
def _unchanged(v):
    return v


@kernel
def _itself(v, like):
    return v


@kernel
def _total_in_lanes(total, low):
    return widen(total + low)


# -- where they are -------------------------------------------------------------------------------


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

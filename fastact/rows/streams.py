"""Results of functions along an axis that are written past the caches, in Numba's language."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from fastact.runtime.pool import record_at
from fastact.simd.blocks import kernel
from fastact.simd.layout import CACHE_LINE, Axis, Pool

__all__ = ["past_caches_of", "streams", "through_caches"]


@kernel
def streams(context):
    """Whether results go past the last cache, for which they are too large (see fastact.runtime.drivers.open_context).

    Only those of rows in parts do: rows of 1000 and 32000 that stay in the cache took 0.85 to 1.3 of the time.
    """
    return 0 < record_at(context[Axis.POOL])[Pool.LAST_CACHE] < context[Axis.BYTES]


def through_caches(store: Any) -> Callable[[Any], Any]:
    """What past_caches_of is where rows are not in one piece."""

    def past_caches(span):
        @kernel
        def whole(context, x, other, y, state):
            span(store, x, other, y, state)

        return whole

    return past_caches


def past_caches_of(words: SimpleNamespace, store: Any) -> Callable[[Any], Any]:
    """What makes of ``span(store, x, other, y, state)``, which gives part of a row its results, the function that does
    so past the caches: in two spans, of which the second begins with a cache line of the result."""
    size, lanes, stream_whole, store_first = words.size, words.lanes, words.stream_whole, words.store_first
    if lanes * size % CACHE_LINE != 0:
        return through_caches(store)

    @kernel
    def stream(v, operand, i):
        address, _, count = operand
        start = i * lanes
        if start + lanes <= count:
            stream_whole(v, address + start * size)
        else:
            store_first(v, address + start * size, count - start)

    @kernel
    def cut(operand, count):
        address, _, length = operand
        return (address, size, count), (address + count * size, size, length - count)

    def past_caches(span):
        @kernel
        def whole(context, x, other, y, state):
            if streams(context) and y[0] % size == 0:
                lead = min(-y[0] % CACHE_LINE // size, y[2])
                x, other, y = cut(x, lead), cut(other, lead), cut(y, lead)
                span(store, x[0], other[0], y[0], state)
                span(stream, x[1], other[1], y[1], state)
            else:
                span(store, x, other, y, state)

        return whole

    return past_caches

"""What threads are given of functions along an axis: some rows, bundles or panels, or parts of long rows.

A task works on a range of items. Where an item's operands are, its number and the record tell
(fastact.simd.layout.Axis).
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from numba import types

from fastact.rows.copies import copies
from fastact.rows.moves import places
from fastact.rows.streams import streams
from fastact.runtime.pool import record_at, store_fence
from fastact.simd.blocks import kernel
from fastact.simd.layout import Axis

__all__ = ["statistics", "transformations"]

malloc = types.ExternalFunction("malloc", types.intp(types.intp))
free = types.ExternalFunction("free", types.void(types.intp))


def transformations(inputs: int, words: SimpleNamespace, by: SimpleNamespace) -> dict[str, Callable[..., None]]:
    """Tasks that give rows of as many inputs their result, in Y."""
    place = places(words)
    tasks = {
        "rows": _transformed(place.row_of, by.row.apply),
        "bundles": _transformed(place.bundle_of, by.bundle.apply),
        "panels": _transformed_panels(inputs, words, by.panel.apply),
    }
    if not hasattr(by.row, "summary"):
        return tasks
    return tasks | _summaries(words, by) | _completions(words, by)


def statistics(words: SimpleNamespace, by: SimpleNamespace) -> dict[str, Callable[..., None]]:
    """Tasks that give each row's maximum to Y and the logarithm of the sum of exp(x - maximum) to OTHER."""
    place = places(words)
    tasks = {
        "rows": _described(place.row_of, _single, by.row.statistics),
        "bundles": _described(place.bundle_of, _single_of_each, by.bundle.statistics),
        "panels": _described_panels(words, by.panel.statistics),
    }
    return tasks | _summaries(words, by)


# -- whole rows -----------------------------------------------------------------------------------


def _transformed(operand_of: Any, apply: Any) -> Callable[..., None]:
    def on_items(begin, end, context):
        for item in range(begin, end):
            x, other = operand_of(context, Axis.X, item), operand_of(context, Axis.OTHER, item)
            apply(context, x, other, operand_of(context, Axis.Y, item))

    return on_items


def _transformed_panels(inputs: int, words: SimpleNamespace, apply: Any) -> Callable[..., None]:
    copy, lanes = copies(words), words.lanes
    block_of, following, panel, bytes_of = copy.block_of, copy.following, copy.panel, copy.bytes_of
    fetch, deliver = copy.fetch, copy.deliver

    def on_panels(begin, end, context):
        length = context[Axis.LENGTH]
        memory = malloc(inputs * bytes_of(context, length))
        if memory == 0:
            context[Axis.REFUSED] = 1
            return
        second = memory + (inputs - 1) * bytes_of(context, length)
        for item in range(begin, end):
            block = block_of(context, item)
            fetch(context, Axis.X, block, memory, length)
            if inputs == 2:
                fetch(context, Axis.OTHER, block, second, length)
            after = following(context, item)
            for number in range((block[2] + lanes - 1) // lanes):
                x = panel(context, memory, number, length, Axis.X, after)
                other = panel(context, second, number, length, Axis.OTHER if inputs == 2 else Axis.X, after)
                apply(context, x, other, panel(context, memory, number, length, Axis.Y, block))
            deliver(context, Axis.Y, block, memory, length)
        free(memory)

    return on_panels


@kernel
def _single(row):
    """A row's first element alone."""
    return row[0], row[1], 1


@kernel
def _single_of_each(bundle):
    return bundle[0], bundle[1], 1, bundle[3]


def _described(operand_of: Any, single_of: Any, statistics: Any) -> Callable[..., None]:
    def on_items(begin, end, context):
        for item in range(begin, end):
            y, other = operand_of(context, Axis.Y, item), operand_of(context, Axis.OTHER, item)
            statistics(context, operand_of(context, Axis.X, item), single_of(y), single_of(other))

    return on_items


def _described_panels(words: SimpleNamespace, statistics: Any) -> Callable[..., None]:
    copy, lanes = copies(words), words.lanes
    block_of, following, panel, bytes_of = copy.block_of, copy.following, copy.panel, copy.bytes_of
    fetch, deliver = copy.fetch, copy.deliver

    def on_panels(begin, end, context):
        length = context[Axis.LENGTH]
        memory = malloc(bytes_of(context, length + 2))
        if memory == 0:
            context[Axis.REFUSED] = 1
            return
        maxima, logs = memory + bytes_of(context, length), memory + bytes_of(context, length + 1)
        for item in range(begin, end):
            block = block_of(context, item)
            fetch(context, Axis.X, block, memory, length)
            after = following(context, item)
            for number in range((block[2] + lanes - 1) // lanes):
                x = panel(context, memory, number, length, Axis.X, after)
                y = panel(context, maxima, number, 1, Axis.Y, block)
                statistics(context, x, y, panel(context, logs, number, 1, Axis.OTHER, block))
            deliver(context, Axis.Y, block, maxima, 1)
            deliver(context, Axis.OTHER, block, logs, 1)
        free(memory)

    return on_panels


# -- parts of rows --------------------------------------------------------------------------------


def _summaries(words: SimpleNamespace, by: SimpleNamespace) -> dict[str, Callable[..., None]]:
    place = places(words)

    def summarise(operand_of: Any, lanes: int, summary: Any) -> Callable[..., None]:
        def on_items(begin, end, context):
            for item in range(begin, end):
                x, other = operand_of(context, Axis.X, item), operand_of(context, Axis.OTHER, item)
                summary(context, x, other, record_at(context[Axis.PARTS] + 8 * Axis.SUMMARY * lanes * item))

        return on_items

    return {
        "summarise_parts": summarise(place.part_of, 1, by.row.summary),
        "summarise_columns": summarise(place.columns_of, words.lanes, by.column.summary),
    }


def _completions(words: SimpleNamespace, by: SimpleNamespace) -> dict[str, Callable[..., None]]:
    part_of, columns_of = places(words).part_of, places(words).columns_of
    complete, column_complete, lanes = by.row.complete, by.column.complete, words.lanes

    def finish_parts(begin, end, context):
        known = record_at(context[Axis.PARTS])
        for item in range(begin, end):
            x, other = part_of(context, Axis.X, item), part_of(context, Axis.OTHER, item)
            complete(context, known, x, other, part_of(context, Axis.Y, item))
        if streams(context):  # whoever learns that these parts are done shall find their results
            store_fence()

    def finish_columns(begin, end, context):
        panels = (context[Axis.INNER] + lanes - 1) // lanes
        for item in range(begin, end):
            known = record_at(context[Axis.PARTS] + 8 * Axis.KNOWN * lanes * (item % panels))
            x, other = columns_of(context, Axis.X, item), columns_of(context, Axis.OTHER, item)
            column_complete(context, known, x, other, columns_of(context, Axis.Y, item))

    return {"finish_parts": finish_parts, "finish_columns": finish_columns}

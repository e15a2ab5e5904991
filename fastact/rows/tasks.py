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


def transformations(
    inputs: int,
    words: SimpleNamespace,
    by_row: SimpleNamespace,
    by_bundle: SimpleNamespace,
    by_panel: SimpleNamespace,
    by_column: SimpleNamespace,
) -> dict[str, Callable[..., None]]:
    """Tasks that give rows of as many inputs their result, in Y."""
    place, copy = places(words), copies(words)
    row_of, bundle_of = place.row_of, place.bundle_of
    block_of, panel, fetch, deliver, bytes_of = copy.block_of, copy.panel, copy.fetch, copy.deliver, copy.bytes_of
    following = copy.following
    apply_row, apply_bundle, apply_panel, lanes = by_row.apply, by_bundle.apply, by_panel.apply, words.lanes

    def on_rows(begin, end, context):
        for item in range(begin, end):
            x, other = row_of(context, Axis.X, item), row_of(context, Axis.OTHER, item)
            apply_row(context, x, other, row_of(context, Axis.Y, item))

    def on_bundles(begin, end, context):
        for item in range(begin, end):
            x, other = bundle_of(context, Axis.X, item), bundle_of(context, Axis.OTHER, item)
            apply_bundle(context, x, other, bundle_of(context, Axis.Y, item))

    def on_panels(begin, end, context):
        length = context[Axis.LENGTH]
        memory = malloc(inputs * bytes_of(context, length))
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
                apply_panel(context, x, other, panel(context, memory, number, length, Axis.Y, block))
            deliver(context, Axis.Y, block, memory, length)
        free(memory)

    tasks = {"rows": on_rows, "bundles": on_bundles, "panels": on_panels}
    if not hasattr(by_row, "summary"):
        return tasks
    return tasks | _summaries(words, by_row, by_column) | _completions(words, by_row, by_column)


def _summaries(words: SimpleNamespace, by_row: SimpleNamespace, by_column: SimpleNamespace) -> dict[str, Any]:
    part_of, columns_of = places(words).part_of, places(words).columns_of
    summary, column_summary, lanes = by_row.summary, by_column.summary, words.lanes

    def summarise_parts(begin, end, context):
        for item in range(begin, end):
            x, other = part_of(context, Axis.X, item), part_of(context, Axis.OTHER, item)
            summary(context, x, other, record_at(context[Axis.PARTS] + 8 * Axis.SUMMARY * item))

    def summarise_columns(begin, end, context):
        for item in range(begin, end):
            x, other = columns_of(context, Axis.X, item), columns_of(context, Axis.OTHER, item)
            column_summary(context, x, other, record_at(context[Axis.PARTS] + 8 * Axis.SUMMARY * lanes * item))

    return {"summarise_parts": summarise_parts, "summarise_columns": summarise_columns}


def _completions(words: SimpleNamespace, by_row: SimpleNamespace, by_column: SimpleNamespace) -> dict[str, Any]:
    part_of, columns_of = places(words).part_of, places(words).columns_of
    complete, column_complete, lanes = by_row.complete, by_column.complete, words.lanes

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


def statistics(
    words: SimpleNamespace,
    by_row: SimpleNamespace,
    by_bundle: SimpleNamespace,
    by_panel: SimpleNamespace,
    by_column: SimpleNamespace,
) -> dict[str, Callable[..., None]]:
    """Tasks that give each row's maximum to Y and the logarithm of the sum of exp(x - maximum) to OTHER."""
    place, copy = places(words), copies(words)
    row_of, bundle_of = place.row_of, place.bundle_of
    block_of, panel, fetch, deliver, bytes_of = copy.block_of, copy.panel, copy.fetch, copy.deliver, copy.bytes_of
    following = copy.following
    row_statistics, bundle_statistics, panel_statistics = by_row.statistics, by_bundle.statistics, by_panel.statistics
    lanes = words.lanes

    @kernel
    def single(operand):
        """The operand's first element alone."""
        return operand[0], operand[1], 1

    def on_rows(begin, end, context):
        for item in range(begin, end):
            y, other = row_of(context, Axis.Y, item), row_of(context, Axis.OTHER, item)
            row_statistics(context, row_of(context, Axis.X, item), single(y), single(other))

    def on_bundles(begin, end, context):
        for item in range(begin, end):
            y, other = bundle_of(context, Axis.Y, item), bundle_of(context, Axis.OTHER, item)
            y, other = (y[0], y[1], 1, y[3]), (other[0], other[1], 1, other[3])
            bundle_statistics(context, bundle_of(context, Axis.X, item), y, other)

    def on_panels(begin, end, context):
        length = context[Axis.LENGTH]
        memory = malloc(bytes_of(context, length + 2))
        maxima, logs = memory + bytes_of(context, length), memory + bytes_of(context, length + 1)
        for item in range(begin, end):
            block = block_of(context, item)
            fetch(context, Axis.X, block, memory, length)
            after = following(context, item)
            for number in range((block[2] + lanes - 1) // lanes):
                x = panel(context, memory, number, length, Axis.X, after)
                y = panel(context, maxima, number, 1, Axis.Y, block)
                panel_statistics(context, x, y, panel(context, logs, number, 1, Axis.OTHER, block))
            deliver(context, Axis.Y, block, maxima, 1)
            deliver(context, Axis.OTHER, block, logs, 1)
        free(memory)

    tasks = {"rows": on_rows, "bundles": on_bundles, "panels": on_panels}
    return tasks | _summaries(words, by_row, by_column)

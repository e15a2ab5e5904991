"""What a task of a matrix product does: strips of A times panels of B, tile by tile, in Numba's language.

It is the middle of Goto's algorithm, which others call the macro-kernel; the tile is the micro-kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

from fastact.layers.epilogue import finish
from fastact.layers.packing import Packing, part_of, strip_count, strips
from fastact.layers.tiles import ROWS
from fastact.simd.addresses import call, scratch
from fastact.simd.blocks import inline
from fastact.simd.layout import Gemm

__all__ = ["multiply_task"]


def multiply_task(shape: Packing, copy: SimpleNamespace, panel: SimpleNamespace) -> Callable[..., None]:
    """The task that multiplies all rows by a block of B."""
    size, width, strip_bytes = shape.size, shape.width, shape.strip
    panel_count, depth_blocks = panel.count, panel.blocks
    of_a = strips(shape, copy)
    find_strip, ahead, multiply_strip = of_a.find, of_a.ahead, _strip_times_panels(shape, copy, panel, of_a)

    def multiply(begin, end, record):
        """A task: some parts of C, all of the packed depth, and the activation after the last."""
        room = scratch(strip_bytes)
        count, depth = strip_count(record), record[Gemm.DEPTH]
        blocks = depth_blocks(record)
        ends = record[Gemm.FIRST_DEPTH] + depth == record[Gemm.K]
        for item in range(begin, end):
            row_part, column_part = item // record[Gemm.COLUMN_PARTS], item % record[Gemm.COLUMN_PARTS]
            first_strip, last_strip = part_of(count, row_part, record[Gemm.ROW_PARTS])
            panels = part_of(panel_count(record), column_part, record[Gemm.COLUMN_PARTS])
            for block in range(blocks):
                depths = part_of(depth, block, blocks)
                starts = block == 0 and record[Gemm.FIRST_DEPTH] == 0 and record[Gemm.ACCUMULATE] == 0
                start = record[Gemm.WORKSPACE] if starts else 0
                for i in range(first_strip, last_strip):
                    rows = part_of(record[Gemm.M], i, count)
                    strip = find_strip(record, rows, depths, panels[1] - panels[0], room)
                    if i + 1 < last_strip:
                        following = ahead(record, part_of(record[Gemm.M], i + 1, count), depths, True)
                    else:
                        below = part_of(depth, min(block + 1, blocks - 1), blocks)
                        following = ahead(record, part_of(record[Gemm.M], first_strip, count), below, False)
                    multiply_strip(record, rows, strip, depths, start, panels, following)
                    if ends and block == blocks - 1:
                        apply_activation(record, rows, panels)

    @inline
    def apply_activation(record, rows, panels):
        first = panels[0] * width
        columns = min(record[Gemm.COLUMNS], panels[1] * width) - first
        finish(record, rows[0], rows[1] - rows[0], record[Gemm.FIRST_COLUMN] + first, columns, size)

    return multiply


def _strip_times_panels(
    shape: Packing, copy: SimpleNamespace, panel: SimpleNamespace, of_a: SimpleNamespace
) -> Callable[..., None]:
    size, lanes, vector, width = shape.size, shape.lanes, shape.vector, shape.width
    panel_columns, panel_vectors, stays = panel.columns, panel.vectors, panel.stays
    place, packed = panel.place, panel.packed
    copy_row, copy_any, fetch = copy.copy_row, copy.copy_any, of_a.fetch
    edge_row = width * size
    edge_bytes = ROWS * edge_row

    @inline
    def multiply_strip(record, rows, strip, depths, start, panels, following):
        """One strip of A times some panels: all from where they begin to where they end. Meanwhile the strip that
        follows is fetched."""
        height, depth, c_step = rows[1] - rows[0], depths[1] - depths[0], record[Gemm.C_ROW]
        by_row, a, a_step = strip
        for panel in range(panels[0], panels[1]):
            fetch(following, panel - panels[0], panels[1] - panels[0])
            columns, vectors = panel_columns(record, panel), panel_vectors(record, panel)
            b_step = vectors * vector
            b = packed(record, panel, depths)
            if stays(record, panel):
                b_step = record[Gemm.B_ROW]
                b = place(record, panel, depths[0])
            c = record[Gemm.C] + rows[0] * c_step + (record[Gemm.FIRST_COLUMN] + panel * width) * size
            add = 0 if start == 0 else start + panel * width * size
            if columns == vectors * lanes:
                call(record[Gemm.TILE], height, vectors, by_row, a, a_step, b, b_step, depth, c, c_step, add)
            else:
                edge_tile(record, height, vectors, strip, b, b_step, depth, c, add, columns)

    @inline
    def edge_tile(record, rows, vectors, strip, b, b_step, depth, c, start, columns):
        """A tile of fewer columns than its vectors have: computed apart, then copied."""
        by_row, a, a_step = strip
        whole, c_step = scratch(edge_bytes), record[Gemm.C_ROW]
        if start == 0:
            copy_any(c, c_step, size, whole, edge_row, size, rows, columns)
        call(record[Gemm.TILE], rows, vectors, by_row, a, a_step, b, b_step, depth, whole, edge_row, start)
        for i in range(rows):
            copy_row(whole + i * edge_row, c + i * c_step, columns)

    return multiply_strip

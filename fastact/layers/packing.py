"""Where tiles read what they multiply: panels of B and strips of A, in Numba's language.

A panel has as many columns of B as a tile is wide, a strip as many rows of A as a tile is high. Copies of both lie in
memory in the order in which tiles read them; where a copy would cost more than it saves, tiles read the matrix itself.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

from fastact.layers.tiles import ROWS, VECTORS, lanes_of
from fastact.simd.addresses import call, prefetch
from fastact.simd.blocks import inline
from fastact.simd.layout import Gemm

__all__ = ["PAGE", "Packing", "pack_task", "packing", "panels", "part_of", "strip_count", "strips"]

#: Bytes from one address to the next in the same set of the first-level cache: 64 sets of lines of 64 bytes.
PAGE = 4096

#: Bytes in a line of the caches.
LINE = 64


class Packing(NamedTuple):
    """How copies for tiles lie in memory, in bytes where nothing else is said."""

    size: int  # of an element
    lanes: int  # elements in a vector
    vector: int
    width: int  # of a panel, in elements
    depth: int  # of a strip, in elements
    strip_row: int  # from row to row of a strip that lies by row
    strip_column: int  # from column to column of a strip that lies by column
    strip: int  # a whole one


def packing(name: str, depth: int) -> Packing:
    """For one element type and strips of that depth."""
    size, lanes = np.dtype(name).itemsize, lanes_of(name)
    vector = size * lanes
    # one element more than a multiple of a cache line: loads from neighbouring rows do not meet in one bank
    strip_row = depth * size + size
    strip_column = (ROWS + lanes - 1) // lanes * vector
    strip = max(ROWS * strip_row, depth * strip_column) + vector
    return Packing(size, lanes, vector, VECTORS * lanes, depth, strip_row, strip_column, strip)


@inline
def part_of(count, part, parts):
    """Where one of nearly equal parts begins and ends."""
    return count * part // parts, count * (part + 1) // parts


# -- panels of B ----------------------------------------------------------------------------------


def panels(shape: Packing) -> SimpleNamespace:
    """The panels of a block of B: how many, how wide, how deep, and where."""
    size, lanes, width, block_depth = shape.size, shape.lanes, shape.width, shape.depth

    @inline
    def panel_count(record):
        return (record[Gemm.COLUMNS] + width - 1) // width

    @inline
    def panel_columns(record, panel):
        return min(width, record[Gemm.COLUMNS] - panel * width)

    @inline
    def panel_vectors(record, panel):
        return min(VECTORS, (record[Gemm.COLUMNS] - panel * width + lanes - 1) // lanes)

    @inline
    def depth_blocks(record):
        """In how many blocks of rows it is multiplied."""
        return max(1, (record[Gemm.DEPTH] + block_depth - 1) // block_depth)

    @inline
    def stays(record, panel):
        """Whether tiles read it where it is in B."""
        return record[Gemm.DIRECT] == 1 and (panel + 1) * width <= record[Gemm.COLUMNS]

    @inline
    def place(record, panel, depth):
        """Where it has that row of the block in B."""
        column = (record[Gemm.FIRST_COLUMN] + panel * width) * record[Gemm.B_COLUMN]
        return record[Gemm.B] + column + (record[Gemm.FIRST_DEPTH] + depth) * record[Gemm.B_ROW]

    @inline
    def packed(record, panel, depths):
        """Where the copy of its rows in a block of rows is: behind the row that sums start from, all panels' rows in
        the blocks before, and the panels before it in this. What stays in the second-level cache is side by side: were
        whole panels, blocks of 1024 rows would use but a quarter of that cache's sets, and took 6 % longer."""
        rows = panel_count(record) * (1 + depths[0]) + panel * (depths[1] - depths[0])
        return record[Gemm.WORKSPACE] + rows * width * size

    return SimpleNamespace(
        count=panel_count,
        columns=panel_columns,
        vectors=panel_vectors,
        blocks=depth_blocks,
        stays=stays,
        place=place,
        packed=packed,
    )


def pack_task(shape: Packing, copy: SimpleNamespace, panel: SimpleNamespace) -> Callable[..., None]:
    """The task that packs B."""
    size, lanes, vector = shape.size, shape.lanes, shape.vector
    copy_row, copy_any = copy.copy_row, copy.copy_any
    panel_columns, panel_vectors, stays = panel.columns, panel.vectors, panel.stays
    depth_blocks, place, packed = panel.blocks, panel.place, panel.packed

    def pack(begin, end, record):
        """A task: some panels of B, each in parts, of which so many make a block."""
        parts, blocks = record[Gemm.ROW_PARTS], depth_blocks(record)
        for item in range(begin, end):
            panel, part = item // parts, item % parts
            if not stays(record, panel):
                block = part_of(record[Gemm.DEPTH], part // (parts // blocks), blocks)
                pack_part(record, panel, block, part_of(record[Gemm.DEPTH], part, parts))

    @inline
    def pack_part(record, panel, block, depths):
        """Some rows of a block of B, in one panel."""
        begin, end = depths
        columns, depth = panel_columns(record, panel), end - begin
        step = panel_vectors(record, panel) * vector
        source, target = place(record, panel, begin), packed(record, panel, block) + (begin - block[0]) * step
        row, column = record[Gemm.B_ROW], record[Gemm.B_COLUMN]
        if column == size:
            for k in range(depth):
                copy_row(source + k * row, target + k * step, columns)
        elif row == size and depth >= lanes:
            transpose_part(record, source, column, target, step, depth, columns)
        else:
            copy_any(source, row, column, target, step, size, depth, columns)

    @inline
    def transpose_part(record, source, column, target, step, depth, columns):
        """By square blocks, of which the last may overlap the one before."""
        for first in range(0, columns, lanes):
            last = min(lanes, columns - first) - 1
            for start in range(0, depth, lanes):
                k = min(start, depth - lanes)
                block, to = source + first * column + k * size, target + first * size + k * step
                call(record[Gemm.TRANSPOSE], block, column, last, to, step)

    return pack


# -- strips of A ----------------------------------------------------------------------------------


@inline
def strip_count(record):
    return (record[Gemm.M] + ROWS - 1) // ROWS


def strips(shape: Packing, copy: SimpleNamespace) -> SimpleNamespace:
    """Strips of A: ``find`` finds one for tiles, or copies it; ``ahead`` and ``fetch`` have the lines of the next one
    come while tiles are computed."""
    size, lanes, vector = shape.size, shape.lanes, shape.vector
    strip_row, strip_column = shape.strip_row, shape.strip_column
    copy_vector, copy_row, copy_any = copy.copy_vector, copy.copy_row, copy.copy_any

    @inline
    def find_strip(record, rows, depths, panels, room):
        """Whether a strip that is wanted for so many panels lies by row, where it is, and how many bytes lead from one
        row (or column) to the next. A copy goes where there is room for it, and stays in the first-level cache."""
        row, column = record[Gemm.A_ROW], record[Gemm.A_COLUMN]
        height, depth = rows[1] - rows[0], depths[1] - depths[0]
        source = record[Gemm.A] + rows[0] * row + (record[Gemm.FIRST_DEPTH] + depths[0]) * column
        if column == size:
            if stays(row, panels, panels):
                return 1, source, row
            for i in range(height):
                copy_row(source + i * row, room + i * strip_row, depth)
            return 1, room, strip_row
        if row == size:
            if stays(column, panels, 16):
                return 0, source, column
            copy_columns(source, column, height, record[Gemm.M] - rows[0], depth, room)
            return 0, room, strip_column
        copy_any(source, row, column, room, strip_row, size, height, depth)
        return 1, room, strip_row

    @inline
    def stays(step, panels, few):
        """To copy a strip costs 2 to 5 %, of columns 12 % with four panels and nothing with 32. It pays where the strip
        is wanted for more than a few, or for more than four if its rows or columns meet in the same sets of the
        first-level cache."""
        return panels <= 4 or (panels <= few and step % PAGE != 0)

    @inline
    def copy_columns(source, column, rows, rows_left, depth, target):
        """By whole vectors, unless they would reach beyond the last row of A."""
        padded = (rows + lanes - 1) // lanes * lanes
        if padded <= rows_left:
            for k in range(depth):
                for i in range(padded // lanes):
                    copy_vector(source + k * column + i * vector, target + k * strip_column + i * vector)
        else:
            copy_any(source, size, column, target, size, strip_column, rows, depth)

    @inline
    def ahead(record, rows, depths, joins):
        """What is to be fetched of a strip that lies by column: where it is, how far its columns are apart, how many
        they are, and where in each to begin, which depends on whether it joins a strip that is there already. Nothing
        of one that lies by row: the core fetches rows by itself."""
        row, column = record[Gemm.A_ROW], record[Gemm.A_COLUMN]
        source = record[Gemm.A] + rows[0] * row + (record[Gemm.FIRST_DEPTH] + depths[0]) * column
        by_column = row == size and column != size
        return source, column, depths[1] - depths[0] if by_column else 0, LINE if joins else 0

    @inline
    def fetch(strip, part, parts):
        """One of so many parts of it: a core cannot wait for all of its lines at once, so where there is only one
        panel to be computed meanwhile, none are asked for."""
        source, column, count, begin = strip
        start, end = part_of(count if parts > 1 else 0, part, parts)
        for k in range(start, end):
            for place in range(begin, ROWS * size, LINE):
                prefetch(source + k * column + place)
            prefetch(source + k * column + ROWS * size - 1)

    return SimpleNamespace(find=find_strip, ahead=ahead, fetch=fetch)

"""Matrix products in compiled code: C = A @ B, the bias and the activation applied while results are in the cache.

The order of work is Goto's, with the roles of A and B exchanged so that whole rows of C finish together, which is what
an activation wants to be applied to:

* B is packed into panels, as wide as a tile, that lie in memory in the order in which tiles read them.
* A task takes some rows of C. A block of panels (``DEPTH`` rows by ``COLUMNS``) stays in the core's second-level cache
  while strips of A, as high as a tile, pass by it; the strip stays in the first-level cache.
* After the last block the strip of C gets its activation.

Every element of C is the sum over k in the order of k, cut at places that depend on K alone, so the
result does not depend on the number of threads. Few rows times a matrix whose rows are contiguous in k, as in
``x @ weight.T``, are dot products: packing would cost more than it saves.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from fastact.layers.blocking import Blocking
from fastact.layers.tiles import DOT_COLUMNS, DOT_ROWS, ROWS, VECTORS, lanes_of
from fastact.runtime.pool import (
    TASK_SIGNATURE,
    awake_or_soon,
    call_loop,
    call_task,
    inline,
    parallel_for,
    record_at,
    stack_record,
)
from fastact.simd.addresses import call, memory, prefetch, scratch
from fastact.simd.blocks import Address
from fastact.simd.layout import Gemm, Pool

MULTIPLY_SIGNATURE = types.void(Address)

#: Bytes from one address to the next in the same set of the first-level cache: 64 sets of lines of 64 bytes.
PAGE = 4096

# -- for all element types ------------------------------------------------------------------------


@inline
def finish(record, first_row, rows, first_column, columns, size):
    """Apply the activation to a part of C."""
    if record[Gemm.LOOP] == 0:
        return
    source = record[Gemm.C] + first_row * record[Gemm.C_ROW] + first_column * size
    target, target_row = source, record[Gemm.C_ROW]
    if record[Gemm.OUT] != 0:
        target = record[Gemm.OUT] + first_row * record[Gemm.OUT_ROW] + first_column * size
        target_row = record[Gemm.OUT_ROW]
    if record[Gemm.C_ROW] == columns * size and target_row == columns * size:
        rows, columns = 1, rows * columns
    pointers, count, steps = stack_record(), stack_record(), stack_record()
    count[0], steps[0], steps[1] = columns, size, size
    for _ in range(rows):
        pointers[0], pointers[1] = source, target
        call_loop(record[Gemm.LOOP], pointers, count, steps, record_at(record[Gemm.LOOP_DATA]))
        source += record[Gemm.C_ROW]
        target += target_row


@inline
def share(record, task, count, grain):
    """Run a task's parts on all threads, unless the product is too small to be worth it."""
    pool = record_at(record[Gemm.POOL])
    if count > 1:
        parallel_for(pool, task, record, count, grain)
    else:
        call_task(task, 0, count, record)


def functions(name: str, plan: Blocking) -> dict[str, tuple[Any, Any]]:
    """The compiled functions for one element type."""
    size, lanes = np.dtype(name).itemsize, lanes_of(name)
    element = ir.FloatType() if name == "float32" else ir.DoubleType()
    get, put, copy_vector = memory(element, getattr(types, name), lanes)
    vector = size * lanes
    block_depth, block_columns, pack_depth, dot_rows, direct_rows, few_rows_of_a, direct_bytes = plan
    width = VECTORS * lanes
    # one element more than a multiple of a cache line: loads from neighbouring rows do not meet in one bank
    strip_row = block_depth * size + size
    strip_column = (ROWS + lanes - 1) // lanes * vector
    strip_bytes = max(ROWS * strip_row, block_depth * strip_column) + vector
    edge_row = width * size
    edge_bytes = ROWS * edge_row
    dot_row = DOT_COLUMNS * size
    dot_bytes = DOT_ROWS * dot_row

    # -- packing ------------------------------------------------------------------------------------

    @inline
    def copy_row(source, target, count):
        """Elements side by side; the last vector may overlap the one before."""
        whole = count // lanes
        for i in range(whole):
            copy_vector(source + i * vector, target + i * vector)
        if whole * lanes < count:
            if count >= lanes:
                copy_vector(source + (count - lanes) * size, target + (count - lanes) * size)
            else:
                for i in range(count):
                    put(get(source + i * size), target + i * size)

    @inline
    def copy_any(source, row, column, target, target_row, target_column, rows, columns):
        for i in range(rows):
            for j in range(columns):
                put(get(source + i * row + j * column), target + i * target_row + j * target_column)

    @inline
    def panel_vectors(record, panel):
        return min(VECTORS, (record[Gemm.COLUMNS] - panel * width + lanes - 1) // lanes)

    @inline
    def panel_address(record, panel):
        padded = (record[Gemm.COLUMNS] + width - 1) // width * width
        return record[Gemm.WORKSPACE] + (padded + panel * record[Gemm.DEPTH] * width) * size

    @inline
    def pack_part(record, panel, begin, end):
        """Rows ``begin`` to ``end`` of the packed block of B, in one panel."""
        columns = min(width, record[Gemm.COLUMNS] - panel * width)
        step = panel_vectors(record, panel) * vector
        target = panel_address(record, panel) + begin * step
        row, column = record[Gemm.B_ROW], record[Gemm.B_COLUMN]
        source = record[Gemm.B] + (record[Gemm.FIRST_COLUMN] + panel * width) * column
        source += (record[Gemm.FIRST_DEPTH] + begin) * row
        depth = end - begin
        if column == size:
            for k in range(depth):
                copy_row(source + k * row, target + k * step, columns)
        elif row == size and depth >= lanes:
            for first in range(0, columns, lanes):
                last = min(lanes, columns - first) - 1
                for start in range(0, depth, lanes):
                    k = min(start, depth - lanes)
                    call(
                        record[Gemm.TRANSPOSE],
                        source + first * column + k * size,
                        column,
                        last,
                        target + first * size + k * step,
                        step,
                    )
        else:
            copy_any(source, row, column, target, step, size, depth, columns)

    def pack(begin, end, record):
        """A task: some panels of B, each in parts."""
        parts = record[Gemm.ROW_PARTS]
        for item in range(begin, end):
            panel, part = item // parts, item % parts
            whole = (panel + 1) * width <= record[Gemm.COLUMNS]
            if record[Gemm.DIRECT] == 1 and whole:
                continue
            depth = record[Gemm.DEPTH]
            pack_part(record, panel, depth * part // parts, depth * (part + 1) // parts)

    @inline
    def reads_in_place(record, panels):
        """Whether tiles read A as it lies. To copy a strip costs 2 to 5 %; only where its rows meet in the same sets of
        the first-level cache, and are wanted for many panels, it pays."""
        return record[Gemm.A_COLUMN] == size and (record[Gemm.A_ROW] % PAGE != 0 or panels <= 4)

    @inline
    def copy_strip(record, first, rows, begin, depth, target):
        """A strip of A where the tiles will find it in the first-level cache; whether it lies by row."""
        row, column = record[Gemm.A_ROW], record[Gemm.A_COLUMN]
        source = record[Gemm.A] + first * row + begin * column
        if column == size:
            for i in range(rows):
                copy_row(source + i * row, target + i * strip_row, depth)
            return 1
        if row == size:
            padded = (rows + lanes - 1) // lanes * lanes
            if first + padded <= record[Gemm.M]:
                for k in range(depth):
                    prefetch(source + k * column + 2 * rows * size)  # the next strip
                    for i in range(padded // lanes):
                        copy_vector(source + k * column + i * vector, target + k * strip_column + i * vector)
            else:
                copy_any(source, row, column, target, size, strip_column, rows, depth)
            return 0
        copy_any(source, row, column, target, strip_row, size, rows, depth)
        return 1

    # -- tiles --------------------------------------------------------------------------------------

    @inline
    def edge_tile(record, rows, vectors, by_row, a, a_step, b, b_step, depth, c, c_step, start, columns):
        """A tile of fewer columns than its vectors have: computed apart, then copied."""
        whole = scratch(edge_bytes)
        if start == 0:
            copy_any(c, c_step, size, whole, edge_row, size, rows, columns)
        call(record[Gemm.TILE], rows, vectors, by_row, a, a_step, b, b_step, depth, whole, edge_row, start)
        for i in range(rows):
            copy_row(whole + i * edge_row, c + i * c_step, columns)

    @inline
    def multiply_strip(record, first, rows, by_row, a, a_step, begin, depth, start, first_panel, last_panel):
        """One strip of A times some panels, rows ``begin`` and following of each."""
        for panel in range(first_panel, last_panel):
            column = panel * width
            columns = min(width, record[Gemm.COLUMNS] - column)
            vectors = panel_vectors(record, panel)
            b_step = vectors * vector
            b = panel_address(record, panel) + begin * b_step
            if record[Gemm.DIRECT] == 1 and columns == width:
                b_step = record[Gemm.B_ROW]
                b = record[Gemm.B] + (record[Gemm.FIRST_COLUMN] + column) * size
                b += (record[Gemm.FIRST_DEPTH] + begin) * b_step
            c = record[Gemm.C] + first * record[Gemm.C_ROW] + (record[Gemm.FIRST_COLUMN] + column) * size
            add = 0 if start == 0 else start + column * size
            if columns == vectors * lanes:
                call(record[Gemm.TILE], rows, vectors, by_row, a, a_step, b, b_step, depth, c, record[Gemm.C_ROW], add)
            else:
                edge_tile(
                    record, rows, vectors, by_row, a, a_step, b, b_step, depth, c, record[Gemm.C_ROW], add, columns
                )

    def multiply(begin, end, record):
        """A task: some parts of C, all of the packed depth, and the activation after the last."""
        strip = scratch(strip_bytes)
        panels = (record[Gemm.COLUMNS] + width - 1) // width
        strips = (record[Gemm.M] + ROWS - 1) // ROWS
        depth = record[Gemm.DEPTH]
        blocks = max(1, (depth + block_depth - 1) // block_depth)
        ends = record[Gemm.FIRST_DEPTH] + depth == record[Gemm.K]
        for item in range(begin, end):
            row_part, column_part = item // record[Gemm.COLUMN_PARTS], item % record[Gemm.COLUMN_PARTS]
            first_strip = strips * row_part // record[Gemm.ROW_PARTS]
            last_strip = strips * (row_part + 1) // record[Gemm.ROW_PARTS]
            first_panel = panels * column_part // record[Gemm.COLUMN_PARTS]
            last_panel = panels * (column_part + 1) // record[Gemm.COLUMN_PARTS]
            for block in range(blocks):
                k = depth * block // blocks
                k_count = depth * (block + 1) // blocks - k
                starts = block == 0 and record[Gemm.FIRST_DEPTH] == 0 and record[Gemm.ACCUMULATE] == 0
                start = record[Gemm.WORKSPACE] if starts else 0
                for i in range(first_strip, last_strip):
                    first = record[Gemm.M] * i // strips
                    height = record[Gemm.M] * (i + 1) // strips - first
                    by_row, a, a_step = 1, strip, strip_row
                    if reads_in_place(record, last_panel - first_panel):
                        a_step = record[Gemm.A_ROW]
                        a = record[Gemm.A] + first * a_step + (record[Gemm.FIRST_DEPTH] + k) * size
                    elif copy_strip(record, first, height, record[Gemm.FIRST_DEPTH] + k, k_count, strip) == 0:
                        by_row, a_step = 0, strip_column
                    multiply_strip(record, first, height, by_row, a, a_step, k, k_count, start, first_panel, last_panel)
                    if ends and block == blocks - 1:
                        columns = min(record[Gemm.COLUMNS], last_panel * width) - first_panel * width
                        column = record[Gemm.FIRST_COLUMN] + first_panel * width
                        finish(record, first, height, column, columns, size)

    # -- dot products -------------------------------------------------------------------------------

    @inline
    def dots(record, rows, a, b, columns, c, c_step, start):
        step, last = record[Gemm.A_ROW], columns - 1
        call(record[Gemm.DOTS], rows, a, step, b, record[Gemm.B_COLUMN], last, record[Gemm.K], c, c_step, start)

    @inline
    def add_any(results, rows, columns, c, c_step, start):
        """What vectors do for whole blocks of columns."""
        for row in range(rows):
            for column in range(columns):
                place = c + row * c_step + column * size
                other = get(place if start == 0 else start + column * size)
                put(get(results + row * dot_row + column * size) + other, place)

    def dot(begin, end, record):
        """A task: some columns of C, a few at a time, for all rows."""
        results, zeros = scratch(dot_bytes), scratch(dot_row)
        for column in range(DOT_COLUMNS):
            put(0, zeros + column * size)
        M, N = record[Gemm.M], record[Gemm.N]
        for part in range(begin, end):
            first = min(N, part * record[Gemm.COLUMNS])
            last = min(N, first + record[Gemm.COLUMNS])
            for j in range(first, last, DOT_COLUMNS):
                columns = min(DOT_COLUMNS, last - j)
                b = record[Gemm.B] + j * record[Gemm.B_COLUMN]
                bias = record[Gemm.BIAS] + j * size if record[Gemm.BIAS] != 0 else zeros
                start = 0 if record[Gemm.ACCUMULATE] == 1 else bias
                for i in range(0, M, DOT_ROWS):
                    rows = min(DOT_ROWS, M - i)
                    a = record[Gemm.A] + i * record[Gemm.A_ROW]
                    c, c_step = record[Gemm.C] + i * record[Gemm.C_ROW] + j * size, record[Gemm.C_ROW]
                    if columns == DOT_COLUMNS:
                        dots(record, rows, a, b, columns, c, c_step, start)
                    else:
                        dots(record, rows, a, b, columns, results, dot_row, zeros)
                        add_any(results, rows, columns, c, c_step, start)
            finish(record, 0, M, first, last - first, size)

    # -- the whole ----------------------------------------------------------------------------------

    @inline
    def threads_for(record):
        """How many threads are worth waking: 1 for what one thread does in the time that another takes to come."""
        M, N, K = record[Gemm.M], record[Gemm.N], record[Gemm.K]
        pool = record_at(record[Gemm.POOL])
        # nanoseconds on one core: at 100 float32 multiply-adds each, and 80 bytes each
        work = M * N * K * size // 400 + (M * K + K * N + M * N) * size // 80
        return pool[Pool.THREADS] if work >= 20_000 or (work >= 6_500 and awake_or_soon(pool, work // 200)) else 1

    @inline
    def few_rows(record, threads):
        """C by dot products, its columns shared."""
        groups = max(1, min(4 * threads if threads > 1 else 1, (record[Gemm.N] + 63) // 64))
        columns = (record[Gemm.N] + groups - 1) // groups
        record[Gemm.COLUMNS] = (columns + 63) // 64 * 64 if groups > 1 else columns
        share(record, record[Gemm.DOT], (record[Gemm.N] + record[Gemm.COLUMNS] - 1) // record[Gemm.COLUMNS], 1)

    @inline
    def start_row(record):
        """What the sums of a block of columns start from: the bias, or zeros."""
        for j in range(record[Gemm.COLUMNS]):
            value = get(record[Gemm.BIAS] + (record[Gemm.FIRST_COLUMN] + j) * size) if record[Gemm.BIAS] != 0 else 0
            put(value, record[Gemm.WORKSPACE] + j * size)

    @inline
    def cut(record, threads, panels):
        """Parts of C, of whole strips: a few for each thread, as many for one as for another, and high enough that a
        block of B in a core's cache is used often."""
        strips = (record[Gemm.M] + ROWS - 1) // ROWS
        wanted = 4 * threads if threads > 1 else 1
        parts = max(min(strips, wanted), (strips + 7) // 8)
        record[Gemm.ROW_PARTS] = (parts + threads - 1) // threads * threads if strips > wanted else parts
        record[Gemm.COLUMN_PARTS] = max(1, min(panels, (wanted + record[Gemm.ROW_PARTS] - 1) // record[Gemm.ROW_PARTS]))

    @inline
    def block(record, threads):
        """The product of all rows with one block of B."""
        panels = (record[Gemm.COLUMNS] + width - 1) // width
        if record[Gemm.FIRST_DEPTH] == 0:
            start_row(record)
        if record[Gemm.DIRECT] == 0 or record[Gemm.COLUMNS] % width != 0:
            depth_parts = max(1, min(4 * threads // panels, record[Gemm.DEPTH] // 64)) if threads > 1 else 1
            record[Gemm.ROW_PARTS] = depth_parts
            packed = panels * depth_parts
            share(record, record[Gemm.PACK], packed, 1 if threads > 1 else packed)
        cut(record, threads, panels)
        parts = record[Gemm.ROW_PARTS] * record[Gemm.COLUMN_PARTS]
        share(record, record[Gemm.MULTIPLY], parts, 1 if threads > 1 else parts)

    @inline
    def reads_directly(record):
        """Whether B is read as it lies: if packing it takes longer than it saves. That is so with few rows of A, while
        B stays in the third-level cache and a panel's rows do not all meet in one set of the first-level cache."""
        M, N = record[Gemm.M], record[Gemm.N]
        few = few_rows_of_a >= M and record[Gemm.K] * N * size <= direct_bytes and record[Gemm.B_ROW] % PAGE != 0
        return record[Gemm.B_COLUMN] == size and (direct_rows >= M or 2 * width >= N or few)

    def multiply_matrices(record):
        M, N, K = record[Gemm.M], record[Gemm.N], record[Gemm.K]
        if M == 0 or N == 0:
            return
        threads = threads_for(record)
        if dot_rows >= M and record[Gemm.A_COLUMN] == size and record[Gemm.B_ROW] == size:
            few_rows(record, threads)
            return
        record[Gemm.DIRECT] = 1 if reads_directly(record) else 0
        column_blocks = (N + block_columns - 1) // block_columns
        depth_blocks = max(1, (K + pack_depth - 1) // pack_depth)
        for column_block in range(column_blocks):
            first = N * column_block // column_blocks // width * width
            last = N if column_block == column_blocks - 1 else N * (column_block + 1) // column_blocks // width * width
            record[Gemm.FIRST_COLUMN], record[Gemm.COLUMNS] = first, last - first
            for depth_block in range(depth_blocks):
                begin = K * depth_block // depth_blocks
                record[Gemm.FIRST_DEPTH] = begin
                record[Gemm.DEPTH] = K * (depth_block + 1) // depth_blocks - begin
                block(record, threads)

    return {
        f"multiply_{name}": (MULTIPLY_SIGNATURE, multiply_matrices),
        "pack": (TASK_SIGNATURE, pack),
        "multiply": (TASK_SIGNATURE, multiply),
        "dot": (TASK_SIGNATURE, dot),
    }

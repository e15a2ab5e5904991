"""Matrix products of few rows, as dot products, in Numba's language: to pack would cost more than it saves."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np

from fastact.layers.epilogue import finish
from fastact.layers.tiles import DOT_COLUMNS, DOT_ROWS
from fastact.simd.addresses import call, scratch
from fastact.simd.blocks import inline
from fastact.simd.layout import Gemm

__all__ = ["dot_task"]


def dot_task(name: str, copy: SimpleNamespace) -> Callable[..., None]:
    """The task of such products."""
    size, get, put = np.dtype(name).itemsize, copy.get, copy.put
    result_row = DOT_COLUMNS * size
    result_bytes = DOT_ROWS * result_row

    def dot(begin, end, record):
        """A task: some columns of C, a few at a time, for all rows."""
        results, zeros = scratch(result_bytes), scratch(result_row)
        for column in range(DOT_COLUMNS):
            put(0, zeros + column * size)
        M, N = record[Gemm.M], record[Gemm.N]
        for part in range(begin, end):
            first = min(N, part * record[Gemm.COLUMNS])
            last = min(N, first + record[Gemm.COLUMNS])
            for j in range(first, last, DOT_COLUMNS):
                few_columns(record, M, j, min(DOT_COLUMNS, last - j), results, zeros)
            finish(record, 0, M, first, last - first, size)

    @inline
    def few_columns(record, M, j, columns, results, zeros):
        """Up to DOT_COLUMNS of C; of fewer, the results pass through memory of their own."""
        b, c_step = record[Gemm.B] + j * record[Gemm.B_COLUMN], record[Gemm.C_ROW]
        bias = record[Gemm.BIAS] + j * size if record[Gemm.BIAS] != 0 else zeros
        start = 0 if record[Gemm.ACCUMULATE] == 1 else bias
        for i in range(0, M, DOT_ROWS):
            rows = min(DOT_ROWS, M - i)
            a, c = record[Gemm.A] + i * record[Gemm.A_ROW], record[Gemm.C] + i * c_step + j * size
            if columns == DOT_COLUMNS:
                dots(record, rows, a, b, columns, c, c_step, start)
            else:
                dots(record, rows, a, b, columns, results, result_row, zeros)
                add_any(results, rows, columns, c, c_step, start)

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
                put(get(results + row * result_row + column * size) + other, place)

    return dot

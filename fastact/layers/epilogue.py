"""What becomes of results of a matrix product while they are in the cache, in Numba's language."""

from __future__ import annotations

from fastact.runtime.pool import call_loop, record_at, stack_record
from fastact.simd.blocks import inline
from fastact.simd.layout import Gemm

__all__ = ["finish"]


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

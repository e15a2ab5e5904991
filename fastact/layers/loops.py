"""Dense layers as NumPy calls them: loops of generalized ufuncs, whose operands are matrices. Compiled by Numba.

NumPy hands a loop the addresses, sizes and strides of all operands, allocates results, and copies what overlaps: all of
it in a microsecond, which is a fifth of what Python needs to ask for the same. The loops describe matrix products in a
record on their stack (:class:`fastact.simd.layout.Gemm`) and take memory for what passes from one product to the next.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types

from fastact.layers import blocking
from fastact.layers.matmul import BLOCK_BYTES
from fastact.runtime.pool import (
    atomic_exchange,
    call_loop,
    call_resolve,
    clear_floating_point_flags,
    offset,
    record_at,
    stack_record,
)
from fastact.simd.addresses import memory as movers
from fastact.simd.addresses import scratch
from fastact.simd.blocks import LOOP_SIGNATURE, inline
from fastact.simd.layout import Dense, Gemm, Pool

GEMM_BYTES = 8 * Gemm.SIZE

#: A cache line: what memory is aligned to, and what is kept in front of it.
LINE = 64

malloc = types.ExternalFunction("malloc", types.intp(types.intp))
free = types.ExternalFunction("free", types.void(types.intp))

packed_bytes = njit(blocking.packed_bytes, inline="always")


@inline
def take_memory(pool, size):
    """So many bytes: those that the last call gave back, if they are enough. What is allocated anew with every call
    costs more than it serves, because the system clears each page when it is first touched."""
    memory = atomic_exchange(pool, Pool.MEMORY, 0)
    if memory != 0 and record_at(memory)[0] < size:
        free(memory)
        memory = 0
    if memory == 0:
        memory = malloc(size + 2 * LINE)
        record_at(memory)[0] = size
    return memory


@inline
def usable(memory):
    """The first byte on a cache line behind the one that holds the size."""
    return (memory + 2 * LINE - 1) // LINE * LINE


@inline
def give_back(pool, memory):
    """Leave memory to the next call; of two calls at once, one frees its own."""
    memory = atomic_exchange(pool, Pool.MEMORY, memory)
    if memory != 0:
        free(memory)


@inline
def prepare(record, data):
    """The addresses that all products share."""
    template = record_at(data[Dense.PRODUCT])
    for i in range(Gemm.SIZE):
        record[i] = template[i]


@inline
def multiply(data, record, m, n, k, a, a_row, a_column, b, b_row, b_column, c, c_row):
    """C = A @ B, and whatever else the record says."""
    record[Gemm.M], record[Gemm.N], record[Gemm.K] = m, n, k
    record[Gemm.A], record[Gemm.A_ROW], record[Gemm.A_COLUMN] = a, a_row, a_column
    record[Gemm.B], record[Gemm.B_ROW], record[Gemm.B_COLUMN] = b, b_row, b_column
    record[Gemm.C], record[Gemm.C_ROW] = c, c_row
    call_resolve(data[Dense.MULTIPLY], record)


def functions(name: str, plan: blocking.Blocking) -> dict[str, tuple[Any, Any]]:
    """The compiled loops for ``"float32"`` or ``"float64"``. The columns of results must be contiguous."""
    size = np.dtype(name).itemsize
    get, put, _ = movers(ir.FloatType() if size == 4 else ir.DoubleType(), getattr(types, name), 1)
    columns, depth = plan.columns, plan.pack_depth

    @inline
    def workspace_bytes(n, k):
        return packed_bytes(n, k, columns, depth, size)

    @inline
    def meets(low, high, matrix, rows, row, columns, column):
        """Whether a matrix has elements between two addresses."""
        first = matrix + min(0, (rows - 1) * row) + min(0, (columns - 1) * column)
        last = matrix + max(0, (rows - 1) * row) + max(0, (columns - 1) * column)
        return low < last + size and first < high

    @inline
    def overwrites(target, target_row, pointers, dimensions, inside, biased):
        """Whether a result is to go where an operand lies."""
        m, k, n = dimensions[1], dimensions[2], dimensions[3]
        low, high = target + min(0, (m - 1) * target_row), target + max(0, (m - 1) * target_row) + n * size
        return (
            meets(low, high, pointers[0], m, inside[0], k, inside[1])
            or meets(low, high, pointers[1], n, inside[2], k, inside[3])
            or (biased == 1 and meets(low, high, pointers[2], n, inside[4], 1, 0))
        )

    @inline
    def copy_rows(source, target, target_row, m, n):
        for i in range(m):
            for j in range(n):
                put(get(source + (i * n + j) * size), target + i * target_row + j * size)

    @inline
    def contiguous(vector, step, count, room):
        """Where the vector lies, if its elements are side by side, or where a copy of it does."""
        if step == size:
            return vector
        for i in range(count):
            put(get(vector + i * step), room + i * size)
        return room

    def forward(pointers, dimensions, steps, data):
        """``(m,k),(n,k),(n)->(m,n),(m,n)``: activation and preactivation; without the third or the last operand if the
        record says so. NumPy keeps operands apart from results only where it knows that elements are computed one by
        one, so what would be overwritten too early is computed elsewhere first."""
        m, k, n = dimensions[1], dimensions[2], dimensions[3]
        biased, kept = data[Dense.BIASED], data[Dense.KEPT]
        inside = offset(steps, 3 + biased + kept)  # the steps in operands; those before lead from matrix to matrix
        y, y_row = pointers[2 + biased], inside[4 + biased]
        z, z_row = (pointers[3 + biased], inside[6 + biased]) if kept else (y, y_row)
        apart = not overwrites(y, y_row, pointers, dimensions, inside, biased)
        apart = apart and not overwrites(z, z_row, pointers, dimensions, inside, biased)
        product, pool = record_at(scratch(GEMM_BYTES)), record_at(data[Dense.POOL])
        prepare(product, data)
        packed, result = workspace_bytes(n, k), 0 if apart else m * n * size
        memory = take_memory(pool, packed + n * size + 2 * result)
        room = usable(memory) + packed
        product[Gemm.WORKSPACE] = usable(memory)
        product[Gemm.LOOP], product[Gemm.LOOP_DATA] = data[Dense.LOOP], data[Dense.LOOP_DATA]
        if biased:
            product[Gemm.BIAS] = contiguous(pointers[2], inside[4], n, room)
        c, c_row = (z, z_row) if apart else (room + n * size, n * size)
        if kept:
            product[Gemm.OUT], product[Gemm.OUT_ROW] = (y, y_row) if apart else (c + result, c_row)
        multiply(data, product, m, n, k, pointers[0], inside[0], inside[1], pointers[1], inside[3], inside[2], c, c_row)
        if not apart:
            copy_rows(c, z, z_row, m, n)
            if kept:
                copy_rows(c + result, y, y_row, m, n)
        give_back(pool, memory)
        clear_floating_point_flags()

    def backward(pointers, dimensions, steps, data):
        """``(m,n),(m,k),(n,k),(m,n)->(m,k),(n,k),(n)``: from the gradient, x, weight and preactivation to the gradients
        with respect to x, weight and bias, block by block of rows."""
        m, n, k = dimensions[1], dimensions[2], dimensions[3]
        gradient, x, weight, z, dx, dweight, dbias = (
            pointers[0], pointers[1], pointers[2], pointers[3], pointers[4], pointers[5], pointers[6],
        )  # fmt: skip
        blocks = max(1, (m * n * size + BLOCK_BYTES - 1) // BLOCK_BYTES)
        rows = (m + blocks - 1) // blocks
        packed = max(workspace_bytes(k, n), workspace_bytes(k, rows), workspace_bytes(n, rows))
        product, pool = record_at(scratch(GEMM_BYTES)), record_at(data[Dense.POOL])
        prepare(product, data)
        memory = take_memory(pool, packed + rows * n * size)
        product[Gemm.WORKSPACE] = usable(memory)
        for block in range(blocks):
            begin = m * block // blocks
            count = m * (block + 1) // blocks - begin
            dz, dz_row, dz_column = gradient + begin * steps[7], steps[7], steps[8]
            if data[Dense.LOOP]:
                target = usable(memory) + packed
                slope(data, count, n, dz, dz_row, dz_column, z + begin * steps[13], steps[13], steps[14], target)
                dz, dz_row, dz_column = target, n * size, size
            x_block = x + begin * steps[9]
            product[Gemm.ACCUMULATE] = 0
            multiply(
                data, product, count, k, n, dz, dz_row, dz_column, weight, steps[11], steps[12],
                dx + begin * steps[15], steps[15],
            )  # fmt: skip
            product[Gemm.ACCUMULATE] = 1 if block > 0 else 0
            multiply(
                data, product, n, k, count, dz, dz_column, dz_row, x_block, steps[9], steps[10], dweight, steps[17]
            )
            multiply(data, product, 1, n, count, data[Dense.ONE], 0, 0, dz, dz_row, dz_column, dbias, n * size)
        give_back(pool, memory)
        clear_floating_point_flags()

    @inline
    def slope(data, m, n, gradient, gradient_row, gradient_column, z, z_row, z_column, target):
        """The gradient times the activation's derivative, in one run if rows follow each other."""
        rows, columns = m, n
        if gradient_column == size and z_column == size and gradient_row == n * size and z_row == n * size:
            rows, columns = 1, m * n
        places, count, strides = stack_record(), stack_record(), stack_record()
        count[0], strides[0], strides[1], strides[2] = columns, gradient_column, z_column, size
        for i in range(rows):
            places[0], places[1], places[2] = gradient + i * gradient_row, z + i * z_row, target + i * n * size
            call_loop(data[Dense.DRIVE], places, count, strides, record_at(data[Dense.LOOP_DATA]))

    return {"forward": (LOOP_SIGNATURE, forward), "backward": (LOOP_SIGNATURE, backward)}

"""Dense layers as NumPy calls them: loops of generalized ufuncs, whose operands are matrices. Compiled by Numba.

NumPy hands a loop the addresses, sizes and strides of all operands, allocates results, and copies what overlaps: all of
it in a microsecond, which is a fifth of what Python needs to ask for the same. The loops describe matrix products in a
record on their stack (:class:`fastact.simd.layout.Gemm`) and take memory for what passes from one product to the next.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
from numba import njit, types

from fastact.layers import blocking
from fastact.layers.copies import copies
from fastact.layers.matmul import BLOCK_BYTES
from fastact.layers.packing import part_of
from fastact.runtime.pool import (
    atomic_add,
    atomic_exchange,
    call_loop,
    call_resolve,
    clear_floating_point_flags,
    offset,
    record_at,
    stack_record,
)
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
    costs more than it serves, because the system clears each page when it is first touched. 0 if there are none."""
    memory = atomic_exchange(pool, Pool.MEMORY, 0)
    if memory != 0 and record_at(memory)[0] < size:
        free(memory)
        memory = 0
    if memory == 0:
        memory = malloc(size + 2 * LINE)
        if memory != 0:
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
def multiply(data, record, m, n, k, a, b, c):
    """C = A @ B, and whatever else the record says. A matrix is its address and the steps from row to row and, but for
    C, from column to column."""
    record[Gemm.M], record[Gemm.N], record[Gemm.K] = m, n, k
    record[Gemm.A], record[Gemm.A_ROW], record[Gemm.A_COLUMN] = a
    record[Gemm.B], record[Gemm.B_ROW], record[Gemm.B_COLUMN] = b
    record[Gemm.C], record[Gemm.C_ROW] = c
    call_resolve(data[Dense.MULTIPLY], record)


def functions(name: str, plan: blocking.Blocking) -> dict[str, tuple[Any, Any]]:
    """The compiled loops for ``"float32"`` or ``"float64"``. The columns of results must be contiguous."""
    size, columns, depth = np.dtype(name).itemsize, plan.columns, plan.pack_depth

    @inline
    def workspace_bytes(n, k):
        return packed_bytes(n, k, columns, depth, size)

    return {
        "forward": (LOOP_SIGNATURE, _forward(size, workspace_bytes, copies(name))),
        "backward": (LOOP_SIGNATURE, _backward(size, workspace_bytes)),
    }


# -- forward ----------------------------------------------------------------------------------------


def _forward(size: int, workspace_bytes: Callable[..., int], copy: SimpleNamespace) -> Callable[..., None]:
    get, put, copy_any = copy.get, copy.put, copy.copy_any

    def forward(pointers, dimensions, steps, data):
        """``(m,k),(n,k),(n)->(m,n),(m,n)``: activation and preactivation; without the third or the last operand if the
        record says so. NumPy keeps operands apart from results only where it knows that elements are computed one by
        one, so what would be overwritten too early is computed elsewhere first."""
        m, k, n = dimensions[1], dimensions[2], dimensions[3]
        biased, kept = data[Dense.BIASED], data[Dense.KEPT]
        inside = offset(steps, 3 + biased + kept)  # the steps in operands; those before lead from matrix to matrix
        y, y_row = pointers[2 + biased], inside[4 + biased]
        z, z_row = (pointers[3 + biased], inside[6 + biased]) if kept else (y, y_row)
        apart = not overwrites(y, y_row, pointers, dimensions, inside, biased, size)
        apart = apart and not overwrites(z, z_row, pointers, dimensions, inside, biased, size)
        product, pool = record_at(scratch(GEMM_BYTES)), record_at(data[Dense.POOL])
        prepare(product, data)
        packed, result = workspace_bytes(n, k), 0 if apart else m * n * size
        memory = take_memory(pool, packed + n * size + 2 * result)
        if memory == 0:
            atomic_add(data, Dense.REFUSED, 1)
            return
        room = usable(memory) + packed
        product[Gemm.WORKSPACE] = usable(memory)
        product[Gemm.LOOP], product[Gemm.LOOP_DATA] = data[Dense.LOOP], data[Dense.LOOP_DATA]
        if biased:
            product[Gemm.BIAS] = contiguous(pointers[2], inside[4], n, room)
        c, c_row = (z, z_row) if apart else (room + n * size, n * size)
        if kept:
            product[Gemm.OUT], product[Gemm.OUT_ROW] = (y, y_row) if apart else (c + result, c_row)
        x, transposed_weight = (pointers[0], inside[0], inside[1]), (pointers[1], inside[3], inside[2])
        multiply(data, product, m, n, k, x, transposed_weight, (c, c_row))
        if not apart:
            copy_any(c, n * size, size, z, z_row, size, m, n)
            if kept:
                copy_any(c + result, n * size, size, y, y_row, size, m, n)
        give_back(pool, memory)
        clear_floating_point_flags()

    @inline
    def contiguous(vector, step, count, room):
        """Where the vector lies, if its elements are side by side, or where a copy of it does."""
        if step == size:
            return vector
        for i in range(count):
            put(get(vector + i * step), room + i * size)
        return room

    return forward


@inline
def overwrites(target, target_row, pointers, dimensions, inside, biased, size):
    """Whether a result is to go where an operand lies."""
    m, k, n = dimensions[1], dimensions[2], dimensions[3]
    low, high = target + min(0, (m - 1) * target_row), target + max(0, (m - 1) * target_row) + n * size
    return (
        meets(low, high, pointers[0], m, inside[0], k, inside[1], size)
        or meets(low, high, pointers[1], n, inside[2], k, inside[3], size)
        or (biased == 1 and meets(low, high, pointers[2], n, inside[4], 1, 0, size))
    )


@inline
def meets(low, high, matrix, rows, row, columns, column, size):
    """Whether a matrix has elements between two addresses."""
    first = matrix + min(0, (rows - 1) * row) + min(0, (columns - 1) * column)
    last = matrix + max(0, (rows - 1) * row) + max(0, (columns - 1) * column)
    return low < last + size and first < high


# -- backward ---------------------------------------------------------------------------------------


def _backward(size: int, workspace_bytes: Callable[..., int]) -> Callable[..., None]:
    def backward(pointers, dimensions, steps, data):
        """``(m,n),(m,k),(n,k),(m,n)->(m,k),(n,k),(n)``: from the gradient, x, weight and preactivation to the gradients
        with respect to x, weight and bias, block by block of rows."""
        m, n, k = dimensions[1], dimensions[2], dimensions[3]
        gradient, x, weight, z = pointers[0], pointers[1], pointers[2], pointers[3]
        dx, dweight, dbias = pointers[4], pointers[5], pointers[6]
        blocks = max(1, (m * n * size + BLOCK_BYTES - 1) // BLOCK_BYTES)
        rows = (m + blocks - 1) // blocks
        packed = max(workspace_bytes(k, n), workspace_bytes(k, rows), workspace_bytes(n, rows))
        product, pool = record_at(scratch(GEMM_BYTES)), record_at(data[Dense.POOL])
        prepare(product, data)
        memory = take_memory(pool, packed + rows * n * size)
        if memory == 0:
            atomic_add(data, Dense.REFUSED, 1)
            return
        product[Gemm.WORKSPACE] = usable(memory)
        for block in range(blocks):
            begin, end = part_of(m, block, blocks)
            count = end - begin
            dz = (gradient + begin * steps[7], steps[7], steps[8])
            if data[Dense.LOOP]:
                target = usable(memory) + packed
                slope(data, count, n, dz, (z + begin * steps[13], steps[13], steps[14]), target, size)
                dz = (target, n * size, size)
            x_block, dx_block = (x + begin * steps[9], steps[9], steps[10]), (dx + begin * steps[15], steps[15])
            product[Gemm.ACCUMULATE] = 0
            multiply(data, product, count, k, n, dz, (weight, steps[11], steps[12]), dx_block)
            product[Gemm.ACCUMULATE] = 1 if block > 0 else 0
            multiply(data, product, n, k, count, (dz[0], dz[2], dz[1]), x_block, (dweight, steps[17]))
            multiply(data, product, 1, n, count, (data[Dense.ONE], 0, 0), dz, (dbias, n * size))
        give_back(pool, memory)
        clear_floating_point_flags()

    return backward


@inline
def slope(data, rows, columns, gradient, z, target, size):
    """The gradient times the activation's derivative, in one run if rows follow each other."""
    source, gradient_row, gradient_column = gradient
    other, z_row, z_column = z
    target_row = columns * size
    if gradient_column == size and z_column == size and gradient_row == target_row and z_row == target_row:
        rows, columns = 1, rows * columns
    places, count, strides = stack_record(), stack_record(), stack_record()
    count[0], strides[0], strides[1], strides[2] = columns, gradient_column, z_column, size
    for i in range(rows):
        places[0], places[1], places[2] = source + i * gradient_row, other + i * z_row, target + i * target_row
        call_loop(data[Dense.DRIVE], places, count, strides, record_at(data[Dense.LOOP_DATA]))

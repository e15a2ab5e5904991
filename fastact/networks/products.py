"""Matrix products for networks: tiny ones in scalar code, small ones without packing, large ones packed and shared.

All of them add up ``A[m, k] * B[k, n]``; a *mode* says whether the sums are stored, added to another matrix or
multiplied by it. Of a small product each tile of the result stays in vector registers (:mod:`fastact.networks.tiles`):
B and the result have their last axis contiguous there, and A's elements are spread over all lanes, so A may lie in
memory in any way, transposed included.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from numba import types

from fastact.layers.tiles import MANY_REGISTERS
from fastact.networks.tiles import Dots, Numbers, Tile, chosen
from fastact.runtime.pool import TASK_SIGNATURE, awake_or_soon, call_resolve, call_task, parallel_for, record_at
from fastact.simd.blocks import inline
from fastact.simd.layout import LARGE_PRODUCT, Gemm, Mode, Network

__all__ = ["functions", "product_for"]

#: Multiplications that scalar code has done before a call has begun.
TINY = 16

#: Nanoseconds of work from which threads share a small product if they are awake; and how many rows each takes at a
#: time, whole tiles as if it were not shared, so that its sums come out the same.
WORTH_SHARING, ROWS_AT_ONCE = 6_500, np.int64(32)

#: Rows of a tile of two vectors: sums, two vectors and a number spread over a third are to fit into registers.
HIGH = 8 if MANY_REGISTERS else 4

#: Tiles by rows and vectors, and rows of dot products: an odd row or the last vectors take a smaller one.
TILES = (1, 8), (1, 4), (1, 2), (1, 1), (4, 2), (4, 1), (HIGH, 2), (8, 1)
DOTS = 8, 1


def product_for(words: SimpleNamespace) -> Any:
    """A product of any size, in the way that suits it."""
    number, size, at, apply = words.number, words.size, words.at, words.apply
    columns_at_once = np.int64(8 * words.lanes)

    @inline
    def product(network, sizes, a, b, c, other, mode):
        """``C[m, n]`` in one run. ``sizes`` are m, n and the depth of the sums; A and B an address and the bytes from
        row to row and from column to column, which must be contiguous in B unless the product is large. ``other`` is a
        matrix like C, or the row to be added if it is not C itself."""
        m, n, depth = sizes
        other_row = 0 if mode == Mode.ADD and other != c else n * size
        if m * n * depth <= TINY and mode != Mode.SCALE:
            multiply_tiny(sizes, a, b, c, other, other_row, mode)
            return
        record = record_at(network[Network.GEMM])
        record[Gemm.M], record[Gemm.N], record[Gemm.K] = sizes
        record[Gemm.A], record[Gemm.A_ROW], record[Gemm.A_COLUMN] = a
        record[Gemm.B], record[Gemm.B_ROW], record[Gemm.B_COLUMN] = b
        record[Gemm.C], record[Gemm.C_ROW] = c, n * size
        if m * n * depth < LARGE_PRODUCT:
            record[Gemm.BIAS], record[Gemm.OUT_ROW], record[Gemm.ACCUMULATE] = other, other_row, mode
            multiply_some(network, record, sizes)
        else:
            multiply_large(network, record, m * n, c, other, mode)

    @inline
    def multiply_some(network, record, sizes):
        """A small product, shared where its network has all threads for itself, and they are awake."""
        m, n, depth = sizes
        count, grain = (m, ROWS_AT_ONCE) if is_cut_by_rows(m) else (n, columns_at_once)
        nanoseconds = m * n * depth * size // 200
        pool = record_at(network[Network.POOL])
        if network[Network.PARTS] == 1 and nanoseconds >= WORTH_SHARING and awake_or_soon(pool, nanoseconds // 200):
            parallel_for(pool, network[Network.MULTIPLY_SMALL], record, count, grain)
        else:
            call_task(network[Network.MULTIPLY_SMALL], 0, count, record)

    @inline
    def multiply_tiny(sizes, a, b, c, other, other_row, mode):
        m, n, depth = sizes
        for i in range(m):
            for j in range(n):
                total = at(other + i * other_row)[j] if mode != Mode.STORE else number(0)
                left, right = a[0] + i * a[1], b[0] + j * size
                for _ in range(depth):
                    total += at(left)[0] * at(right)[0]
                    left += a[2]
                    right += b[1]
                at(c + i * n * size)[j] = total

    @inline
    def multiply_large(network, record, count, c, other, mode):
        record[Gemm.OUT_ROW] = 0
        record[Gemm.ACCUMULATE] = 1 if mode == Mode.ADD and other == c else 0
        record[Gemm.BIAS] = other if mode == Mode.ADD and other != c else 0
        call_resolve(network[Network.MULTIPLY], record)
        if mode == Mode.SCALE:
            apply(network, network[Network.PRODUCT], count, c, other, c)

    return product


@inline
def is_cut_by_rows(m):
    """Whether parts of a small product are some of its rows, and not of its columns."""
    return m >= 16


def functions(name: str) -> dict[str, tuple[Any, Any]]:
    """The compiled functions for ``"float32"`` or ``"float64"``; addresses and strides are in bytes.

    They are called by address: linked into each caller, Numba would optimise all of the tiles again and again."""
    return {
        "multiply_small": (TASK_SIGNATURE, multiply_small_for(name)),
        "multiply_by_rows": (types.void(*[types.intp] * 12), multiply_by_rows_for(name)),
    }


def multiply_small_for(name: str) -> Any:
    """``C[m, n]``: sums over k of ``A[m, k] * B[k, n]``."""
    numbers = Numbers(name)
    size, lanes = numbers.size, numbers.lanes
    tile = chosen({(rows, vectors): Tile(numbers, rows, vectors) for rows, vectors in TILES})

    def multiply_small(begin, end, product):
        """Some rows or columns of a product described like a packed one, but that BIAS is the other matrix, OUT_ROW the
        distance of its rows and ACCUMULATE the mode; a task for threads."""
        by_rows = is_cut_by_rows(product[Gemm.M])
        row, column = (begin, 0) if by_rows else (0, begin)
        m, n = (end - begin, product[Gemm.N]) if by_rows else (product[Gemm.M], end - begin)
        multiply(
            m, n, product[Gemm.K], product[Gemm.A] + row * product[Gemm.A_ROW], product[Gemm.A_ROW],
            product[Gemm.A_COLUMN], product[Gemm.B] + column * size, product[Gemm.B_ROW],
            product[Gemm.C] + row * product[Gemm.C_ROW] + column * size, product[Gemm.C_ROW],
            product[Gemm.BIAS] + row * product[Gemm.OUT_ROW] + column * size, product[Gemm.OUT_ROW],
            product[Gemm.ACCUMULATE],
        )  # fmt: skip

    @inline
    def multiply(m, n, depth, a, a_row, a_step, b, b_step, c, c_row, other, other_row, mode):
        # Of few sums per element, the time goes into writing the result: row by row, as it lies in memory.
        whole = m // 4 * 4 if depth > 4 or n <= 2 * lanes else 0
        start = 0
        while start < n and whole > 0:
            left, at = n - start, start * size
            vectors = 2 if left > lanes else 1
            high, i = HIGH if vectors == 2 else 8, 0
            while i < whole:
                rows = high if whole - i >= high else 4
                tile(
                    rows, vectors, a + i * a_row, a_row, a_step, b + at, b_step, c + i * c_row + at, c_row,
                    depth, left, other + i * other_row + at, other_row, mode,
                )  # fmt: skip
                i += rows
            start += vectors * lanes
        for i in range(whole, m):
            row(a + i * a_row, a_step, b, b_step, c + i * c_row, depth, n, other + i * other_row, mode)

    @inline
    def row(a, a_step, b, b_step, c, depth, n, other, mode):
        """One row of the result."""
        done = 0
        while done < n:
            left, at = n - done, done * size
            vectors = 8 if left > 4 * lanes else 4 if left > 2 * lanes else 2 if left > lanes else 1
            tile(1, vectors, a, 0, a_step, b + at, b_step, c + at, 0, depth, left, other + at, 0, mode)
            done += vectors * lanes

    return multiply_small


def multiply_by_rows_for(name: str) -> Any:
    """``C[m, n]``: sums over k of ``A[m, k] * B[n, k]``, both contiguous along k; for few rows of A."""
    numbers = Numbers(name)
    size, dots = numbers.size, chosen({(rows,): Dots(numbers, rows) for rows in DOTS})

    def multiply_by_rows(m, n, depth, a, a_row, b, b_row, c, c_row, other, other_row, mode):
        for i in range(m):
            at_a, at_c, at_other = a + i * a_row, c + i * c_row, other + i * other_row
            j = 0
            while j < n:
                rows = 8 if j + 8 <= n else 1
                dots(rows, at_a, b + j * b_row, b_row, at_c + j * size, depth, at_other + j * size, mode)
                j += rows

    return multiply_by_rows

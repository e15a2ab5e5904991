"""Matrix products for networks: tiny ones in scalar code, small ones without packing, large ones packed and shared.

All of them add up ``A[m, k] * B[k, n]``; a *mode* says whether the sums are stored, added to another matrix or
multiplied by it. Of a small product each tile of the result stays in vector registers (:mod:`fastact.networks.tiles`):
B and the result have their last axis contiguous there, and A's elements are spread over all lanes, so A may lie in
memory in any way, transposed included.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from numba import types

from fastact.networks.tiles import Dots, Numbers, Tile, chosen
from fastact.runtime.pool import call_resolve, record_at
from fastact.simd.blocks import Address, inline
from fastact.simd.layout import LARGE_PRODUCT, Gemm, Mode, Network

__all__ = ["functions", "product_for"]

#: Multiplications that scalar code has done before a call has begun.
TINY = 16

#: Tiles by rows and vectors, and rows of dot products: an odd row or the last vectors take a smaller one.
TILES = (1, 8), (1, 4), (1, 2), (1, 1), (4, 2), (4, 1), (8, 2), (8, 1)
DOTS = 8, 1


def product_for(words: SimpleNamespace) -> Any:
    """A product of any size, in the way that suits it."""
    number, size, at, apply = words.number, words.size, words.at, words.apply

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
            call_resolve(network[Network.MULTIPLY_SMALL], record)
        else:
            multiply_large(network, record, m * n, c, other, mode)

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


def functions(name: str) -> dict[str, tuple[Any, Any]]:
    """The compiled functions for ``"float32"`` or ``"float64"``; addresses and strides are in bytes.

    They are called by address: linked into each caller, Numba would optimise all of the tiles again and again."""
    return {
        "multiply_small": (types.void(Address), multiply_small_for(name)),
        "multiply_by_rows": (types.void(*[types.intp] * 12), multiply_by_rows_for(name)),
    }


def multiply_small_for(name: str) -> Any:
    """``C[m, n]``: sums over k of ``A[m, k] * B[k, n]``."""
    numbers = Numbers(name)
    size, lanes = numbers.size, numbers.lanes
    tile = chosen({(rows, vectors): Tile(numbers, rows, vectors) for rows, vectors in TILES})

    def multiply_small(product):
        """A product described like a packed one, but that BIAS is the other matrix, OUT_ROW the distance of its rows
        and ACCUMULATE the mode. One address: thirteen arguments take 15 ns, as they travel through memory twice."""
        multiply(
            product[Gemm.M], product[Gemm.N], product[Gemm.K], product[Gemm.A], product[Gemm.A_ROW],
            product[Gemm.A_COLUMN], product[Gemm.B], product[Gemm.B_ROW], product[Gemm.C], product[Gemm.C_ROW],
            product[Gemm.BIAS], product[Gemm.OUT_ROW], product[Gemm.ACCUMULATE],
        )  # fmt: skip

    @inline
    def multiply(m, n, depth, a, a_row, a_step, b, b_step, c, c_row, other, other_row, mode):
        # Of few sums per element, the time goes into writing the result: row by row, as it lies in memory.
        whole = m // 4 * 4 if depth > 4 or n <= 2 * lanes else 0
        start = 0
        while start < n and whole > 0:
            left, at = n - start, start * size
            vectors = 2 if left > lanes else 1
            i = 0
            while i < whole:
                rows = 8 if whole - i >= 8 else 4
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

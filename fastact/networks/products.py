"""Small matrix products for networks, without packing: each tile of the result stays in vector registers.

All of them add up ``A[m, k] * B[k, n]`` where B and the result have their last axis contiguous: A's
elements are spread over all lanes, so A may lie in memory in any way, transposed included. A few rows
and vectors of the result make a *tile*, whose sums over k live in registers until it is stored:

* ``STORE`` writes the sums, ``ADD`` adds what stands in another matrix (a bias, or the result itself),
  ``SCALE`` multiplies by it (an activation's derivative).

Vectors are loaded whole, so every operand needs :data:`fastact.simd.layout.SLACK` bytes behind it. What
lies in other lanes never reaches a stored one.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastact.simd.blocks import Address, inline
from fastact.simd.layout import Gemm, Mode
from fastact.simd.registers import register_bytes
from fastact.simd.vectors import llvm_call, splat

__all__ = ["products"]


WORD = ir.IntType(64)

#: A sum must wait four cycles for the one before it, and two can start in each: so many have to be under way.
CHAINS = 8


class _Numbers:
    """How LLVM names a floating-point type and a register full of it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.scalar: ir.Type = ir.FloatType() if name == "float32" else ir.DoubleType()
        self.size = 4 if name == "float32" else 8
        self.lanes = register_bytes() // self.size
        self.vector = ir.VectorType(self.scalar, self.lanes)
        self.suffix = f"v{self.lanes}f{8 * self.size}"

    def load(self, builder: ir.IRBuilder, address: Any) -> Any:
        return builder.load(builder.inttoptr(address, self.vector.as_pointer()), align=self.size)

    def load_scalar(self, builder: ir.IRBuilder, address: Any) -> Any:
        return builder.load(builder.inttoptr(address, self.scalar.as_pointer()), align=self.size)

    def spread(self, builder: ir.IRBuilder, address: Any) -> Any:
        """The number at an address in every lane."""
        return splat(builder, self.load_scalar(builder, address), self.lanes)

    def multiply_add(self, builder: ir.IRBuilder, a: Any, b: Any, c: Any) -> Any:
        return llvm_call(builder, f"llvm.fma.{self.suffix}", self.vector, a, b, c)

    def zero(self) -> Any:
        return ir.Constant(self.vector, None)

    def below(self, builder: ir.IRBuilder, count: Any) -> Any:
        """A mask of the lanes whose number is below count."""
        numbers = ir.Constant(ir.VectorType(WORD, self.lanes), list(range(self.lanes)))
        return builder.icmp_signed("<", numbers, splat(builder, count, self.lanes))

    def store_part(self, builder: ir.IRBuilder, value: Any, address: Any, count: Any) -> None:
        pointer = builder.inttoptr(address, self.vector.as_pointer())
        mask = self.below(builder, count)
        align = ir.Constant(ir.IntType(32), self.size)
        llvm_call(builder, f"llvm.masked.store.{self.suffix}.p0", ir.VoidType(), value, pointer, align, mask)


def _offset(builder: ir.IRBuilder, base: Any, stride: Any, times: int) -> Any:
    return builder.add(base, builder.mul(stride, WORD(times))) if times else base


def _function(builder: ir.IRBuilder, symbol: str, arguments: int) -> tuple[Any, ir.IRBuilder | None]:
    """The function of that name in the module, and a builder for its body if it has none yet."""
    function = builder.module.globals.get(symbol)
    if function is not None:
        return function, None
    function = ir.Function(builder.module, ir.FunctionType(ir.VoidType(), [WORD] * arguments), symbol)
    function.linkage = "linkonce_odr"
    function.attributes.add("noinline")
    return function, ir.IRBuilder(function.append_basic_block())


def _sum_loop(
    builder: ir.IRBuilder, turns: Any, steps: list[Any], starts: list[Any], sums: list[Any], body: Any
) -> Any:
    """``body(builder, addresses, sums)`` so many times, addresses moving by their steps; the sums in the end.

    Not once if ``turns`` is 0."""
    before, loop, after = builder.block, builder.append_basic_block(), builder.append_basic_block()
    builder.cbranch(builder.icmp_signed(">", turns, WORD(0)), loop, after)
    builder.position_at_end(loop)
    left = builder.phi(WORD)
    addresses = [builder.phi(WORD) for _ in starts]
    inside = [builder.phi(s.type) for s in sums]
    results = body(builder, addresses, inside)
    fewer = builder.sub(left, WORD(1))
    moved = [builder.add(address, step) for address, step in zip(addresses, steps)]
    last = builder.block
    for phi, first, next_ in zip([left, *addresses, *inside], [turns, *starts, *sums], [fewer, *moved, *results]):
        phi.add_incoming(first, before)
        phi.add_incoming(next_, last)
    builder.cbranch(builder.icmp_signed(">", fewer, WORD(0)), loop, after)
    builder.position_at_end(after)
    merged = []
    for first, result in zip(sums, results):
        phi = builder.phi(first.type)
        phi.add_incoming(first, before)
        phi.add_incoming(result, last)
        merged.append(phi)
    return merged


def _finish(builder: ir.IRBuilder, sums: list[Any], mode: Any, others: Any) -> list[Any]:
    """What is to be stored: the sums, or the sums plus or times what ``others(builder)`` loads."""
    start = builder.block
    added, scaled, done = (builder.append_basic_block() for _ in range(3))
    choice = builder.switch(mode, done)
    choice.add_case(WORD(Mode.ADD), added)
    choice.add_case(WORD(Mode.SCALE), scaled)
    ways = [(start, sums)]
    for block, operation in ((added, builder.fadd), (scaled, builder.fmul)):
        builder.position_at_end(block)
        ways.append((block, [operation(s, other) for s, other in zip(sums, others(builder))]))
        builder.branch(done)
    builder.position_at_end(done)
    results = []
    for i in range(len(sums)):
        phi = builder.phi(sums[i].type)
        for block, values in ways:
            phi.add_incoming(values[i], block)
        results.append(phi)
    return results


def _tile(numbers: _Numbers, rows: int, vectors: int) -> Any:
    """``rows`` times ``vectors`` registers of the result, as a function of its own."""
    chains = max(1, CHAINS // (rows * vectors))
    places = [(r, v) for r in range(rows) for v in range(vectors)]
    width = numbers.lanes * numbers.size

    def generate_body(
        builder: ir.IRBuilder, a, a_row, a_step, b, b_step, c, c_row, depth, count, other, other_row, mode
    ):
        def step(chain: int) -> Any:
            def body(builder: ir.IRBuilder, addresses: list[Any], sums: list[Any]) -> list[Any]:
                results = list(sums)
                for i in range(chain):
                    at_a, at_b = (_offset(builder, s, t, i) for s, t in zip(addresses, (a_step, b_step)))
                    right = [numbers.load(builder, builder.add(at_b, WORD(v * width))) for v in range(vectors)]
                    left = [numbers.spread(builder, _offset(builder, at_a, a_row, r)) for r in range(rows)]
                    for j, (r, v) in enumerate(places):
                        k = i * len(places) + j
                        results[k] = numbers.multiply_add(builder, left[r], right[v], results[k])
                return results

            return body

        turns = builder.sdiv(depth, WORD(chains))
        steps = [builder.mul(s, WORD(chains)) for s in (a_step, b_step)]
        sums = _sum_loop(builder, turns, steps, [a, b], [numbers.zero()] * (chains * len(places)), step(chains))
        while len(sums) > len(places):
            half = len(sums) // 2
            sums = [builder.fadd(low, high) for low, high in zip(sums[:half], sums[half:])]
        if chains > 1:
            starts = [builder.add(s, builder.mul(turns, t)) for s, t in zip((a, b), steps)]
            rest = builder.sub(depth, builder.mul(turns, WORD(chains)))
            sums = _sum_loop(builder, rest, [a_step, b_step], starts, sums, step(1))

        def others(builder: ir.IRBuilder) -> list[Any]:
            row = [_offset(builder, other, other_row, r) for r in range(rows)]
            return [numbers.load(builder, builder.add(row[r], WORD(v * width))) for r, v in places]

        results = _finish(builder, sums, mode, others)
        targets = [builder.add(_offset(builder, c, c_row, r), WORD(v * width)) for r, v in places]
        whole = builder.icmp_signed(">=", count, WORD(vectors * numbers.lanes))
        with builder.if_else(whole, likely=True) as (all_lanes, some_lanes):
            with all_lanes:
                for value, target in zip(results, targets):
                    builder.store(value, builder.inttoptr(target, numbers.vector.as_pointer()), align=numbers.size)
            with some_lanes:
                for value, target, (_, v) in zip(results, targets, places):
                    left = builder.sub(count, WORD(v * numbers.lanes))
                    numbers.store_part(builder, value, target, left)
        builder.ret_void()

    symbol = f"fastact.tile_{rows}x{vectors}_{numbers.name}"

    @intrinsic
    def tile(typing_context, a, a_row, a_step, b, b_step, c, c_row, depth, count, other, other_row, mode):
        def generate(context, builder, signature, args):
            function, body = _function(builder, symbol, len(args))
            if body is not None:
                generate_body(body, *function.args)
            builder.call(function, args)
            return context.get_dummy_value()

        return types.void(*[types.intp] * 12), generate

    return tile


def _dots(numbers: _Numbers, rows: int) -> Any:
    """``rows`` scalar products of rows of B with one vector, as a function of its own."""
    width = numbers.lanes * numbers.size

    def generate_body(builder: ir.IRBuilder, a, b, b_row, c, depth, other, mode):
        def body(builder: ir.IRBuilder, addresses: list[Any], sums: list[Any]) -> list[Any]:
            left = numbers.load(builder, addresses[0])
            right = [numbers.load(builder, _offset(builder, addresses[1], b_row, r)) for r in range(rows)]
            return [numbers.multiply_add(builder, left, w, s) for w, s in zip(right, sums)]

        turns = builder.sdiv(depth, WORD(numbers.lanes))
        sums = _sum_loop(builder, turns, [WORD(width)] * 2, [a, b], [numbers.zero()] * rows, body)
        done = builder.mul(turns, WORD(numbers.lanes))
        mask = numbers.below(builder, builder.sub(depth, done))
        offset = builder.mul(turns, WORD(width))
        # Lanes behind the end count as zero on both sides: what stands there may be anything, infinity too.
        left = builder.select(mask, numbers.load(builder, builder.add(a, offset)), numbers.zero())
        scalars = []
        for r in range(rows):
            right = numbers.load(builder, builder.add(_offset(builder, b, b_row, r), offset))
            right = builder.select(mask, right, numbers.zero())
            total = numbers.multiply_add(builder, left, right, sums[r])
            reduce = f"llvm.vector.reduce.fadd.{numbers.suffix}"
            kind = ir.FunctionType(numbers.scalar, [numbers.scalar, numbers.vector])
            function = builder.module.globals.get(reduce) or ir.Function(builder.module, kind, reduce)
            scalars.append(builder.call(function, [ir.Constant(numbers.scalar, -0.0), total], fastmath=("reassoc",)))

        def others(builder: ir.IRBuilder) -> list[Any]:
            return [numbers.load_scalar(builder, builder.add(other, WORD(r * numbers.size))) for r in range(rows)]

        for r, value in enumerate(_finish(builder, scalars, mode, others)):
            target = builder.add(c, WORD(r * numbers.size))
            builder.store(value, builder.inttoptr(target, numbers.scalar.as_pointer()), align=numbers.size)
        builder.ret_void()

    symbol = f"fastact.dots_{rows}_{numbers.name}"

    @intrinsic
    def dots(typing_context, a, b, b_row, c, depth, other, mode):
        def generate(context, builder, signature, args):
            function, body = _function(builder, symbol, len(args))
            if body is not None:
                generate_body(body, *function.args)
            builder.call(function, args)
            return context.get_dummy_value()

        return types.void(*[types.intp] * 7), generate

    return dots


def products(name: str) -> dict[str, tuple[Any, Any]]:
    """The compiled functions for ``"float32"`` or ``"float64"``; addresses and strides are in bytes.

    They are called by address: linked into each caller, Numba would optimise all of the tiles again and again."""
    numbers = _Numbers(name)
    size, lanes = numbers.size, numbers.lanes
    tile_1x8, tile_1x4, tile_1x2, tile_1x1 = (_tile(numbers, 1, vectors) for vectors in (8, 4, 2, 1))
    tile_4x2, tile_4x1, tile_8x2, tile_8x1 = (_tile(numbers, r, v) for r in (4, 8) for v in (2, 1))
    dots_8, dots_1 = _dots(numbers, 8), _dots(numbers, 1)

    @inline
    def row(a, a_step, b, b_step, c, depth, n, other, mode):
        """One row of the result."""
        done = 0
        while done < n:
            left, at = n - done, done * size
            if left > 4 * lanes:
                tile_1x8(a, 0, a_step, b + at, b_step, c + at, 0, depth, left, other + at, 0, mode)
                done += 8 * lanes
            elif left > 2 * lanes:
                tile_1x4(a, 0, a_step, b + at, b_step, c + at, 0, depth, left, other + at, 0, mode)
                done += 4 * lanes
            elif left > lanes:
                tile_1x2(a, 0, a_step, b + at, b_step, c + at, 0, depth, left, other + at, 0, mode)
                done += 2 * lanes
            else:
                tile_1x1(a, 0, a_step, b + at, b_step, c + at, 0, depth, left, other + at, 0, mode)
                done += lanes

    @inline
    def multiply(m, n, depth, a, a_row, a_step, b, b_step, c, c_row, other, other_row, mode):
        """``C[m, n]``: sums over k of ``A[m, k] * B[k, n]``."""
        # Of few sums per element, the time goes into writing the result: row by row, as it lies in memory.
        whole = m // 4 * 4 if depth > 4 or n <= 2 * lanes else 0
        start = 0
        while start < n and whole > 0:
            left, at = n - start, start * size
            i = 0
            while i < whole:
                at_a, at_c, at_other = a + i * a_row, c + i * c_row + at, other + i * other_row + at
                if whole - i >= 8:
                    i += 8
                    if left > lanes:
                        tile_8x2(
                            at_a, a_row, a_step, b + at, b_step, at_c, c_row, depth, left, at_other, other_row, mode
                        )
                    else:
                        tile_8x1(
                            at_a, a_row, a_step, b + at, b_step, at_c, c_row, depth, left, at_other, other_row, mode
                        )
                else:
                    i += 4
                    if left > lanes:
                        tile_4x2(
                            at_a, a_row, a_step, b + at, b_step, at_c, c_row, depth, left, at_other, other_row, mode
                        )
                    else:
                        tile_4x1(
                            at_a, a_row, a_step, b + at, b_step, at_c, c_row, depth, left, at_other, other_row, mode
                        )
            start += 2 * lanes if left > lanes else lanes
        for i in range(whole, m):
            row(a + i * a_row, a_step, b, b_step, c + i * c_row, depth, n, other + i * other_row, mode)

    def multiply_by_rows(m, n, depth, a, a_row, b, b_row, c, c_row, other, other_row, mode):
        """``C[m, n]``: sums over k of ``A[m, k] * B[n, k]``, both contiguous along k; for few rows of A."""
        for i in range(m):
            at_a, at_c, at_other = a + i * a_row, c + i * c_row, other + i * other_row
            j = 0
            while j + 8 <= n:
                dots_8(at_a, b + j * b_row, b_row, at_c + j * size, depth, at_other + j * size, mode)
                j += 8
            while j < n:
                dots_1(at_a, b + j * b_row, b_row, at_c + j * size, depth, at_other + j * size, mode)
                j += 1

    def multiply_small(product):
        """A product described like a packed one, but that BIAS is the other matrix, OUT_ROW the distance of its rows
        and ACCUMULATE the mode. One address: thirteen arguments take 15 ns, as they travel through memory twice."""
        multiply(
            product[Gemm.M], product[Gemm.N], product[Gemm.K], product[Gemm.A], product[Gemm.A_ROW],
            product[Gemm.A_COLUMN], product[Gemm.B], product[Gemm.B_ROW], product[Gemm.C], product[Gemm.C_ROW],
            product[Gemm.BIAS], product[Gemm.OUT_ROW], product[Gemm.ACCUMULATE],
        )  # fmt: skip

    by_rows = types.void(*[types.intp] * 12)
    return {"multiply_small": (types.void(Address), multiply_small), "multiply_by_rows": (by_rows, multiply_by_rows)}

"""What small matrix products do in registers: tiles of the result, and rows of dot products, as LLVM's instructions.

A few rows and vectors of the result make a *tile*, whose sums over k live in registers until they are stored. What is
stored depends on the mode (:class:`fastact.simd.layout.Mode`):

* ``STORE`` writes the sums, ``ADD`` adds what stands in another matrix (a bias, or the result itself),
  ``SCALE`` multiplies by it (an activation's derivative).

Vectors are loaded whole, so every operand needs :data:`fastact.simd.layout.SLACK` bytes behind it. What
lies in other lanes never reaches a stored one. Addresses and strides are in bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fastact.simd.layout import Mode
from fastact.simd.registers import register_bytes
from fastact.simd.vectors import llvm_call, splat

__all__ = ["Dots", "Numbers", "Tile", "chosen"]

WORD = ir.IntType(64)

#: A sum must wait four cycles for the one before it, and two can start in each: so many have to be under way.
CHAINS = 8


class Numbers:
    """How LLVM names a floating-point type and a register full of it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.scalar: ir.Type = ir.FloatType() if name == "float32" else ir.DoubleType()
        self.size = 4 if name == "float32" else 8
        self.lanes = register_bytes() // self.size
        self.vector = ir.VectorType(self.scalar, self.lanes)
        self.bytes = self.lanes * self.size
        self.zero = ir.Constant(self.vector, None)
        self.suffix = f"v{self.lanes}f{8 * self.size}"

    def load(self, builder: ir.IRBuilder, address: Any) -> Any:
        return builder.load(builder.inttoptr(address, self.vector.as_pointer()), align=self.size)

    def load_scalar(self, builder: ir.IRBuilder, address: Any) -> Any:
        return builder.load(builder.inttoptr(address, self.scalar.as_pointer()), align=self.size)

    def spread(self, builder: ir.IRBuilder, address: Any) -> Any:
        """The number at an address in every lane."""
        return splat(builder, self.load_scalar(builder, address), self.lanes)

    def multiply_add(self, builder: ir.IRBuilder, a: Any, b: Any, c: Any) -> Any:
        return llvm_call(builder, f"llvm.fmuladd.{self.suffix}", self.vector, a, b, c)

    def total(self, builder: ir.IRBuilder, value: Any) -> Any:
        """The sum of a vector's elements."""
        name, kind = f"llvm.vector.reduce.fadd.{self.suffix}", ir.FunctionType(self.scalar, [self.scalar, self.vector])
        function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        return builder.call(function, [ir.Constant(self.scalar, -0.0), value], fastmath=("reassoc",))

    def below(self, builder: ir.IRBuilder, count: Any) -> Any:
        """A mask of the lanes whose number is below count."""
        numbers = ir.Constant(ir.VectorType(WORD, self.lanes), list(range(self.lanes)))
        return builder.icmp_signed("<", numbers, splat(builder, count, self.lanes))

    def store(self, builder: ir.IRBuilder, value: Any, address: Any) -> None:
        builder.store(value, builder.inttoptr(address, value.type.as_pointer()), align=self.size)

    def store_part(self, builder: ir.IRBuilder, value: Any, address: Any, count: Any) -> None:
        pointer = builder.inttoptr(address, self.vector.as_pointer())
        mask = self.below(builder, count)
        align = ir.Constant(ir.IntType(32), self.size)
        llvm_call(builder, f"llvm.masked.store.{self.suffix}.p0", ir.VoidType(), value, pointer, align, mask)


# -- sums and what becomes of them ----------------------------------------------------------------


def _offset(builder: ir.IRBuilder, base: Any, stride: Any, times: int) -> Any:
    return builder.add(base, builder.mul(stride, WORD(times))) if times else base


def _sum_loop(
    builder: ir.IRBuilder, turns: Any, steps: list[Any], starts: list[Any], sums: list[Any], body: Any
) -> list[Any]:
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
    return _merged(builder, [(before, sums), (last, results)])


def _merged(builder: ir.IRBuilder, ways: list[tuple[Any, list[Any]]]) -> list[Any]:
    """The values of the block that control came from."""
    merged = []
    for values in zip(*(values for _, values in ways)):
        phi = builder.phi(values[0].type)
        for (block, _), value in zip(ways, values):
            phi.add_incoming(value, block)
        merged.append(phi)
    return merged


def _finished(
    builder: ir.IRBuilder, sums: list[Any], mode: Any, others: Callable[[ir.IRBuilder], list[Any]]
) -> list[Any]:
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
    return _merged(builder, ways)


# -- tiles and dot products -----------------------------------------------------------------------


class Tile:
    """``rows`` times ``vectors`` registers of the result."""

    def __init__(self, numbers: Numbers, rows: int, vectors: int) -> None:
        self.numbers, self.rows, self.vectors = numbers, rows, vectors
        self.places = [(r, v) for r in range(rows) for v in range(vectors)]
        self.symbol = f"fastact.tile_{rows}x{vectors}_{numbers.name}"

    def write(
        self, builder: ir.IRBuilder, a: Any, a_row: Any, a_step: Any, b: Any, b_step: Any, c: Any, c_row: Any,
        depth: Any, count: Any, other: Any, other_row: Any, mode: Any,
    ) -> None:  # fmt: skip
        """Of the last axis there are ``count`` elements left, which may be more than the tile has, or fewer."""

        def others(builder: ir.IRBuilder) -> list[Any]:
            return [self.numbers.load(builder, place) for place in self._addresses(builder, other, other_row)]

        sums = self._sums(builder, [a, b], a_row, [a_step, b_step], depth)
        results = _finished(builder, sums, mode, others)
        self._store(builder, results, self._addresses(builder, c, c_row), count)

    def _sums(self, builder: ir.IRBuilder, starts: list[Any], a_row: Any, steps: list[Any], depth: Any) -> list[Any]:
        """Over k; of a tile of few registers several elements of k at a time, whose sums are added in the end."""
        chains = max(1, CHAINS // len(self.places))
        turns, strides = builder.sdiv(depth, WORD(chains)), [builder.mul(step, WORD(chains)) for step in steps]
        zeros = [self.numbers.zero] * (chains * len(self.places))
        sums = _sum_loop(builder, turns, strides, starts, zeros, self._turn(chains, a_row, steps))
        while len(sums) > len(self.places):
            half = len(sums) // 2
            sums = [builder.fadd(low, high) for low, high in zip(sums[:half], sums[half:])]
        if chains > 1:
            starts = [builder.add(start, builder.mul(turns, stride)) for start, stride in zip(starts, strides)]
            rest = builder.sub(depth, builder.mul(turns, WORD(chains)))
            sums = _sum_loop(builder, rest, steps, starts, sums, self._turn(1, a_row, steps))
        return sums

    def _turn(self, chains: int, a_row: Any, steps: list[Any]) -> Callable[..., list[Any]]:
        """A turn of the loop over k: so many elements of k, to each its own sums."""

        def turn(builder: ir.IRBuilder, addresses: list[Any], sums: list[Any]) -> list[Any]:
            results: list[Any] = []
            for i in range(chains):
                a, b = (_offset(builder, address, step, i) for address, step in zip(addresses, steps))
                right = [self.numbers.load(builder, place) for place in self._across(builder, b)]
                left = [self.numbers.spread(builder, _offset(builder, a, a_row, r)) for r in range(self.rows)]
                for r, v in self.places:
                    results.append(self.numbers.multiply_add(builder, left[r], right[v], sums[len(results)]))
            return results

        return turn

    def _store(self, builder: ir.IRBuilder, results: list[Any], targets: list[Any], count: Any) -> None:
        whole = builder.icmp_signed(">=", count, WORD(self.vectors * self.numbers.lanes))
        with builder.if_else(whole, likely=True) as (all_lanes, some_lanes):
            with all_lanes:
                for value, target in zip(results, targets):
                    self.numbers.store(builder, value, target)
            with some_lanes:
                for value, target, (_, v) in zip(results, targets, self.places):
                    left = builder.sub(count, WORD(v * self.numbers.lanes))
                    self.numbers.store_part(builder, value, target, left)

    def _across(self, builder: ir.IRBuilder, address: Any) -> list[Any]:
        """The addresses of a row's vectors."""
        return [builder.add(address, WORD(v * self.numbers.bytes)) for v in range(self.vectors)]

    def _addresses(self, builder: ir.IRBuilder, matrix: Any, row: Any) -> list[Any]:
        """The addresses of all vectors, row by row."""
        return [place for r in range(self.rows) for place in self._across(builder, _offset(builder, matrix, row, r))]


class Dots:
    """``rows`` scalar products of rows of B with one vector."""

    def __init__(self, numbers: Numbers, rows: int) -> None:
        self.numbers, self.rows = numbers, rows
        self.symbol = f"fastact.dots_{rows}_{numbers.name}"

    def write(
        self, builder: ir.IRBuilder, a: Any, b: Any, b_row: Any, c: Any, depth: Any, other: Any, mode: Any
    ) -> None:
        size = WORD(self.numbers.size)

        def others(builder: ir.IRBuilder) -> list[Any]:
            return [self.numbers.load_scalar(builder, place) for place in self._down(builder, other, size)]

        sums = self._sums(builder, a, b, b_row, depth)
        results = _finished(builder, sums, mode, others)
        for value, target in zip(results, self._down(builder, c, size)):
            self.numbers.store(builder, value, target)

    def _sums(self, builder: ir.IRBuilder, a: Any, b: Any, b_row: Any, depth: Any) -> list[Any]:
        numbers = self.numbers

        def turn(builder: ir.IRBuilder, addresses: list[Any], sums: list[Any]) -> list[Any]:
            left = numbers.load(builder, addresses[0])
            right = [numbers.load(builder, row) for row in self._down(builder, addresses[1], b_row)]
            return [numbers.multiply_add(builder, left, w, s) for w, s in zip(right, sums)]

        turns = builder.sdiv(depth, WORD(numbers.lanes))
        sums = _sum_loop(builder, turns, [WORD(numbers.bytes)] * 2, [a, b], [numbers.zero] * self.rows, turn)
        mask = numbers.below(builder, builder.sub(depth, builder.mul(turns, WORD(numbers.lanes))))
        offset = builder.mul(turns, WORD(numbers.bytes))

        def rest(address: Any) -> Any:
            """Lanes behind the end count as zero on both sides: what stands there may be anything, infinity too."""
            return builder.select(mask, numbers.load(builder, builder.add(address, offset)), numbers.zero)

        left, right = rest(a), [rest(row) for row in self._down(builder, b, b_row)]
        return [numbers.total(builder, numbers.multiply_add(builder, left, w, s)) for w, s in zip(right, sums)]

    def _down(self, builder: ir.IRBuilder, address: Any, step: Any) -> list[Any]:
        return [_offset(builder, address, step, r) for r in range(self.rows)]


# -- calls ----------------------------------------------------------------------------------------


def chosen(cases: Mapping[tuple[int, ...], Tile | Dots]) -> Any:
    """What compiled code calls them by: the first arguments say which, the others are handed on to it."""
    keys = len(next(iter(cases)))

    @intrinsic
    def choose(typing_context, *arguments):
        def generate(context, builder, signature, args):
            values = cgutils.unpack_tuple(builder, args[0])
            key, operands = values[:keys], values[keys:]
            functions = {key: _function(builder.module, case, len(operands)) for key, case in cases.items()}
            _call_one(builder, key, functions, operands)
            return context.get_dummy_value()

        return types.void(types.StarArgTuple.from_types(arguments)), generate

    return choose


def _function(module: ir.Module, what: Tile | Dots, arguments: int) -> Any:
    """A function of its own, which LLVM optimises once."""
    function = module.globals.get(what.symbol)
    if function is None:
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), [WORD] * arguments), what.symbol)
        function.linkage = "linkonce_odr"
        function.attributes.add("noinline")
        builder = ir.IRBuilder(function.append_basic_block())
        what.write(builder, *function.args)
        builder.ret_void()
    return function


def _call_one(builder: ir.IRBuilder, key: list[Any], functions: Mapping[tuple[int, ...], Any], operands: Any) -> None:
    """Call the function of that key: by the key's first number, then by the next."""
    if not key:
        builder.call(functions[()], operands)
        return
    first = next(iter(functions))[0]
    same = {numbers[1:]: function for numbers, function in functions.items() if numbers[0] == first}
    others = {numbers: function for numbers, function in functions.items() if numbers[0] != first}
    if not others:
        _call_one(builder, key[1:], same, operands)
        return
    with builder.if_else(builder.icmp_signed("==", key[0], WORD(first))) as (is_first, is_other):
        with is_first:
            _call_one(builder, key[1:], same, operands)
        with is_other:
            _call_one(builder, key, others, operands)

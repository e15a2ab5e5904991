"""What a matrix product does in registers: the tile of results, the row of dot products, the block that is turned over.

All of their speed is in how many vectors are kept in registers, so they are written as LLVM's instructions, without
Numba. A tile of 14 rows x 2 vectors keeps 28 of AVX-512's 32 registers busy with sums and takes two loads and
14 broadcasts for 28 multiply-adds: nothing but the multiply-adds holds it up (Goto and van de Geijn, Anatomy of
high-performance matrix multiplication, 2008).

Their arguments are addresses, sizes and steps in bytes, all 64-bit integers.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable
from typing import Any

from llvmlite import ir

from fastact.simd.registers import host_features, register_bytes

__all__ = ["DOT_COLUMNS", "DOT_ROWS", "ROWS", "VECTORS", "functions", "lanes_of"]

#: AVX-512 and the 64-bit ARM have 32 vector registers, everything else has 16.
MANY_REGISTERS = "+avx512f" in host_features() or platform.machine() in ("aarch64", "arm64")

#: The largest tile: rows, and vectors side by side in each. Sums take rows x vectors registers, which leaves those
#: for the vectors of B, and one or two for broadcasts of A.
ROWS, VECTORS = (14, 2) if MANY_REGISTERS else (6, 2)

#: Steps of the largest tiles in one turn of their loop. With AVX2 products took 0.95 to 0.98 of the time that they took
#: in single steps, with AVX-512 0.97 to 1.
AT_ONCE = 4

#: The largest tile of dot products.
DOT_ROWS, DOT_COLUMNS = (3, 8) if MANY_REGISTERS else (3, 4)

INTEGER = ir.IntType(64)
INDEX = ir.IntType(32)
ELEMENTS = {"float32": (ir.FloatType(), "f32", 4), "float64": (ir.DoubleType(), "f64", 8)}

Step = Callable[[list[Any], list[Any]], list[Any]]


def lanes_of(name: str) -> int:
    """Elements in a register."""
    return register_bytes() // ELEMENTS[name][2]


def functions(name: str) -> tuple[list[str], str]:
    """LLVM's text of the functions for one element type, and their names.

    ``tile(rows, vectors, by_row, a, a_step, b, b_step, depth, c, c_step, start)``
        C = A @ B + the row at ``start``, or C += A @ B if that is 0. A is ``rows`` x ``depth`` and lies by row or by
        column, ``a_step`` bytes from one to the next; B is ``depth`` rows of ``vectors`` vectors.
    ``dots(rows, a, a_step, b, b_step, last, depth, c, c_step, start)``
        The same for DOT_COLUMNS of C, B's rows (of which the last is given) being contiguous along with A's.
    ``transpose(source, source_step, last, target, target_step)``
        A square block of one register's width. Rows beyond the last are the last again.
    """
    module = ir.Module("tiles")
    element = _Element(module, name)
    _by_case(
        module,
        "tile",
        {
            (rows, vectors, by_row): (_Tile(element, rows, vectors, bool(by_row)).write, 8)
            for rows in range(1, ROWS + 1)
            for vectors in range(1, VECTORS + 1)
            for by_row in (0, 1)
        },
    )
    _by_case(module, "dots", {(rows,): (_Dots(element, rows).write, 9) for rows in range(1, DOT_ROWS + 1)})
    _function(module, "transpose", 5, _Transpose(element).write, public=True)
    return ["tile", "dots", "transpose"], str(module)


def _function(module: ir.Module, name: str, arguments: int, write: Callable[..., None], public: bool = False) -> Any:
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [INTEGER] * arguments), name)
    function.linkage = "" if public else "internal"
    builder = ir.IRBuilder(function.append_basic_block())
    write(builder, *function.args)
    builder.ret_void()
    return function


def _by_case(module: ir.Module, name: str, cases: dict[tuple[int, ...], tuple[Callable[..., None], int]]) -> None:
    """A public function whose leading arguments choose one of several."""
    keys = len(next(iter(cases)))
    rest = next(iter(cases.values()))[1]

    def write(builder: ir.IRBuilder, *arguments: Any) -> None:
        which = _number(0)
        for argument in arguments[:keys]:
            which = builder.add(builder.mul(which, _number(256)), argument)
        done = builder.append_basic_block()
        switch = builder.switch(which, done)
        for case, (body, count) in cases.items():
            function = _function(module, f"{name}_{'_'.join(map(str, case))}", count, body)
            function.attributes.add("noinline")
            switch.add_case(_number(sum(k * 256 ** (keys - 1 - i) for i, k in enumerate(case))), _block(builder))
            builder.call(function, arguments[keys:])
            builder.branch(done)
        builder.position_at_end(done)

    _function(module, name, keys + rest, write, public=True)


def _block(builder: ir.IRBuilder) -> Any:
    """A new block, where writing goes on."""
    block = builder.append_basic_block()
    builder.position_at_end(block)
    return block


def _number(value: int) -> ir.Constant:
    return ir.Constant(INTEGER, value)


def _advance(builder: ir.IRBuilder, address: Any, step: Any, times: int) -> Any:
    return builder.add(address, builder.mul(step, _number(times)))


class _Element:
    """The instructions of one element type."""

    def __init__(self, module: ir.Module, name: str) -> None:
        self.module = module
        self.scalar, self.suffix, self.size = ELEMENTS[name]
        self.lanes = lanes_of(name)
        self.vector = ir.VectorType(self.scalar, self.lanes)
        self.bytes = self.size * self.lanes
        self.zero = ir.Constant(self.vector, None)

    def call(self, builder: ir.IRBuilder, name: str, *arguments: Any, result: ir.Type | None = None) -> Any:
        function_type = ir.FunctionType(result or self.vector, [argument.type for argument in arguments])
        function = self.module.globals.get(name) or ir.Function(self.module, function_type, name)
        return builder.call(function, arguments)

    def load(self, builder: ir.IRBuilder, address: Any, kind: ir.Type | None = None) -> Any:
        return builder.load(builder.inttoptr(address, (kind or self.vector).as_pointer()), align=1)

    def store(self, builder: ir.IRBuilder, value: Any, address: Any) -> None:
        builder.store(value, builder.inttoptr(address, value.type.as_pointer()), align=1)

    def prefetch(self, builder: ir.IRBuilder, address: Any) -> None:
        """Have a cache line fetched that is to be written."""
        pointer = builder.inttoptr(address, ir.IntType(8).as_pointer())
        writing, closest, data = INDEX(1), INDEX(3), INDEX(1)
        self.call(builder, "llvm.prefetch.p0", pointer, writing, closest, data, result=ir.VoidType())

    def spread(self, builder: ir.IRBuilder, value: Any) -> Any:
        """A number in every lane."""
        undefined = ir.Constant(ir.VectorType(value.type, self.lanes), ir.Undefined)
        first = builder.insert_element(undefined, value, ir.Constant(INDEX, 0))
        return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(INDEX, self.lanes), None))

    def multiply_add(self, builder: ir.IRBuilder, a: Any, b: Any, c: Any) -> Any:
        """Fused where the processor can: elsewhere a library would be called for each element."""
        return self.call(builder, f"llvm.fmuladd.v{self.lanes}{self.suffix}", a, b, c)

    def add_products(self, builder: ir.IRBuilder, pairs: Iterable[tuple[Any, Any]], sums: list[Any]) -> list[Any]:
        """The product of each pair added to its sum; what is still to be loaded is loaded where it is needed."""
        return [self.multiply_add(builder, a, b, total) for (a, b), total in zip(pairs, sums)]

    def masked_load(self, builder: ir.IRBuilder, count: Any) -> Callable[[Any], Any]:
        """Loads of the first ``count`` elements, and zeros."""
        order = ir.Constant(ir.VectorType(INDEX, self.lanes), list(range(self.lanes)))
        mask = builder.icmp_signed("<", order, self.spread(builder, builder.trunc(count, INDEX)))
        name = f"llvm.masked.load.v{self.lanes}{self.suffix}.p0"

        def load(address: Any) -> Any:
            pointer = builder.inttoptr(address, self.vector.as_pointer())
            return self.call(builder, name, pointer, ir.Constant(INDEX, 1), mask, self.zero)

        return load

    def put(self, builder: ir.IRBuilder, sums: list[Any], places: list[Any], firsts: list[Any], start: Any) -> None:
        """Add to what is at those places; or, unless ``start`` is 0, add what is at ``firsts`` and put it there."""
        with builder.if_else(builder.icmp_signed("==", start, _number(0))) as (onto_c, onto_start):
            with onto_c:
                for place, total in zip(places, sums):
                    self.store(builder, builder.fadd(self.load(builder, place, total.type), total), place)
            with onto_start:
                kinds = {first: total.type for first, total in zip(firsts, sums)}
                values = {first: self.load(builder, first, kind) for first, kind in kinds.items()}
                for place, total, first in zip(places, sums, firsts):
                    self.store(builder, builder.fadd(values[first], total), place)

    def shuffle(self, builder: ir.IRBuilder, a: Any, b: Any, pattern: list[int]) -> Any:
        return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(INDEX, len(pattern)), pattern))

    def totals(self, builder: ir.IRBuilder, vectors: list[Any]) -> list[Any]:
        """The sum of each vector's elements, in as few vectors as hold them, in order.

        Halves are added to halves, for two vectors in one addition: a third of the instructions.
        """
        group = self.lanes  # so many elements in a row are still to be added up
        while group > 1:
            group //= 2
            pairs = list(zip(vectors[::2], vectors[1::2])) if len(vectors) > 1 else [(vectors[0], vectors[0])]
            length = vectors[0].type.count * len(vectors) // len(pairs)
            firsts = [i for i in range(2 * vectors[0].type.count) if i // group % 2 == 0][: length // 2]
            vectors = [
                builder.fadd(
                    self.shuffle(builder, a, b, firsts), self.shuffle(builder, a, b, [i + group for i in firsts])
                )
                for a, b in pairs
            ]
        return vectors

    def accumulate(
        self,
        builder: ir.IRBuilder,
        turns: Any,
        sums: list[Any],
        advancing: list[tuple[Any, Any]],
        step: Step,
        at_once: int = 1,
    ) -> list[Any]:
        """Vectors that pass through ``step(addresses, sums)`` so many times, while each address advances by its step;
        some times in each turn of a loop, and what is left over in one of single steps."""
        if at_once > 1:
            several = self.in_a_row(builder, step, [by for _, by in advancing], at_once)
            loops = builder.sdiv(turns, _number(at_once))
            sums = self.accumulate(
                builder, loops, sums, [(start, builder.mul(by, _number(at_once))) for start, by in advancing], several
            )
            done = builder.mul(loops, _number(at_once))
            advancing = [(builder.add(start, builder.mul(by, done)), by) for start, by in advancing]
            turns = builder.sub(turns, done)
        before, body, after = _if_positive(builder, turns)
        turn = builder.phi(INTEGER)
        addresses = [builder.phi(INTEGER) for _ in advancing]
        totals = [builder.phi(self.vector) for _ in sums]
        new = step(addresses, totals)
        next_turn = builder.add(turn, _number(1))
        changes = [(turn, _number(0), next_turn)]
        changes += [(phi, start, builder.add(phi, by)) for phi, (start, by) in zip(addresses, advancing)]
        changes += [(phi, start, value) for phi, start, value in zip(totals, sums, new)]
        for phi, start, value in changes:
            phi.add_incoming(start, before)
            phi.add_incoming(value, builder.block)
        builder.cbranch(builder.icmp_signed("<", next_turn, turns), body, after)
        return _meet(builder, after, before, sums, new)

    def in_a_row(self, builder: ir.IRBuilder, step: Step, by: list[Any], times: int) -> Step:
        """A step that is so many of them, at addresses that far apart."""

        def several(addresses: list[Any], sums: list[Any]) -> list[Any]:
            for i in range(times):
                sums = step([_advance(builder, start, far, i) for start, far in zip(addresses, by)], sums)
            return sums

        return several


def _if_positive(builder: ir.IRBuilder, count: Any) -> tuple[Any, Any, Any]:
    """Blocks before, for and after what is done only if a number is positive; writing goes on there."""
    before = builder.block
    body, after = builder.append_basic_block(), builder.append_basic_block()
    builder.cbranch(builder.icmp_signed(">", count, _number(0)), body, after)
    builder.position_at_end(body)
    return before, body, after


def _meet(builder: ir.IRBuilder, after: Any, before: Any, old: list[Any], new: list[Any]) -> list[Any]:
    """Go on after a block that may have been left out: with its new values or, from before it, the old ones."""
    body = builder.block
    builder.position_at_end(after)
    values = []
    for left_out, done in zip(old, new):
        value = builder.phi(done.type)
        value.add_incoming(left_out, before)
        value.add_incoming(done, body)
        values.append(value)
    return values


class _Tile:
    def __init__(self, element: _Element, rows: int, vectors: int, by_row: bool) -> None:
        self.element, self.rows, self.vectors, self.by_row = element, rows, vectors, by_row
        # Strips of more rows than one tile has are of these heights; more to compile would be waited for.
        self.at_once = AT_ONCE if rows >= ROWS - 1 and vectors == VECTORS else 1

    def across(self, builder: ir.IRBuilder, address: Any) -> list[Any]:
        """The addresses of a row's vectors."""
        return [builder.add(address, _number(v * self.element.bytes)) for v in range(self.vectors)]

    def write(self, builder: ir.IRBuilder, *operands: Any) -> None:
        a, a_step, b, b_step, depth, c, c_step, start = operands
        e = self.element
        down, along = (a_step, _number(e.size)) if self.by_row else (_number(e.size), a_step)

        def step(addresses: list[Any], sums: list[Any]) -> list[Any]:
            left, right = addresses
            b_vectors = [e.load(builder, place) for place in self.across(builder, right)]
            places = (_advance(builder, left, down, i) for i in range(self.rows))
            a_vectors = (e.spread(builder, e.load(builder, place, e.scalar)) for place in places)
            return e.add_products(builder, ((a, b) for a in a_vectors for b in b_vectors), sums)

        places = [p for i in range(self.rows) for p in self.across(builder, _advance(builder, c, c_step, i))]
        # C is wanted when all sums are there: what it takes to come from a far cache would then be waited for.
        for place in places:
            e.prefetch(builder, place)
        zeros = [e.zero] * (self.rows * self.vectors)
        sums = e.accumulate(builder, depth, zeros, [(a, along), (b, b_step)], step, self.at_once)
        e.put(builder, sums, places, self.across(builder, start) * self.rows, start)


class _Dots:
    def __init__(self, element: _Element, rows: int) -> None:
        self.element, self.rows = element, rows

    def write(self, builder: ir.IRBuilder, *operands: Any) -> None:
        a, a_step, b, b_step, last, depth, c, c_step, start = operands
        e = self.element
        lefts = [_advance(builder, a, a_step, i) for i in range(self.rows)]
        rights = [_up_to(builder, b, b_step, j, last) for j in range(DOT_COLUMNS)]

        def products(load: Callable[[Any], Any], sums: list[Any]) -> list[Any]:
            a_vectors = [load(address) for address in lefts]
            return e.add_products(builder, ((a, b) for b in map(load, rights) for a in a_vectors), sums)

        def step(offsets: list[Any], sums: list[Any]) -> list[Any]:
            return products(lambda address: e.load(builder, builder.add(address, offsets[0])), sums)

        whole, rest = builder.sdiv(depth, _number(e.lanes)), builder.srem(depth, _number(e.lanes))
        width = _number(e.bytes)
        zeros = [e.zero] * (self.rows * DOT_COLUMNS)
        sums = e.accumulate(builder, whole, zeros, [(_number(0), width)], step)
        before, _, after = _if_positive(builder, rest)
        masked, offset = e.masked_load(builder, rest), builder.mul(whole, width)
        ended = products(lambda address: masked(builder.add(address, offset)), sums)
        builder.branch(after)
        self.put(builder, _meet(builder, after, before, sums, ended), c, c_step, start)

    def put(self, builder: ir.IRBuilder, sums: list[Any], c: Any, c_step: Any, start: Any) -> None:
        """What each vector's elements add up to, in its place in C."""
        e = self.element
        results: list[Any] = []
        offsets: list[tuple[int, int]] = []  # the row of C that each vector of results belongs to, and where in it
        for i in range(self.rows):
            done = 0
            for part in e.totals(builder, sums[i :: self.rows]):
                results.append(part)
                offsets.append((i, done))
                done += part.type.count * e.size
        along = {at: builder.add(start, _number(at)) for _, at in offsets}
        places = [builder.add(_advance(builder, c, c_step, i), _number(at)) for i, at in offsets]
        e.put(builder, results, places, [along[at] for _, at in offsets], start)


def _up_to(builder: ir.IRBuilder, address: Any, step: Any, index: int, last: Any) -> Any:
    """The address of a row, or of the last if there is none of that index: read, but not used."""
    index = builder.select(builder.icmp_signed("<", _number(index), last), _number(index), last)
    return builder.add(address, builder.mul(step, index))


class _Transpose:
    def __init__(self, element: _Element) -> None:
        self.element = element

    def write(self, builder: ir.IRBuilder, source: Any, step: Any, last: Any, target: Any, target_step: Any) -> None:
        e = self.element
        rows = [e.load(builder, _up_to(builder, source, step, i, last)) for i in range(e.lanes)]
        distance = e.lanes // 2
        while distance:
            # Rows that far apart exchange their blocks of that size off the diagonal.
            low = [j if not j & distance else e.lanes + j - distance for j in range(e.lanes)]
            high = [j + distance if not j & distance else e.lanes + j for j in range(e.lanes)]
            for i in (i for i in range(e.lanes) if not i & distance):
                a, b = rows[i], rows[i + distance]
                rows[i], rows[i + distance] = e.shuffle(builder, a, b, low), e.shuffle(builder, a, b, high)
            distance //= 2
        for i, value in enumerate(rows):
            e.store(builder, value, _advance(builder, target, target_step, i))

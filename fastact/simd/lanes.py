"""More words for kernels on vectors: across the lanes of one, and about some lanes only.

What functions along an axis need beyond :mod:`fastact.simd.vectors`: the largest lane, the sum of all lanes,
the first few lanes.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastact.simd.masks import mask_of_first
from fastact.simd.memory import first_elements, format_of
from fastact.simd.registers import register_bytes
from fastact.simd.vectors import Vector, llvm_call, splat

__all__ = [
    "any_lane",
    "compensated_sum_of_lanes",
    "first_lane",
    "first_lanes",
    "float_at",
    "floats_at",
    "folded",
    "larger",
    "largest_lane",
    "narrow",
    "prefetch",
    "put_float",
    "put_floats",
    "spread",
    "sum_and_error",
    "sum_of_lanes",
    "widen",
]


@intrinsic
def spread(typing_context, value, like):
    """A number in every lane of a vector like another."""

    def generate(context, builder, signature, args):
        cast = context.cast(builder, args[0], value, like.element)
        return splat(builder, cast, like.lanes)

    return like(value, like), generate


@intrinsic
def any_lane(typing_context, condition):
    """Whether a truth value holds in any lane."""

    def generate(context, builder, signature, args):
        kind = args[0].type
        return llvm_call(builder, f"llvm.vector.reduce.or.v{kind.count}i1", kind.element, args[0])

    return types.boolean(condition), generate


def larger(builder: ir.IRBuilder, a: Any, b: Any) -> Any:
    """The larger one in every lane, the second if one of them is NaN."""
    return builder.select(builder.fcmp_ordered(">", a, b), a, b)


def _halves_combined(builder: ir.IRBuilder, combine: Any, v: Any, lanes: int) -> Any:
    """Halves combined with each other until so many lanes are left."""
    while v.type.count > lanes:
        half = v.type.count // 2
        parts = []
        for start in (0, half):
            indices = [ir.Constant(ir.IntType(32), start + i) for i in range(half)]
            mask = ir.Constant(ir.VectorType(ir.IntType(32), half), indices)
            parts.append(builder.shuffle_vector(v, ir.Constant(v.type, ir.Undefined), mask))
        v = combine(builder, *parts)
    return v


def _first(builder: ir.IRBuilder, v: Any) -> Any:
    return builder.extract_element(v, ir.Constant(ir.IntType(32), 0))


def _added(builder: ir.IRBuilder, a: Any, b: Any) -> Any:
    return builder.fadd(a, b)


@intrinsic
def first_lane(typing_context, v):
    return v.element(v), lambda context, builder, signature, args: _first(builder, args[0])


@intrinsic
def largest_lane(typing_context, v):
    """The largest lane, where none is NaN. In pairs of halves: LLVM's own reduction goes from lane to lane, which
    takes as long as the exponentials of 200 elements."""

    def generate(context, builder, signature, args):
        return _first(builder, _halves_combined(builder, larger, args[0], 1))

    return v.element(v), generate


@intrinsic
def sum_of_lanes(typing_context, v):
    """All lanes added up in pairs of halves: always in the same order."""

    def generate(context, builder, signature, args):
        return _first(builder, _halves_combined(builder, _added, args[0], 1))

    return v.element(v), generate


def sum_and_error(builder: ir.IRBuilder, a: Any, b: Any) -> tuple[Any, Any]:
    """A sum, and what rounding takes away from it (D. E. Knuth, TAOCP 2, 4.2.2)."""
    total = builder.fadd(a, b)
    part = builder.fsub(total, a)
    return total, builder.fadd(builder.fsub(a, builder.fsub(total, part)), builder.fsub(b, part))


@intrinsic
def compensated_sum_of_lanes(typing_context, v, low):
    """All lanes added up, with those of a second vector, which holds what roundings have lost so far."""

    def generate(context, builder, signature, args):
        lost = [args[1]]

        def combine(builder: ir.IRBuilder, a: Any, b: Any) -> Any:
            total, error = sum_and_error(builder, a, b)
            lost[0] = builder.fadd(_halves_combined(builder, _added, lost[0], error.type.count), error)
            return total

        total = _halves_combined(builder, combine, args[0], 1)
        return _first(builder, builder.fadd(total, lost[0]))

    return v.element(v, low), generate


@intrinsic
def folded(typing_context, v):
    """The registers of a vector added up to one, in pairs of halves."""
    lanes = register_bytes() // (v.element.bitwidth // 8)

    def generate(context, builder, signature, args):
        return _halves_combined(builder, _added, args[0], lanes)

    return Vector(v.element, lanes)(v), generate


@intrinsic
def widen(typing_context, v):
    """The same numbers in float64."""

    def generate(context, builder, signature, args):
        target = ir.VectorType(ir.DoubleType(), v.lanes)
        return args[0] if args[0].type == target else builder.fpext(args[0], target)

    return v.of(types.float64)(v), generate


@intrinsic
def narrow(typing_context, v, like):
    """The same numbers rounded to the type of another vector."""

    def generate(context, builder, signature, args):
        target = args[1].type
        return args[0] if args[0].type == target else builder.fptrunc(args[0], target)

    return like(v, like), generate


@intrinsic
def first_lanes(typing_context, count, like):
    """True in that many lanes, false in those behind."""

    def generate(context, builder, signature, args):
        return mask_of_first(builder, args[0], like.lanes)

    return like.of(types.boolean)(count, like), generate


@intrinsic
def float_at(typing_context, record, slot):
    """A float64 in a record of machine words, and how to put one there."""

    def generate(context, builder, signature, args):
        place = builder.gep(args[0], [args[1]])
        return builder.load(builder.bitcast(place, ir.DoubleType().as_pointer()))

    return types.float64(record, slot), generate


@intrinsic
def put_float(typing_context, record, slot, value):
    def generate(context, builder, signature, args):
        place = builder.gep(args[0], [args[1]])
        builder.store(args[2], builder.bitcast(place, ir.DoubleType().as_pointer()))
        return context.get_dummy_value()

    return types.void(record, slot, types.float64), generate


@intrinsic
def floats_at(typing_context, record, slot, like):
    """As many float64 in a record as another vector has lanes, and how to put them there."""
    vector = like.of(types.float64)

    def generate(context, builder, signature, args):
        place = builder.gep(args[0], [args[1]])
        return builder.load(builder.bitcast(place, context.get_value_type(vector).as_pointer()), align=8)

    return vector(record, slot, like), generate


@intrinsic
def put_floats(typing_context, record, slot, value):
    def generate(context, builder, signature, args):
        place = builder.gep(args[0], [args[1]])
        builder.store(args[2], builder.bitcast(place, args[2].type.as_pointer()), align=8)
        return context.get_dummy_value()

    return types.void(record, slot, value), generate


@intrinsic
def prefetch(typing_context, address):
    """Ask for a cache line that will be read soon."""

    def generate(context, builder, signature, args):
        pointer = builder.inttoptr(args[0], ir.IntType(8).as_pointer())
        word = ir.IntType(32)
        llvm_call(builder, "llvm.prefetch.p0", ir.VoidType(), pointer, *(ir.Constant(word, n) for n in (0, 3, 1)))
        return context.get_dummy_value()

    return types.void(address), generate


for _name in ("float16", "float32", "float64"):
    _words = first_elements(format_of(_name))
    globals()[f"load_first_{_name}"], globals()[f"store_first_{_name}"] = _words["load_first"], _words["store_first"]
    __all__ += [f"load_first_{_name}", f"store_first_{_name}"]

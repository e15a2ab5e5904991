"""Words for kernels on four short rows at a time: each has a quarter of the vector, which is a register."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastact.simd.blocks import kernel
from fastact.simd.lanes import larger, sum_and_error
from fastact.simd.masks import WORD, mask_of_first, masked_load, masked_store
from fastact.simd.memory import Format, format_of
from fastact.simd.vectors import REGISTERS, Vector, joined

__all__ = [
    "QUARTERS",
    "compensated_sum_of_each",
    "first_of_each",
    "folded_each",
    "largest_of_each",
    "one_of_each",
    "repeat_each",
    "sum_of_each",
]

#: Every register of a vector is a quarter of it.
QUARTERS = REGISTERS

# -- what is known of each ------------------------------------------------------------------------


@intrinsic
def first_of_each(typing_context, count, like):
    """True in that many lanes of every quarter, false in those behind."""

    def generate(context, builder, signature, args):
        return mask_of_first(builder, args[0], like.lanes, like.lanes // QUARTERS)

    return like.of(types.boolean)(count, like), generate


def _halves_of_each(builder: ir.IRBuilder, v: Any) -> list[Any]:
    """The lower and the upper half of every quarter."""
    lanes, quarter = v.type.count, v.type.count // QUARTERS
    word, parts = ir.IntType(32), []
    for part in (0, 1):
        indices = [word(i) for i in range(lanes) if i % quarter * 2 // quarter == part]
        mask = ir.Constant(ir.VectorType(word, lanes // 2), indices)
        parts.append(builder.shuffle_vector(v, ir.Constant(v.type, ir.Undefined), mask))
    return parts


def _of_each(combine: Any, halvings: int = 99) -> Any:
    """An intrinsic: halves of every quarter combined, so often or until there is one lane for each."""

    @intrinsic
    def across(typing_context, v):
        lanes = max(QUARTERS, v.lanes >> halvings)

        def generate(context, builder, signature, args):
            (result,) = args
            while result.type.count > lanes:
                result = combine(builder, *_halves_of_each(builder, result))
            return result

        return Vector(v.element, lanes)(v), generate

    return across


largest_of_each = _of_each(larger)
sum_of_each = _of_each(lambda builder, a, b: builder.fadd(a, b))
folded_each = _of_each(lambda builder, a, b: builder.fadd(a, b), 1)


@intrinsic
def compensated_sum_of_each(typing_context, v, low):
    """Every quarter added up, with those of a second vector, which holds what roundings have lost so far."""

    def generate(context, builder, signature, args):
        total, lost = args
        while total.type.count > QUARTERS:
            total, error = sum_and_error(builder, *_halves_of_each(builder, total))
            lost = builder.fadd(builder.fadd(*_halves_of_each(builder, lost)), error)
        return builder.fadd(total, lost)

    return Vector(v.element, QUARTERS)(v, low), generate


@intrinsic
def one_of_each(typing_context, v):
    """The first lane of every quarter."""

    def generate(context, builder, signature, args):
        word, quarter = ir.IntType(32), v.lanes // QUARTERS
        mask = ir.Constant(ir.VectorType(word, QUARTERS), [word(quarter * i) for i in range(QUARTERS)])
        return builder.shuffle_vector(args[0], ir.Constant(args[0].type, ir.Undefined), mask)

    return Vector(v.element, QUARTERS)(v), generate


@intrinsic
def repeat_each(typing_context, v, like):
    """Four numbers, one for each quarter of a vector like another."""

    def generate(context, builder, signature, args):
        value, word, quarter = args[0], ir.IntType(32), like.lanes // QUARTERS
        element = args[1].type.element
        if value.type.element != element:
            value = builder.fptrunc(value, ir.VectorType(element, QUARTERS))
        mask = ir.Constant(ir.VectorType(word, like.lanes), [word(i // quarter) for i in range(like.lanes)])
        return builder.shuffle_vector(value, ir.Constant(value.type, ir.Undefined), mask)

    return like(v, like), generate


# -- four rows in memory --------------------------------------------------------------------------


def _pointers(builder: ir.IRBuilder, kind: ir.Type, address: Any, stride: Any, last: Any) -> Any:
    """Where four rows begin. ``last`` is the last row there is: beyond, it is taken again."""
    for i in range(QUARTERS):
        number = ir.Constant(ir.IntType(64), i)
        row = builder.select(builder.icmp_signed("<", number, last), number, last)
        yield builder.inttoptr(builder.add(address, builder.mul(row, stride)), kind.as_pointer())


def _quarters(builder: ir.IRBuilder, value: Any) -> Any:
    quarter = value.type.count // QUARTERS
    for i in range(QUARTERS):
        indices = ir.Constant(ir.VectorType(WORD, quarter), [WORD(i * quarter + j) for j in range(quarter)])
        yield builder.shuffle_vector(value, ir.Constant(value.type, ir.Undefined), indices)


def _load_bundle(form: Format) -> Any:
    """A quarter of a vector from each of four rows, which have ``count`` elements left."""
    quarter = form.lanes // QUARTERS
    kind = ir.VectorType(form.element, quarter)

    @intrinsic
    def load_whole(typing_context, address, stride, last):
        def generate(context, builder, signature, args):
            parts = [builder.load(pointer, align=1) for pointer in _pointers(builder, kind, *args)]
            return form.widened(context, builder, joined(builder, parts))

        return form.vector(address, stride, last), generate

    @intrinsic
    def load_first(typing_context, address, stride, last, count):
        def generate(context, builder, signature, args):
            mask = mask_of_first(builder, args[3], quarter)
            parts = [masked_load(builder, pointer, mask) for pointer in _pointers(builder, kind, *args[:3])]
            return form.widened(context, builder, joined(builder, parts))

        return form.vector(address, stride, last, count), generate

    @kernel
    def load(address, stride, last, count):
        if count >= quarter:
            return load_whole(address, stride, last)
        return load_first(address, stride, last, count)

    return load


def _store_bundle(form: Format) -> Any:
    quarter = form.lanes // QUARTERS
    kind = ir.VectorType(form.element, quarter)

    def places(builder: ir.IRBuilder, value: Any, *rows: Any) -> Any:
        """The quarters of a vector, and where each goes."""
        return zip(_quarters(builder, form.narrowed(builder, value)), _pointers(builder, kind, *rows))

    @intrinsic
    def store_whole(typing_context, value, address, stride, last):
        def generate(context, builder, signature, args):
            for part, pointer in places(builder, *args):
                builder.store(part, pointer, align=1)
            return context.get_dummy_value()

        return types.void(value, address, stride, last), generate

    @intrinsic
    def store_first(typing_context, value, address, stride, last, count):
        def generate(context, builder, signature, args):
            mask = mask_of_first(builder, args[4], quarter)
            for part, pointer in places(builder, *args[:4]):
                masked_store(builder, part, pointer, mask)
            return context.get_dummy_value()

        return types.void(value, address, stride, last, count), generate

    @kernel
    def store(value, address, stride, last, count):
        """What a masked store wrote cannot be read again before it is in the cache: they are for the end of rows."""
        if count >= quarter:
            store_whole(value, address, stride, last)
        else:
            store_first(value, address, stride, last, count)

    return store


for _name in ("float16", "float32", "float64"):
    globals()[f"load_bundle_{_name}"] = _load_bundle(format_of(_name))
    globals()[f"store_bundle_{_name}"] = _store_bundle(format_of(_name))
    __all__ += [f"load_bundle_{_name}", f"store_bundle_{_name}"]

"""Operations on bare addresses that Numba has no word for."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["call", "memory", "prefetch", "scratch"]


@intrinsic
def call(typing_context, function, *arguments):
    """Call the function at an address."""

    def generate(context, builder, signature, args):
        values = cgutils.unpack_tuple(builder, args[1])
        function_type = ir.FunctionType(ir.VoidType(), [value.type for value in values])
        builder.call(builder.inttoptr(args[0], function_type.as_pointer()), values)
        return context.get_dummy_value()

    return types.void(function, types.StarArgTuple.from_types(arguments)), generate


@intrinsic(prefer_literal=True)
def scratch(typing_context, size):
    """The address of so many bytes of the function's own stack, on a cache line."""

    def generate(context, builder, signature, args):
        with builder.goto_entry_block():
            place = builder.alloca(ir.ArrayType(ir.IntType(8), size.literal_value))
            place.align = 64
        return builder.ptrtoint(place, ir.IntType(64))

    return types.intp(size), generate


@intrinsic
def prefetch(typing_context, address):
    """Have a cache line fetched while other work is done."""

    def generate(context, builder, signature, args):
        pointer, number = builder.inttoptr(args[0], ir.IntType(8).as_pointer()), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, number, number, number])
        function = builder.module.globals.get("llvm.prefetch.p0") or ir.Function(
            builder.module, kind, "llvm.prefetch.p0"
        )
        builder.call(function, [pointer, number(0), number(2), number(1)])
        return context.get_dummy_value()

    return types.void(types.intp), generate


def memory(element: ir.Type, kind: Any, lanes: int) -> tuple[Any, Any, Any]:
    """Moving an element, or a vector of them, wherever it lies."""

    def at(builder: ir.IRBuilder, address: Any, what: ir.Type) -> Any:
        return builder.inttoptr(address, what.as_pointer())

    @intrinsic
    def get(typing_context, address):
        def generate(context, builder, signature, args):
            return builder.load(at(builder, args[0], element), align=1)

        return kind(types.intp), generate

    @intrinsic
    def put(typing_context, value, address):
        def generate(context, builder, signature, args):
            builder.store(args[0], at(builder, args[1], element), align=1)
            return context.get_dummy_value()

        return types.void(kind, types.intp), generate

    @intrinsic
    def copy_vector(typing_context, source, target):
        def generate(context, builder, signature, args):
            source, target = (at(builder, place, ir.VectorType(element, lanes)) for place in args)
            builder.store(builder.load(source, align=1), target, align=1)
            return context.get_dummy_value()

        return types.void(types.intp, types.intp), generate

    return get, put, copy_vector

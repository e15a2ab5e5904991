"""Vectors in memory: the types that elements have there, and the instructions that load and store them.

A *room* is memory for one vector on the stack, where elements that do not stand side by side are put together.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fastact.simd.conversions import from_kernel, to_kernel
from fastact.simd.layout import CACHE_LINE
from fastact.simd.masks import mask_of_first, masked_load, masked_store
from fastact.simd.vectors import LANES, Vector, splat

__all__ = ["STORAGES", "Format", "first_elements", "format_of", "rooms", "strided_elements", "whole_vectors"]

# the name of a type in memory: its LLVM type, and the type that kernels compute in
STORAGES: dict[str, tuple[ir.Type, Any]] = {
    "bfloat16": (ir.IntType(16), types.float32),
    "float16": (ir.HalfType(), types.float32),
    "float32": (ir.FloatType(), types.float32),
    "float64": (ir.DoubleType(), types.float64),
    "int64": (ir.IntType(64), types.float64),
    "uint64": (ir.IntType(64), types.float64),
}

INTEGER = ir.IntType(64)


class Format:
    """Elements of a type in memory, and the vector of them to compute in."""

    def __init__(self, storage: str, computed: Any, lanes: int) -> None:
        self.storage, self.lanes, self.vector = storage, lanes, Vector(computed, lanes)
        self.element, _ = STORAGES[storage]
        self.stored = ir.VectorType(self.element, lanes)
        self.size = 2 if storage == "bfloat16" else np.dtype(storage).itemsize  # which NumPy does not know by itself

    def widened(self, context: Any, builder: ir.IRBuilder, loaded: Any) -> Any:
        return to_kernel(builder, loaded, self.storage, context.get_value_type(self.vector))

    def narrowed(self, builder: ir.IRBuilder, value: Any) -> Any:
        return from_kernel(builder, value, self.storage, self.stored)


def format_of(storage: str) -> Format:
    """The usual one: a whole vector, of the type that kernels compute in."""
    _, computed = STORAGES[storage]
    return Format(storage, computed, LANES[str(computed)])


def _pointer(builder: ir.IRBuilder, address: Any, kind: ir.Type) -> Any:
    return builder.inttoptr(address, kind.as_pointer())


def whole_vectors(form: Format) -> dict[str, Any]:
    """As many elements as there are lanes, side by side."""

    @intrinsic
    def load_whole(typing_context, address):
        def generate(context, builder, signature, args):
            loaded = builder.load(_pointer(builder, args[0], form.stored), align=1)
            return form.widened(context, builder, loaded)

        return form.vector(address), generate

    @intrinsic
    def store_whole(typing_context, value, address):
        def generate(context, builder, signature, args):
            stored = form.narrowed(builder, args[0])
            builder.store(stored, _pointer(builder, args[1], stored.type), align=1)
            return context.get_dummy_value()

        return types.void(value, address), generate

    @intrinsic
    def stream_whole(typing_context, value, address):
        """Past the caches, to where a cache line begins."""

        def generate(context, builder, signature, args):
            stored = form.narrowed(builder, args[0])
            store = builder.store(stored, _pointer(builder, args[1], stored.type), align=CACHE_LINE)
            store.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)]))
            return context.get_dummy_value()

        return types.void(value, address), generate

    return {"load_whole": load_whole, "store_whole": store_whole, "stream_whole": stream_whole}


def rooms(form: Format) -> dict[str, Any]:
    """A room, and one element repeated in all of it."""

    @intrinsic
    def room(typing_context):
        def generate(context, builder, signature, args):
            with builder.goto_entry_block():
                place = builder.alloca(form.stored)
                place.align = 64
            return builder.ptrtoint(place, INTEGER)

        return types.intp(), generate

    @intrinsic
    def repeat(typing_context, room, address):
        def generate(context, builder, signature, args):
            value = builder.load(_pointer(builder, args[1], form.element), align=1)
            place = _pointer(builder, args[0], form.stored)
            builder.store(splat(builder, value, form.lanes), place, align=64)
            return context.get_dummy_value()

        return types.void(room, address), generate

    return {"room": room, "repeat": repeat}


def first_elements(form: Format) -> dict[str, Any]:
    """Only the first ``count`` elements, side by side; no memory is touched for the others."""

    def load(builder: ir.IRBuilder, address: Any, count: Any) -> Any:
        return masked_load(builder, _pointer(builder, address, form.stored), mask_of_first(builder, count, form.lanes))

    @intrinsic
    def load_first(typing_context, address, count):
        def generate(context, builder, signature, args):
            return form.widened(context, builder, load(builder, *args))

        return form.vector(address, count), generate

    @intrinsic
    def take_first(typing_context, room, address, count):
        def generate(context, builder, signature, args):
            builder.store(load(builder, *args[1:]), _pointer(builder, args[0], form.stored), align=64)
            return context.get_dummy_value()

        return types.void(room, address, count), generate

    @intrinsic
    def store_first(typing_context, value, address, count):
        def generate(context, builder, signature, args):
            stored = form.narrowed(builder, args[0])
            place, mask = _pointer(builder, args[1], stored.type), mask_of_first(builder, args[2], form.lanes)
            masked_store(builder, stored, place, mask)
            return context.get_dummy_value()

        return types.void(value, address, count), generate

    return {"load_first": load_first, "take_first": take_first, "store_first": store_first}


def strided_elements(form: Format) -> dict[str, Any]:
    """The first ``count`` elements at any distance from each other, between an operand and a room."""

    @intrinsic
    def gather(typing_context, room, address, stride, count):
        def generate(context, builder, signature, args):
            behind = ir.Constant(form.stored, None)  # zero in lanes beyond count
            builder.store(behind, _pointer(builder, args[0], form.stored), align=64)
            builder.call(_move_each(builder.module, "gather", form.size), args)
            return context.get_dummy_value()

        return types.void(room, address, stride, count), generate

    @intrinsic
    def scatter(typing_context, room, address, stride, count):
        def generate(context, builder, signature, args):
            builder.call(_move_each(builder.module, "scatter", form.size), args)
            return context.get_dummy_value()

        return types.void(room, address, stride, count), generate

    return {"gather": gather, "scatter": scatter}


def _move_each(module: ir.Module, direction: str, size: int) -> Any:
    """The function that moves element by element: by a room's address, an operand's address and stride, and a count.
    Of its own, so that it does not crowd the registers of the loop that matters."""
    symbol = f"fastact.{direction}_{size}"
    if symbol in module.globals:
        return module.globals[symbol]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [INTEGER] * 4), symbol)
    function.linkage = "linkonce_odr"
    function.attributes.add("noinline")
    builder, raw = ir.IRBuilder(function.append_basic_block()), ir.IntType(8 * size)
    room, address, stride, count = function.args
    with cgutils.for_range(builder, count) as loop:
        here = builder.gep(_pointer(builder, room, raw), [loop.index])
        there = _pointer(builder, builder.add(address, builder.mul(loop.index, stride)), raw)
        source, target = (there, here) if direction == "gather" else (here, there)
        builder.store(builder.load(source, align=1), target, align=1)
    builder.ret_void()
    return function

"""Between memory and vectors: how the operands of a ufunc's loop reach a kernel and how results leave it.

A loop takes its operands a vector (:data:`fastact.simd.vectors.LANES` elements) at a time. Elements that
stand side by side are loaded as they are, a scalar is spread over all lanes, and whatever else there is
(a stride, the last few elements of a range) is gathered into a buffer first, by a function of its
own so that it does not crowd the registers of the loop that matters. All of a vector is read before
any of it is written, so a call in place needs no care.

Emitted code (see :mod:`fastact.kernels.emit`) does ``from fastact.simd.blocks import *``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.imputils import lower_constant
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.extending import intrinsic, lower_getattr_generic, models, register_model, typeof_impl

from fastact.simd import layout, vectors
from fastact.simd.addresses import prefetch
from fastact.simd.conversions import from_kernel, to_kernel
from fastact.simd.layout import CACHE_LINE, Loop, Traffic
from fastact.simd.masks import mask_of_first, masked_load, masked_store
from fastact.simd.registers import host_features
from fastact.simd.vectors import *  # noqa: F403
from fastact.simd.vectors import LANES, REGISTERS, Vector, splat

__all__ = [*vectors.__all__, "kernel"]

#: Nothing but compiled code calls these functions: what Numba makes for other callers would be compiled for nothing.
_WITHOUT_WRAPPERS: Any = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}

#: Bytes: a page. Twice as much and half of it do as well.
AHEAD = 4096

#: How a kernel is compiled: inlined into its loop, and dividing as IEEE 754 does.
kernel = njit(forceinline=True, error_model="numpy", **_WITHOUT_WRAPPERS)

#: The same for the parts of drivers and tasks.
inline = kernel

Address = types.CPointer(types.intp)
LOOP_SIGNATURE = types.void(Address, Address, Address, Address)

# the name of a type in memory: its LLVM type, and the type that kernels compute in
STORAGES: dict[str, tuple[ir.Type, Any]] = {
    "bfloat16": (ir.IntType(16), types.float32),
    "float16": (ir.HalfType(), types.float32),
    "float32": (ir.FloatType(), types.float32),
    "float64": (ir.DoubleType(), types.float64),
    "int64": (ir.IntType(64), types.float64),
    "uint64": (ir.IntType(64), types.float64),
}

# -- slots of records -----------------------------------------------------------------------------


class Slots(types.Type):
    """A table of fastact.simd.layout. To Numba it would be a tuple that is built, number by number, each time it is
    read from: a fifth of the time it took to compile a matrix product."""

    def __init__(self, table: Any) -> None:
        self.table = table
        super().__init__(type(table).__name__)


register_model(Slots)(models.OpaqueModel)


@infer_getattr
class _SlotTemplate(AttributeTemplate):
    key = Slots

    def generic_resolve(self, slots: Slots, name: str) -> Any:  # type: ignore[override]
        return types.intp


@lower_getattr_generic(Slots)
def _slot_number(context: Any, builder: ir.IRBuilder, slots: Slots, value: Any, name: str) -> Any:
    return context.get_constant(types.intp, getattr(slots.table, name))


@lower_constant(Slots)
def _slots(context: Any, builder: ir.IRBuilder, slots: Slots, table: Any) -> Any:
    return context.get_dummy_value()


for _table in vars(layout).values():
    if isinstance(_table, tuple):
        typeof_impl.register(type(_table))(lambda table, _: Slots(table))

# -- memory ---------------------------------------------------------------------------------------


def _movers(name: str, element: Any, lanes: int) -> dict[str, Any]:
    """What brings elements of one type in memory to vectors of one to compute in, with so many lanes, and back.

    ``source`` says where a vector can be loaded from: the operand itself, or the room given for it on the stack.
    Only addresses come out of those branches: vectors would be spilled, and loaded again, on each of them.
    """
    memory, _ = STORAGES[name]
    vector = Vector(element, lanes)
    size = 2 if name == "bfloat16" else np.dtype(name).itemsize  # a type that NumPy does not know by itself
    integer = ir.IntType(64)
    masked = ("+avx" if size > 2 else "+avx512bw") in host_features()  # elsewhere LLVM would make a branch per lane

    def at(builder: ir.IRBuilder, address: Any, kind: ir.Type) -> Any:
        return builder.inttoptr(address, kind.as_pointer())

    @intrinsic
    def load_whole(typing_context, address):
        def generate(context, builder, signature, args):
            value = builder.load(at(builder, args[0], ir.VectorType(memory, lanes)), align=1)
            return to_kernel(builder, value, name, context.get_value_type(vector))

        return vector(address), generate

    @intrinsic
    def store_whole(typing_context, value, address):
        def generate(context, builder, signature, args):
            stored = from_kernel(builder, args[0], name, ir.VectorType(memory, lanes))
            builder.store(stored, at(builder, args[1], stored.type), align=1)
            return context.get_dummy_value()

        return types.void(value, address), generate

    @intrinsic
    def stream_whole(typing_context, value, address):
        """Past the caches, to where a cache line begins."""

        def generate(context, builder, signature, args):
            stored = from_kernel(builder, args[0], name, ir.VectorType(memory, lanes))
            store = builder.store(stored, at(builder, args[1], stored.type), align=CACHE_LINE)
            store.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)]))
            return context.get_dummy_value()

        return types.void(value, address), generate

    @intrinsic
    def room(typing_context):
        def generate(context, builder, signature, args):
            with builder.goto_entry_block():
                place = builder.alloca(ir.VectorType(memory, lanes))
                place.align = 64
            return builder.ptrtoint(place, integer)

        return types.intp(), generate

    @intrinsic
    def repeat(typing_context, room, address):
        def generate(context, builder, signature, args):
            value = builder.load(at(builder, args[1], memory), align=1)
            builder.store(splat(builder, value, lanes), at(builder, args[0], ir.VectorType(memory, lanes)), align=64)
            return context.get_dummy_value()

        return types.void(room, address), generate

    @intrinsic
    def take_first(typing_context, room, address, count):
        def generate(context, builder, signature, args):
            kind = ir.VectorType(memory, lanes)
            value = masked_load(builder, at(builder, args[1], kind), mask_of_first(builder, args[2], lanes))
            builder.store(value, at(builder, args[0], kind), align=64)
            return context.get_dummy_value()

        return types.void(room, address, count), generate

    @intrinsic
    def store_first(typing_context, value, address, count):
        def generate(context, builder, signature, args):
            stored = from_kernel(builder, args[0], name, ir.VectorType(memory, lanes))
            masked_store(builder, stored, at(builder, args[1], stored.type), mask_of_first(builder, args[2], lanes))
            return context.get_dummy_value()

        return types.void(value, address, count), generate

    def move_each(builder: ir.IRBuilder, direction: str, *arguments: Any) -> None:
        """Call ``gather`` or ``scatter``: element by element, between a room and an operand's address and stride."""
        symbol = f"fastact.{direction}_{size}"
        raw = ir.IntType(8 * size)
        function = builder.module.globals.get(symbol)
        if function is None:
            function = ir.Function(builder.module, ir.FunctionType(ir.VoidType(), [integer] * 4), symbol)
            function.linkage = "linkonce_odr"
            function.attributes.add("noinline")
            inner = ir.IRBuilder(function.append_basic_block())
            with cgutils.for_range(inner, function.args[3]) as loop:
                here = inner.gep(at(inner, function.args[0], raw), [loop.index])
                there = at(inner, inner.add(function.args[1], inner.mul(loop.index, function.args[2])), raw)
                source, target = (there, here) if direction == "gather" else (here, there)
                inner.store(inner.load(source, align=1), target, align=1)
            inner.ret_void()
        builder.call(function, arguments)

    @intrinsic
    def gather(typing_context, room, address, stride, count):
        def generate(context, builder, signature, args):
            kind = ir.VectorType(memory, lanes)
            builder.store(ir.Constant(kind, None), at(builder, args[0], kind), align=64)  # lanes beyond count
            move_each(builder, "gather", *args)
            return context.get_dummy_value()

        return types.void(room, address, stride, count), generate

    @intrinsic
    def scatter(typing_context, room, address, stride, count):
        def generate(context, builder, signature, args):
            move_each(builder, "scatter", *args)
            return context.get_dummy_value()

        return types.void(room, address, stride, count), generate

    @kernel
    def source(room, address, stride, start, count):
        if stride == size and count == lanes:
            return address + start * size
        if stride == 0:
            repeat(room, address)
        elif stride == size and masked:
            take_first(room, address + start * size, count)
        else:
            gather(room, address + start * stride, stride, count)
        return room

    @kernel
    def load(address, stride, start, count):
        return load_whole(source(room(), address, stride, start, count))

    @kernel
    def store(value, address, stride, start, count):
        if stride == size and count == lanes:
            store_whole(value, address + start * size)
        elif stride == size and masked:
            store_first(value, address + start * size, count)
        else:
            place = room()
            store_whole(value, place)
            scatter(place, address + start * stride, stride, count)

    @kernel
    def store_or_stream(value, address, stride, start, count, traffic):
        place = address + start * size
        if traffic == Traffic.STREAMS and stride == size and count == lanes and place % CACHE_LINE == 0:
            stream_whole(value, place)
        else:
            store(value, address, stride, start, count)

    @kernel
    def fetch_ahead(address, stride, start, traffic):
        if traffic != Traffic.CACHED and stride == size:
            place = address + start * size + AHEAD
            for line in range(0, lanes * size, CACHE_LINE):
                prefetch(place + line)

    @kernel
    def first_count(address, traffic):
        """Elements in the first step of a loop: if it streams, so few that the next begin where a cache line does."""
        lead = -address % CACHE_LINE // size
        return lead if traffic == Traffic.STREAMS and lead > 0 else lanes

    return {
        "room": room,
        "source": source,
        "load_whole": load_whole,
        "load": load,
        "store_whole": store_whole,
        "store": store,
        "stream_whole": stream_whole,
        "store_or_stream": store_or_stream,
        "first_count": first_count,
        "fetch_ahead": fetch_ahead,
    }


@kernel
def traffic_of(data):
    return data[Loop.TRAFFIC]


__all__.append("traffic_of")

#: Elements in a register.
SHORT = {name: lanes // REGISTERS for name, lanes in LANES.items()}


def _offer(suffix: str, storage: str, element: Any, lanes: dict[str, int]) -> None:
    for name, function in _movers(storage, element, lanes[str(element)]).items():
        globals()[f"{name}_{suffix}"] = function
        __all__.append(f"{name}_{suffix}")


for _name, (_, _element) in STORAGES.items():
    _offer(_name, _name, _element, LANES)
    _offer(f"short_{_name}", _name, _element, SHORT)
for _name in ("float16", "float32"):  # for loops that sum: they compute in float64
    _offer(f"wide_{_name}", _name, types.float64, LANES)
lanes_float32, lanes_float64 = LANES["float32"], LANES["float64"]
short_float32, short_float64 = SHORT["float32"], SHORT["float64"]
__all__ += ["lanes_float32", "lanes_float64", "short_float32", "short_float64"]


@kernel
def first(value, count):
    """The first elements of a vector; zero behind them."""
    return value if count == lanes_float64 else cleared(value, count)  # noqa: F405


@kernel
def accumulate(total, lost, term):
    """A sum and, beside it, the sum of what rounding took from it (D. E. Knuth, TAOCP 2, 4.2.2)."""
    larger = total + term
    part = larger - total
    return larger, lost + ((total - (larger - part)) + (term - part))


__all__ += ["accumulate", "first"]

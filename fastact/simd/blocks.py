"""Between memory and vectors: how the operands of a ufunc's loop reach a kernel and how results leave it.

A loop takes its operands a vector (:data:`fastact.simd.vectors.LANES` elements) at a time. Elements that
stand side by side are loaded as they are, a scalar is spread over all lanes, and whatever else there is
(a stride, the last few elements of a range) is gathered into a room on the stack first (see
:mod:`fastact.simd.memory`). All of a vector is read before any of it is written, so a call in place needs no care.

Emitted code (see :mod:`fastact.kernels.emit`) does ``from fastact.simd.blocks import *``.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from numba import njit, types

from fastact.simd import far, slots, vectors  # noqa: F401  kernels read what slots makes known to Numba
from fastact.simd.addresses import prefetch
from fastact.simd.far import *  # noqa: F403
from fastact.simd.layout import CACHE_LINE, Loop, Traffic
from fastact.simd.memory import STORAGES, Format, first_elements, rooms, strided_elements, whole_vectors
from fastact.simd.registers import host_features
from fastact.simd.vectors import *  # noqa: F403
from fastact.simd.vectors import LANES, REGISTERS

__all__ = [*far.__all__, *vectors.__all__, "kernel"]

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

# -- memory ---------------------------------------------------------------------------------------


def _movers(form: Format) -> dict[str, Any]:
    """What brings elements of a ufunc's operands to vectors, and back."""
    words = whole_vectors(form) | rooms(form) | first_elements(form) | strided_elements(form)
    instructions = SimpleNamespace(**words)
    # Elsewhere LLVM would make a branch per lane.
    masked = ("+avx" if form.size > 2 else "+avx512bw") in host_features()
    movers = _loads(form, instructions, masked) | _stores(form, instructions, masked) | _traffic(form)
    return movers | {name: words[name] for name in ("room", "load_whole", "store_whole", "stream_whole")}


def _loads(form: Format, instructions: SimpleNamespace, masked: bool) -> dict[str, Any]:
    """``source`` says where a vector can be loaded from: the operand itself, or the room given for it on the stack.

    Only addresses come out of its branches: vectors would be spilled, and loaded again, on each of them.
    """
    size, lanes = form.size, form.lanes
    load_whole, room, repeat = instructions.load_whole, instructions.room, instructions.repeat
    take_first, gather = instructions.take_first, instructions.gather

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

    return {"source": source, "load": load}


def _stores(form: Format, instructions: SimpleNamespace, masked: bool) -> dict[str, Any]:
    size, lanes, room = form.size, form.lanes, instructions.room
    store_whole, stream_whole = instructions.store_whole, instructions.stream_whole
    store_first, scatter = instructions.store_first, instructions.scatter

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

    return {"store": store, "store_or_stream": store_or_stream}


def _traffic(form: Format) -> dict[str, Any]:
    """What is done for operands that come from memory, or go there past the caches."""
    size, lanes = form.size, form.lanes

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

    return {"fetch_ahead": fetch_ahead, "first_count": first_count}


@kernel
def traffic_of(data):
    return data[Loop.TRAFFIC]


__all__.append("traffic_of")

#: Elements in a register.
SHORT = {name: lanes // REGISTERS for name, lanes in LANES.items()}


def _offer(suffix: str, storage: str, element: Any, lanes: dict[str, int]) -> None:
    for name, function in _movers(Format(storage, element, lanes[str(element)])).items():
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

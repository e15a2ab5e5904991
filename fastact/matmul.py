"""Matrix products from Python: how they are cut up for this machine's caches, and which library computes them."""

from __future__ import annotations

import ctypes
import os
import struct
import threading
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastact import threads
from fastact.layout import Gemm

__all__ = ["blocking", "compiled", "multiply", "new_record", "workspace_bytes"]


class Blocking(NamedTuple):
    """Sizes in elements."""

    depth: int  # rows of a block of B, and columns of a strip of A, which stays in the first-level cache
    columns: int  # columns of the block of B, which stays in the second-level cache
    pack_depth: int  # rows of B packed at a time: so many blocks as stay in the third-level cache
    dot_rows: int  # up to so many rows are computed as dot products
    direct_rows: int  # and up to so many with B as it lies


@cache
def cache_bytes(level: int) -> int:
    """The size of a core's data cache of that level; something usual where the system does not tell."""
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            told, kind, size = ((folder / name).read_text().strip() for name in ("level", "type", "size"))
        except OSError:
            continue
        if told == str(level) and kind in ("Data", "Unified") and size.removesuffix("K").isdecimal():
            return int(size.removesuffix("K")) << 10
    return {1: 32 << 10, 2: 512 << 10, 3: 8 << 20}[level]


@cache
def blocking(itemsize: int) -> Blocking:
    """How products of that element size are cut up; the fractions were measured on an AVX-512 machine with
    caches of 48 KB, 1 MB and 32 MB, where float32 gets blocks of 256 x 1024 and 1024 rows packed at a time."""
    depth = max(64, cache_bytes(1) * 5 // 16 // (14 * itemsize) // 64 * 64)
    columns = max(128, cache_bytes(2) // (depth * itemsize) // 128 * 128)
    pack_depth = max(1, min(cache_bytes(3) // 8, 8 << 20) // (columns * itemsize) // depth) * depth
    return Blocking(depth, columns, pack_depth, dot_rows=33, direct_rows=32)


def workspace_bytes(m: int, n: int, k: int, itemsize: int) -> int:
    """How much memory a product of that size packs into."""
    plan = blocking(itemsize)
    columns = min(plan.columns, (n + 127) // 128 * 128)
    return itemsize * columns * (1 + min(plan.pack_depth, k))


@cache
def compiled(name: str) -> dict[str, int]:
    """Addresses of the compiled functions for ``"float32"`` or ``"float64"``."""
    from fastact import compiler

    def tiles() -> tuple[list[str], str]:
        from fastact.tiles import tiles_module

        return tiles_module(name)

    def products() -> dict[str, tuple[Any, Any]]:
        from fastact import gemm

        return gemm.entry_points(name)

    text = {module: (Path(__file__).parent / f"{module}.py").read_text() + name for module in ("tiles", "gemm")}
    addresses = compiler.load(text["tiles"], tiles, compiler.assemble_object)
    plan = blocking(np.dtype(name).itemsize)
    return addresses | compiler.load(f"{text['tiles']}{text['gemm']}{plan}", products)


def new_record(name: str) -> np.ndarray:
    """A record for a product of that element type, to be filled in."""
    record = np.zeros(Gemm.SIZE, np.int64)
    addresses = compiled(name)
    for function in ("pack", "multiply", "dot", "tile", "dots", "transpose"):
        record[getattr(Gemm, function.upper())] = addresses[function]
    record[Gemm.POOL] = threads.pool().ctypes.data
    return record


# -- products of arrays ---------------------------------------------------------------------------

_Multiply = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_filled_in = struct.Struct(f"{Gemm.POOL}q")
_local = threading.local()


def address(array: np.ndarray) -> int:
    """Where an array's elements are: the first field of its C structure. ``array.ctypes.data`` takes a microsecond."""
    return ctypes.c_void_p.from_address(id(array) + object.__basicsize__).value or 0


class _Products:
    """One thread's record and workspace for one element type: nothing is allocated for a product."""

    def __init__(self, name: str) -> None:
        self.itemsize = np.dtype(name).itemsize
        self.record = new_record(name)
        self.words: Any = self.record
        self.place = address(self.record)
        self.function = _Multiply(compiled(name)[f"multiply_{name}"])
        self.shape_of_b = 0, 0
        self.reserve(1 << 16)

    def reserve(self, size: int) -> None:
        self.memory = np.empty(size + 64, np.uint8)
        self.size, self.start = size, address(self.memory) + -address(self.memory) % 64

    def run(self, m: int, n: int, k: int, *values: int) -> None:
        if (n, k) != self.shape_of_b:
            self.shape_of_b = n, k
            needed = workspace_bytes(m, n, k, self.itemsize)
            if needed > self.size:
                self.reserve(needed)
        _filled_in.pack_into(self.words, 0, *values, self.start)
        self.function(self.place)


def _products(dtype: np.dtype) -> _Products:
    """This thread's own."""
    made: dict[str, _Products] = _local.__dict__
    if dtype.char not in made:  # the name of a dtype takes a microsecond
        made[dtype.char] = _Products(dtype.name)
    return made[dtype.char]


def multiply(
    a: np.ndarray,
    b: np.ndarray,
    c: np.ndarray,
    bias: np.ndarray | None = None,
    accumulate: bool = False,
    loop: tuple[int, int] = (0, 0),
    out: np.ndarray | None = None,
) -> None:
    """``c = a @ b + bias`` or ``c += a @ b`` in compiled code, and a ufunc's loop applied to c, in place or into out.

    All of one dtype, float32 or float64; the rows of ``c`` and ``out`` contiguous, and ``bias``. Nothing is checked.
    """
    (m, k), n = a.shape, b.shape[1]
    _products(c.dtype).run(
        m, n, k,
        address(a), *a.strides, address(b), *b.strides, address(c), c.strides[0], m, n, k, accumulate,
        0 if bias is None else address(bias), *loop,
        *((0, 0) if out is None else (address(out), out.strides[0])),
    )  # fmt: skip


@cache
def choice() -> tuple[str, str]:
    """Which library multiplies, ``"jit"`` (compiled here) or ``"blas"`` (NumPy's), and why.

    ``FASTACT_MATMUL`` chooses: ``jit``, ``blas`` or, by default, ``auto``. Measured on a Zen 5 (4096 x 784 x 512,
    float32): 380-405 GFLOPS here, 210-400 in OpenBLAS, by the kernels it chooses; with both held to AVX2, 150 and 195.
    """
    wish = os.environ.get("FASTACT_MATMUL", "auto").strip().lower() or "auto"
    if wish not in ("auto", "jit", "blas"):
        raise ValueError(f"FASTACT_MATMUL must be one of auto, jit, blas, not {wish!r}")
    if wish != "auto":
        return wish, f"FASTACT_MATMUL={wish}"
    from fastact.registers import register_bytes

    if register_bytes() < 64:
        return "blas", "below 512 bits OpenBLAS is faster: 1.3 times, measured with AVX2"
    return "jit", "with 512 bits at least as fast as OpenBLAS, activation included"

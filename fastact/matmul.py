"""Matrix products from Python: how they are cut up for this machine's caches, and which library computes them."""

from __future__ import annotations

import ctypes
import os
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastact import threads
from fastact.layout import Gemm

__all__ = ["BLOCK_BYTES", "blocking", "compiled", "new_record", "packed_bytes", "workspace_bytes"]

#: Bytes of a block of intermediate results that stays in the third-level cache, in the backward pass and where another
#: library multiplies: large beside the weights, which are packed once for each.
BLOCK_BYTES = 4 << 20


class Blocking(NamedTuple):
    """Sizes in elements."""

    depth: int  # rows of a block of B, and columns of a strip of A, which stays in the first-level cache
    columns: int  # columns of the block of B, which stays in the second-level cache
    pack_depth: int  # rows of B packed at a time: so many blocks as stay in the third-level cache
    dot_rows: int  # up to so many rows are computed as dot products
    direct_rows: int  # and up to so many with B as it lies, however large it is
    few_rows: int  # and up to so many, if B takes no more than
    direct_bytes: int  # so many bytes


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
    # Not to pack B brought 2 to 12 % with 64 to 1024 rows of A, and cost 3 % where B came from memory.
    direct_bytes = cache_bytes(3) // 4
    return Blocking(depth, columns, pack_depth, dot_rows=33, direct_rows=32, few_rows=1024, direct_bytes=direct_bytes)


def packed_bytes(n: int, k: int, columns: int, pack_depth: int, itemsize: int) -> int:
    """How much memory a product with a matrix of k rows and n columns packs into."""
    return itemsize * min(columns, (n + 127) // 128 * 128) * (1 + min(pack_depth, k))


def workspace_bytes(n: int, k: int, itemsize: int) -> int:
    """The same, cut up as here."""
    plan = blocking(itemsize)
    return packed_bytes(n, k, plan.columns, plan.pack_depth, itemsize)


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


def address(array: np.ndarray) -> int:
    """Where an array's elements are: the first field of its C structure. ``array.ctypes.data`` takes a microsecond."""
    return ctypes.c_void_p.from_address(id(array) + object.__basicsize__).value or 0


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

"""Matrix products from Python: how they are cut up for this machine's caches, and which library computes them."""

from __future__ import annotations

import ctypes
import threading
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastact import threads
from fastact.layout import Gemm

__all__ = ["Blocking", "blocking", "compiled", "new_record", "workspace_bytes"]


class Blocking(NamedTuple):
    """Sizes in elements."""

    block_depth: int  # rows of a block of B, and columns of a strip of A, which stays in the first-level cache
    block_columns: int  # the block of B stays in the second-level cache
    pack_depth: (
        int  # what is packed at a time: so many blocks on top of each other as the third-level cache has room for
    )
    pack_columns: int
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
    depth = cache_bytes(1) * 7 // 16 // (14 * itemsize) // 64 * 64
    columns = max(128, cache_bytes(2) * 3 // 4 // (depth * itemsize) // 128 * 128)
    pack_depth = max(1, min(cache_bytes(3) // 2, 16 << 20) // (columns * itemsize) // depth) * depth
    return Blocking(depth, columns, pack_depth, columns, 24, 32)


def workspace_bytes(m: int, n: int, k: int, itemsize: int) -> int:
    """How much memory a product of that size packs into."""
    plan = blocking(itemsize)
    columns = min(plan.pack_columns, n)
    return itemsize * (plan.block_columns + (columns + 127) // 128 * 128 * min(plan.pack_depth, k))


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


_Multiply = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


@cache
def _function(name: str) -> Any:
    return _Multiply(compiled(name)[f"multiply_{name}"])


_local = threading.local()


def workspace(size: int) -> int:
    """The address of so much memory of this thread's own, on a cache line."""
    memory = getattr(_local, "memory", None)
    if memory is None or memory.size < size + 64:
        _local.memory = memory = np.empty(size + 64, np.uint8)
    address: int = memory.ctypes.data
    return address + -address % 64


def run(record: np.ndarray, name: str) -> None:
    """Compute a product whose record is filled in, but for the workspace."""
    m, n, k = (int(size) for size in record[[Gemm.M, Gemm.N, Gemm.K]])
    record[Gemm.WORKSPACE] = workspace(workspace_bytes(m, n, k, np.dtype(name).itemsize))
    _function(name)(record.ctypes.data)

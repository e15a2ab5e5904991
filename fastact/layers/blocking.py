"""How matrix products are cut up for this machine's caches."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

from fastact.simd.registers import register_bytes

__all__ = ["Blocking", "blocking", "packed_bytes", "workspace_bytes"]


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
    """How products of that element size are cut up; the fractions were measured on AVX-512 machines with first-level
    caches of 48 and 32 KB and others of 1 MB and 32 MB, where float32 gets blocks of 256 x 1024 and 1024 rows packed at
    a time. With 32 KB, blocks half as deep took 1.01 to 1.04 times as long, deeper ones as long."""
    depth = min(256, max(64, cache_bytes(1) * 7 // 16 // (14 * itemsize) // 64 * 64))
    columns = max(128, cache_bytes(2) // (depth * itemsize) // 128 * 128)
    pack_depth = max(1, min(cache_bytes(3) // 8, 8 << 20) // (columns * itemsize) // depth) * depth
    # Not to pack B brought 2 to 12 % with 64 to 1024 rows of A, and cost 3 % where B came from memory. Where tiles are
    # as wide as one line of the caches and not two, it brought up to 20 % with 128 rows and cost 3 to 10 % with 512.
    few_rows, direct_bytes = 1024 if register_bytes() >= 64 else 256, cache_bytes(3) // 4
    return Blocking(
        depth, columns, pack_depth, dot_rows=33, direct_rows=32, few_rows=few_rows, direct_bytes=direct_bytes
    )


def packed_bytes(n: int, k: int, columns: int, pack_depth: int, itemsize: int) -> int:
    """How much memory a product with a matrix of k rows and n columns packs into."""
    return itemsize * min(columns, (n + 127) // 128 * 128) * (1 + min(pack_depth, k))


def workspace_bytes(n: int, k: int, itemsize: int) -> int:
    """The same, cut up as here."""
    plan = blocking(itemsize)
    return packed_bytes(n, k, plan.columns, plan.pack_depth, itemsize)

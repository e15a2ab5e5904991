"""How kernels are computed on which processors: one table, a row for each set of instructions worth kernels of its own.

A rule of :mod:`fastact.kernels` asks :func:`variant` what it may use, and never for an instruction set by name: a
further set is a further row here, with whatever is new in it beside the columns that are there.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from typing import NamedTuple

from fastact.simd.registers import host_features

__all__ = ["VARIANTS", "Variant", "variant"]


class Variant(NamedTuple):
    """What is decided for a processor; by the bits of an element where that makes a difference."""

    name: str
    needs: frozenset[str]  # features, as LLVM names them
    registers: int  # side by side in a vector: with two AVX-512 idles, with eight it runs out of them
    exp_table: Mapping[int, int]  # powers of a root of 2 that exp looks up in a register; 1: no table
    scales: bool  # an instruction for ldexp; without one, tables span two octaves
    reciprocal_bits: Mapping[int, int]  # right in what an instruction estimates 1 / x by; 0: divide
    tanh: Mapping[int, str]  # a name in fastact.kernels.hyperbolic.TANH


#: Best first; the last one needs nothing.
VARIANTS = (
    Variant(
        name="AVX-512",
        needs=frozenset({"+avx512f"}),
        registers=4,
        exp_table={32: 16, 64: 16},
        scales=True,
        reciprocal_bits={32: 14, 64: 14},
        tanh={32: "pieces", 64: "sum"},
    ),
    Variant(
        name="AVX2",
        needs=frozenset({"+avx2", "+fma"}),
        registers=4,
        exp_table={32: 8, 64: 1},
        scales=False,
        reciprocal_bits={32: 0, 64: 0},
        tanh={32: "sum", 64: "sum"},
    ),
    Variant(
        name="any",
        needs=frozenset(),
        registers=4,
        exp_table={32: 1, 64: 1},
        scales=False,
        reciprocal_bits={32: 0, 64: 0},
        tanh={32: "sum", 64: "sum"},
    ),
)


@cache
def variant() -> Variant:
    """The first that this host can run; the last, if nothing can be compiled."""
    features = host_features() if find_spec("llvmlite") else set()
    return next(row for row in VARIANTS if row.needs <= features)

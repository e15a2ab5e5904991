"""``a * b + c``, rounded once, on hosts that have no instruction for it.

LLVM would call the C library there, for one lane after the other: right, and thirty times slower.
"""

from __future__ import annotations

import platform
from typing import Any

from llvmlite import ir

from fastact.simd.registers import host_features

__all__ = ["emulated", "has_fused"]


def has_fused() -> bool:
    """Of the common processors, only some x86 have no such instruction."""
    x86 = platform.machine().lower() in ("x86_64", "amd64", "i386", "i686")
    return not x86 or not host_features().isdisjoint({"+fma", "+avx512f"})


def emulated(builder: ir.IRBuilder, a: Any, b: Any, c: Any) -> Any:
    """Of vectors or numbers, without that instruction."""
    element = a.type.element if isinstance(a.type, ir.VectorType) else a.type
    return _in_double(builder, a, b, c) if element == ir.FloatType() else _in_two_parts(builder, a, b, c)


def _of(element: ir.Type, like: ir.Type) -> ir.Type:
    """A vector of as many elements, or one."""
    return ir.VectorType(element, like.count) if isinstance(like, ir.VectorType) else element


def _in_double(builder: ir.IRBuilder, a: Any, b: Any, c: Any) -> Any:
    """The product is exact in float64; the sum is rounded there first, to 29 bits more than in the end."""
    wide = _of(ir.DoubleType(), a.type)
    a_wide, b_wide, c_wide = (builder.fpext(number, wide) for number in (a, b, c))
    return builder.fptrunc(builder.fadd(builder.fmul(a_wide, b_wide), c_wide), a.type)


def _in_two_parts(builder: ir.IRBuilder, a: Any, b: Any, c: Any) -> Any:
    """T. J. Dekker's product and D. E. Knuth's sum with their errors (Numerische Mathematik 18, 1971; TAOCP 2)."""
    add, subtract, times = builder.fadd, builder.fsub, builder.fmul
    whole = _of(ir.IntType(64), a.type)
    mask = ir.Constant(whole, [-(1 << 27)] * a.type.count if isinstance(whole, ir.VectorType) else -(1 << 27))

    def halves(x: Any) -> tuple[Any, Any]:
        high = builder.bitcast(builder.and_(builder.bitcast(x, whole), mask), x.type)
        return high, subtract(x, high)

    (a_high, a_low), (b_high, b_low) = halves(a), halves(b)
    product = times(a, b)
    error = add(add(subtract(times(a_high, b_high), product), times(a_high, b_low)), times(a_low, b_high))
    error = add(error, times(a_low, b_low))
    total = add(product, c)
    part = subtract(total, product)
    lost = add(subtract(product, subtract(total, part)), subtract(c, part))
    error = add(error, lost)
    # infinities have no error
    return builder.select(builder.fcmp_ordered("ord", error, error), add(total, error), total)

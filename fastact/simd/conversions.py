"""Between the formats that numbers have in memory and those that kernels compute in."""

from __future__ import annotations

import platform
from functools import cache
from typing import Any

from llvmlite import ir

from fastact.simd.registers import host_features

__all__ = ["from_kernel", "to_kernel"]


def to_kernel(builder: ir.IRBuilder, value: Any, name: str, target: ir.Type) -> Any:
    """A number, or a vector of them, as it was loaded from memory."""
    if name in ("int64", "uint64"):
        return (builder.sitofp if name == "int64" else builder.uitofp)(value, target)
    if name == "float16":
        value = _half_to_float(builder, value, target)
    if name == "bfloat16":
        value = _upper_half_to_float(builder, value, target)
    return value if value.type == target else builder.fpext(value, target)


def from_kernel(builder: ir.IRBuilder, value: Any, name: str, target: ir.Type) -> Any:
    """The same as it is to be stored."""
    if name == "bfloat16":
        return _float_to_upper_half(builder, value, target)
    if value.type != target and name == "float16":
        single = _of_size(ir.FloatType(), target)
        return _float_to_half(builder, value if value.type == single else builder.fptrunc(value, single), target)
    return value if value.type == target else builder.fptrunc(value, target)


def _of_size(kind: ir.Type, like: ir.Type) -> ir.Type:
    """The type itself, or a vector of it, as ``like`` is."""
    return ir.VectorType(kind, like.count) if isinstance(like, ir.VectorType) else kind


# -- float16 --------------------------------------------------------------------------------------


@cache
def _converts_half() -> bool:
    """Whether the host has instructions for float16. Without them LLVM calls functions that nobody provides: on x86-64
    before 2012, and where it is emulated."""
    return platform.machine() not in ("x86_64", "AMD64") or "+f16c" in host_features()


def _half_to_float(builder: ir.IRBuilder, value: Any, target: ir.Type) -> Any:
    """Shifted into place, a half is a float32 of 2**-112 times its value, subnormals included; the largest exponent is
    that of infinities and NaNs."""
    single = _of_size(ir.FloatType(), target)
    if _converts_half():
        return _kept_wide(builder, builder.fpext(value, single))
    whole = _of_size(ir.IntType(32), target)
    bits = builder.zext(builder.bitcast(value, _of_size(ir.IntType(16), target)), whole)
    magnitude = builder.shl(builder.and_(bits, _every(whole, 0x7FFF)), _every(whole, 13))
    finite = builder.fmul(builder.bitcast(magnitude, single), _every(single, 2.0**112))
    special = builder.icmp_unsigned(">=", magnitude, _every(whole, 0x7C00 << 13))
    unsigned = builder.select(
        special, builder.or_(magnitude, _every(whole, 0x7F800000)), builder.bitcast(finite, whole)
    )
    sign = builder.shl(builder.and_(bits, _every(whole, 0x8000)), _every(whole, 16))
    return builder.bitcast(builder.or_(unsigned, sign), single)


def _kept_wide(builder: ir.IRBuilder, value: Any) -> Any:
    """A float32 that LLVM is not to know for a widened half. It would move selects in front of the conversion, into
    halves, for which AVX-512 has masks of another width, and convert twice: elu takes 0.27 ns then instead of 0.21."""
    kind = value.type
    suffix = f"v{kind.count}f32" if isinstance(kind, ir.VectorType) else "f32"
    name = f"llvm.arithmetic.fence.{suffix}"
    function = builder.module.globals.get(name) or ir.Function(builder.module, ir.FunctionType(kind, [kind]), name)
    return builder.call(function, [value])


def _float_to_half(builder: ir.IRBuilder, value: Any, target: ir.Type) -> Any:
    """Rounded to nearest, ties to even: of a normal number as in :func:`_float_to_upper_half`, of a subnormal one by
    adding 0.5, whose last bit is a half's smallest number."""
    if _converts_half():
        return builder.fptrunc(value, target)
    single, whole = value.type, _of_size(ir.IntType(32), target)
    bits = builder.bitcast(value, whole)
    magnitude = builder.and_(bits, _every(whole, 0x7FFFFFFF))
    odd = builder.and_(builder.lshr(magnitude, _every(whole, 13)), _every(whole, 1))
    rebased = builder.sub(magnitude, _every(whole, (112 << 23) - 0xFFF))
    normal = builder.lshr(builder.add(rebased, odd), _every(whole, 13))
    half_more = builder.fadd(builder.bitcast(magnitude, single), _every(single, 0.5))
    subnormal = builder.sub(builder.bitcast(half_more, whole), _every(whole, 126 << 23))
    is_nan = builder.fcmp_unordered("uno", value, value)
    overflow = builder.select(is_nan, _every(whole, 0x7E00), _every(whole, 0x7C00))
    unsigned = builder.select(builder.icmp_unsigned("<", magnitude, _every(whole, 113 << 23)), subnormal, normal)
    unsigned = builder.select(builder.icmp_unsigned(">=", magnitude, _every(whole, 143 << 23)), overflow, unsigned)
    sign = builder.and_(builder.lshr(bits, _every(whole, 16)), _every(whole, 0x8000))
    return builder.bitcast(builder.trunc(builder.or_(unsigned, sign), _of_size(ir.IntType(16), target)), target)


# -- bfloat16 -------------------------------------------------------------------------------------


def _upper_half_to_float(builder: ir.IRBuilder, value: Any, target: ir.Type) -> Any:
    """A bfloat16 is the upper half of a float32."""
    whole = _of_size(ir.IntType(32), target)
    bits = builder.shl(builder.zext(value, whole), _every(whole, 16))
    return builder.bitcast(bits, _of_size(ir.FloatType(), target))


def _float_to_upper_half(builder: ir.IRBuilder, value: Any, target: ir.Type) -> Any:
    """Rounded to nearest, ties to even: by adding a little less than half of what is cut off, or exactly half to what
    is odd. NaN is kept from becoming infinite."""
    whole = _of_size(ir.IntType(32), target)
    bits = builder.bitcast(value, whole)
    odd = builder.and_(builder.lshr(bits, _every(whole, 16)), _every(whole, 1))
    rounded = builder.lshr(builder.add(builder.add(bits, _every(whole, 0x7FFF)), odd), _every(whole, 16))
    is_nan = builder.fcmp_unordered("uno", value, value)
    return builder.trunc(builder.select(is_nan, _every(whole, 0x7FC0), rounded), target)


def _every(kind: ir.Type, number: float) -> Any:
    """A constant, in every lane of a vector."""
    if isinstance(kind, ir.VectorType):
        return ir.Constant(kind, [ir.Constant(kind.element, number)] * kind.count)
    return ir.Constant(kind, number)

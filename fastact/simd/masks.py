"""Vectors of which only some lanes count, and memory that holds only so many elements."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from fastact.simd.vectors import llvm_call, splat, suffix

__all__ = ["WORD", "mask_of_first", "masked_load", "masked_store"]

WORD = ir.IntType(32)


def mask_of_first(builder: ir.IRBuilder, count: Any, lanes: int, of: int = 1 << 30) -> Any:
    """Which lanes are among the first ``count``, or among the first of every so many."""
    numbers = ir.Constant(ir.VectorType(WORD, lanes), [ir.Constant(WORD, i % of) for i in range(lanes)])
    return builder.icmp_signed("<", numbers, splat(builder, builder.trunc(count, WORD), lanes))


def masked_load(builder: ir.IRBuilder, pointer: Any, mask: Any) -> Any:
    """The vector at a pointer, zero in lanes that the mask leaves out: no memory is touched for them."""
    kind = pointer.type.pointee
    align, rest = ir.Constant(WORD, 1), ir.Constant(kind, None)
    return llvm_call(builder, f"llvm.masked.load.{suffix(kind)}.p0", kind, pointer, align, mask, rest)


def masked_store(builder: ir.IRBuilder, value: Any, pointer: Any, mask: Any) -> None:
    """Write those lanes of a vector."""
    name, align = f"llvm.masked.store.{suffix(value.type)}.p0", ir.Constant(WORD, 1)
    llvm_call(builder, name, ir.VoidType(), value, pointer, align, mask)

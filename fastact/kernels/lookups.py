"""Tables of numbers that fill a register or two, looked up in by one instruction of AVX-512's or AVX2's."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.extending import intrinsic

from fastact.formulas import coefficients
from fastact.simd.vectors import SAME_SIZE, joined_as, llvm_call, registers

__all__: list[str] = []


def _lookup(table: dict[str, Any]) -> Any:
    @intrinsic
    def function(typing_context, index):
        """The table's entry for the last three, four or five bits of each integer."""
        element = SAME_SIZE[index.element]

        def generate(context, builder, signature, args):
            return _permuted(builder, table[str(element)], args[0], context.get_value_type(element))

        return index.of(element)(index), generate

    return function


def _permuted(builder: ir.IRBuilder, numbers: Any, index: Any, element: ir.Type) -> Any:
    """Numbers that fill one register, or two."""
    results = []
    for (part,) in registers(builder, index):
        kind = ir.VectorType(element, part.type.count)
        halves = [ir.Constant(kind, list(numbers[i : i + kind.count])) for i in range(0, len(numbers), kind.count)]
        if kind.count == 8 and len(numbers) == 8 and element == ir.FloatType():
            results.append(llvm_call(builder, "llvm.x86.avx2.permps", kind, *halves, part))
        elif len(halves) == 1:
            results.append(llvm_call(builder, "llvm.x86.avx512.permvar.sf.512", kind, *halves, part))
        else:
            name = f"llvm.x86.avx512.vpermi2var.p{'s' if kind.count == 16 else 'd'}.512"
            results.append(llvm_call(builder, name, kind, halves[0], part, halves[1]))
    return joined_as(builder, results, index)


for _table in coefficients.LOOKUPS:
    globals()[f"lookup_{_table}"] = _lookup(getattr(coefficients, _table))
    __all__.append(f"lookup_{_table}")

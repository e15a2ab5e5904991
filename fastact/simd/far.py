"""The C library's functions in the rare lanes where a kernel's own does not reach."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.extending import intrinsic

from fastact.simd.vectors import as_vectors, llvm_call, suffix

__all__ = ["far_cos", "far_sin", "far_tan"]


def _far(name: str) -> Any:
    """The C library's function of a, in lanes that a condition says; elsewhere what is ``near``. Looked at together:
    mostly no lane asks for it."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        a, near, condition = as_vectors(builder, args, signature.args)
        some = llvm_call(builder, f"llvm.vector.reduce.or.v{condition.type.count}i1", ir.IntType(1), condition)
        before, far, after = builder.block, builder.append_basic_block(), builder.append_basic_block()
        builder.cbranch(some, far, after).set_weights([1, 1000])
        builder.position_at_end(far)
        there = builder.select(condition, builder.call(_apart(builder.module, name, a.type), [a]), near)
        builder.branch(after)
        builder.position_at_end(after)
        result = builder.phi(near.type)
        result.add_incoming(near, before)
        result.add_incoming(there, far)
        return result

    def function(typing_context, a, near, condition):
        return near(a, near, condition), generate

    return intrinsic(function)


def _apart(module: ir.Module, name: str, kind: ir.Type) -> Any:
    """LLVM's function of a vector, which calls the C library's for each element, as a function of its own."""
    symbol = f"fastact.{name}_{suffix(kind)}"
    function = module.globals.get(symbol)
    if function is None:
        function = ir.Function(module, ir.FunctionType(kind, [kind]), symbol)
        function.linkage = "linkonce_odr"
        function.attributes.add("noinline")
        builder = ir.IRBuilder(function.append_basic_block())
        builder.ret(llvm_call(builder, f"llvm.{name}.{suffix(kind)}", kind, *function.args))
    return function


far_cos, far_sin, far_tan = map(_far, ("cos", "sin", "tan"))

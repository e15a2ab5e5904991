"""The language that emitted kernels are written in: Numba, with a SIMD vector as its number.

Numba compiles kernels on scalars and hopes that LLVM will vectorise the loop around them. Here the
values in a kernel *are* vectors: LLVM's ``<64 x float>``, four registers of the host side by side,
with Python's operators and a dozen functions defined on them. That buys, by construction:

* SIMD always, and four independent chains of instructions next to each other, which is what an
  out-of-order core needs to hide the latency of a polynomial (gelu: 0.53 to 0.35 ns per element);
* the same bits for the same x: every element of every array goes through these instructions,
  wherever it stands (see :mod:`fastact.simd.blocks` for how it gets there).

A plain float32 or float64 constant beside a vector means that number in every lane.
This module imports Numba; nothing imports it until something has to be compiled.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import typing as numba_typing
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.extending import intrinsic, models, register_model

from fastact.simd.fused import emulated, has_fused
from fastact.simd.registers import register_bytes
from fastact.simd.variants import variant

__all__ = ["LANES", "Vector", "bits", "float32", "float64", "int32", "int64", "logical_not", "select", "to_float"]

float32, float64, int32, int64 = np.float32, np.float64, np.int32, np.int64  # constants in emitted code


#: In a vector.
REGISTERS = variant().registers

#: Elements in a vector.
LANES = {"float32": REGISTERS * register_bytes() // 4, "float64": REGISTERS * register_bytes() // 8}


class Vector(types.Type):
    """``lanes`` numbers or truth values, computed on as one."""

    def __init__(self, element: types.Type, lanes: int) -> None:
        self.element, self.lanes = element, lanes
        super().__init__(f"vector({element} x {lanes})")

    def of(self, element: types.Type) -> Vector:
        """The vector of as many elements of another type."""
        return Vector(element, self.lanes)


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Vector) -> None:
        element = manager.lookup(kind.element).get_value_type()
        super().__init__(manager, kind, ir.VectorType(element, kind.lanes))


def splat(builder: ir.IRBuilder, value: Any, lanes: int) -> Any:
    """A scalar in every lane."""
    one = ir.VectorType(value.type, lanes)
    first = builder.insert_element(ir.Constant(one, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    indices = ir.Constant(ir.VectorType(ir.IntType(32), lanes), None)
    return builder.shuffle_vector(first, ir.Constant(one, ir.Undefined), indices)


def _widest(operands: Any) -> Vector | None:
    return next((o for o in operands if isinstance(o, Vector)), None)


def as_vectors(builder: ir.IRBuilder, values: Any, kinds: Any) -> list[Any]:
    widest = _widest(kinds)
    if widest is None:
        return list(values)
    return [v if isinstance(k, Vector) else splat(builder, v, widest.lanes) for v, k in zip(values, kinds)]


# -- operators ----------------------------------------------------------------------------------


def _operator(function: Any, generate: Any, element: Any = None) -> None:
    """Define a Python operator on vectors, and on a vector and a number."""

    class Template(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            widest = _widest(args)
            if widest is None:
                return None
            result = Vector(element, widest.lanes) if element else widest
            return numba_typing.signature(result, *args)

    infer_global(function)(Template)

    def lower(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        return generate(builder, *as_vectors(builder, args, signature.args))

    for kinds in ((Vector, Vector), (Vector, types.Any), (types.Any, Vector)):
        lower_builtin(function, *kinds)(lower)


def _comparison(symbol: str) -> Any:
    # Ordered comparisons are false on NaN; != must be true there.
    compare = "fcmp_unordered" if symbol == "!=" else "fcmp_ordered"
    return lambda builder, a, b: getattr(builder, compare)(symbol, a, b)


for _function, _name in (
    (operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul"), (operator.truediv, "fdiv"),
    (operator.and_, "and_"), (operator.or_, "or_"),
):  # fmt: skip
    _operator(_function, lambda builder, a, b, name=_name: getattr(builder, name)(a, b))
for _function, _name in (
    (operator.lt, "<"), (operator.le, "<="), (operator.gt, ">"), (operator.ge, ">="), (operator.eq, "=="),
    (operator.ne, "!="),
):  # fmt: skip
    _operator(_function, _comparison(_name), types.boolean)


@infer_global(operator.neg)
class _Negative(AbstractTemplate):
    def generic(self, args: Any, kws: Any) -> Any:
        return numba_typing.signature(args[0], args[0]) if isinstance(args[0], Vector) else None


@lower_builtin(operator.neg, Vector)
def _negative(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
    return builder.fneg(args[0])


# -- functions ----------------------------------------------------------------------------------


def llvm_call(builder: ir.IRBuilder, name: str, result: ir.Type, *arguments: Any) -> Any:
    """Call a function of LLVM's or the C library's."""
    function_type = ir.FunctionType(result, [argument.type for argument in arguments])
    function = builder.module.globals.get(name) or ir.Function(builder.module, function_type, name)
    return builder.call(function, arguments)


def suffix(kind: ir.Type) -> str:
    """``v64f32``: how LLVM names a type in an overloaded intrinsic."""
    if isinstance(kind, ir.VectorType):
        return f"v{kind.count}{suffix(kind.element)}"
    return {"float": "f32", "double": "f64", "half": "f16", "i16": "i16", "i32": "i32", "i64": "i64"}[str(kind)]


def _elementwise(name: str, operands: int) -> Any:
    """LLVM's intrinsic of that name on one to three vectors."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        vectors = as_vectors(builder, args, signature.args)
        return llvm_call(builder, f"llvm.{name}.{suffix(vectors[0].type)}", vectors[0].type, *vectors)

    def one(typing_context, a):
        return a(a), generate

    def two(typing_context, a, b):
        return (_widest((a, b)) or a)(a, b), generate

    def three(typing_context, a, b, c):
        return (_widest((a, b, c)) or a)(a, b, c), generate

    return intrinsic((one, two, three)[operands - 1])


FUNCTIONS = {"copysign": 2, "sqrt": 1, "floor": 1, "ceil": 1, "rint": 1, "trunc": 1}
for _name, _operands in FUNCTIONS.items():
    globals()[_name] = _elementwise(_name, _operands)
absolute = _elementwise("fabs", 1)
__all__ += [*FUNCTIONS, "absolute", "fma"]


@intrinsic
def fma(typing_context, a, b, c):
    """``a * b + c``, rounded once."""

    def generate(context, builder, signature, args):
        vectors = as_vectors(builder, args, signature.args)
        if not has_fused():
            return emulated(builder, *vectors)
        return llvm_call(builder, f"llvm.fma.{suffix(vectors[0].type)}", vectors[0].type, *vectors)

    return (_widest((a, b, c)) or a)(a, b, c), generate


@intrinsic
def select(typing_context, condition, a, b):
    """``a`` where the condition holds, ``b`` elsewhere; both have been computed."""

    def generate(context, builder, signature, args):
        return builder.select(*as_vectors(builder, args, signature.args))

    element = a.element if isinstance(a, Vector) else b.element if isinstance(b, Vector) else a
    return condition.of(element)(condition, a, b), generate


@intrinsic
def logical_not(typing_context, condition):
    return condition(condition), lambda context, builder, signature, args: builder.not_(args[0])


SAME_SIZE = {types.float32: types.int32, types.float64: types.int64}
SAME_SIZE |= {integer: real for real, integer in SAME_SIZE.items()}


@intrinsic
def bits(typing_context, a):
    """The bits of floats as integers of their size, or the other way round."""
    result = a.of(SAME_SIZE[a.element])
    return result(a), lambda context, builder, signature, args: builder.bitcast(args[0], context.get_value_type(result))


@intrinsic
def to_float(typing_context, a):
    """The values of integers as floats of their size."""
    result = a.of(SAME_SIZE[a.element])
    return result(a), lambda context, builder, signature, args: builder.sitofp(args[0], context.get_value_type(result))


def _integer_operation(name: str) -> Any:
    @intrinsic
    def operation(typing_context, a, b):
        def generate(context, builder, signature, args):
            return getattr(builder, name)(*as_vectors(builder, args, signature.args))

        return (_widest((a, b)) or a)(a, b), generate

    return operation


integer_add, integer_sub, shift_left, shift_right = (_integer_operation(name) for name in ("add", "sub", "shl", "ashr"))
__all__ += ["about_reciprocal", "integer_add", "integer_sub", "ldexp", "shift_left", "shift_right"]


@intrinsic
def ldexp(typing_context, a, k):
    """``a * 2**k`` for whole numbers k held in floats, rounded once even where the result is subnormal.

    AVX-512 has an instruction for it (vscalef). Elsewhere the power is applied in two halves: each
    is a normal number, so only the second multiplication rounds. Powers below what that can do give zero.
    """
    size = k.element.bitwidth

    def generate(context, builder, signature, args):
        value, power = as_vectors(builder, args, signature.args)
        if variant().scales:
            return _register_by_register(builder, "mask.scalef", value, power)
        whole = ir.VectorType(ir.IntType(size), k.lanes)
        lowest = splat(builder, ir.Constant(value.type.element, -250.0 if size == 32 else -2040.0), k.lanes)
        power = builder.select(builder.fcmp_ordered("<", power, lowest), lowest, power)
        digits, bias = (23, 127) if size == 32 else (52, 1023)
        digits_of, biased_zero, one = (
            splat(builder, ir.Constant(whole.element, n), k.lanes) for n in (digits, bias << digits, 1)
        )
        # Added to this, a whole number stands in the last bits of the sum: AVX2 has no conversion to 64-bit integers.
        # k is NaN only where a is, and NaN times whatever is made of it is NaN.
        shift = splat(builder, ir.Constant(value.type.element, 1.5 * 2.0**digits), k.lanes)
        power = builder.bitcast(builder.fadd(power, shift), whole)
        half = builder.lshr(power, one)
        for part in (half, builder.sub(power, half)):
            scale = builder.add(builder.shl(part, digits_of), biased_zero)
            value = builder.fmul(value, builder.bitcast(scale, value.type))
        return value

    return k(a, k), generate


@intrinsic
def about_reciprocal(typing_context, a):
    """``1 / a`` to 14 bits, on AVX-512 only."""

    def generate(context, builder, signature, args):
        return _register_by_register(builder, "rcp14", args[0])

    return a(a), generate


# -- AVX-512's own instructions -------------------------------------------------------------------


def registers(builder: ir.IRBuilder, *operands: Any) -> list[list[Any]]:
    """Vectors cut into registers, or repeated to fill one: the first of each operand, the second of each..."""
    kind = operands[0].type
    lanes = register_bytes() // (8 if str(kind.element) in ("double", "i64") else 4)
    places = [[(start + i) % kind.count for i in range(lanes)] for start in range(0, kind.count, lanes)]
    return [[_shuffled(builder, o, o, some) for o in operands] for some in places]


def joined(builder: ir.IRBuilder, parts: list[Any]) -> Any:
    """Vectors side by side in one; a power of two of them."""
    while len(parts) > 1:
        parts = [_shuffled(builder, a, b, range(2 * a.type.count)) for a, b in zip(parts[::2], parts[1::2])]
    return parts[0]


def joined_as(builder: ir.IRBuilder, parts: list[Any], like: Any) -> Any:
    """Registers put together, and the repetition cut off again."""
    whole = joined(builder, parts)
    return whole if whole.type.count == like.type.count else _shuffled(builder, whole, whole, range(like.type.count))


def _register_by_register(builder: ir.IRBuilder, name: str, *operands: Any) -> Any:
    """An arithmetic instruction that LLVM knows on one register only, unmasked."""
    results = []
    for part in registers(builder, *operands):
        kind = part[0].type
        more = [ir.Constant(kind, None), ir.Constant(ir.IntType(kind.count), -1)]
        if name == "mask.scalef":
            more.append(ir.Constant(ir.IntType(32), 4))  # round as the processor is set to
        letters = "ps" if kind.count == 16 else "pd"
        results.append(llvm_call(builder, f"llvm.x86.avx512.{name}.{letters}.512", kind, *part, *more))
    return joined_as(builder, results, operands[0])


def _shuffled(builder: ir.IRBuilder, a: Any, b: Any, indices: Any) -> Any:
    numbers = [ir.Constant(ir.IntType(32), i) for i in indices]
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), len(numbers)), numbers))


# -- sums -----------------------------------------------------------------------------------------


@intrinsic
def zeros(typing_context):
    """A vector of float64 zeros."""
    result = Vector(types.float64, LANES["float64"])
    return result(), lambda context, builder, signature, args: ir.Constant(context.get_value_type(result), None)


@intrinsic
def cleared(typing_context, value, count):
    """The first ``count`` elements, zeros in place of the others."""

    def generate(context, builder, signature, args):
        numbers = ir.VectorType(ir.IntType(64), value.lanes)
        inside = builder.icmp_signed(
            "<", ir.Constant(numbers, list(range(value.lanes))), splat(builder, args[1], value.lanes)
        )
        return builder.select(inside, args[0], ir.Constant(args[0].type, None))

    return value(value, count), generate


def _add_pairs(builder: ir.IRBuilder, a: Any, a_low: Any, b: Any, b_low: Any) -> tuple[Any, Any]:
    """The sum of two sums with their rounding errors; without an error where it is infinite."""
    total = builder.fadd(a, b)
    part = builder.fsub(total, a)
    error = builder.fadd(builder.fsub(a, builder.fsub(total, part)), builder.fsub(b, part))
    error = builder.fadd(error, builder.fadd(a_low, b_low))
    return total, builder.select(
        builder.fcmp_ordered("ord", error, error),
        error,
        ir.Constant(error.type, None if isinstance(error.type, ir.VectorType) else 0.0),
    )


@intrinsic
def add_to(typing_context, total, lost, address):
    """Add all elements of a sum and its rounding errors to the two numbers at an address."""

    def generate(context, builder, signature, args):
        high, low, address = args
        lanes = total.lanes
        while lanes > 1:
            lanes //= 2
            index = ir.VectorType(ir.IntType(32), lanes)
            halves = [ir.Constant(index, list(range(start, start + lanes))) for start in (0, lanes)]
            undefined = ir.Constant(high.type, ir.Undefined)
            parts = [builder.shuffle_vector(v, undefined, half) for half in halves for v in (high, low)]
            high, low = _add_pairs(builder, *parts)
        first = ir.Constant(ir.IntType(32), 0)
        place = builder.inttoptr(address, ir.DoubleType().as_pointer())
        places = place, builder.gep(place, [ir.Constant(ir.IntType(32), 1)])
        found = [builder.load(p) for p in places]
        sums = _add_pairs(builder, *found, *(builder.extract_element(v, first) for v in (high, low)))
        for value, p in zip(sums, places):
            builder.store(value, p)
        return context.get_dummy_value()

    return types.void(total, lost, address), generate


__all__ += ["add_to", "cleared", "zeros"]

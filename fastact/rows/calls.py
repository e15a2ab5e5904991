"""Functions along an axis as built-in functions, called without a step in Python. Compiled by Numba.

A call of which all but the addresses is known (fastact.rows.direct) needs no more than what NumPy itself does for a
ufunc, and less time: whether operands are what they were then is seen from NumPy's and Python's own records of them,
whose layout is part of their stable binary interfaces. Any other call goes to the Python function as it came.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fastact.runtime.pool import address_of, call_resolve, offset, record_at
from fastact.simd.addresses import scratch
from fastact.simd.blocks import Address, inline
from fastact.simd.layout import Axis, Direct, Kept, Known

__all__ = ["functions"]

#: Where things stand in Python's objects, in slots of 8 bytes: an object's class; what a module's subclass adds to it;
#: a tuple's length and items; NumPy's description of an array.
CLASS = object.__basicsize__ // 8 - 1
ROUTES = ModuleType.__basicsize__ // 8
LENGTH, ITEMS = object.__basicsize__ // 8, tuple.__basicsize__ // 8
DATA, DIMENSIONS, SHAPE, DTYPE, FLAGS = (object.__basicsize__ // 8 + i for i in (0, 1, 2, 5, 6))

#: NumPy's flags.
C_CONTIGUOUS, WRITEABLE = 0x1, 0x400

WORK_BYTES = 8 * Axis.SIZE

#: The lower half of a slot: NumPy's numbers of 32 bits have nothing of meaning beside them.
HALF = 0xFFFFFFFF

vectorcall = types.ExternalFunction("PyObject_Vectorcall", types.intp(types.intp, Address, types.intp, types.intp))
count_reference = types.ExternalFunction("Py_IncRef", types.void(types.intp))
drop_reference = types.ExternalFunction("Py_DecRef", types.void(types.intp))
raise_memory_error = types.ExternalFunction("PyErr_NoMemory", types.intp())
release_interpreter = types.ExternalFunction("PyEval_SaveThread", types.intp())
acquire_interpreter = types.ExternalFunction("PyEval_RestoreThread", types.void(types.intp))

CALL_SIGNATURE = types.intp(Address, Address, types.intp, types.intp)


@intrinsic
def result_of(typing_context, function, *arguments):
    """Call the function at an address, which returns another."""

    def generate(context, builder, signature, args):
        values = cgutils.unpack_tuple(builder, args[1])
        function_type = ir.FunctionType(ir.IntType(64), [value.type for value in values])
        return builder.call(builder.inttoptr(args[0], function_type.as_pointer()), values)

    return types.intp(function, types.StarArgTuple.from_types(arguments)), generate


@inline
def is_plain(direct, array):
    """Whether an object is an array, of no subclass, and C-ordered."""
    return record_at(array)[CLASS] == direct[Direct.ARRAY] and (record_at(array)[FLAGS] & C_CONTIGUOUS) != 0


@inline
def known_call(direct, array, axis):
    """Address of what is known of calls with such an array, or 0."""
    description = record_at(array)
    dimensions, shape = description[DIMENSIONS] & HALF, record_at(description[SHAPE])
    for i in range(Direct.NUMBER):
        known = offset(direct, Direct.CALLS + i * Known.SIZE)
        if (
            known[Known.DTYPE] == description[DTYPE]
            and known[Known.AXIS] == axis
            and known[Known.DIMENSIONS] == dimensions
        ):
            matching = 0
            while matching < dimensions and shape[matching] == known[Known.SHAPE + matching]:
                matching += 1
            if matching == dimensions:
                return address_of(known)
    return 0


@inline
def fits(direct, out, axis, known, operand):
    """Whether a result can go there: an array like the operand, that is it or apart from it."""
    if not is_plain(direct, out) or (record_at(out)[FLAGS] & WRITEABLE) == 0 or known_call(direct, out, axis) != known:
        return False
    distance = record_at(out)[DATA] - record_at(operand)[DATA]
    return distance == 0 or abs(distance) >= record_at(known)[Known.BYTES]


def functions(inputs: int) -> dict[str, tuple[Any, Any]]:
    """The built-in function for one operand, or for a gradient and another."""
    options, target, compute = _options(inputs), _target(inputs), _compute(inputs)

    def call(home, arguments, count, names):
        """What Python calls, by METH_FASTCALL | METH_KEYWORDS; ``names`` are those of the last arguments, or 0."""
        direct = record_at(record_at(record_at(home[ROUTES])[ITEMS])[DATA])
        axis, out, plain = options(direct, arguments, count, names)
        if plain:
            known, result = target(direct, arguments, axis, out)
            if known != 0:
                return compute(direct, record_at(known), arguments, result) if result != 0 else result
        return vectorcall(direct[Direct.FUNCTION], arguments, count, names)

    return {f"call_along_{inputs}": (CALL_SIGNATURE, call)}


def _options(inputs: int) -> Any:
    @inline
    def options(direct, arguments, count, names):
        """The axis, the array for the result, and whether nothing but them and operands is given. Names written in
        source code are unique objects."""
        axis, out = direct[Direct.USUAL], direct[Direct.NONE]
        plain = count == inputs or count == inputs + 1
        if count == inputs + 1:
            axis = arguments[inputs]
        if names != 0:
            for i in range(record_at(names)[LENGTH]):
                name = record_at(names)[ITEMS + i]
                if name == direct[Direct.OUT]:
                    out = arguments[count + i]
                elif name == direct[Direct.AXIS] and count == inputs:
                    axis = arguments[count + i]
                else:
                    plain = False
        return axis, out, plain

    return options


def _target(inputs: int) -> Any:
    @inline
    def target(direct, arguments, axis, out):
        """What is known of the call, and the array for its result, owned; 0 if it is none of ours."""
        operand = arguments[inputs - 1]
        if not is_plain(direct, operand) or not is_plain(direct, arguments[0]):
            return 0, 0
        known = known_call(direct, operand, axis)
        if known == 0 or (inputs == 2 and known_call(direct, arguments[0], axis) != known):
            return 0, 0
        if out == direct[Direct.NONE]:
            if record_at(known)[Known.BYTES] >= Kept.LARGE:
                return 0, 0
            return known, result_of(direct[Direct.ALLOCATE], operand, 0, 0, 0)
        if not fits(direct, out, axis, known, operand) or not fits(direct, out, axis, known, arguments[0]):
            return 0, 0
        count_reference(out)
        return known, out

    return target


def _compute(inputs: int) -> Any:
    @inline
    def compute(direct, known, arguments, result):
        """The result, filled in; 0, as Python has it after an error, where the system refuses memory."""
        context = record_at(scratch(WORK_BYTES))
        for i in range(Axis.SIZE):
            context[i] = known[Known.WORK + i]
        context[Axis.X], context[Axis.Y] = record_at(arguments[inputs - 1])[DATA], record_at(result)[DATA]
        if inputs == 2:
            context[Axis.OTHER] = record_at(arguments[0])[DATA]
        thread = release_interpreter()
        call_resolve(direct[Direct.DRIVER], context)
        acquire_interpreter(thread)
        if context[Axis.REFUSED] != 0:
            drop_reference(result)
            return raise_memory_error()
        return result

    return compute

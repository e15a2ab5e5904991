"""Functions as built-in functions, called without a step in Python. Compiled by Numba.

A call of which all but the addresses is known (fastact.ufuncs.direct) needs no more than what NumPy itself does for a
ufunc, and less time: whether arguments are what they were then is seen from NumPy's and Python's own records of them,
whose layout is part of their stable binary interfaces. Any other call goes to the Python function as it came.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fastact.runtime.pool import address_of, call_loop, offset, record_at, stack_record
from fastact.simd.addresses import memory, scratch
from fastact.simd.blocks import Address, inline
from fastact.simd.known import Direct, Form, Known
from fastact.simd.layout import Kept

__all__ = ["functions"]

#: Where things stand in Python's objects, in slots of 8 bytes: an object's class; what a module's subclass adds to it;
#: a tuple's length and items; NumPy's description of an array.
CLASS = object.__basicsize__ // 8 - 1
ROUTES = ModuleType.__basicsize__ // 8
LENGTH, ITEMS = object.__basicsize__ // 8, tuple.__basicsize__ // 8
DATA, DIMENSIONS, SHAPE, DTYPE, FLAGS = (object.__basicsize__ // 8 + i for i in (0, 1, 2, 5, 6))

#: NumPy's flag.
WRITEABLE = 0x400

#: The lower half of a slot: NumPy's numbers of 32 bits have nothing of meaning beside them.
HALF = 0xFFFFFFFF

GIVEN_BYTES = 8 * (Direct.MOST + 1)
PARTIAL_BYTES = 16 * Known.MOST_PARTIALS

#: Instead of an object's address, where the call is for Python; 0 stands for an error, as Python has it.
LEFT = 1

#: What comes of a driver's work: also where that of another thread, at the same time, did.
DONE, IDLE, HALFWAY = 0, 1, 2

vectorcall = types.ExternalFunction("PyObject_Vectorcall", types.intp(types.intp, Address, types.intp, types.intp))
count_reference = types.ExternalFunction("Py_IncRef", types.void(types.intp))
drop_reference = types.ExternalFunction("Py_DecRef", types.void(types.intp))
new_tuple = types.ExternalFunction("PyTuple_New", types.intp(types.intp))
put_in_tuple = types.ExternalFunction("PyTuple_SetItem", types.intc(types.intp, types.intp, types.intp))
raise_memory_error = types.ExternalFunction("PyErr_NoMemory", types.intp())
release_interpreter = types.ExternalFunction("PyEval_SaveThread", types.intp())
acquire_interpreter = types.ExternalFunction("PyEval_RestoreThread", types.void(types.intp))

CALL_SIGNATURE = types.intp(Address, Address, types.intp, types.intp)

get, put, _ = memory(ir.DoubleType(), types.float64, 1)
_, put_half, _ = memory(ir.FloatType(), types.float32, 1)


@intrinsic
def result_of(typing_context, function, *arguments):
    """Call the function at an address, which returns another."""

    def generate(context, builder, signature, args):
        values = cgutils.unpack_tuple(builder, args[1])
        function_type = ir.FunctionType(ir.IntType(64), [value.type for value in values])
        return builder.call(builder.inttoptr(args[0], function_type.as_pointer()), values)

    return types.intp(function, types.StarArgTuple.from_types(arguments)), generate


def functions() -> dict[str, tuple[Any, Any]]:
    return {"call_directly": (CALL_SIGNATURE, call_directly)}


def call_directly(home, arguments, count, names):
    """What Python calls, by METH_FASTCALL | METH_KEYWORDS; ``names`` are those of the last arguments, or 0."""
    direct = record_at(record_at(record_at(home[ROUTES])[ITEMS])[DATA])
    given = record_at(scratch(GIVEN_BYTES))
    if by_parameter(direct, arguments, count, names, given):
        known = known_call(direct, given)
        if known != 0:
            result = computed(direct, record_at(known), given)
            if result != LEFT:
                return result
    return vectorcall(direct[Direct.FUNCTION], arguments, count, names)


# -- what is given --------------------------------------------------------------------------------


@inline
def by_parameter(direct, arguments, count, names, given):
    """Put the arguments in the order of parameters; False if there is one too many, or of a strange name. Names written
    in source code are unique objects."""
    parameters = direct[Direct.PARAMETERS]
    if count > direct[Direct.POSITIONAL]:
        return False
    for i in range(parameters):
        given[i] = arguments[i] if i < count else direct[Direct.DEFAULTS + i]
    given[parameters] = direct[Direct.NONE]
    if names != 0:
        for i in range(record_at(names)[LENGTH]):
            place = count
            while place < parameters and direct[Direct.NAMES + place] != record_at(names)[ITEMS + i]:
                place += 1
            if place == parameters:
                return False
            given[place] = arguments[count + i]
    return True


@inline
def known_call(direct, given):
    """Address of what is known of calls with such arguments, or 0."""
    for i in range(Direct.NUMBER):
        known = direct[Direct.CALLS + i]
        if known != 0:
            parameters, place = direct[Direct.PARAMETERS], 0
            while place < parameters and (
                place == direct[Direct.OUT] or has_form(direct, given[place], form_of(record_at(known), place))
            ):
                place += 1
            if place == parameters:
                return known
    return 0


@inline
def form_of(known, parameter):
    return offset(known, Known.GIVEN + parameter * Form.SIZE)


@inline
def has_form(direct, argument, form):
    """Whether an argument is the object that is known, or an array, of no subclass, in that order and of that shape."""
    if form[Form.DIMENSIONS] == Form.OBJECT:
        return argument == form[Form.KEY]
    if argument == 0 or record_at(argument)[CLASS] != direct[Direct.ARRAY]:
        return False
    array, dimensions, shape = record_at(argument), form[Form.DIMENSIONS], record_at(form[Form.SHAPE])
    if array[DTYPE] != form[Form.KEY] or array[DIMENSIONS] & HALF != dimensions:
        return False
    if array[FLAGS] & form[Form.FLAGS] != form[Form.FLAGS]:
        return False
    matching, there = 0, record_at(array[SHAPE])
    while matching < dimensions and there[matching] == shape[matching]:
        matching += 1
    return matching == dimensions


# -- what is computed -----------------------------------------------------------------------------


@inline
def computed(direct, known, given):
    """The result, owned; or LEFT, where nothing that Python needs has been changed."""
    if known[Known.PARTIALS] != 0:
        return total(direct, known, given) if given[direct[Direct.OUT]] == direct[Direct.NONE] else LEFT
    if known[Known.TUPLE] != 0:
        result = several(direct, known) if given[direct[Direct.OUT]] == direct[Direct.NONE] else LEFT
    else:
        result = target(direct, known, given)
    if result == LEFT or result == 0:
        return result
    outcome = run(direct, known, given, result, 0)
    if outcome != DONE:
        drop_reference(result)
        return LEFT if outcome == IDLE else raise_memory_error()
    return result


@inline
def target(direct, known, given):
    """The array for the result, owned: a new one, or ``out`` if that is an operand or apart from all of them."""
    out, form = given[direct[Direct.OUT]], form_of(known, direct[Direct.OUT])
    if out == direct[Direct.NONE]:
        if form[Form.BYTES] >= Kept.LARGE:
            return LEFT
        return new_array(direct, known, 0) if written_apart(direct, known, given) else LEFT
    if (
        not written_apart(direct, known, given)
        or not has_form(direct, out, form)
        or record_at(out)[FLAGS] & WRITEABLE == 0
    ):
        return LEFT
    for i in range(direct[Direct.PARAMETERS]):
        other = form_of(known, i)
        if i != direct[Direct.OUT] and other[Form.DIMENSIONS] != Form.OBJECT:
            distance = record_at(out)[DATA] - record_at(given[i])[DATA]
            is_other = distance == 0 and form[Form.BYTES] == other[Form.BYTES] and form[Form.KEY] == other[Form.KEY]
            is_other = is_other and i != known[Known.WRITTEN]
            if not is_other and distance < other[Form.BYTES] and -distance < form[Form.BYTES]:
                return LEFT
    count_reference(out)
    return out


@inline
def new_array(direct, known, which):
    return result_of(direct[Direct.ALLOCATE], record_at(known[Known.LIKE])[which], 0, 0, 0)


@inline
def written_apart(direct, known, given):
    """Whether the argument beside ``out`` that is written to can be, and is apart from those that are read."""
    written = known[Known.WRITTEN]
    if written == Known.NONE:
        return True
    if record_at(given[written])[FLAGS] & WRITEABLE == 0:
        return False
    size = form_of(known, written)[Form.BYTES]
    for i in range(direct[Direct.PARAMETERS]):
        other = form_of(known, i)
        if i != written and i != direct[Direct.OUT] and other[Form.DIMENSIONS] != Form.OBJECT:
            distance = record_at(given[written])[DATA] - record_at(given[i])[DATA]
            if distance < other[Form.BYTES] and -distance < size:
                return False
    return True


@inline
def several(direct, known):
    """A tuple of new arrays, owned; 0 where there is no memory for them."""
    made = new_tuple(known[Known.TUPLE])
    for i in range(known[Known.TUPLE]):
        array = new_array(direct, known, i) if made != 0 else 0
        if made != 0 and array == 0:
            drop_reference(made)
            made = 0
        if made != 0:
            put_in_tuple(made, i, array)
    return made


@inline
def run(direct, known, given, result, partials):
    """Have the driver compute, while other threads of Python run, which may forget what is known; what came of it."""
    owner, refused = known[Known.OWNER], record_at(known[Known.REFUSED])
    pointers, idle, halfway = stack_record(), refused[0], refused[1]
    for i in range(known[Known.OPERANDS]):
        whose, place = known[Known.OPERAND + 2 * i], known[Known.OPERAND + 2 * i + 1]
        if whose == direct[Direct.OUT]:
            pointers[i] = record_at(result)[DATA] + place
        elif whose == Known.CONSTANT:
            pointers[i] = place
        elif whose <= Known.IN_TUPLE:
            pointers[i] = record_at(record_at(result)[ITEMS + Known.IN_TUPLE - whose])[DATA] + place
        else:
            pointers[i] = record_at(given[whose])[DATA] + place
    steps = partials if partials != 0 else known[Known.STEPS]
    count_reference(owner)
    thread = release_interpreter()
    sizes, data = record_at(known[Known.SIZES]), record_at(known[Known.DATA])
    call_loop(known[Known.DRIVER], pointers, sizes, record_at(steps), data)
    acquire_interpreter(thread)
    outcome = DONE if refused[0] == idle else IDLE
    outcome = outcome if refused[1] == halfway else HALFWAY
    drop_reference(owner)
    return outcome


@inline
def total(direct, known, given):
    """A sum or a mean, as a number of NumPy's. What is not finite, or too large for its dtype, is left."""
    partials, place = scratch(PARTIAL_BYTES), scratch(8)
    count_reference(known[Known.OWNER])
    form = form_of(known, direct[Direct.OUT])
    result = LEFT
    if run(direct, known, given, 0, partials) == DONE:
        value = exact(partials, 2 * known[Known.PARTIALS])
        if abs(value) <= get(address_of(offset(known, Known.LARGEST))):
            value /= get(address_of(offset(known, Known.DIVISOR)))
            if form[Form.BYTES] == 4:
                put_half(types.float32(value), place)
            else:
                put(value, place)
            result = result_of(direct[Direct.SCALAR], place, form[Form.KEY], 0)
    drop_reference(known[Known.OWNER])
    return result


@inline
def exact(values, count):
    """The sum of numbers, rounded once (J. R. Shewchuk, 1997): the same as math.fsum's."""
    room, parts = scratch(PARTIAL_BYTES), 0
    for i in range(count):
        x, kept = get(values + 8 * i), 0
        for j in range(parts):
            y = get(room + 8 * j)
            high = x + y
            low = y - (high - x) if abs(x) >= abs(y) else x - (high - y)
            if low != 0:
                put(low, room + 8 * kept)
                kept += 1
            x = high
        if x != 0:
            put(x, room + 8 * kept)
            kept += 1
        parts = kept
    high, low = 0.0, 0.0
    if parts > 0:
        parts -= 1
        high = get(room + 8 * parts)
        while parts > 0 and low == 0:
            parts -= 1
            x, y = high, get(room + 8 * parts)
            high = x + y
            low = y - (high - x)
    if parts > 0 and low != 0 and (low > 0) == (get(room + 8 * (parts - 1)) > 0):
        x = high + 2 * low
        if 2 * low == x - high:  # halfway between two floats, but for what is left
            high = x
    return high

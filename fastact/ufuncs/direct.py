"""Calls that repeat themselves: what is known of them, where compiled code finds it.

Python takes three microseconds and more to see what a call wants, which for some thousand elements is longer than the
work. A program calls a function with few shapes, again and again: of each, all but the addresses is known after the
first call. It is noted in a record, in which the built-in functions of :mod:`fastact.ufuncs.calls` look for it.
"""

from __future__ import annotations

import contextlib
import ctypes
import inspect
import math
import struct
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from fastact.runtime.backends import free_threaded
from fastact.runtime.notices import UnavailableError
from fastact.runtime.numpy_api import ARRAY_TYPE, NEW_LIKE_ARRAY, SCALAR, address, numpy_functions
from fastact.simd.known import Direct, Form, Known
from fastact.simd.layout import Kept
from fastact.ufuncs.shortcut import built_in

__all__ = ["Calls", "Mean", "Operand", "Work", "constants", "forget", "in_front_of", "note", "repeated"]

#: Arguments that are known again as the objects they are. Others may change.
SIMPLE = (int, float, bool, str, type(None))


class Operand(NamedTuple):
    """Part of an argument or, under the name "out", of the result."""

    parameter: str
    offset: int = 0  # bytes
    which: int = 0  # of several results


class Mean(NamedTuple):
    """A result that is a number: the sum of so many partial sums, divided."""

    partials: int
    divisor: float


class Work(NamedTuple):
    """What computes a result: a function that is called as a ufunc's loop is.

    Operands that belong to no argument are arrays. Sizes and steps are words of ctypes.
    """

    driver: int
    operands: Sequence[Operand | np.ndarray]
    sizes: Any
    steps: Any
    data: int
    shape: tuple[int, ...]
    dtype: np.dtype
    mean: Mean | None = None
    refused: int = 0  # address of two counts: one rises if nothing was done, the other if only part; 0: all always is
    others: Sequence[tuple[int, ...]] = ()  # shapes of further results, which come in a tuple with the first
    written: str | None = None  # a parameter beside "out" that is written to


def constants(numbers: Sequence[float], dtype: np.dtype, shape: tuple[int, ...]) -> list[np.ndarray] | None:
    """Operands that are one number for all elements; None if one is too large for the dtype, of which NumPy warns."""
    if any(not abs(number) <= np.finfo(dtype).max for number in numbers):
        return None
    return [np.broadcast_to(np.asarray(number, dtype), shape) for number in numbers]


class Calls:
    """The known calls of one function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        parameters = _parameters(function)
        empty = inspect.Parameter.empty
        self.defaults = {sys.intern(name): parameter.default for name, parameter in parameters.items()}
        self.names = list(self.defaults)
        record = self.record = np.zeros(Direct.SIZE, np.int64)
        record[Direct.FUNCTION], record[Direct.NONE] = id(function), id(None)
        table = numpy_functions("_ARRAY_API")
        record[Direct.ARRAY] = table[ARRAY_TYPE]
        record[Direct.ALLOCATE], record[Direct.SCALAR] = table[NEW_LIKE_ARRAY], table[SCALAR]
        record[Direct.PARAMETERS] = len(self.names)
        record[Direct.OUT] = self.names.index("out") if "out" in self.names else len(self.names)
        record[Direct.POSITIONAL] = sum(p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters.values())
        for i, (name, default) in enumerate(self.defaults.items()):
            record[Direct.NAMES + i], record[Direct.DEFAULTS + i] = id(name), 0 if default is empty else id(default)
        self.known: list[Any] = [None] * Direct.NUMBER  # what calls were given,
        self.owners: list[Any] = [None] * Direct.NUMBER  # and what else addresses in the record lead to
        self.left: deque[Any] = deque(maxlen=Direct.NUMBER)  # what Python does, as looking took some 50 us to find
        self.turn = 0

    def note(self, given: Mapping[str, Any], find_work: Callable[[], Work | None], any_order: str = "") -> None:
        """Note the work of a call, in place of the oldest one. What cannot be compiled goes on as it went now."""
        with contextlib.suppress(UnavailableError):
            self._note(given, find_work, any_order)

    def _note(self, given: Mapping[str, Any], find_work: Callable[[], Work | None], any_order: str) -> None:
        arguments = {**self.defaults, **given, "out": None}
        if not all(_can_be_known(argument, name == any_order) for name, argument in arguments.items()):
            return
        call = [(a.dtype, a.shape, _order(a)) if type(a) is np.ndarray else a for a in arguments.values()]
        if call in self.known or call in self.left:
            return
        work = find_work()
        if work is None or (work.others and _is_large(work)):
            self.left.append(call)
        else:
            owner = _described(work, arguments)
            self.record[Direct.CALLS + self.turn] = address(owner[0])
            self.known[self.turn], self.owners[self.turn] = call, owner
            self.turn = (self.turn + 1) % Direct.NUMBER

    def forget(self) -> None:
        self.record[Direct.CALLS :] = 0
        self.known, self.owners = [None] * Direct.NUMBER, [None] * Direct.NUMBER
        self.left.clear()


def _can_be_known(argument: Any, any_order: bool) -> bool:
    if type(argument) is np.ndarray:
        flags = argument.flags
        ordered = flags.c_contiguous or (any_order and flags.f_contiguous)
        return bool(argument.size and argument.ndim and ordered and flags.aligned)
    return type(argument) in SIMPLE


def _order(array: np.ndarray) -> int:
    return Form.F_ORDER if array.flags.f_contiguous and not array.flags.c_contiguous else Form.C_ORDER


def _is_large(work: Work) -> bool:
    """Whether a result is of those that go into memory which is kept."""
    return any(math.prod(shape) * work.dtype.itemsize >= Kept.LARGE for shape in (work.shape, *work.others))


#: For work that is always done.
_NEVER = np.zeros(2, np.int64)


def _described(work: Work, arguments: Mapping[str, Any]) -> tuple[Any, ...]:
    """A record of Known, and whatever it has the address of."""
    likes = [np.broadcast_to(np.zeros((), work.dtype), shape) for shape in (work.shape, *work.others)]
    forms = [likes[0] if name == "out" else argument for name, argument in arguments.items()]
    shapes = [list(form.shape) if isinstance(form, np.ndarray) else [] for form in forms]
    record = np.array([0] * Known.SIZE + [*chain(*shapes)], np.int64)
    # never the arrays themselves, which would live longer than the caller thinks
    table = np.array([id(like) for like in likes], np.int64)
    owner = (record, likes, table, work, [getattr(argument, "dtype", argument) for argument in arguments.values()])
    record[[Known.OWNER, Known.LIKE]] = id(owner), address(table)
    record[Known.TUPLE] = len(likes) if work.others else 0
    record[Known.WRITTEN] = Known.NONE if work.written is None else list(arguments).index(work.written)
    record[[Known.DRIVER, Known.DATA, Known.OPERANDS]] = work.driver, work.data, len(work.operands)
    record[Known.SIZES] = ctypes.addressof(work.sizes)
    record[Known.STEPS] = 0 if work.mean else ctypes.addressof(work.steps)
    record[Known.REFUSED] = work.refused or address(_NEVER)
    if work.mean:
        record[Known.PARTIALS] = work.mean.partials
        record[Known.DIVISOR], record[Known.LARGEST] = map(_word, (work.mean.divisor, np.finfo(work.dtype).max))
    at = Known.SIZE
    for i, (form, shape) in enumerate(zip(forms, shapes)):
        record[Known.GIVEN + i * Form.SIZE : Known.GIVEN + (i + 1) * Form.SIZE] = _form(form, address(record) + 8 * at)
        at += len(shape)
    names = list(arguments)
    for i, operand in enumerate(work.operands):
        if isinstance(operand, np.ndarray):
            whose, place = Known.CONSTANT, address(operand)
        elif operand.parameter == "out" and work.others:
            whose, place = Known.IN_TUPLE - operand.which, operand.offset
        else:
            whose, place = names.index(operand.parameter), operand.offset
        record[[Known.OPERAND + 2 * i, Known.OPERAND + 2 * i + 1]] = whose, place
    return owner


def _form(argument: Any, shape: int) -> tuple[int, int, int, int, int]:
    if isinstance(argument, np.ndarray):
        return id(argument.dtype), argument.ndim, shape, argument.nbytes, _order(argument)
    return id(argument), Form.OBJECT, 0, 0, 0


def _word(value: float) -> int:
    """The bits of a float64, as a record holds them."""
    return int(struct.unpack("q", struct.pack("d", value))[0])


_calls: dict[str, Calls] = {}


def note(name: str, given: Mapping[str, Any], find_work: Callable[[], Work | None], any_order: str = "") -> None:
    """Note how a function computes a call, for those that follow with arguments like these.

    Parameters
    ----------
    name
        The public function's.
    given
        Its arguments by name, but for ``out``, and for those that are what they are by default.
    find_work
        Asked if that is new; None if it must be left to Python.
    any_order
        An array that may be in Fortran's order too; others are in C's, or not known.
    """
    if name in _calls:
        _calls[name].note(given, find_work, any_order)


def forget() -> None:
    """Forget all calls: what arguments mean has changed."""
    for calls in _calls.values():
        calls.forget()


def repeated(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator: calls that repeat themselves take no step in Python, once the function has noted them."""
    described: Any = function
    described.in_front = _with_direct_calls
    return function


def _with_direct_calls(function: Callable[..., Any]) -> Callable[..., Any]:
    made, calls = in_front_of(function)
    if calls:
        _calls[function.__name__] = calls
    return made


def in_front_of(function: Callable[..., Any]) -> tuple[Callable[..., Any], Calls | None]:
    """A built-in function that computes what it knows, and leaves the rest to Python's; and what it knows."""
    if free_threaded():  # nothing else keeps two threads apart at the record
        return function, None
    if len(_parameters(function)) > Direct.MOST:
        return function, None
    calls = Calls(function)
    made = built_in(function, _machine_code, (calls.record, function))
    return made, None if made is function else calls


def _parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """By name. Of a ufunc's ``**keywords``, only ``out`` can be known."""
    kinds = inspect.Parameter
    parameters = dict(inspect.signature(function).parameters)
    for name in [name for name, parameter in parameters.items() if parameter.kind is kinds.VAR_KEYWORD]:
        del parameters[name]
        parameters["out"] = kinds("out", kinds.KEYWORD_ONLY, default=None)
    return parameters


def _machine_code() -> int:
    from fastact.runtime import compiler

    return compiler.compiled("fastact.ufuncs.calls")["call_directly"]

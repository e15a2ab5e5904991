"""Calls of functions along an axis that repeat themselves: what is known of them, where compiled code finds it.

Python takes three microseconds to see what a call wants, which for some thousand elements is longer than the work. A
program calls a function with few shapes, again and again: of each, all but the addresses is known after the first call
(fastact.rows.engine). It is noted in a record, in which the built-in functions of fastact.rows.calls look for it.
"""

from __future__ import annotations

import sys
import sysconfig
from array import array as array_of_words
from collections.abc import Callable
from typing import Any

import numpy as np

from fastact.runtime.numpy_api import ARRAY_TYPE, NEW_LIKE_ARRAY, numpy_functions
from fastact.simd.layout import Direct, Known
from fastact.ufuncs.shortcut import built_in

__all__ = ["note", "repeated"]

USUAL_AXIS = -1


class _Calls:
    """The known calls of one function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        record = self.record = np.zeros(Direct.SIZE, np.int64)
        record[Direct.FUNCTION], record[Direct.NONE], record[Direct.USUAL] = id(function), id(None), id(USUAL_AXIS)
        record[Direct.AXIS], record[Direct.OUT] = id(sys.intern("axis")), id(sys.intern("out"))
        table = numpy_functions("_ARRAY_API")
        record[Direct.ARRAY], record[Direct.ALLOCATE] = table[ARRAY_TYPE], table[NEW_LIKE_ARRAY]
        self.known: list[Any] = [None] * Direct.NUMBER  # holds on to the objects of which addresses are in the record
        self.turn = 0

    def note(self, array: np.ndarray, axis: int, driver: int, work: Any) -> None:
        """Note the work of a call, in place of the oldest one."""
        call = array.dtype, axis, array.shape
        if call in self.known or array.ndim > Known.MOST:
            return
        words = array_of_words("q", [id(array.dtype), id(axis), array.nbytes, array.ndim, *array.shape])
        words.extend([0] * (Known.MOST - array.ndim))
        words.extend(work)
        self.record[Direct.DRIVER] = driver
        start = Direct.CALLS + self.turn * Known.SIZE
        self.record[start : start + Known.SIZE] = words
        self.known[self.turn] = call
        self.turn = (self.turn + 1) % Direct.NUMBER


_calls: dict[str, _Calls] = {}


def note(operation: str, array: np.ndarray, axis: int, driver: int, work: Any) -> None:
    """Note the work of a call, for those that follow with arrays like this one."""
    if operation in _calls:
        _calls[operation].note(array, axis, driver, work)


def with_direct_calls(function: Callable[..., Any], inputs: int) -> Callable[..., Any]:
    """A built-in function that computes what it knows, and leaves the rest to the Python function."""
    if sysconfig.get_config_var("Py_GIL_DISABLED"):  # nothing else keeps two threads apart at the record
        return function
    calls = _calls[function.__name__] = _Calls(function)
    return built_in(function, lambda: _machine_code(inputs), (calls.record, function))


def _machine_code(inputs: int) -> int:
    from fastact.runtime import compiler

    return compiler.compiled("fastact.rows.calls", inputs)[f"call_along_{inputs}"]


def repeated(operands: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator of functions along an axis, with so many operands: calls that repeat themselves take no step in
    Python."""

    def marked(function: Callable[..., Any]) -> Callable[..., Any]:
        described: Any = function
        described.in_front = lambda bound: with_direct_calls(bound, operands)
        return function

    return marked

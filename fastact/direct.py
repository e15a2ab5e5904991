"""Calls of functions along an axis that repeat themselves: what is known of them, where compiled code finds it.

Python takes three microseconds to see what a call wants, which for some thousand elements is longer than the work. A
program calls a function with few shapes, again and again: of each, all but the addresses is known after the first call
(fastact.row_engine). It is noted in a record, in which the built-in functions of fastact.row_calls look for it.
"""

from __future__ import annotations

import sys
import sysconfig
from array import array as array_of_words
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from fastact.layout import Direct, Known
from fastact.shortcut import built_in
from fastact.ufunc import numpy_functions

__all__ = ["note", "with_direct_calls"]

#: The places of PyArray_Type and PyArray_NewLikeArray in NumPy's table of functions, part of its stable C interface.
ARRAY_TYPE, NEW_LIKE_ARRAY = 2, 277

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


@cache
def _machine_code(inputs: int) -> int:
    from fastact import compiler

    def functions() -> dict[str, tuple[Any, Any]]:
        from fastact import row_calls

        return row_calls.functions(inputs)

    source = (Path(__file__).parent / "row_calls.py").read_text()
    return compiler.load(f"{source}\0{inputs}", functions)[f"call_along_{inputs}"]

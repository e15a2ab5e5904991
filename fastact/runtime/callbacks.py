"""What compiled code calls back into Python for: to have compiled what it comes to need."""

from __future__ import annotations

import _thread
import ctypes
from collections.abc import Callable
from typing import Any

__all__ = ["LOOP", "RESOLVE", "InterruptOnReturn", "Words", "address_of", "as_c"]

Words = ctypes.POINTER(ctypes.c_ssize_t)

#: A loop of a ufunc, as NumPy calls it: pointers, dimensions, steps, data.
LOOP = ctypes.CFUNCTYPE(None, Words, Words, Words, Words)

#: A callback that is given a record, and fills an address in there.
RESOLVE = ctypes.CFUNCTYPE(None, Words)


def as_c(prototype: Any) -> Callable[[Callable[..., None]], Any]:
    """A decorator: the function as C code can call it."""
    return lambda function: prototype(function)


def address_of(callback: Any) -> int:
    return ctypes.cast(callback, ctypes.c_void_p).value or 0


class InterruptOnReturn:
    """A local variable of a callback from C, where an exception would be printed and forgotten: it raises
    KeyboardInterrupt again when the frame goes, after the last place where that would happen inside.

    Other variables may go after it (Python 3.14 begins with the last), and must run no Python code then, as a thread
    does when it goes: whoever forgets threads is told."""

    # The C function itself: a Python method would be a frame of its own to be interrupted in.
    __del__ = _thread.interrupt_main

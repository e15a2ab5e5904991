"""What compiled code calls back into Python for: to have compiled what it comes to need."""

from __future__ import annotations

import _thread
import ctypes
import sys
import threading
from collections.abc import Callable
from typing import Any

from fastact.runtime.guard import held_by_caller

__all__ = ["LOOP", "RESOLVE", "InterruptOnReturn", "Words", "address_of", "as_c", "in_a_thread"]

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


def in_a_thread(work: Callable[..., None], *arguments: Any) -> None:
    """Do work that compiles in another thread, because Ctrl-C strikes the main thread, and must not strike LLVM.

    In this one where the system starts no more threads, and where none would ever come to compile: at the end of the
    process, and if this thread is compiling already, and collects garbage whose finalizer calls."""
    worker = _begun(work, *arguments)
    if worker:
        worker.join()
    else:
        work(*arguments)


def _begun(work: Callable[..., None], *arguments: Any) -> threading.Thread | None:
    if sys.is_finalizing() or held_by_caller():
        return None
    worker = threading.Thread(target=work, args=arguments)
    try:
        worker.start()
    except (RuntimeError, MemoryError):
        return None
    return worker


class InterruptOnReturn:
    """A local variable of a callback from C, where an exception would be printed and forgotten: it raises
    KeyboardInterrupt again when the frame goes, after the last place where that would happen inside.

    Other variables may go after it (Python 3.14 begins with the last), and must run no Python code then, as a thread
    does when it goes: whoever forgets threads is told."""

    # The C function itself: a Python method would be a frame of its own to be interrupted in.
    __del__ = _thread.interrupt_main

"""Memory of large results: kept when an array goes, for the next of about its size.

NumPy lets a program say where the memory of arrays comes from (NEP 49, ``PyDataMem_SetHandler``). Results that
are allocated here, and everything inside of :func:`kept_memory`, come from the allocator of
:mod:`fastact.ufuncs.kept_blocks`; they are arrays like all others, which own their data.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import mmap
import os
import sys
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import cache
from typing import Any

import numpy as np

from fastact.runtime.backends import backend
from fastact.runtime.guard import once
from fastact.runtime.notices import UnavailableError
from fastact.runtime.numpy_api import SET_HANDLER, numpy_functions
from fastact.simd.layout import Kept

__all__ = ["empty", "empty_like", "from_kept", "keeps_memory", "kept_memory"]

#: Bytes that are kept if FASTACT_KEPT_MEMORY does not say.
USUAL_LIMIT = 1 << 28


class _Handler(ctypes.Structure):
    """NumPy's ``PyDataMem_Handler``."""

    _fields_ = (
        ("name", ctypes.c_char * 127),
        ("version", ctypes.c_uint8),
        ("context", ctypes.c_void_p),
        ("malloc", ctypes.c_void_p),
        ("calloc", ctypes.c_void_p),
        ("realloc", ctypes.c_void_p),
        ("free", ctypes.c_void_p),
    )


def empty(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """``np.empty`` for results."""
    size = math.prod(shape) * dtype.itemsize
    if size < Kept.LARGE:
        return np.empty(shape, dtype)
    array: np.ndarray = from_kept(size, np.empty, shape, dtype)
    return array


def empty_like(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """``np.empty_like`` for results."""
    result: np.ndarray = from_kept(array.size * dtype.itemsize, np.empty_like, array, dtype)
    return result


def from_kept(size: int, make: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
    """What a function returns: an array of so many bytes."""
    if size < Kept.LARGE or _handler() is None:
        return make(*arguments, **keywords)
    before = _set_handler()(_handler())
    try:
        return make(*arguments, **keywords)
    finally:
        _set_handler()(before)


@contextlib.contextmanager
def kept_memory() -> Iterator[None]:
    """Keep the memory of large arrays that go, for the next of about their size: all arrays that NumPy makes in here.

    Memory that is new costs more than most functions that fill it. That of fastact's own results is kept anyway; for
    those of other ufuncs this asks for it, in the thread or task that enters it. Arrays may be used, and freed,
    anywhere and at any time. Up to ``FASTACT_KEPT_MEMORY`` bytes are kept (by default 256 MiB; 0 keeps nothing); what
    goes unused while other arrays come and go, the system may have back when it runs short. Without Numba, or elsewhere
    than on Linux, nothing happens.

    Raises
    ------
    ValueError
        If ``FASTACT_KEPT_MEMORY`` is not a whole number.

    References
    ----------
    NumPy Enhancement Proposal 49.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> x = np.zeros((1000, 1000))
    >>> with fastact.kept_memory():
    ...     for _ in range(3):
    ...         y = fastact.sigmoid(x)  # the third array is where the first was
    >>> float(y[0, 0])
    0.5
    """
    handler = _handler()
    if handler is None:
        yield
        return
    me = _Holder()
    holders, outer = _holders.get()
    if not holders:
        outer = _set_handler()(handler)
    _holders.set((holders | {me}, outer))
    try:
        yield
    finally:
        me.ended = True
        holders, outer = _holders.get()
        left = frozenset(holder for holder in holders if not holder.ended)
        if holders and not left:
            _set_handler()(outer)
        _holders.set((left, outer))


class _Holder:
    """One who is inside of :func:`kept_memory`: of generators, any may end first, and wherever it is forgotten."""

    ended = False


#: Those in this context, of which NumPy's handler is too; and the handler outside of them.
_holders: ContextVar[tuple[frozenset[_Holder], Any]] = ContextVar("holders", default=(frozenset(), None))


def _limit() -> int:
    setting = os.environ.get("FASTACT_KEPT_MEMORY", "").strip()
    if setting and not setting.isdecimal():
        raise ValueError(f"FASTACT_KEPT_MEMORY must be a whole number of bytes, not {setting!r}")
    return min(int(setting), sys.maxsize) if setting else USUAL_LIMIT


@cache
def _set_handler() -> Callable[[Any], Any]:
    """NumPy's function that exchanges the handler of this context for another."""
    address = numpy_functions("_ARRAY_API")[SET_HANDLER]
    return ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)(address)


@cache
def _handler() -> Any:
    """Our handler in the capsule that NumPy wants; None where nothing is kept."""
    if _record() is None or backend() != "numba" or sys.is_finalizing():  # then modules may be gone, that compile
        return None
    from fastact.runtime import compiler

    try:
        code = compiler.compiled("fastact.ufuncs.kept_blocks")
    except UnavailableError:
        return None
    functions = (code[name] for name in ("allocate", "allocate_zeros", "reallocate", "deallocate"))
    handler = _Handler(b"fastact", 1, ctypes.addressof(_record()), *functions)
    name = ctypes.create_string_buffer(b"mem_handler")
    # Arrays may be freed after this module, when the interpreter ends: what that needs is never taken down.
    for thing in (_record(), handler, name):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))
    pointer = ctypes.c_void_p
    make: Any = ctypes.PYFUNCTYPE(ctypes.py_object, pointer, pointer, pointer)(("PyCapsule_New", ctypes.pythonapi))
    return make(ctypes.addressof(handler), ctypes.addressof(name), None)


def keeps_memory() -> bool:
    """Whether any is to be kept, here and by the user's wish."""
    return _record() is not None


@once
def _record() -> Any:
    """The allocator's record; None where nothing is to be kept."""
    limit = _limit()
    if limit == 0 or not (hasattr(mmap, "MADV_HUGEPAGE") and hasattr(mmap, "MADV_FREE")):
        return None
    record = (ctypes.c_ssize_t * Kept.SIZE)()
    record[Kept.LIMIT] = limit
    record[Kept.PROTECTION] = mmap.PROT_READ | mmap.PROT_WRITE
    record[Kept.FLAGS] = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    record[Kept.HUGEPAGE], record[Kept.RECLAIM] = mmap.MADV_HUGEPAGE, mmap.MADV_FREE
    return record

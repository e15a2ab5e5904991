"""NumPy's tables of C functions, and what else of its stable C interface Python can reach without a compiler."""

from __future__ import annotations

import ctypes
from importlib import import_module
from typing import Any

import numpy as np

__all__ = ["address", "numpy_functions", "numpy_loop", "reaches_python", "refuse_subinterpreters"]

#: Places in ``_UFUNC_API``.
FROM_FUNCTION_AND_DATA, REGISTER_LOOP_FOR_TYPE, FROM_FUNCTION_DATA_AND_SIGNATURE = 1, 2, 31

#: Places in ``_ARRAY_API``: PyArray_Type, PyArray_Scalar, PyArray_NewLikeArray, PyDataMem_SetHandler.
ARRAY_TYPE, SCALAR, NEW_LIKE_ARRAY, SET_HANDLER = 2, 60, 277, 304


def numpy_functions(capsule: str) -> Any:
    """NumPy's table of functions in a capsule, ``"_ARRAY_API"`` or ``"_UFUNC_API"``: its stable C interface."""
    umath: Any = import_module("numpy._core._multiarray_umath")
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return ctypes.cast(pointer(getattr(umath, capsule), None), ctypes.POINTER(ctypes.c_void_p))


def numpy_loop(ufunc: np.ufunc, types: str) -> tuple[int, int]:
    """Addresses of NumPy's own loop of a ufunc for ``"d->d"`` and the like, and of what it is given: fields of NumPy's
    C struct, behind four numbers of 32 bits."""
    place = ufunc.types.index(types)
    functions, data = (ctypes.POINTER(ctypes.c_void_p).from_address(id(ufunc) + _HEAD + at) for at in (16, 24))
    return functions[place] or 0, data[place] or 0 if data else 0


def reaches_python() -> bool:
    """Whether ctypes leads to Python's own C interface, as it does not in PyPy."""
    return hasattr(ctypes, "pythonapi")


def refuse_subinterpreters() -> None:
    """Raise ImportError elsewhere than in Python's main interpreter.

    It is there that ctypes calls Python functions back; another interpreter's call would wait for it for ever.
    """
    if not reaches_python():
        return
    current, main = ctypes.pythonapi.PyInterpreterState_Get, ctypes.pythonapi.PyInterpreterState_Main
    current.restype = main.restype = ctypes.c_void_p
    if current() != main():
        raise ImportError("fastact works in Python's main interpreter only, and in threads and processes of it")


def address(array: np.ndarray) -> int:
    """Where an array's first element is: the first field of NumPy's C struct, behind the head of every object.

    In 0.1 us. ``array.ctypes.data`` and ``__array_interface__`` take ten times as long, as long as a ufunc.
    """
    return _pointer_at(id(array) + _HEAD).value or 0


# PyPy's objects have no size; nor does anything compiled ask there where they are.
_pointer_at, _HEAD = ctypes.c_void_p.from_address, getattr(object, "__basicsize__", 0)

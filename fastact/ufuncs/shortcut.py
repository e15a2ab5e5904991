"""Built-in functions in front of Python's, for calls that need nothing of Python.

Beside a ufunc's 200 ns, a Python function with keywords takes 140 ns: a frame, a dictionary, and a call that unpacks
it. A call that leaves all parameters at their defaults needs none of that. So what is public is a built-in function of
a dozen machine instructions, which hands such a call to the ufunc as it came, and any other to the Python function.
"""

from __future__ import annotations

import ctypes
import inspect
import re
import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np

__all__ = ["built_in", "has_vectorcall", "with_shortcut"]

#: The C function that a built-in function of METH_FASTCALL | METH_KEYWORDS calls: ``names`` are those of the keyword
#: arguments, or null. Names written in source code are unique objects, so one look tells ``f(x, out=y)``.
SOURCE = """
declare ptr @PyObject_Vectorcall(ptr, ptr, i64, ptr)

define ptr @call_{inputs}(ptr %home, ptr %arguments, i64 %count, ptr %names) {{
  %routes_at = getelementptr i8, ptr %home, i64 {slots}
  %routes = load ptr, ptr %routes_at
  %ufunc_at = getelementptr i8, ptr %routes, i64 {items}
  %python_at = getelementptr ptr, ptr %ufunc_at, i64 1
  %out_at = getelementptr ptr, ptr %ufunc_at, i64 2
  %only_inputs = icmp eq i64 %count, {inputs}
  br i1 %only_inputs, label %positional, label %call

positional:
  %no_keywords = icmp eq ptr %names, null
  br i1 %no_keywords, label %call, label %named

named:
  %keywords_at = getelementptr i8, ptr %names, i64 {size}
  %keywords = load i64, ptr %keywords_at
  %one_keyword = icmp eq i64 %keywords, 1
  br i1 %one_keyword, label %single, label %call

single:
  %name_at = getelementptr i8, ptr %names, i64 {items}
  %name = load ptr, ptr %name_at
  %out = load ptr, ptr %out_at
  %is_out = icmp eq ptr %name, %out
  %route_of_name = select i1 %is_out, ptr %ufunc_at, ptr %python_at
  br label %call

call:
  %route = phi ptr [%python_at, %0], [%ufunc_at, %positional], [%python_at, %named],
               [%route_of_name, %single]
  %function = load ptr, ptr %route
  %result = tail call ptr @PyObject_Vectorcall(ptr %function, ptr %arguments, i64 %count, ptr %names)
  ret ptr %result
}}
"""

METH_FASTCALL, METH_KEYWORDS = 0x80, 0x02


class _Method(ctypes.Structure):
    """Python's PyMethodDef."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("address", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


class _Home(ModuleType):
    """Where a built-in function finds what it calls. A module, because their functions are pickled by name."""

    __slots__ = ("routes",)
    routes: tuple[Any, ...]

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return import_module, (self.__name__,)  # joblib pickles the module too


_keep: list[_Method] = []  # what built-in functions only point to


@cache
def _machine_code(inputs: int) -> int:
    from fastact.runtime import compiler

    name, size, items = f"call_{inputs}", object.__basicsize__, tuple.__basicsize__
    source = SOURCE.format(inputs=inputs, slots=ModuleType.__basicsize__, size=size, items=items)
    return compiler.load(source, lambda: ([name], source), compiler.assemble_object)[name]


def has_vectorcall() -> bool:
    """Whether machine code can call objects by Python's own function for it, as from Python 3.11 on."""
    return hasattr(ctypes.pythonapi, "PyObject_Vectorcall")


def with_shortcut(function: Callable[..., Any], ufunc: np.ufunc) -> Callable[..., Any]:
    """A function that gives the ufunc whatever comes as its inputs alone, with or without ``out``."""
    return built_in(function, lambda: _machine_code(ufunc.nin), (ufunc, function, sys.intern("out")))


def built_in(function: Callable[..., Any], code: Callable[[], int], routes: tuple[Any, ...]) -> Callable[..., Any]:
    """A built-in function that looks like a Python function; the function itself where that cannot be.

    Parameters
    ----------
    function
        The Python function.
    code
        Gives the address of machine code.
    routes
        What that finds at its home.
    """
    if not has_vectorcall():
        return function
    name, signature, home = function.__name__, _bare_signature(function), _Home(function.__module__)
    home.routes = routes
    literal = re.sub(r"=(-?)inf\b", r"=\g<1>1e999", str(signature))  # infinity has no name there
    doc = f"{name}{literal}\n--\n\n{function.__doc__}"  # where Python looks for a built-in function's signature
    method = _Method(name.encode(), code(), METH_FASTCALL | METH_KEYWORDS, doc.encode())
    _keep.append(method)
    make = ctypes.pythonapi.PyCFunction_NewEx
    make.restype, make.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.py_object, ctypes.py_object]
    made: Callable[..., Any] = make(ctypes.addressof(method), home, function.__module__)
    return made if _signature_as_text(made) == str(signature) else function


def _bare_signature(function: Callable[..., Any]) -> inspect.Signature:
    """Without annotations, for which a built-in function has no place."""
    signature, empty = inspect.signature(function), inspect.Parameter.empty
    bare = [parameter.replace(annotation=empty) for parameter in signature.parameters.values()]
    return signature.replace(parameters=bare, return_annotation=inspect.Signature.empty)


def _signature_as_text(function: Callable[..., Any]) -> str:
    """Empty where Python cannot read it: a default of NaN, say, has no literal."""
    try:
        return str(inspect.signature(function))
    except ValueError:
        return ""

"""Results of large ufunc calls, in memory that is kept: ``y = f(x)`` at the speed of ``f(x, out=y)``.

NumPy allocates a ufunc's result itself, and the system clears it page by page: two to four times the time of what
fills it. It takes memory from wherever the context says (NEP 49), so all that is needed is to be asked before the call.
Python calls a ufunc through a slot of the object (PEP 590): the one of ours leads to some machine instructions, which
hand what is large and wants a new result, an array first and no ``out``, to a Python function, and everything else on
to NumPy.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

import numpy as np

from fastact.runtime.guard import once
from fastact.simd.layout import Kept
from fastact.ufuncs.memory import from_kept, keeps_memory
from fastact.ufuncs.shortcut import has_vectorcall

__all__ = ["with_kept_results"]

#: ``@known`` holds NumPy's own function for the slot, ``np.ndarray``, the Python function, the name "out" (those in
#: source code are unique objects) and None. Elements are counted and not bytes, for the size of a dtype stands where
#: NumPy's versions differ: the Python function looks again.
SOURCE = """
declare ptr @PyObject_Vectorcall(ptr, ptr, i64, ptr)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

@known = internal global [5 x ptr] zeroinitializer

define ptr @known_at() {{
  ret ptr @known
}}

define ptr @call(ptr %ufunc, ptr %arguments, i64 %flagged, ptr %names) {{
  %copies = alloca [{room} x ptr]
  %usual = load ptr, ptr @known
  %kind = load ptr, ptr getelementptr (ptr, ptr @known, i64 1)
  %python = load ptr, ptr getelementptr (ptr, ptr @known, i64 2)
  %count = and i64 %flagged, 9223372036854775807
  %inputs_at = getelementptr i8, ptr %ufunc, i64 {head}
  %inputs_32 = load i32, ptr %inputs_at
  %inputs = zext i32 %inputs_32 to i64
  %only_inputs = icmp eq i64 %count, %inputs
  br i1 %only_inputs, label %look, label %as_usual

look:
  %x = load ptr, ptr %arguments
  %class_at = getelementptr i8, ptr %x, i64 {class_}
  %class = load ptr, ptr %class_at
  %is_array = icmp eq ptr %class, %kind
  br i1 %is_array, label %measure, label %as_usual

measure:
  %dimensions_at = getelementptr i8, ptr %x, i64 {dimensions}
  %dimensions_32 = load i32, ptr %dimensions_at
  %dimensions = zext i32 %dimensions_32 to i64
  %shape_at = getelementptr i8, ptr %x, i64 {shape}
  %shape = load ptr, ptr %shape_at
  br label %next

next:
  %i = phi i64 [0, %measure], [%i_next, %multiply]
  %size = phi i64 [1, %measure], [%product, %multiply]
  %done = icmp eq i64 %i, %dimensions
  br i1 %done, label %compare, label %multiply

multiply:
  %length_at = getelementptr i64, ptr %shape, i64 %i
  %length = load i64, ptr %length_at
  %product = mul i64 %size, %length
  %i_next = add i64 %i, 1
  br label %next

compare:
  %is_large = icmp uge i64 %size, {large}
  br i1 %is_large, label %keywords, label %as_usual

keywords:
  %no_names = icmp eq ptr %names, null
  br i1 %no_names, label %into_kept, label %count_names

count_names:
  %length_of_names_at = getelementptr i8, ptr %names, i64 {head}
  %length_of_names = load i64, ptr %length_of_names_at
  %all = add i64 %count, %length_of_names
  %fit = icmp ult i64 %all, {room}
  br i1 %fit, label %next_name, label %as_usual

next_name:
  %n = phi i64 [0, %count_names], [%n_next, %named]
  %no_more = icmp eq i64 %n, %length_of_names
  br i1 %no_more, label %into_kept, label %named

named:
  %n_next = add i64 %n, 1
  %name_place = getelementptr ptr, ptr %names, i64 %n
  %name_at = getelementptr i8, ptr %name_place, i64 {items}
  %name = load ptr, ptr %name_at
  %value_place = getelementptr ptr, ptr %arguments, i64 %count
  %value_at = getelementptr ptr, ptr %value_place, i64 %n
  %value = load ptr, ptr %value_at
  %out = load ptr, ptr getelementptr (ptr, ptr @known, i64 3)
  %none = load ptr, ptr getelementptr (ptr, ptr @known, i64 4)
  %other_name = icmp ne ptr %name, %out
  %nothing = icmp eq ptr %value, %none
  %wants_new = or i1 %other_name, %nothing
  br i1 %wants_new, label %next_name, label %as_usual

into_kept:
  %given = phi i64 [%count, %keywords], [%all, %next_name]
  store ptr %ufunc, ptr %copies
  %others = getelementptr ptr, ptr %copies, i64 1
  %bytes = mul i64 %given, 8
  call void @llvm.memcpy.p0.p0.i64(ptr %others, ptr %arguments, i64 %bytes, i1 false)
  %more = add i64 %count, 1
  %result = call ptr @PyObject_Vectorcall(ptr %python, ptr %copies, i64 %more, ptr %names)
  ret ptr %result

as_usual:
  %from_numpy = tail call ptr %usual(ptr %ufunc, ptr %arguments, i64 %flagged, ptr %names)
  ret ptr %from_numpy
}}
"""

#: For arguments that are handed on; calls with more go NumPy's way.
ROOM = 33

#: Where a type says in which place of its objects that slot is: behind the head of a variable object, four words on.
_PLACE = tuple.__basicsize__ + 4 * ctypes.sizeof(ctypes.c_void_p)

_WORD = ctypes.sizeof(ctypes.c_void_p)


def with_kept_results(ufunc: np.ufunc) -> None:
    """Have a ufunc write large results into kept memory, where memory is kept."""
    code = _machine_code()
    if code:
        slot = _slot(ufunc)
        if slot.value == _slot(np.exp).value:
            slot.value = code


def _into_kept(ufunc: np.ufunc, *inputs: Any, out: Any = None, **keywords: Any) -> Any:
    # a tuple, so that it does not come here again; a name made at run time may have brought an array here
    out = (None,) * ufunc.nout if out is None else out if isinstance(out, tuple) else (out,)
    return from_kept(inputs[0].nbytes, ufunc, *inputs, out=out, **keywords)


def _slot(ufunc: np.ufunc) -> ctypes.c_void_p:
    place = ctypes.c_ssize_t.from_address(id(np.ufunc) + _PLACE).value
    return ctypes.c_void_p.from_address(id(ufunc) + place)


@once
def _machine_code() -> int:
    """Address of what the slots shall hold; 0 where nothing is kept, or objects are not as they are known to be."""
    usual, other = _slot(np.exp), _slot(np.add)
    if not (keeps_memory() and has_vectorcall() and usual.value and usual.value == other.value):
        return 0
    from fastact.runtime import compiler

    head = object.__basicsize__
    places = {"head": head, "class_": head - _WORD, "dimensions": head + _WORD, "shape": head + 2 * _WORD}
    source = SOURCE.format(large=Kept.LARGE // 8, room=ROOM, items=tuple.__basicsize__, **places)
    code = compiler.load(source, lambda: (["call", "known_at"], source), compiler.assemble_object)
    known = ctypes.CFUNCTYPE(ctypes.c_void_p)(code["known_at"])()
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(_into_kept))  # calls may come when this module is gone
    for i, address in enumerate((usual.value, id(np.ndarray), id(_into_kept), id(sys.intern("out")), id(None))):
        ctypes.c_void_p.from_address(known + i * _WORD).value = address
    return code["call"]

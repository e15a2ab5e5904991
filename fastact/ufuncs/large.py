"""Results of large ufunc calls, in memory that is kept: ``y = f(x)`` at the speed of ``f(x, out=y)``.

NumPy allocates a ufunc's result itself, and the system clears it page by page: two to four times the time of what
fills it. It takes memory from wherever the context says (NEP 49), so all that is needed is to be asked before the call.
Python calls a ufunc through a slot of the object (PEP 590): the one of ours leads to some machine instructions, which
hand what is plain and large, inputs alone and an array first, to a Python function, and everything else on to NumPy.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from fastact.runtime.guard import once
from fastact.simd.layout import Kept
from fastact.ufuncs.memory import from_kept, keeps_memory
from fastact.ufuncs.shortcut import has_vectorcall

__all__ = ["with_kept_results"]

#: ``@known`` holds NumPy's own function for the slot, ``np.ndarray``, and the Python function. Elements are counted and
#: not bytes, for the size of a dtype stands where NumPy's versions differ: the Python function looks again.
SOURCE = """
declare ptr @PyObject_Vectorcall(ptr, ptr, i64, ptr)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

@known = internal global [3 x ptr] zeroinitializer

define ptr @known_at() {{
  ret ptr @known
}}

define ptr @call(ptr %ufunc, ptr %arguments, i64 %flagged, ptr %names) {{
  %copies = alloca [33 x ptr]
  %usual = load ptr, ptr @known
  %kind = load ptr, ptr getelementptr (ptr, ptr @known, i64 1)
  %python = load ptr, ptr getelementptr (ptr, ptr @known, i64 2)
  %count = and i64 %flagged, 9223372036854775807
  %inputs_at = getelementptr i8, ptr %ufunc, i64 {head}
  %inputs_32 = load i32, ptr %inputs_at
  %inputs = zext i32 %inputs_32 to i64
  %no_names = icmp eq ptr %names, null
  %inputs_alone = icmp eq i64 %count, %inputs
  %plain = and i1 %no_names, %inputs_alone
  br i1 %plain, label %look, label %as_usual

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
  br i1 %is_large, label %into_kept, label %as_usual

into_kept:
  store ptr %ufunc, ptr %copies
  %others = getelementptr ptr, ptr %copies, i64 1
  %bytes = mul i64 %count, 8
  call void @llvm.memcpy.p0.p0.i64(ptr %others, ptr %arguments, i64 %bytes, i1 false)
  %more = add i64 %count, 1
  %result = call ptr @PyObject_Vectorcall(ptr %python, ptr %copies, i64 %more, ptr null)
  ret ptr %result

as_usual:
  %from_numpy = tail call ptr %usual(ptr %ufunc, ptr %arguments, i64 %flagged, ptr %names)
  ret ptr %from_numpy
}}
"""

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


def _into_kept(ufunc: np.ufunc, *inputs: Any) -> Any:
    # with a keyword, so that it does not come here again
    return from_kept(inputs[0].nbytes, ufunc, *inputs, out=(None,) * ufunc.nout)


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
    source = SOURCE.format(large=Kept.LARGE // 8, **places)
    code = compiler.load(source, lambda: (["call", "known_at"], source), compiler.assemble_object)
    known = ctypes.CFUNCTYPE(ctypes.c_void_p)(code["known_at"])()
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(_into_kept))  # calls may come when this module is gone
    for i, address in enumerate((usual.value, id(np.ndarray), id(_into_kept))):
        ctypes.c_void_p.from_address(known + i * _WORD).value = address
    return code["call"]

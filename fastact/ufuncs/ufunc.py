"""Genuine NumPy ufuncs, made at run time around our own loops.

NumPy offers C code a public function for that, ``PyUFunc_FromFuncAndData``, and puts its address in
a capsule; ctypes can call it. What comes back is an ``np.ufunc`` like ``np.exp``: NumPy itself
looks after broadcasting, casting, ``out``, ``where``, ``dtype``, overlap, subclasses and protocols.

Loops are compiled when they are first called, each for the one dtype it is called with. Until then
the ufunc's record holds the address of a callback into Python that compiles and fills it in.
"""

from __future__ import annotations

import copyreg
import ctypes
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any, NamedTuple, cast

import numpy as np

from fastact.containers import pairs, units
from fastact.formulas.expressions import Expression, constant, substitute
from fastact.formulas.fallback import numpy_function, wide
from fastact.formulas.nodes import topological
from fastact.runtime.backends import do_without
from fastact.runtime.callbacks import LOOP, RESOLVE, InterruptOnReturn, address_of, as_c
from fastact.runtime.guard import compiling, in_a_thread
from fastact.runtime.notices import UnavailableError, warn_once
from fastact.runtime.numpy_api import (
    FROM_FUNCTION_AND_DATA,
    FROM_FUNCTION_DATA_AND_SIGNATURE,
    REGISTER_LOOP_FOR_TYPE,
    numpy_functions,
    reaches_python,
    refuse_subinterpreters,
)
from fastact.simd.layout import Loop
from fastact.ufuncs.costs import nanoseconds, set_thresholds
from fastact.ufuncs.large import with_kept_results
from fastact.ufuncs.plain import PlainFunction

__all__ = ["STORAGES", "Definition", "make_ufunc", "pickled_as"]

refuse_subinterpreters()


#: Element types in the order in which NumPy looks for the first that the operands can be cast to.
#: Integers come first, or int8 would become float16; the result of both integer loops is float64.
STORAGES = ("int64", "uint64", "float16", "float32", "float64")

#: Nothing is compiled for it: NumPy's formulas compute in it, whatever the backend.
WIDE = "longdouble"

#: The fallback computes this many elements at a time: its temporaries stay in the cache.
FALLBACK_BLOCK = 16_384


class Definition(NamedTuple):
    """What a ufunc computes."""

    name: str
    inputs: list[str]
    results: tuple[Expression, ...]
    doc: str
    constants: Mapping[str, float] = MappingProxyType({})  # values of parameters that are no inputs
    summed: bool = False  # whether the last result is summed; see fastact.ufuncs.sums

    def results_for(self, storage: str) -> tuple[Expression, ...]:
        """The results with the constants in place, rounded as an operand of that type would be."""
        kind = np.dtype(storage if "float" in storage else "float64").type
        # Variables that are in there, not new ones: when the process ends, equal nodes are no longer identical.
        values = {
            node: constant(float(kind(self.constants[node.operands[0]])))
            for node in topological(*self.results)
            if node.operation == "variable" and node.operands[0] in self.constants
        }
        return substitute(self.results, values) if values else self.results

    def source(self, storage: str) -> str:
        from fastact.kernels.emit import loop_source

        return loop_source(self.name, self.inputs, self.results_for(storage), storage, self.summed)


class _LoopEntry(NamedTuple):
    """One loop of one ufunc; its index in ``_entries`` is in its record."""

    definition: Definition
    storage: str
    record: np.ndarray


_entries: list[_LoopEntry] = []
_keep: list[Any] = []  # what NumPy only points to
_records: dict[np.ufunc, np.ndarray] = {}  # likewise


def make_ufunc(definition: Definition, backend: str) -> np.ufunc:
    """A ufunc of that definition, computed by ``"numba"`` or ``"numpy"``."""
    if not reaches_python():
        function = numpy_function(definition.name, definition.inputs, definition.results_for("float64"))
        return cast("np.ufunc", PlainFunction(definition, function, FALLBACK_BLOCK))
    outputs = len(definition.results)
    built_in = (*STORAGES, WIDE)
    count = len(built_in)
    operands = len(definition.inputs) + outputs
    storages = (*built_in, "bfloat16") if bfloat16() else built_in
    records = np.zeros((len(storages), Loop.SIZE), np.int64)
    numbers = []
    for record, storage in zip(records, storages):
        record[Loop.INDEX] = len(_entries)
        record[Loop.OPERANDS] = operands
        _entries.append(_LoopEntry(definition, storage, record))
        result = result_storage(storage)
        if storage in built_in:
            numbers += [np.dtype(storage).num] * len(definition.inputs) + [np.dtype(result).num] * outputs
    if backend == "numba":
        from fastact.runtime import threads

        loop = threads.driver()
        records[:, Loop.RESOLVE] = address_of(_resolve)
        records[:, Loop.POOL] = threads.pool().ctypes.data
    else:
        loop = address_of(_fallback_loop)
    loops = [address_of(_fallback_loop) if storage == WIDE else loop for storage in built_in]
    functions = (ctypes.c_void_p * count)(*loops)
    data = (ctypes.c_void_p * count)(*[record.ctypes.data for record in records[:count]])
    types = (ctypes.c_ubyte * len(numbers))(*numbers)
    name, doc = definition.name.encode(), definition.doc.encode()
    _keep.append((functions, data, types, name, doc))
    none = -1  # PyUFunc_None: no identity, reduce over nothing is an error
    inputs = len(definition.inputs)
    ufunc = _from_function_and_data()(functions, data, types, count, inputs, outputs, none, name, doc, 0)
    _records[ufunc] = records
    if backend == "numba":
        with_kept_results(ufunc)
    if outputs > 1:
        pairs.enter(ufunc, definition.results)
    units.enter(ufunc)
    if bfloat16():
        _register(ufunc, operands, loop, records[-1])
    return ufunc


_origins: dict[Any, tuple[Callable[..., Any], tuple[Any, ...]]] = {}
_by_name: Callable[[np.ufunc], Any] = copyreg.dispatch_table[np.ufunc]  # NumPy's way to pickle them


def pickled_as(ufunc: np.ufunc, make: Callable[..., np.ufunc], *arguments: Any) -> None:
    """Have a ufunc, which need not be found under its name, pickled as what makes it. Dask, say, is not given a
    function that has parameters, but the ufunc that this calls."""
    _origins[ufunc] = make, arguments


copyreg.pickle(np.ufunc, lambda ufunc: _origins.get(ufunc) or _by_name(ufunc))
copyreg.pickle(PlainFunction, _origins.__getitem__)


def make_generalized(name: str, signature: str, dtype: np.dtype, loop: int, record: np.ndarray) -> np.ufunc:
    """A generalized ufunc of one dtype: its loop is called on whole matrices, with the record as data."""
    inputs, outputs = (side.count("(") for side in signature.split("->"))
    functions, data = (ctypes.c_void_p * 1)(loop), (ctypes.c_void_p * 1)(record.ctypes.data)
    types = (ctypes.c_ubyte * (inputs + outputs))(*[dtype.num] * (inputs + outputs))
    texts = name.encode(), b"", signature.encode()
    _keep.append((functions, data, types, texts, record))
    none = -1
    integer, text, address = ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p
    prototype = ctypes.PYFUNCTYPE(
        ctypes.py_object, address, address, address, *[integer] * 4, text, text, integer, text
    )
    make: Any = prototype(numpy_functions("_UFUNC_API")[FROM_FUNCTION_DATA_AND_SIGNATURE])
    ufunc: np.ufunc = make(functions, data, types, 1, inputs, outputs, none, *texts[:2], 0, texts[2])
    return ufunc


@cache
def bfloat16() -> np.dtype | None:
    """ml_dtypes' bfloat16, if that is installed."""
    if find_spec("ml_dtypes") is None:
        return None
    return np.dtype(import_module("ml_dtypes").bfloat16)


def _register(ufunc: np.ufunc, operands: int, loop: int, record: np.ndarray) -> None:
    """Add the loop for bfloat16, all operands of which are that."""
    kind = bfloat16()
    assert kind is not None
    types = (ctypes.c_int * operands)(*[kind.num] * operands)
    _keep.append(types)
    integer, address = ctypes.c_int, ctypes.c_void_p
    prototype = ctypes.PYFUNCTYPE(integer, ctypes.py_object, integer, address, address, address)
    register: Any = prototype(numpy_functions("_UFUNC_API")[REGISTER_LOOP_FOR_TYPE])
    register(ufunc, kind.num, loop, ctypes.addressof(types), record.ctypes.data)


def result_storage(storage: str) -> str:
    """The type of results: that of the operands, or float64."""
    return "float64" if "int" in storage else storage


def records_of(ufunc: np.ufunc) -> np.ndarray:
    """The records of a ufunc's loops, in the order of STORAGES."""
    return _records[ufunc]


def loop_of(ufunc: np.ufunc, dtype: np.dtype) -> tuple[int, int]:
    """The address of a ufunc's compiled loop, and of the data it is to be called with."""
    record = _records[ufunc][STORAGES.index(dtype.name)]
    if not record[Loop.FUNCTION]:
        ufunc(*[np.zeros(1, dtype)] * ufunc.nin)  # resolves it
    return int(record[Loop.FUNCTION]), record.ctypes.data


@cache
def _from_function_and_data() -> Callable[..., Any]:
    integer, text, address = ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p
    prototype = ctypes.PYFUNCTYPE(
        ctypes.py_object, address, address, address, integer, integer, integer, integer, text, text, integer
    )
    return prototype(numpy_functions("_UFUNC_API")[FROM_FUNCTION_AND_DATA])


# -- compiled loops -------------------------------------------------------------------------------


def compile_loop(definition: Definition, storage: str) -> int:
    """The address of a loop's machine code, compiled now if nothing is cached."""
    from fastact.runtime import compiler

    source = definition.source(storage)

    def functions() -> dict[str, tuple[Any, Any]]:
        from fastact.simd.blocks import LOOP_SIGNATURE

        namespace: dict[str, Any] = {}
        exec(compile(source, f"<fastact {definition.name} {storage}>", "exec"), namespace)
        return {"loop": (LOOP_SIGNATURE, namespace["loop"])}

    return compiler.load(source, functions)["loop"]


@as_c(RESOLVE)
def _resolve(record: Any) -> None:
    """Called by the driver, once per loop: compile it and put its address where the driver looks."""
    entry = _entries[record[Loop.INDEX]]
    while not entry.record[Loop.FUNCTION]:
        try:
            in_a_thread(_compile_entry, entry)
        except KeyboardInterrupt:  # the driver waits for an address to jump to; finish first
            interrupt = InterruptOnReturn()  # noqa: F841


def _compile_entry(entry: _LoopEntry) -> None:
    ending = sys.is_finalizing()
    if not compiling.acquire(blocking=not ending):  # who holds it has been stopped for good
        _use_fallback(entry.record)
        return
    try:
        if not entry.record[Loop.FUNCTION]:
            loop = compile_loop(entry.definition, entry.storage)
            set_thresholds(
                entry.record, nanoseconds(loop, entry.record, operand_types(entry.definition, entry.storage))
            )
            entry.record[Loop.FUNCTION] = loop
    except UnavailableError as error:
        _use_fallback(entry.record)
        try:
            do_without(error)
        except ImportError as refusal:  # NumPy, which called, would not hear of it
            warn_once("backend", f"NumPy computes {entry.definition.name}: {refusal}")
    except BaseException:
        _use_fallback(entry.record)
        if not ending:  # when modules go, nothing is wrong
            raise  # the report that is printed says what went wrong
    finally:
        compiling.release()


def _use_fallback(record: np.ndarray) -> None:
    """Python code can compute too."""
    record[[Loop.WORTH_SHARING, Loop.WORTH_WAKING]] = np.iinfo(np.int64).max
    record[Loop.FUNCTION] = address_of(_fallback_loop)


def operand_types(definition: Definition, storage: str) -> list[np.dtype]:
    """Of a loop: its inputs, its results, and of one that sums float64 in place of the last."""
    kinds = [storage] * len(definition.inputs) + [result_storage(storage)] * len(definition.results)
    if definition.summed:
        kinds[-1] = "float64"
    return [cast("np.dtype", bfloat16()) if kind == "bfloat16" else np.dtype(kind) for kind in kinds]


# -- the fallback ---------------------------------------------------------------------------------

_WRITABLE = 0x200  # PyBUF_WRITE


@cache
def _memory_view() -> Callable[[int, int, int], memoryview]:
    view: Any = ctypes.pythonapi.PyMemoryView_FromMemory
    view.restype, view.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int]
    return view


def _operand(address: int, size: int, stride: int, storage: str) -> np.ndarray:
    """An operand of a loop as an array over the same memory."""
    dtype = np.dtype(storage)
    span = (size - 1) * stride
    low = address + min(span, 0)
    memory = _memory_view()(low, abs(span) + dtype.itemsize, _WRITABLE)
    return np.ndarray((size,), dtype, memory, address - low, (stride,))


@cache
def _numpy_function(index: int) -> Callable[..., Any]:
    definition, storage, _ = _entries[index]
    return numpy_function(definition.name, definition.inputs, definition.results_for(storage))


@as_c(LOOP)
def _fallback_loop(pointers: Any, dimensions: Any, steps: Any, record: Any) -> None:
    """A loop in plain NumPy, in float64 whatever the narrower dtype: float32 and float16 results then have
    no dead tails, and one rounding."""
    try:
        index = record[Loop.INDEX]
        entry, size = _entries[index], dimensions[0]
        if size == 0:
            return
        inputs = len(entry.definition.inputs)
        result = result_storage(entry.storage)
        arrays = [
            _operand(pointers[i], size, steps[i], entry.storage if i < inputs else result)
            for i in range(record[Loop.OPERANDS])
        ]
        run_blocks(_numpy_function(index), arrays[:inputs], arrays[inputs:])
    except KeyboardInterrupt:
        later = InterruptOnReturn()  # noqa: F841


def run_blocks(function: Callable[..., Any], inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> None:
    """Apply a function of float64 arrays, or of wider ones, a cacheful at a time."""
    dtype = wide(outputs[0].dtype)
    with np.errstate(all="ignore"):
        for start in range(0, len(outputs[0]), FALLBACK_BLOCK):
            part = slice(start, start + FALLBACK_BLOCK)
            results = function(*(array[part].astype(dtype) for array in inputs))
            for output, values in zip(outputs, results if isinstance(results, tuple) else (results,)):
                output[part] = values
        # Every ufunc clears the floating-point flags before it starts: nothing is left for the caller to see.
        np.add(_ONE, _ONE)


_ONE = np.ones(1)

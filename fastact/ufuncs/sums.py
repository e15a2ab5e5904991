"""Sums of formulas in one pass over memory, right to the last bit of the result.

The terms are computed in float64 whatever the operands are, and summed with their rounding errors: in lanes,
then in partial sums of a fixed number of elements, then by ``math.fsum``. What is added to what depends on shapes and
strides, never on threads.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np

from fastact.runtime.numpy_api import address
from fastact.simd.known import Known
from fastact.simd.layout import Loop, Pool
from fastact.ufuncs.costs import nanoseconds, set_thresholds
from fastact.ufuncs.direct import Mean, Operand, Work, constants
from fastact.ufuncs.nested import LEVELS, Nest, coalesced, words
from fastact.ufuncs.ufunc import FALLBACK_BLOCK, STORAGES, Definition, compile_loop, operand_types

__all__ = ["FLOATS", "Sum", "rounded"]

#: Elements of a partial sum: a few microseconds of work, and few enough partial sums for Python.
LENGTH = 16_384

#: The dtypes of operands, and of results.
FLOATS = {np.dtype(storage): storage for storage in STORAGES if storage.startswith("float")}

#: The dtypes of results that calls without Python can make.
RESULTS = {dtype for dtype in FLOATS if dtype.itemsize >= 4}

LARGEST: dict[np.dtype, Any] = {dtype: float(np.finfo(dtype).max) for dtype in FLOATS}
LARGEST[np.dtype(np.longdouble)] = np.finfo(np.longdouble).max


class Sum:
    """A loop that sums the last result of a definition over all elements, and writes the others."""

    def __init__(self, definition: Definition, backend: str) -> None:
        self.definition = definition._replace(summed=True)
        self.compiled = backend == "numba"
        self._records: dict[np.dtype, np.ndarray] = {}

    def __call__(self, dtype: np.dtype, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray] = ()) -> float:
        """The sum over operands of one shape, or of none, which then are numbers for all elements.

        Outputs have that shape and the dtype given. Inputs of other dtypes are converted block by block.
        """
        if self.compiled and all(a.dtype == dtype for a in inputs):
            operands = [*inputs, *outputs]
            shape = operands[0].shape
            plan = _plan(shape, tuple([a.strides or (0,) * len(shape) for a in operands]))
            if plan:
                return self._run(dtype, operands, *plan)
        if dtype not in FLOATS:
            return self._in_wide(inputs)
        return _exact(list(self._partial_sums(dtype, inputs, outputs)))

    def mean_work(self, arrays: Mapping[str, np.ndarray], numbers: Sequence[float], divisor: float) -> Work | None:
        """What calls without Python are to know of a sum over C-ordered arrays of one shape and dtype, divided."""
        first = next(iter(arrays.values()))
        dtype, shape = first.dtype, first.shape
        if not self.compiled or dtype not in RESULTS or any(a.dtype is not dtype for a in arrays.values()):
            return None
        same = constants(numbers, dtype, shape)
        if same is None:
            return None
        operands = [*arrays.values(), *same]
        plan = _plan(shape, tuple([a.strides for a in operands]))
        if plan is None:
            return None
        sizes, partials = plan
        count = ctypes.sizeof(partials) // 16
        if count > Known.MOST_PARTIALS:
            return None
        record = self._record(dtype)
        mean = Mean(count, divisor)
        parts: list[Operand | np.ndarray] = [*map(Operand, arrays), *same]
        return Work(_driver().address, parts, sizes, None, address(record), (), dtype, mean)

    def _record(self, dtype: np.dtype) -> np.ndarray:
        record = self._records.get(dtype)
        if record is None:
            record = self._records[dtype] = _record(self.definition, FLOATS[dtype])
        return record

    def _run(self, dtype: np.dtype, operands: Sequence[np.ndarray], sizes: Any, partials: Any) -> float:
        if dtype not in FLOATS:
            return self._in_wide(operands)
        found = partials()
        _driver().call(words([address(a) for a in operands]), sizes, found, address(self._record(dtype)))
        return _exact(found[:])

    def _in_wide(self, inputs: Sequence[np.ndarray]) -> Any:
        """In longdouble, for which nothing is compiled."""
        with np.errstate(all="ignore"):
            terms = self._in_numpy(*(operand.astype(np.longdouble) for operand in inputs))[-1]
            return np.broadcast_to(terms, inputs[0].shape).sum(dtype=np.longdouble)

    def _partial_sums(
        self, dtype: np.dtype, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]
    ) -> Iterator[float]:
        """The same, block by block in Python: for the fallback, and for operands that need more than loops."""
        dtypes = [dtype if self.compiled else np.dtype(np.float64)] * (len(inputs) + len(outputs))
        access: Any = [["readonly"]] * len(inputs) + [["writeonly"]] * len(outputs)
        flags: Any = ["external_loop", "buffered", "zerosize_ok"]
        blocks = np.nditer([*inputs, *outputs], flags, access, dtypes, casting="same_kind", buffersize=FALLBACK_BLOCK)
        with blocks, np.errstate(all="ignore"):
            for operands in blocks:
                if self.compiled:
                    yield self._run(dtype, operands, *_plan(operands[0].shape, tuple([a.strides for a in operands])))
                    continue
                *results, terms = self._in_numpy(*operands[: len(inputs)])
                for output, result in zip(operands[len(inputs) :], results):
                    output[...] = result
                yield float(np.add.reduce(np.broadcast_to(terms, operands[0].shape)))

    @cached_property
    def _in_numpy(self) -> Callable[..., tuple[np.ndarray, ...]]:
        from fastact.formulas.fallback import numpy_function

        definition = self.definition
        function = numpy_function(definition.name, definition.inputs, definition.results_for("float64"))
        return function if len(definition.results) > 1 else lambda *operands: (function(*operands),)


def rounded(total: float, dtype: np.dtype) -> Any:
    """A sum in the dtype of its operands, infinite without a warning where that has nothing as large."""
    if abs(total) > LARGEST[dtype]:
        total = math.copysign(math.inf, total)
    return dtype.type(total)


def _exact(partials: Sequence[float]) -> float:
    """Their sum, rounded once."""
    try:
        return math.fsum(partials)
    except (OverflowError, ValueError):  # beyond all floats, or infinities of both signs
        with np.errstate(all="ignore"):
            return float(np.sum(partials))


@lru_cache(512)
def _plan(shape: tuple[int, ...], strides: tuple[tuple[int, ...], ...]) -> Any:
    """The sum's description as :class:`fastact.simd.layout.Sums` has it, and the type of its partial sums; None if
    that takes more than three loops."""
    nest = coalesced(shape, strides)
    if len(nest.sizes) > LEVELS or 0 in nest.sizes:
        return None
    longest = max(range(len(nest.sizes)), key=nest.sizes.__getitem__, default=0)
    if nest.sizes and nest.sizes[0] < 64 < nest.sizes[longest]:  # a row costs more to begin than strides cost
        order = [longest, *(i for i in range(len(nest.sizes)) if i != longest)]
        nest = Nest([nest.sizes[i] for i in order], [nest.steps[i] for i in order])
    sizes, steps = nest.filled(len(strides))
    pieces = -(-sizes[0] // LENGTH)
    group = max(1, LENGTH // sizes[0])
    count = -(-sizes[1] * sizes[2] * pieces // group)
    return words(
        [*sizes, LENGTH, pieces, group, count, *(step for loop in steps for step in loop)]
    ), ctypes.c_double * (2 * count)


class Driver(NamedTuple):
    """The compiled driver, and where it stands."""

    call: Callable[..., None]
    address: int


@cache
def _driver() -> Driver:
    from fastact.runtime import compiler, threads

    pointer = ctypes.c_void_p
    parts = compiler.compiled("fastact.ufuncs.partial_sums")
    threads.register(Pool.RUN_SUMS, parts["run_sums"])
    address = parts["drive_sums"]
    return Driver(ctypes.CFUNCTYPE(None, pointer, pointer, pointer, pointer)(address), address)


def _record(definition: Definition, storage: str) -> np.ndarray:
    """What the driver must know of a loop, compiled now."""
    from fastact.runtime import threads

    record = np.zeros(Loop.SIZE, np.int64)
    record[Loop.OPERANDS] = len(definition.inputs) + len(definition.results) - 1
    record[Loop.POOL] = threads.pool().ctypes.data
    loop = compile_loop(definition, storage)
    set_thresholds(record, nanoseconds(loop, record, operand_types(definition, storage)))
    record[Loop.FUNCTION] = loop
    return record

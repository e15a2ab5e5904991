"""How functions along an axis reach their compiled tasks: the shape of the work, and who does it."""

from __future__ import annotations

import ctypes
import math
import struct
from array import array as array_of_words
from collections.abc import Callable, Sequence
from functools import cache, lru_cache, partial
from typing import Any, NamedTuple

import numpy as np

from fastact.formulas.fallback import two_differences
from fastact.rows import fallback
from fastact.rows.formulas import HUGE
from fastact.runtime import threads
from fastact.runtime.control import get_num_threads
from fastact.runtime.guard import once
from fastact.runtime.numpy_api import address
from fastact.simd.layout import Axis
from fastact.ufuncs import direct
from fastact.ufuncs.nested import words

__all__ = ["Layout", "apply", "apply_plain", "known_records", "statistics"]

#: A row longer than this many bytes is not kept in a core's cache between passes, so it is cut into parts of which
#: each is, and which all threads share.
LONG = 1 << 18

#: Rows shorter than this do not fill a register: many at a time, one in each lane.
SHORT = 14

#: Rows up to this length go four at a time: at 100, in 0.5 ns per element and core instead of 0.75.
MEDIUM = 400

#: Bytes of a block of panels: with what is prefetched for the next and for its own results, it should leave half of a
#: core's second-level cache to others. And of the longest panel that stays whole.
BLOCK, LONGEST = 1 << 17, 1 << 19

#: Elements from which threads pay when they are awake, and when they must be woken; and of a task at a time.
WORTH_SHARING, WORTH_WAKING, CHUNK = 25_000, 100_000, 5_000


#: What long rows are not cut into parts for.
WHOLE = {"sparsemax", "entmax15", "sparsemax_backward", "entmax15_backward"}
WHOLE |= {"layer_norm", "rms_norm", "layer_norm_backward", "rms_norm_backward"}


class Layout(NamedTuple):
    """An array seen as rows along an axis: ``outer`` times ``inner`` of them."""

    outer: int
    length: int
    inner: int


class Driver(NamedTuple):
    """The compiled driver, and the address of the threads' record."""

    call: Callable[[Any], None]
    address: int
    known: int  # address of the one for calls that are known
    pool: int


@cache
def _driver() -> Driver:
    from fastact.runtime import compiler

    drivers = compiler.compiled("fastact.runtime.drivers", "axis")
    address = drivers["drive_rows"]
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address)
    return Driver(call, address, drivers["drive_known_rows"], threads.pool().ctypes.data)


@cache
def _tasks(operation: str, dtype: np.dtype) -> dict[str, int]:
    from fastact.runtime import compiler

    return compiler.compiled("fastact.rows.kernels", operation, dtype.name)


def _word(value: float) -> int:
    """The bits of a float64, as a record holds them."""
    return int(struct.unpack("q", struct.pack("d", value))[0])


EMPTY = array_of_words("q", [0] * Axis.SIZE)
EMPTY[Axis.SCALE] = _word(1.0)

#: Where a record holds its operands, by their number; results come last.
SLOTS = {1: (Axis.X,), 2: (Axis.X, Axis.Y), 3: (Axis.X, Axis.OTHER, Axis.Y)}


#: The parameters that operands belong to, by their number.
OPERANDS = {2: ("x",), 3: ("y", "grad")}


def _blank(layout: Layout, strides: Sequence[tuple[int, ...]]) -> Any:
    """A record for operands of three dimensions, of which the middle one is the axis; addresses are missing."""
    record = EMPTY[:]
    for slot, (outer, along, inner) in zip(SLOTS[len(strides)], strides):
        record[slot + 1], record[slot + 2], record[slot + 3] = outer, inner, along
    record[Axis.LENGTH], record[Axis.INNER] = layout.length, layout.inner
    return record


def _describe(layout: Layout, arrays: Sequence[np.ndarray]) -> Any:
    record = _blank(layout, [array.strides for array in arrays])
    for slot, array in zip(SLOTS[len(arrays)], arrays):
        record[slot] = address(array)
    return record


def _assign(record: Any, task: int, count: int, grain: int, elements: int) -> None:
    """Note in a record what is to be done."""
    record[Axis.TASK], record[Axis.COUNT], record[Axis.GRAIN] = task, count, grain
    record[Axis.SHARE] = (elements >= WORTH_SHARING) + (elements >= WORTH_WAKING)
    record[Axis.POOL] = _driver().pool


def _run(record: Any) -> None:
    _driver().call(record.buffer_info()[0])
    if record[Axis.REFUSED]:
        raise MemoryError("there is no memory to compute with along this axis")


def _assign_rows(operation: str, record: Any, layout: Layout, dtype: np.dtype, steps: Sequence[int]) -> None:
    """One pass over rows that fit the cache, or over panels of them; ``steps`` are the operands' along the axis."""
    tasks, size = _tasks(operation, dtype), dtype.itemsize
    outer, length, inner = layout
    elements = outer * length * inner
    if length >= SHORT and all(step == size for step in (steps[:1] if operation == "statistics" else steps)):
        if inner == 1 and outer > 1 and length <= MEDIUM:
            record[Axis.PART] = outer
            _assign(record, tasks["bundles"], -(-outer // 4), max(1, CHUNK // (4 * length)), elements)
            return
        _assign(record, tasks["rows"], outer * inner, max(1, CHUNK // length), elements)
        return
    if inner == 1 and outer > 1:  # rows stand beside each other outside of the axis
        for slot in SLOTS[3]:
            record[slot + 1], record[slot + 2] = 0, record[slot + 1]
        outer, inner = 1, outer
        record[Axis.INNER] = inner
    lanes = _lanes(dtype)
    width = min(max(1, BLOCK // (256 * length)), -(-inner // lanes))
    record[Axis.PART] = width
    blocks = outer * -(-inner // (lanes * width))
    _assign(record, tasks["panels"], blocks, max(1, CHUNK // (lanes * width * length)), elements)


@cache
def _lanes(dtype: np.dtype) -> int:
    from fastact.simd.registers import register_bytes

    return register_bytes() // (2 if dtype.name == "float64" else 1)


def _have_long_rows(layout: Layout, size: int) -> bool:
    """Whether rows may have to be cut into parts: too long for the cache, or too few for the threads."""
    return layout.length * size > LONG or layout.length >= WORTH_WAKING


def _have_long_columns(layout: Layout, dtype: np.dtype) -> bool:
    """Whether rows beside each other are to be cut: a panel of them does not fit the cache."""
    wide = layout.inner >= SHORT and layout.length * layout.inner >= WORTH_WAKING
    return wide and layout.length * _lanes(dtype) * dtype.itemsize > LONGEST


def _are_columns(layout: Layout, arrays: Sequence[np.ndarray]) -> bool:
    size = arrays[0].itemsize
    return _have_long_columns(layout, arrays[0].dtype) and all(a.strides[2] == size for a in arrays)


def _are_cut(layout: Layout, arrays: Sequence[np.ndarray]) -> bool:
    size = arrays[0].itemsize
    if _are_columns(layout, arrays):
        return True
    if not _have_long_rows(layout, size) or any(a.strides[1] != size for a in arrays):
        return False
    return layout.length * size > LONG or layout.outer * layout.inner < get_num_threads()


def apply(operation: str, *arrays: np.ndarray, scale: float = 1.0) -> None:
    """An operation along the middle axis of three. Results, times ``scale`` (of norms, with that added to variances),
    go to the last array; the others are x, or the forward's output and the gradient with respect to it."""
    if arrays[0].dtype.char == "g":
        fallback.apply(operation, *arrays, scale=scale)
        return
    layout = Layout(*arrays[0].shape)
    if operation in WHOLE or not _are_cut(layout, arrays):
        record = _describe(layout, arrays)
        record[Axis.SCALE] = _word(scale)
        _assign_rows(operation, record, layout, arrays[0].dtype, [a.strides[1] for a in arrays])
        _run(record)
        return
    for piece in _in_pieces(layout, arrays):
        _apply_to_parts(operation, piece, scale, arrays[-1].nbytes)


def apply_plain(operation: str, axis: int, *arrays: np.ndarray) -> bool:
    """The same along an axis of C-ordered arrays of one shape and dtype, which costs no more than has to be: a record
    made before, and the addresses. False, and nothing done, where rows may have to be cut."""
    first = arrays[0]
    record = _plain_record(operation, first.dtype, first.shape, axis % first.ndim, len(arrays))
    if record is None:
        return False
    names = OPERANDS[len(arrays)]
    direct.note(operation, {**dict(zip(names, arrays)), "axis": axis}, partial(_work, names, first, record))
    record = record[:]
    record[Axis.X], record[Axis.Y] = address(first), address(arrays[-1])
    if len(arrays) == 3:
        record[Axis.OTHER] = address(arrays[1])
    _run(record)
    return True


def _work(names: Sequence[str], first: np.ndarray, record: Any) -> direct.Work:
    """What is done along an axis, as calls without Python know it."""
    operands, state = [*map(direct.Operand, names), direct.Operand("out")], address(_state(len(names)))
    shape, dtype = first.shape, first.dtype
    return direct.Work(_driver().known, operands, words(record), words([0]), state, shape, dtype, refused=state)


@once
def _state(inputs: int) -> np.ndarray:
    """What the driver of such calls is given: how often it had no memory, and the number of inputs."""
    return np.array([0, 0, inputs])


@lru_cache(512)
def _plain_record(operation: str, dtype: np.dtype, shape: tuple[int, ...], axis: int, operands: int) -> Any:
    layout = Layout(math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :]))
    if dtype.char == "g" or _have_long_rows(layout, dtype.itemsize) or _have_long_columns(layout, dtype):
        return None
    inner = layout.inner * dtype.itemsize
    record = _blank(layout, [(layout.length * inner, inner, dtype.itemsize)] * operands)
    _assign_rows(operation, record, layout, dtype, [inner] * operands)
    return record


def known_records(layout: Layout, dtype: np.dtype, scale: float) -> tuple[int, Any, Any] | None:
    """The address of the compiled driver, and records for it in which only addresses are missing: of
    :func:`statistics`, and of softmax; None where rows may have to be cut."""
    if dtype.char == "g" or _have_long_rows(layout, dtype.itemsize) or _have_long_columns(layout, dtype):
        return None
    inner = layout.inner * dtype.itemsize
    record = _blank(layout, [(layout.length * inner, inner, dtype.itemsize), *[(inner, inner, dtype.itemsize)] * 2])
    _assign_rows("statistics", record, layout, dtype, [inner])
    scaled = _plain_record("softmax", dtype, tuple(layout), 1, 2)[:]
    scaled[Axis.SCALE] = _word(scale)
    return _driver().address, record, scaled


def statistics(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each row the maximum, and the logarithm of the sum of exp(x - maximum)."""
    if x.dtype.char == "g":
        return fallback.statistics(x)
    layout = Layout(*x.shape)
    maximum = np.empty((layout.outer, 1, layout.inner), x.dtype)
    log = np.empty_like(maximum)
    if not _are_cut(layout, (x,)):
        record = _describe(layout, (x, log, maximum))
        _assign_rows("statistics", record, layout, x.dtype, [x.strides[1]])
        _run(record)
        return maximum, log
    for piece, largest, logarithm in _in_pieces(layout, (x, maximum, log)):
        record, part_of_rows = _describe(Layout(*piece.shape), (piece,)), largest.shape[2]
        found, _, logs = _summary("statistics", record, _cut(Layout(*piece.shape), x.dtype), x.dtype)
        with np.errstate(all="ignore"):
            largest[...], logarithm[...] = found.reshape(-1)[:part_of_rows], logs.reshape(-1)[:part_of_rows]
    return maximum, log


# -- rows in parts --------------------------------------------------------------------------------


class Cut(NamedTuple):
    """How long rows are cut: the tasks' names end with ``kind``; elements of a row in a part, parts, rows at a time."""

    kind: str
    size: int
    parts: int
    lanes: int
    panels: int


def _single_rows(*arrays: np.ndarray) -> Any:
    """The arrays' rows one by one, each still of three dimensions."""
    outer, _, inner = arrays[0].shape
    for i in range(outer):
        for j in range(inner):
            yield tuple(array[i : i + 1, :, j : j + 1] for array in arrays)


def _in_pieces(layout: Layout, arrays: Sequence[np.ndarray]) -> Any:
    """What is computed together of rows in parts: a row, or all columns."""
    if _are_columns(layout, arrays):
        for i in range(layout.outer):
            yield tuple(array[i : i + 1] for array in arrays)
    else:
        yield from _single_rows(*arrays)


def _cut(layout: Layout, dtype: np.dtype) -> Cut:
    """The same for any number of threads, so all bits are."""
    if layout.inner == 1:
        size = LONG // 4 // dtype.itemsize
        return Cut("parts", size, -(-layout.length // size), 1, 1)
    lanes = _lanes(dtype)
    size = LONG // 2 // (lanes * dtype.itemsize)
    return Cut("columns", size, -(-layout.length // size), lanes, -(-layout.inner // lanes))


def _apply_to_parts(operation: str, arrays: Sequence[np.ndarray], scale: float, result_bytes: int) -> None:
    layout, dtype = Layout(*arrays[0].shape), arrays[0].dtype
    record, cut = _describe(layout, arrays), _cut(layout, dtype)
    known = np.empty((cut.panels, Axis.KNOWN, cut.lanes))
    if operation.endswith("backward"):
        known[:, 1] = _sum(_summaries(operation, record, cut, dtype)[:, :, 1])
    else:
        known[:, 0], known[:, 1], known[:, 2] = _summary(operation, record, cut, dtype)
        record[Axis.SCALE] = _word(scale)
    record[Axis.PARTS], record[Axis.BYTES] = address(known), result_bytes
    _run_parts(operation, "finish", record, cut, dtype)


def _run_parts(operation: str, task: str, record: Any, cut: Cut, dtype: np.dtype) -> None:
    record[Axis.PART] = cut.size
    elements = record[Axis.LENGTH] * record[Axis.INNER]
    _assign(record, _tasks(operation, dtype)[f"{task}_{cut.kind}"], cut.parts * cut.panels, 1, elements)
    _run(record)


def _summaries(operation: str, record: Any, cut: Cut, dtype: np.dtype) -> np.ndarray:
    """What is known of each part: (parts, panels, Axis.SUMMARY, lanes)."""
    results = np.empty((cut.parts, cut.panels, Axis.SUMMARY, cut.lanes))
    record[Axis.PARTS] = address(results)
    _run_parts(operation, "summarise", record, cut, dtype)
    return results


def _sum(x: np.ndarray) -> np.ndarray:
    """Over parts, in the widest type there is: NumPy adds them one by one."""
    total: np.ndarray = x.sum(axis=0, dtype=np.longdouble).astype(np.float64)
    return total


def _summary(operation: str, record: Any, cut: Cut, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows' maxima, the sums of exponentials as multiples of 2**k of the maximum (fastact.rows.formulas), and the
    logarithms of the sums as multiples of the largest; NaN if there is none."""
    summaries = _summaries(operation, record, cut, dtype)
    maxima, numbers, others, p, k = np.moveaxis(summaries, 2, 0)
    with np.errstate(all="ignore"):
        maximum, first = maxima.max(axis=0), maxima.argmax(axis=0)[None]
        top_p, top_k = (np.take_along_axis(values, first, axis=0)[0] for values in (p, k))
        difference, low = two_differences(_shift(maxima), _shift(maximum))
        factors = np.exp(difference)
        factors = np.ldexp(factors + factors * low, np.clip(k - top_k, -5000, 5000).astype(np.int32))
        largest = maxima == maximum
        number = _sum(np.where(largest, numbers, 0.0))
        rest = _sum(np.where(largest, others, (numbers * p + others) * factors))
        broken = ~np.isfinite(maximum) | np.isnan(others).any(axis=0)
        number = np.where(broken, np.nan, number)
        return maximum, number * top_p + rest, np.log1p((number - 1.0) + rest / top_p)


def _shift(maximum: np.ndarray) -> np.ndarray:
    return np.where(np.abs(maximum) <= HUGE, 0.0, maximum)

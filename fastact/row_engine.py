"""How functions along an axis reach their compiled tasks: the shape of the work, and who does it."""

from __future__ import annotations

import ctypes
import math
import struct
from array import array as array_of_words
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastact import threads
from fastact.layout import Axis
from fastact.nested import address

__all__ = ["gradient", "softmax", "sparsemax", "statistics"]

#: A row longer than this many bytes is not kept in a core's cache between passes, so it is cut into parts of which
#: each is, and which all threads share.
LONG = 1 << 18

#: Rows shorter than this do not fill a register: many at a time, one in each lane.
SHORT = 14

#: Rows up to this length go four at a time: at 100, in 0.5 ns per element and core instead of 0.75.
MEDIUM = 400

#: Bytes of a block of panels: half of a core's second-level cache at most, and long runs in memory.
BLOCK = 1 << 18

#: Elements from which threads pay when they are awake, and when they must be woken; and of a task at a time.
WORTH_SHARING, WORTH_WAKING, CHUNK = 25_000, 100_000, 5_000


class Layout(NamedTuple):
    """An array seen as rows along an axis: ``outer`` times ``inner`` of them."""

    outer: int
    length: int
    inner: int


@cache
def _driver() -> tuple[Callable[[Any], None], int]:
    """The compiled driver, and the address of the threads' record."""
    driver = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(threads.compiled("axis")["drive_rows"])
    return driver, threads.pool().ctypes.data


@cache
def _tasks(operation: str, dtype: np.dtype) -> dict[str, int]:
    from fastact import compiler
    from fastact.emit import precision_of
    from fastact.row_formulas import sources

    def functions() -> dict[str, tuple[Any, Any]]:
        from fastact import row_kernels

        return row_kernels.functions(operation, dtype.name)

    here = Path(__file__).parent
    source = "".join((here / name).read_text() for name in ("row_kernels.py", "row_moves.py"))
    kernels = "".join(sources(precision_of(dtype.name)).values())
    return compiler.load(f"{source}\0{kernels}\0{operation}\0{dtype.name}", functions)


def _word(value: float) -> int:
    """The bits of a float64, as a record holds them."""
    return int(struct.unpack("q", struct.pack("d", value))[0])


ONE = _word(1.0)


def _run(record: Any, task: int, count: int, grain: int, elements: int) -> None:
    record[Axis.TASK], record[Axis.COUNT], record[Axis.GRAIN] = task, count, grain
    record[Axis.SHARE] = (elements >= WORTH_SHARING) + (elements >= WORTH_WAKING)
    driver, record[Axis.POOL] = _driver()
    driver(record.buffer_info()[0])


def _describe(layout: Layout, **operands: np.ndarray) -> Any:
    """A record for arrays of three dimensions, of which the middle one is the axis."""
    record = array_of_words("q", EMPTY)
    for name, array in operands.items():
        slot = SLOTS[name]
        record[slot + 1], record[slot + 3], record[slot + 2] = array.strides
        record[slot] = address(array)
    record[Axis.LENGTH], record[Axis.INNER] = layout.length, layout.inner
    record[Axis.SIGN] = record[Axis.SCALE] = ONE
    return record


EMPTY = [0] * Axis.SIZE
SLOTS = {"x": Axis.X, "other": Axis.OTHER, "y": Axis.Y}


def _every_row(operation: str, record: Any, layout: Layout, dtype: np.dtype) -> None:
    """One pass over rows that fit the cache, or over panels of them."""
    tasks, size = _tasks(operation, dtype), dtype.itemsize
    outer, length, inner = layout
    elements = outer * length * inner
    x, other, y = Axis.X, Axis.OTHER, Axis.Y
    contiguous = record[x + 3] == record[y + 3] == size and (record[other] == 0 or record[other + 3] == size)
    if length >= SHORT and (contiguous or (operation == "statistics" and record[Axis.X + 3] == size)):
        if inner == 1 and outer > 1 and length <= MEDIUM:
            record[Axis.PART] = outer
            _run(record, tasks["bundles"], -(-outer // 4), max(1, CHUNK // (4 * length)), elements)
            return
        _run(record, tasks["rows"], outer * inner, max(1, CHUNK // length), elements)
        return
    if inner == 1 and outer > 1:  # rows stand beside each other outside of the axis
        for slot in SLOTS.values():
            record[slot + 1], record[slot + 2] = 0, record[slot + 1]
        outer, inner = 1, outer
        record[Axis.INNER] = inner
    lanes = _lanes(dtype)
    width = min(max(1, BLOCK // (256 * length)), -(-inner // lanes))
    record[Axis.PART] = width
    blocks = outer * -(-inner // (lanes * width))
    _run(record, tasks["panels"], blocks, max(1, CHUNK // (lanes * width * length)), elements)


@cache
def _lanes(dtype: np.dtype) -> int:
    from fastact.registers import register_bytes

    return register_bytes() // (2 if dtype.name == "float64" else 1)


def _is_long(layout: Layout, *operands: np.ndarray) -> bool:
    """Whether rows are to be cut into parts: too long for the cache, or too few for the threads."""
    size = operands[0].itemsize
    if (layout.length * size <= LONG and layout.length < WORTH_WAKING) or any(a.strides[1] != size for a in operands):
        return False
    return layout.length * size > LONG or layout.outer * layout.inner < threads.get_num_threads()


def softmax(operation: str, x: np.ndarray, y: np.ndarray, sign: float = 1.0, scale: float = 1.0) -> None:
    """softmax or log_softmax of ``sign * x`` along the middle axis of three, times ``scale``."""
    layout = Layout(*x.shape)
    if not _is_long(layout, x, y):
        record = _describe(layout, x=x, y=y)
        if not sign == scale == 1.0:
            record[Axis.SIGN], record[Axis.SCALE] = _word(sign), _word(scale)
        _every_row(operation, record, layout, x.dtype)
        return
    for row, out in _single_rows(x, y):
        record = _describe(layout, x=row, y=out)
        record[Axis.SIGN], record[Axis.SCALE] = _word(sign), _word(scale)
        maximum, total = _summary(operation, record, row)
        record[Axis.MAXIMUM], record[Axis.TOTAL], record[Axis.LOG] = map(_word, (maximum, total, _log(total)))
        _run_parts(operation, "finish_parts", record, row)


def sparsemax(x: np.ndarray, y: np.ndarray) -> None:
    layout = Layout(*x.shape)
    _every_row("sparsemax", _describe(layout, x=x, y=y), layout, x.dtype)


def statistics(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each row the maximum, and the logarithm of the sum of exp(x - maximum)."""
    layout = Layout(*x.shape)
    maximum = np.empty((layout.outer, 1, layout.inner), x.dtype)
    log = np.empty_like(maximum)
    if not _is_long(layout, x):
        _every_row("statistics", _describe(layout, x=x, other=log, y=maximum), layout, x.dtype)
        return maximum, log
    for row, largest, logarithm in _single_rows(x, maximum, log):
        largest[...], total = _summary("statistics", _describe(layout, x=row), row)
        logarithm[...] = _log(total)
    return maximum, log


def gradient(operation: str, grad: np.ndarray, y: np.ndarray, out: np.ndarray) -> None:
    """softmax_backward or log_softmax_backward along the middle axis of three."""
    layout = Layout(*y.shape)
    if not _is_long(layout, y, grad, out):
        _every_row(operation, _describe(layout, x=y, other=grad, y=out), layout, y.dtype)
        return
    for row, other, result in _single_rows(y, grad, out):
        record = _describe(layout, x=row, other=other, y=result)
        sums = _summaries(operation, record, row)[:, 1]
        record[Axis.TOTAL] = _word(math.fsum(sums) if np.isfinite(sums).all() else float(sums.sum()))
        _run_parts(operation, "finish_parts", record, row)


# -- one long row at a time -----------------------------------------------------------------------


def _single_rows(*arrays: np.ndarray) -> Any:
    """The arrays' rows one by one, each still of three dimensions."""
    outer, _, inner = arrays[0].shape
    for i in range(outer):
        for j in range(inner):
            yield tuple(array[i : i + 1, :, j : j + 1] for array in arrays)


def _parts(row: np.ndarray) -> tuple[int, int]:
    """Elements in a part and how many parts: the same for any number of threads, so all bits are."""
    size = LONG // 4 // row.itemsize
    return size, -(-row.size // size)


def _run_parts(operation: str, task: str, record: Any, row: np.ndarray) -> None:
    record[Axis.PART], count = _parts(row)
    _run(record, _tasks(operation, row.dtype)[task], count, 1, row.size)


def _summaries(operation: str, record: Any, row: np.ndarray) -> np.ndarray:
    """Maximum and sum of each part."""
    results = np.zeros((_parts(row)[1], 2))
    record[Axis.PARTS] = address(results)
    _run_parts(operation, "summarise_parts", record, row)
    return results


def _summary(operation: str, record: Any, row: np.ndarray) -> tuple[float, float]:
    """A row's maximum, and the sum of its exponentials as a multiple of the largest; NaN if there is none."""
    maxima, sums = _summaries(operation, record, row).T
    maximum = np.max(maxima)
    if not np.isfinite(maximum) or np.isnan(sums).any():
        return float(maximum), math.nan
    difference = maxima - maximum
    back = difference + maximum
    low = (maxima - back) + (maximum - (back - difference))  # what rounding took away (Knuth)
    factors = np.exp(np.maximum(difference, -800.0))
    return float(maximum), math.fsum(sums * (factors + np.where(difference > -800.0, factors * low, 0.0)))


def _log(total: float) -> float:
    return math.log1p(total - 1.0) if math.isfinite(total) else math.nan

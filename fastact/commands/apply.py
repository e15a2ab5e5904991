"""``fastact apply``: one function over a .npy file, a few megabytes at a time."""

from __future__ import annotations

import contextlib
import math
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from typing import IO, Any, NamedTuple

import numpy as np

from fastact.commands.errors import UsageError
from fastact.commands.settings import Chosen, chosen_function
from fastact.runtime.files import ArrayHeader, array_header, written_whole
from fastact.runtime.progress import progress_bar

__all__ = ["run_apply"]

#: Bytes of input in memory at once: enough for threads to pay, little enough for any machine.
BLOCK_BYTES = 32 << 20

#: What standard input and output are called.
STREAM = "-"


class _Task(NamedTuple):
    """What becomes of what: elements of the input at once, of which there may be many times more, and all results."""

    chosen: Chosen
    at_once: int
    shape: tuple[int, ...]
    dtype: np.dtype


def run_apply(name: str, source: str, target: str, settings: Sequence[str], axis: int | None = None) -> int:
    chosen = chosen_function(name, settings, axis)
    given = "standard input" if source == STREAM else source
    with _opened(source) as opened:
        header = _header(opened, given)
        task = _task(chosen, header)
        with _written(target) as file:
            _transform(task, header, opened, given, file)
            if source != STREAM:
                opened.close()  # before the output takes its place, where they are the same
    return 0


@contextlib.contextmanager
def _opened(source: str) -> Iterator[IO[bytes]]:
    """A file to read from, or standard input."""
    if source == STREAM:
        yield _stream(sys.stdin, "read", "input")
        return
    try:
        file = open(source, "rb")  # noqa: SIM115  what is raised while it is open is none of this
    except OSError as error:
        raise UsageError(f"cannot read {source}: {error.strerror or error}") from None
    with file:
        yield file


def _header(file: IO[bytes], name: str) -> ArrayHeader:
    """What the input says of itself, checked against its size if that is known."""
    try:
        header = array_header(file)
        promised = file.tell() + header.nbytes if file.seekable() else 0
        status = os.fstat(file.fileno())
    except OSError as error:
        raise UsageError(f"cannot read {name}: {error.strerror or error}") from None
    except ValueError:
        raise UsageError(f"{name} is not a .npy file") from None
    if stat.S_ISREG(status.st_mode) and not header.dtype.hasobject and status.st_size < promised:
        raise _cut_short(header, name)
    return header


def _cut_short(header: ArrayHeader, name: str) -> UsageError:
    return UsageError(f"{name} is cut short: its header promises {header.size} elements of {header.dtype}")


def _task(chosen: Chosen, header: ArrayHeader) -> _Task:
    """Elements go in blocks that memory has room for; so do rows, if they lie behind one another; else all at once."""
    if header.dtype.subdtype:  # an array of it has another type
        raise UsageError(f"{chosen.name} takes real numbers, not {header.dtype}")
    if chosen.axis is None:
        dtype = _result(chosen, np.empty(0, header.dtype)).dtype
        return _Task(chosen, _block(header.dtype, dtype), header.shape, dtype)
    rank = len(header.shape)
    if not -rank <= chosen.axis < rank:
        raise UsageError(f"the array has {rank} axes: there is no axis {chosen.axis}")
    axis = chosen.axis % rank
    alone = _result(chosen, np.zeros([n if i == axis else 1 for i, n in enumerate(header.shape)], header.dtype))
    shape = (*header.shape[:axis], alone.shape[axis], *header.shape[axis + 1 :])  # gates leave half of it
    if axis == 0 or header.fortran_order:
        return _Task(chosen, header.size, shape, alone.dtype)
    step = math.prod(header.shape[1:])
    return _Task(chosen, max(1, _block(header.dtype, alone.dtype) // max(1, step)) * step, shape, alone.dtype)


def _block(*dtypes: np.dtype) -> int:
    return max(1, BLOCK_BYTES // max(dtype.itemsize for dtype in dtypes))


def _result(chosen: Chosen, x: np.ndarray, **keywords: Any) -> np.ndarray:
    try:
        result: np.ndarray = chosen.function(x, **chosen.keywords, **keywords)
    except TypeError:
        raise UsageError(f"{chosen.name} takes real numbers, not {x.dtype}") from None
    except ValueError as error:  # rows that cannot be halved, say
        raise UsageError(f"{chosen.name}: {error}") from None
    return result


@contextlib.contextmanager
def _written(target: str) -> Iterator[IO[bytes]]:
    """What becomes the output once it is complete, or standard output."""
    name = "standard output" if target == STREAM else target
    try:
        if target == STREAM:
            output = _stream(None if sys.__stdout__ is None else sys.stdout, "write", "output")
            yield output
            output.flush()
        else:
            with written_whole(target) as file:
                yield file
    except BrokenPipeError:  # whoever reads has seen enough
        raise
    except OSError as error:
        raise UsageError(f"cannot write {name}: {error.strerror or error}") from None


def _stream(stream: Any, verb: str, what: str) -> IO[bytes]:
    """The bytes of a standard stream."""
    if stream is None:
        raise UsageError(f"cannot {verb} standard {what}: it is closed")
    result: IO[bytes] = stream.buffer
    return result


def _transform(task: _Task, header: ArrayHeader, source: IO[bytes], name: str, target: IO[bytes]) -> None:
    np.lib.format.write_array_header_2_0(
        target, {"descr": task.dtype.str, "fortran_order": header.fortran_order, "shape": task.shape}
    )
    at_once = min(task.at_once, header.size)
    values, results = np.empty(at_once, header.dtype), np.empty(at_once, task.dtype)
    with progress_bar(total=header.size, unit="", unit_scale=True, desc=os.path.basename(name), delay=0.5) as progress:
        for start in range(0, header.size, max(1, at_once)):
            count = min(at_once, header.size - start)
            if not _fill(values[:count], source, name):
                raise _cut_short(header, name)
            if task.chosen.axis is None:
                target.write(_result(task.chosen, values[:count], out=results[:count]).data)
            else:
                target.write(_of_rows(task, header, values[:count]).data)
            progress.update(count)


def _of_rows(task: _Task, header: ArrayHeader, values: np.ndarray) -> np.ndarray:
    """Results for some rows, or for all, as they lie in the file."""
    order: Any = "F" if header.fortran_order else "C"
    shape = header.shape if values.size == header.size else (-1, *header.shape[1:])
    return _result(task.chosen, values.reshape(shape, order=order)).ravel(order=order)


def _fill(values: np.ndarray, source: IO[bytes], name: str) -> bool:
    """Read numbers, of which a pipe may give some at a time; False if there are fewer."""
    memory, there = values.view(np.uint8).data, 0
    while there < values.nbytes:
        try:
            got = source.readinto(memory[there:])  # type: ignore[attr-defined]
        except OSError as error:
            raise UsageError(f"cannot read {name}: {error.strerror or error}") from None
        if not got:
            return False
        there += got
    return True

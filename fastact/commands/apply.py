"""``fastact apply``: one function over a .npy file, a few megabytes at a time."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any, NamedTuple

import numpy as np

from fastact.catalogue import ACTIVATIONS, SPECIAL
from fastact.commands.errors import UsageError
from fastact.runtime.files import ArrayHeader, array_header, written_whole
from fastact.runtime.progress import progress_bar

__all__ = ["run_apply"]

#: Bytes of input in memory at once: enough for threads to pay, little enough for any machine.
BLOCK_BYTES = 32 << 20

#: What standard input and output are called.
STREAM = "-"


class _Call(NamedTuple):
    function: Callable[..., Any]
    parameters: dict[str, float]
    dtype: np.dtype  # of results


def run_apply(name: str, source: str, target: str, settings: Sequence[str]) -> int:
    function, parameters = _function(name, settings)
    given = "standard input" if source == STREAM else source
    with _opened(source) as opened:
        header = _header(opened, given)
        call = _Call(function, parameters, _result_type(function, header.dtype, parameters, name))
        with _written(target) as file:
            _transform(call, header, opened, given, file)
            if source != STREAM:
                opened.close()  # before the output takes its place, where they are the same
    return 0


def _function(name: str, settings: Sequence[str]) -> tuple[Callable[..., Any], dict[str, float]]:
    known = ACTIVATIONS.public_names() | SPECIAL.public_names()
    if name not in known:
        raise UsageError(f"no function is called {name!r}; there are {', '.join([*ACTIVATIONS, *SPECIAL])}")
    entry, kind = known[name]
    if kind not in ("value", "derivative"):
        raise UsageError(f"{name} takes or returns two arrays; apply can do NAME and NAME_derivative")
    parameters: dict[str, float] = {}
    for setting in settings:
        parameter, _, value = setting.partition("=")
        if parameter not in entry.parameters:
            has = f"it has {', '.join(entry.parameters)}" if entry.parameters else "it has none"
            raise UsageError(f"{entry.name} has no parameter {parameter!r}; {has}")
        try:
            parameters[parameter] = float(value)
        except ValueError:
            raise UsageError(f"{parameter} must be a number, not {value!r}") from None
    missing = [p for p, default in entry.parameters.items() if not isinstance(default, float) and p not in parameters]
    if missing:
        raise UsageError(f"{entry.name} needs --set {missing[0]}=VALUE")
    return entry.callable(kind), parameters


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


def _result_type(function: Callable[..., Any], dtype: np.dtype, parameters: dict[str, float], name: str) -> np.dtype:
    try:
        if dtype.subdtype:  # an array of it has another type
            raise TypeError
        result: np.dtype = function(np.empty(0, dtype), **parameters).dtype
    except TypeError:
        raise UsageError(f"{name} takes real numbers, not {dtype}") from None
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


def _transform(call: _Call, header: ArrayHeader, source: IO[bytes], name: str, target: IO[bytes]) -> None:
    np.lib.format.write_array_header_2_0(
        target, {"descr": call.dtype.str, "fortran_order": header.fortran_order, "shape": header.shape}
    )
    block = max(1, BLOCK_BYTES // max(header.dtype.itemsize, call.dtype.itemsize))
    values, results = (np.empty(min(block, header.size), dtype) for dtype in (header.dtype, call.dtype))
    with progress_bar(total=header.size, unit="", unit_scale=True, desc=os.path.basename(name), delay=0.5) as progress:
        for start in range(0, header.size, block):
            count = min(block, header.size - start)
            if not _fill(values[:count], source, name):
                raise _cut_short(header, name)
            call.function(values[:count], out=results[:count], **call.parameters)
            target.write(results[:count].data)
            progress.update(count)


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

"""``fastact apply``: one function over a .npy file, a few megabytes at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from tokenize import TokenError
from typing import Any, BinaryIO

import numpy as np
from tqdm import tqdm

from fastact.catalogue import ACTIVATIONS
from fastact.commands.errors import UsageError

__all__ = ["run_apply"]

#: Bytes of input in memory at once: enough for threads to pay, little enough for any machine.
BLOCK_BYTES = 32 << 20


def run_apply(name: str, source: str, target: str, settings: Sequence[str]) -> int:
    function, parameters = _function(name, settings)
    header = _Header(Path(source))
    result_type = _result_type(function, header.dtype, parameters, name)
    _write_whole(Path(target), lambda file: _transform(function, parameters, header, result_type, file))
    return 0


def _function(name: str, settings: Sequence[str]) -> tuple[Callable[..., Any], dict[str, float]]:
    known = ACTIVATIONS.public_names()
    if name not in known:
        raise UsageError(f"no function is called {name!r}; there are {', '.join(ACTIVATIONS)}")
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


class _Header:
    """What a .npy file says about itself, checked against its size."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                version = np.lib.format.read_magic(file)
                read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                self.shape, self.fortran_order, self.dtype = read(file)
                self.offset = file.tell()
        except OSError as error:
            raise UsageError(f"cannot read {path}: {error.strerror or error}") from None
        except (ValueError, TypeError, SyntaxError, TokenError):  # whatever a header of garbage makes NumPy raise
            raise UsageError(f"{path} is not a .npy file") from None
        self.size = int(np.prod(self.shape, dtype=object))
        if any(n < 0 for n in self.shape):
            raise UsageError(f"{path} is not a .npy file: its shape is {self.shape}")
        if not self.dtype.hasobject and path.stat().st_size < self.offset + self.size * self.dtype.itemsize:
            raise UsageError(f"{path} is cut short: its header promises {self.size} elements of {self.dtype}")


def _result_type(function: Callable[..., Any], dtype: np.dtype, parameters: dict[str, float], name: str) -> np.dtype:
    try:
        result: np.dtype = function(np.empty(0, dtype), **parameters).dtype
    except TypeError:
        raise UsageError(f"{name} takes real numbers, not {dtype}") from None
    return result


def _write_whole(target: Path, write: Callable[[BinaryIO], None]) -> None:
    """Write under a name of its own and move it into place when it is complete."""
    if not target.name or target.is_dir():
        raise UsageError(f"cannot write {target}: it is a directory")
    draft = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        try:
            with draft.open("xb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write {target}: {error.strerror or error}") from None


def _transform(
    function: Callable[..., Any], parameters: dict[str, float], header: _Header, result_type: np.dtype, file: BinaryIO
) -> None:
    np.lib.format.write_array_header_2_0(
        file, {"descr": result_type.str, "fortran_order": header.fortran_order, "shape": header.shape}
    )
    block = max(1, BLOCK_BYTES // max(header.dtype.itemsize, result_type.itemsize))
    buffer = np.empty(min(block, header.size), result_type)
    with tqdm(total=header.size, unit="", unit_scale=True, desc=header.path.name, delay=0.5) as progress:
        for start in range(0, header.size, block):
            count = min(block, header.size - start)
            # Mapped block by block: one mapping of all of it would count as memory in use.
            place = header.offset + start * header.dtype.itemsize
            values = np.memmap(header.path, header.dtype, "r", place, (count,))
            function(values, out=buffer[:count], **parameters)
            file.write(buffer[:count].data)
            progress.update(count)

"""Files that users name: written whole or not at all, and what .npy files say of themselves."""

from __future__ import annotations

import contextlib
import errno
import math
import os
import secrets
import stat
from collections.abc import Iterator
from tokenize import TokenError
from typing import IO, NamedTuple

import numpy as np

__all__ = ["ArrayHeader", "array_header", "written_whole"]


@contextlib.contextmanager
def written_whole(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A file to write to, which bears its name from when all is written; after an error there is none.

    It goes where symbolic links lead, and has the owner and mode of a file that it replaces. What is no regular file, a
    device or a pipe, is written to as it is.
    """
    path = os.fsdecode(path)
    target = os.path.realpath(path)
    if os.path.isdir(target):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    with _errors_of(path):
        before = _status(target)
    if _is_no_regular_file(path, target, before):
        with open(path, "wb") as file:
            yield file
        return
    # A name of its own, also beside those that other threads, processes and machines write under.
    draft = os.path.join(os.path.dirname(target), f".fastact-{secrets.token_hex(8)}.part")
    private = None if before is None else lambda name, flags: os.open(name, flags, 0o600)
    with contextlib.ExitStack() as cleanup:
        cleanup.callback(_remove, draft)
        with _errors_of(path):
            file = open(draft, "xb", opener=private)  # noqa: SIM115  what is raised while it is open is none of these
        with file:
            if before is not None:
                _make_like(draft, before)
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, target)


@contextlib.contextmanager
def _errors_of(path: str) -> Iterator[None]:
    """Errors name what was given, not what became of it."""
    try:
        yield
    except OSError as error:
        error.filename = path
        raise


def _status(target: str) -> os.stat_result | None:
    try:
        return os.stat(target)
    except FileNotFoundError:
        return None


def _is_no_regular_file(path: str, target: str, status: os.stat_result | None) -> bool:
    if status is not None:
        return not stat.S_ISREG(status.st_mode)
    # /dev/stdout, say, may lead where no path does. In this order: another writer may just have made the file.
    return os.path.exists(path) and not os.path.exists(target)


def _make_like(draft: str, before: os.stat_result) -> None:
    if hasattr(os, "chown") and (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
        with contextlib.suppress(OSError):  # only root may give files away
            os.chown(draft, before.st_uid, before.st_gid)
    os.chmod(draft, stat.S_IMODE(before.st_mode))


def _remove(draft: str) -> None:
    with contextlib.suppress(OSError):  # it has its final name, or never came to be
        os.unlink(draft)


class ArrayHeader(NamedTuple):
    """What a .npy file says of the array in it."""

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize


def array_header(file: IO[bytes]) -> ArrayHeader:
    """Read a .npy file up to where its numbers begin; ValueError if it is none."""
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        header = ArrayHeader(*read(file))
    except (
        ValueError,
        TypeError,
        SyntaxError,
        TokenError,
        RecursionError,
    ) as error:  # whatever garbage makes NumPy raise
        raise ValueError(f"it begins like no .npy file: {error}") from None
    if any(n < 0 for n in header.shape):
        raise ValueError(f"its shape is {header.shape}")
    return header

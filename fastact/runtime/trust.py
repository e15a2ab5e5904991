"""Which files may be run as code: those that nobody could have written but this user and root.

Their names and contents prove nothing, because everybody can compute both. What is looked at is what has been opened,
never a name, behind which something else may stand a moment later. Where files have no owners, as on Windows, the
platform's cache directory is the user's own, and all of this is left to the system.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

__all__ = ["RefusedError", "check_directory", "create", "read"]

#: A link leads to files that others chose; opening a pipe for reading would wait for its writer.
_CAREFULLY = sum(getattr(os, flag, 0) for flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))

HAS_OWNERS = hasattr(os, "geteuid")

WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class RefusedError(OSError):
    """Something is there that may not be trusted; says what and why."""


def _open(path: Path, flags: int) -> int:
    try:
        return os.open(path, flags | _CAREFULLY, 0o644)
    except OSError:
        if path.is_symlink():
            raise RefusedError(f"{path} is a symbolic link") from None
        raise


def _check_owner(path: Path, status: os.stat_result) -> None:
    if status.st_uid not in (os.geteuid(), 0):
        raise RefusedError(f"{path} belongs to user {status.st_uid}, and neither to user {os.geteuid()} nor to root")


def read(path: Path) -> bytes:
    """A file's contents. Raises RefusedError if it is no regular file, or one that others own or may write."""
    descriptor = _open(path, os.O_RDONLY)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise RefusedError(f"{path} is no regular file")
        if HAS_OWNERS:
            _check_owner(path, status)
            if status.st_mode & WRITABLE_BY_OTHERS:
                raise RefusedError(f"{path} can be written by others")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(descriptor)


def create(path: Path) -> BinaryIO:
    """A new file to write to, which others may only read. Raises FileExistsError if there is anything of that name."""
    return open(_open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb")


def check_directory(path: Path) -> bool:
    """Raise RefusedError if others own a directory, or may write there; one of this user's is closed to them first.

    Returns whether it was: files of others, and links, may then be in it.
    """
    if not HAS_OWNERS:
        return False
    descriptor = _open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        status = os.fstat(descriptor)
        _check_owner(path, status)
        if not status.st_mode & WRITABLE_BY_OTHERS:
            return False
        # A directory in which everybody keeps files of their own, such as /tmp, is not ours to close.
        if status.st_uid != os.geteuid() or status.st_mode & stat.S_ISVTX:
            raise RefusedError(f"{path} can be written by others")
        os.fchmod(descriptor, stat.S_IRWXU)
        return True
    finally:
        os.close(descriptor)

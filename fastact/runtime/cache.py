"""Compiled object files on disk: a directory of the user's, one file per entry, safe to share between processes.

Nothing here ever fails. A directory that cannot be written means compiling in memory; a file that
does not end in the checksum of its contents is as good as absent.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

__all__ = ["directory", "lock", "read", "write"]

DIGEST = hashlib.sha256().digest_size


@cache
def directory() -> Path | None:
    """Where compiled code is kept: ``FASTACT_CACHE_DIR`` or the platform's cache directory; None if unusable."""
    from platformdirs import user_cache_dir

    path = Path(os.environ.get("FASTACT_CACHE_DIR") or user_cache_dir("fastact")).absolute()
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        return None
    return path if os.access(path, os.R_OK | os.W_OK | os.X_OK) else None


def _digest(key: str, code: bytes) -> bytes:
    """The key is in it, so that a file under another's name is garbage too."""
    return hashlib.sha256(key.encode() + code).digest()


def _entry(key: str) -> Path | None:
    folder = directory()
    return folder and folder / f"{key}.o"


def read(key: str) -> bytes | None:
    path = _entry(key)
    try:
        contents = path.read_bytes() if path else b""
    except OSError:
        return None
    code, digest = contents[:-DIGEST], contents[-DIGEST:]
    return code if code and _digest(key, code) == digest else None


def write(key: str, code: bytes) -> None:
    """Under a name of its own first, then moved: a reader sees all of an entry or none."""
    path = _entry(key)
    if path is None:
        return
    draft = path.with_suffix(f".{os.getpid()}")
    with contextlib.suppress(OSError):
        try:
            draft.write_bytes(code + _digest(key, code))
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


@contextlib.contextmanager
def lock(key: str) -> Iterator[None]:
    """Keep other processes from compiling the same thing. Only a courtesy: without it the work is done twice."""
    folder = directory()
    if folder is None:
        yield
        return
    import filelock

    # 64 locks for all entries, so that they do not litter the directory.
    guard = filelock.FileLock(folder / f"{int(key[:2], 16) % 64:02}.lock")
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError, filelock.Timeout, NotImplementedError):
            stack.enter_context(guard.acquire(timeout=60))
        yield

"""Compiled object files on disk: a directory of the user's, one file per entry, safe to share between processes.

Nothing here ever fails. Where no directory can be had, or none that may be trusted (:mod:`.trust`), code is compiled
in memory; a directory that can only be read, root's in an image say, is read; a file that does not end in the checksum
of its contents is as good as absent.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from fastact.runtime import trust
from fastact.runtime.notices import warn_once

__all__ = ["directory", "lock", "problem", "read", "write"]

DIGEST = hashlib.sha256().digest_size

#: Seconds that a process waits for another that compiles the same: about as long as most compilations take. On a busy
#: machine they take longer, so it waits on while the other is seen to compute. It may have been stopped.
PATIENCE = 5


def directory() -> Path | None:
    """Where compiled code is kept: ``FASTACT_CACHE_DIR`` or the platform's cache directory; None if unusable."""
    return _found()[0]


def problem() -> str | None:
    """Why nothing is kept, in a few words; None if it is."""
    return _found()[1]


@cache
def _found() -> tuple[Path | None, str | None]:
    try:
        path = _place()
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        if trust.check_directory(path):
            # Locks are opened for writing, by name. Entries are looked at before they are believed.
            for file in path.glob("*.lock"):
                file.unlink()
    except trust.RefusedError as refusal:
        _refuse(refusal)
        return None, str(refusal)
    except (OSError, RuntimeError) as error:  # RuntimeError: nobody knows where this user's home is
        return None, str(error)
    return path, None if os.access(path, os.W_OK | os.X_OK) else f"{path} can only be read"


def _place() -> Path:
    from platformdirs import user_cache_dir

    chosen = os.environ.get("FASTACT_CACHE_DIR")
    path = Path(chosen).expanduser().absolute() if chosen else Path(user_cache_dir("fastact"))
    if not path.is_absolute():
        raise RuntimeError("there is no home directory to keep compiled code in")
    return path


def _refuse(refusal: trust.RefusedError) -> None:
    warn_once(
        "cache",
        f"{refusal}. Compiled code is run only if nobody but this user and root can have written it; "
        "without it, functions are compiled in each process. FASTACT_CACHE_DIR can name another directory.",
    )


def _digest(key: str, code: bytes) -> bytes:
    """The key is in it, so that a file under another's name is garbage too."""
    return hashlib.sha256(key.encode() + code).digest()


def _entry(key: str) -> Path | None:
    folder = directory()
    return folder and folder / f"{key}.o"


def read(key: str) -> bytes | None:
    path = _entry(key)
    try:
        contents = trust.read(path) if path else b""
    except trust.RefusedError as refusal:
        _refuse(refusal)
        return None
    except OSError:
        return None
    code, digest = contents[:-DIGEST], contents[-DIGEST:]
    return code if code and _digest(key, code) == digest else None


def write(key: str, code: bytes) -> None:
    """Under a name of its own first, then moved: a reader sees all of an entry or none."""
    path = _entry(key)
    if path is None or problem():
        return
    draft = path.with_suffix(f".{os.urandom(8).hex()}")
    with contextlib.suppress(OSError):
        file = trust.create(draft)
        try:
            with file:
                file.write(code + _digest(key, code))
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


@contextlib.contextmanager
def lock(key: str) -> Iterator[None]:
    """Keep other processes from compiling the same thing. Only a courtesy: without it the work is done twice."""
    folder = directory()
    if folder is None or problem():
        yield
        return
    import filelock

    # 64 locks for all entries, so that they do not litter the directory.
    path = folder / f"{int(key[:2], 16) % 64:02}.lock"
    guard = filelock.FileLock(path)
    with contextlib.ExitStack() as stack:
        # Whatever a file system without locks, or the library, may raise.
        with contextlib.suppress(Exception):
            stack.enter_context(_acquired(guard, path))
        yield


def _acquired(guard: Any, path: Path) -> Any:
    import filelock

    before = _spent_by_holder(path)
    while True:
        try:
            return guard.acquire(timeout=PATIENCE)
        except filelock.Timeout:
            spent = _spent_by_holder(path)
            if spent == before:
                raise
            before = spent


def _spent_by_holder(path: Path) -> tuple[str, int] | None:
    """Which process has a lock, and how much processor time it has spent; None where the system does not tell."""
    with contextlib.suppress(OSError, ValueError):
        inode = path.stat().st_ino
        for line in Path("/proc/locks").read_text().splitlines():
            kind, _, _, process, place = line.split()[1:6]
            if kind == "FLOCK" and place.endswith(f":{inode}"):
                fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
                return process, int(fields[11]) + int(fields[12])
    return None

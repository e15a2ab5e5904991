"""One lock around everything that compiles or is made once for all threads, and no fork while it is held.

A child forked in the middle of another thread's compilation would inherit LLVM and Numba with their
locks taken by a thread that it does not have, and wait for ever the first time it compiles.
"""

from __future__ import annotations

# filelock and logging (Numba logs) have locks of their own that stop while a process forks. They come
# first because hooks run in reverse: ours must have waited for the compiler before theirs begin.
import logging  # noqa: F401
import os
import threading
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import filelock  # noqa: F401

__all__ = ["compiling", "held_by_caller", "once"]

compiling = threading.RLock()


def held_by_caller() -> bool:
    """Whether the calling thread is the one that compiles."""
    return compiling._is_owned()  # type: ignore[attr-defined]  # what threading.Condition asks of any lock


T = TypeVar("T")


def once(function: Callable[..., T]) -> Callable[..., T]:
    """A decorator: for the same arguments, all threads get the same result.

    Threads that meet in a function with ``functools.cache`` make a result each, and all but one are forgotten: not for
    memory of which compiled code has the address.
    """
    results: dict[tuple[Any, ...], T] = {}

    @wraps(function)
    def made_once(*arguments: Any, **options: Any) -> T:
        if arguments not in results:
            with compiling:
                if arguments not in results:
                    results[arguments] = function(*arguments, **options)
        return results[arguments]

    return made_once


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=compiling.acquire, after_in_parent=compiling.release, after_in_child=compiling.release)

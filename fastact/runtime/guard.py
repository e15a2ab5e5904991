"""One lock around everything that compiles or is made once for all threads, and no fork while it is held.

A child forked in the middle of another thread's compilation would inherit LLVM and Numba with their
locks taken by a thread that it does not have, and wait for ever the first time it compiles.

Nor is any of it done where Ctrl-C strikes: that leaves Numba half imported, which looks like one that does not work,
and frees what LLVM still needs.
"""

from __future__ import annotations

# filelock and logging (Numba logs) have locks of their own that stop while a process forks. They come
# first because hooks run in reverse: ours must have waited for the compiler before theirs begin.
import logging  # noqa: F401
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import wraps
from typing import Any, TypeVar

import filelock  # noqa: F401

__all__ = ["compiling", "in_a_thread", "once"]

compiling = threading.RLock()


T = TypeVar("T")


def in_a_thread(work: Callable[..., T], *arguments: Any) -> T:
    """The result of work that compiles or loads, or its error: of the main thread, which Ctrl-C strikes, another one
    does it, and goes on when this one is interrupted while it waits. Whoever asks again waits for ``compiling``."""
    begun = _begun(work, *arguments) if _can_be_struck() else None
    return begun.result() if begun else work(*arguments)


def _can_be_struck() -> bool:
    """Whether Ctrl-C strikes this thread and another one could do its work: not one that would wait for it to compile,
    as where this one compiles already, and collects garbage whose finalizer calls; nor at the end of the process."""
    held = compiling._is_owned()  # type: ignore[attr-defined]  # what threading.Condition asks of any lock
    return threading.current_thread() is threading.main_thread() and not held and not sys.is_finalizing()


def _begun(work: Callable[..., T], *arguments: Any) -> Future[T] | None:
    """What will have the result; None where the system starts no more threads."""
    future: Future[T] = Future()

    def attempt() -> None:
        try:
            future.set_result(work(*arguments))
        except BaseException as error:
            future.set_exception(error)

    try:
        threading.Thread(target=attempt).start()
    except (RuntimeError, MemoryError):
        return None
    return future


def once(function: Callable[..., T]) -> Callable[..., T]:
    """A decorator: for the same arguments, all threads get the same result.

    Threads that meet in a function with ``functools.cache`` make a result each, and all but one are forgotten: not for
    memory of which compiled code has the address.
    """
    results: dict[tuple[Any, ...], T] = {}

    def make(arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        with compiling:
            if arguments not in results:
                results[arguments] = function(*arguments, **options)

    @wraps(function)
    def made_once(*arguments: Any, **options: Any) -> T:
        if arguments not in results:
            in_a_thread(make, arguments, options)
        return results[arguments]

    return made_once


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=compiling.acquire, after_in_parent=compiling.release, after_in_child=compiling.release)

"""One lock around everything that compiles, and no fork while it is held.

A child forked in the middle of another thread's compilation would inherit LLVM and Numba with their
locks taken by a thread that it does not have, and wait for ever the first time it compiles.
"""

from __future__ import annotations

# filelock and logging (Numba logs) have locks of their own that stop while a process forks. They come
# first because hooks run in reverse: ours must have waited for the compiler before theirs begin.
import logging  # noqa: F401
import os
import threading

import filelock  # noqa: F401

__all__ = ["compiling"]

compiling = threading.RLock()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=compiling.acquire, after_in_parent=compiling.release, after_in_child=compiling.release)

"""Ctrl-C at moments of our choice."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["interrupts_on_request"]


@contextmanager
def interrupts_on_request() -> Iterator[Callable[[], None]]:
    """Within, Ctrl-C waits until the function that this gives is called, or the end.

    NumPy calls the fallback's loops through ctypes, which prints and forgets an exception that strikes before a
    callback's first line.
    """
    handler = signal.getsignal(signal.SIGINT)
    # Only the main thread is struck, and only it may change what strikes.
    if not callable(handler) or threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    noted: list[int] = []

    def let_strike() -> None:
        if noted:
            noted.clear()
            handler(signal.SIGINT, None)

    signal.signal(signal.SIGINT, lambda number, frame: noted.append(number))
    try:
        yield let_strike
    finally:
        signal.signal(signal.SIGINT, handler)
        let_strike()

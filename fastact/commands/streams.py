"""What the world around a command may do to it: streams that are closed or full, signals that ask it to end."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["ended_like_interrupts", "streams"]

#: Signals that ask a process to end, where there are such.
ENDING = ("SIGTERM", "SIGHUP")


@contextlib.contextmanager
def streams() -> Iterator[Callable[[str, int], int]]:
    """Within, there are all three standard streams, and afterwards they can be closed without an error. Gives a
    function that complains in one line and returns an exit code."""
    with contextlib.ExitStack() as stack:
        for number in range(3):  # or the next file that is opened would be taken for a stream that is closed
            try:
                os.fstat(number)
            except OSError:
                os.open(os.devnull, os.O_RDWR)
        if sys.stdout is None:
            stack.enter_context(contextlib.redirect_stdout(stack.enter_context(open(os.devnull, "w"))))
        if sys.stderr is None:
            stack.enter_context(contextlib.redirect_stderr(stack.enter_context(open(os.devnull, "w"))))
        try:
            yield _complain
        finally:
            for stream in (sys.stdout, sys.stderr):
                _flush_or_forget(stream)


def _complain(message: str, code: int) -> int:
    with contextlib.suppress(OSError):
        print(f"fastact: {message}", file=sys.stderr)
    return code


def _flush_or_forget(stream: Any) -> None:
    """What cannot be written any more, Python would try to write as it ends."""
    try:
        stream.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        stream.flush()


@contextlib.contextmanager
def ended_like_interrupts() -> Iterator[Callable[[], None]]:
    """Within, a signal that asks the process to end does first what Ctrl-C does, which is to leave nothing half done.
    Gives a function that then lets it end the process."""
    noted: list[int] = []

    def interrupt(number: int, frame: Any) -> None:
        noted.append(number)
        handler = signal.getsignal(signal.SIGINT)
        (handler if callable(handler) else signal.default_int_handler)(signal.SIGINT, frame)

    def end() -> None:
        if noted:
            signal.signal(noted[0], signal.SIG_DFL)
            os.kill(os.getpid(), noted[0])

    numbers = [getattr(signal, name) for name in ENDING if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():  # which alone may say what signals do
        numbers = []
    ours = [number for number in numbers if signal.getsignal(number) == signal.SIG_DFL]
    for number in ours:
        signal.signal(number, interrupt)
    try:
        yield end
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)

"""Python threads that compute at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable

__all__ = ["at_once"]


def at_once(threads: int, function: Callable[[], None]) -> None:
    """Call a function in so many threads, and wait for all of them."""
    workers = [threading.Thread(target=function) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

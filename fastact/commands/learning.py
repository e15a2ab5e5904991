"""What a lesson of ``fastact demo`` gives: numbers beside those known from elsewhere, times, and a picture."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["Lesson", "Outcome", "Times", "fitted"]


class Times(NamedTuple):
    """Seconds for compiling, or for finding what is compiled, and for learning."""

    compiling: float
    learning: float

    def plus(self, other: Times) -> Times:
        return Times(self.compiling + other.compiling, self.learning + other.learning)


class Outcome(NamedTuple):
    """Rows of what it is, what was learned here, and what the tutorial prints; what there is to say of it."""

    rows: list[tuple[str, str, str]]
    remarks: list[str]
    times: Times
    draw: Callable[[], Any]
    animate: Callable[[], Any] | None = None


#: A function of the number of epochs, if the user gave one, and of the seed.
Lesson = Callable[[int | None, int], Outcome]


def fitted(network: Any, x: Any, y: Any, **keywords: Any) -> Times:
    """Train a network, after a twin of it has gone through the data once, which compiles whatever it needs."""
    start = time.perf_counter()
    copy.deepcopy(network).partial_fit(x, y)
    middle = time.perf_counter()
    network.fit(x, y, **keywords)
    end = time.perf_counter()
    once = (end - middle) / max(1, network.epochs)  # of what the twin took, this was no compiling
    return Times(max(0.0, middle - start - once), end - middle)

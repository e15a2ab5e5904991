"""What a network keeps from one call to the next, so that a call costs little more than what it computes."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["Curve", "Kept"]


class Kept:
    """Found by a network's calls, and nothing of its state: copies and files do without.

    Predictors and fittings are taken out of their lists while they are in use: two threads may predict at once.
    """

    def __init__(self) -> None:
        self.checked: tuple[tuple[Any, ...], Any] | None = None  # settings, and what was made of them
        self.predictors: list[Any] = []
        self.fittings: list[Any] = []
        self.curve = Curve(np.zeros(0))

    @staticmethod
    def take(of: list[Any]) -> Any:
        try:
            return of.pop()
        except IndexError:
            return None

    def give_back(self, fitting: Any) -> None:
        """For the next call, unless it holds much memory."""
        if fitting.small:
            fitting.network = None  # which would otherwise refer to itself, and be freed late
            self.fittings[:] = [fitting]


class Curve:
    """Losses, more with each call, in memory that doubles: a new array each time would copy all that was there."""

    def __init__(self, values: np.ndarray) -> None:
        self._memory = self.values = np.asarray(values)
        self._begin = len(values)

    def go_on(self) -> None:
        self._begin = len(self.values)

    def show(self, values: np.ndarray) -> np.ndarray:
        """What there was when it last went on, and these behind it."""
        end = self._begin + len(values)
        if end > len(self._memory):
            memory = np.empty(2 * end)
            memory[: self._begin] = self._memory[: self._begin]
            self._memory = memory
        self._memory[self._begin : end] = values
        self.values = self._memory[:end]
        return self.values

"""What a lesson of ``fastact demo`` gives: numbers beside those known from elsewhere, times, and a picture."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import fastact

__all__ = ["OURS", "Lesson", "Outcome", "Teacher", "Times"]


class Times(NamedTuple):
    """Seconds for compiling, or for finding what is compiled, and for learning."""

    compiling: float
    learning: float

    def plus(self, other: Times) -> Times:
        return Times(self.compiling + other.compiling, self.learning + other.learning)


class Outcome(NamedTuple):
    """Rows of what it is, what was learned, and what the tutorial prints, if anything, or None of what nobody learns;
    and what there is to say of it."""

    rows: Sequence[tuple[str, str, str | None]]
    remarks: list[str]
    times: Times
    draw: Callable[[], Any]
    animate: Callable[[], Any] | None = None


class Teacher(NamedTuple):
    """Whose library learns: how it trains a network, and how it trains a single weight."""

    name: str
    fitted: Callable[..., Times]
    learned_weight: Callable[..., tuple[float, list[float]]]


#: A function of the number of epochs, if the user gave one, of the seed, and of who learns.
Lesson = Callable[[int | None, int, Teacher], Outcome]


def _fitted(network: Any, x: Any, y: Any, **keywords: Any) -> Times:
    """Train a network, after a twin of it has gone through the data once, which compiles whatever it needs."""
    start = time.perf_counter()
    copy.deepcopy(network).partial_fit(x, y)
    middle = time.perf_counter()
    network.fit(x, y, **keywords)
    end = time.perf_counter()
    once = (end - middle) / max(1, network.epochs)  # of what the twin took, this was no compiling
    return Times(max(0.0, middle - start - once), end - middle)


def _learned_weight(
    activation: str, loss: str, factor: float, steps: int, start: float, rate: float
) -> tuple[float, list[float]]:
    """The weight of a neuron without a bias after so many steps towards 1, and the losses on the way."""
    with_derivative = getattr(fastact, f"{activation}_with_derivative")
    value, backward = getattr(fastact, loss), getattr(fastact, f"{loss}_backward")
    weight, curve = start, []
    for _ in range(steps):
        answer, slope = with_derivative(weight)
        curve.append(factor * float(value(answer, 1.0)))
        weight -= rate * factor * float(backward(answer, 1.0)) * float(slope)
    return weight, curve


OURS = Teacher("fastact", _fitted, _learned_weight)

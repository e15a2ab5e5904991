"""What there is to see in a curve: where it jumps, and the lines that it approaches."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

__all__ = ["Asymptote", "asymptotes", "broken", "jumps"]

Curve = Callable[[np.ndarray], np.ndarray]

#: A change of less than this, between points next to each other, would not be seen as a jump.
SEEN = 1e-3

#: Where a function made of pieces has arrived at its last one; where any has all but arrived.
BEYOND, FAR = 8.0, 1e7

#: What is left of the way there.
NEARLY = 1e-6


class Asymptote(NamedTuple):
    """A straight line, on the left (-1) or on the right (1)."""

    side: float
    slope: float
    intercept: float


def jumps(curve: Curve, low: float, high: float) -> list[float]:
    """Where it jumps, by bisection between neighbours on a grid that differ, all at once."""
    grid = np.linspace(low, high, 1999)
    with np.errstate(all="ignore"):
        values = curve(grid)
        differ = np.flatnonzero(abs(np.diff(values)) > SEEN)
        ends = np.stack([grid[differ], grid[differ + 1], values[differ], values[differ + 1]])
        while ends.size and np.any((ends[0] < (middle := ends[:2].mean(axis=0))) & (middle < ends[1])):
            a, b, of_a, of_b = ends  # something is left between some of them
            between = curve(middle)
            left = abs(between - of_a) > abs(of_b - between)
            halves = np.where(left, [a, middle, of_a, between], [middle, b, between, of_b])
            ends = halves[:, abs(halves[3] - halves[2]) > SEEN / 2]  # a smooth curve's are all gone soon
    return [float(place) for place in ends[1][np.isfinite(ends[2]) & np.isfinite(ends[3])]]


def broken(x: np.ndarray, y: np.ndarray, at: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """The points of a line that is interrupted where it jumps."""
    places = np.searchsorted(x, at)
    for jump in at:  # what it is there may be neither what it comes from nor what it goes to
        y = np.where(abs(x - jump) < SEEN**2, np.nan, y)
    return np.insert(x, places, at), np.insert(y, places, np.nan)


def asymptotes(value: Curve, slope: Curve) -> list[Asymptote]:
    """The lines that it approaches without ever arriving."""
    lines = []
    for sign in (-1.0, 1.0):
        far = np.array([sign * FAR, 2 * sign * FAR])
        with np.errstate(all="ignore"):
            rise, ends = slope(far), value(far)
            there = ends - rise * far
        straight = np.isfinite(rise).all() and abs(rise).max() < 10 and abs(rise[1] - rise[0]) < NEARLY
        settled = np.isfinite(there).all() and abs(there[1] - there[0]) < NEARLY
        if straight and settled and _approached(slope, sign, rise[0]):
            lines.append(Asymptote(sign, *(float(np.round(number, 6)) + 0.0 for number in (rise[0], there[0]))))
    return lines


def _approached(slope: Curve, sign: float, rise: float) -> bool:
    """Whether it comes nearer for ever, or until rounding has it arrive; what is made of pieces arrives sooner."""
    left = abs(slope(sign * np.linspace(0, BEYOND, 2001)) - rise)
    return bool(left[-1] > 0 or ((left > 0).any() and left[left > 0][-1] < NEARLY))

"""sparsemax, the projection of a row onto the simplex of probabilities, in Numba's language."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from fastact.rows.moves import Mode
from fastact.simd.blocks import kernel
from fastact.simd.lanes import any_lane, spread, widen
from fastact.simd.vectors import select

__all__ = ["sparsemax"]

INFINITY = np.inf


def sparsemax(operation: str, words: SimpleNamespace, mode: Mode) -> SimpleNamespace:
    """The threshold t with sum of max(x - t, 0) = 1, by C. Michelot's method (1986): of the entries above t, the
    mean excess gives the next t, which only rises; it stops when none falls out. A few passes instead of a sort."""
    load, store, positions, fold = mode.load, mode.store, mode.positions, mode.fold
    across_max, across_sum, vector_of = mode.across_max, mode.across_sum, mode.vector_of
    load_first = words.load_first

    @kernel
    def apply(context, x, other, y):
        zero = load_first(x[0], 0)
        lowest, one = spread(-INFINITY, zero), spread(1.0, zero)
        best = lowest
        for i in range(positions(x[2])):
            v = load(x, i, lowest)
            best = select((v > best) | (v != v), v, best)
        broken = across_max(select(best != best, one, zero)) > zero
        maximum = select(broken, spread(np.nan, zero), across_max(best))
        threshold, before, moving = -one, -lowest, True
        while moving:
            total, number = widen(fold(zero)), zero
            for i in range(positions(x[2])):
                excess = load(x, i, lowest) - maximum
                inside = excess > threshold
                total = total + widen(fold(select(inside, excess, zero)))
                number = select(inside, number + one, number)
            number = vector_of(across_sum(number), zero)
            threshold = (vector_of(across_sum(total), zero) - one) / number
            moving = any_lane(number < before)  # and not !=, which rounding could keep up for ever
            before = number
        for i in range(positions(x[2])):
            excess = (load(x, i, lowest) - maximum) - threshold
            store(select(excess < zero, zero, excess), y, i)

    return SimpleNamespace(apply=apply)

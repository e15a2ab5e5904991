"""sparsemax and entmax15, which give a row true zeros, and their gradients, in Numba's language."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from fastact.rows.moves import Mode
from fastact.simd.blocks import kernel
from fastact.simd.lanes import any_lane, spread, widen
from fastact.simd.vectors import select, sqrt

__all__ = ["entmax15", "projection_gradient", "sparsemax"]

INFINITY = np.inf

#: Steps of Newton's, at most; a dozen are enough for rows of millions.
STEPS = 64


def _largest(words: SimpleNamespace, mode: Mode) -> Any:
    """A kernel: a row's maximum, NaN if there is one."""
    load, positions, across_max, load_first = mode.load, mode.positions, mode.across_max, words.load_first

    @kernel
    def largest(x):
        zero = load_first(x[0], 0)
        lowest, one = spread(-INFINITY, zero), spread(1.0, zero)
        best = lowest
        for i in range(positions(x[2])):
            v = load(x, i, lowest)
            best = select((v > best) | (v != v), v, best)
        broken = across_max(select(best != best, one, zero)) > zero
        return select(broken, spread(np.nan, zero), across_max(best))

    return largest


def sparsemax(operation: str, words: SimpleNamespace, mode: Mode) -> SimpleNamespace:
    """The threshold t with sum of max(x - t, 0) = 1, by C. Michelot's method (1986): of the entries above t, the
    mean excess gives the next t, which only rises; it stops when none falls out. A few passes instead of a sort."""
    load, store, positions, fold = mode.load, mode.store, mode.positions, mode.fold
    across_sum, vector_of = mode.across_sum, mode.vector_of
    load_first, largest = words.load_first, _largest(words, mode)

    @kernel
    def apply(context, x, other, y):
        zero = load_first(x[0], 0)
        lowest, one = spread(-INFINITY, zero), spread(1.0, zero)
        maximum = largest(x)
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


def entmax15(operation: str, words: SimpleNamespace, mode: Mode) -> SimpleNamespace:
    """The threshold t with sum of max(x / 2 - t, 0)**2 = 1, by Newton's method for the root of that sum: it is convex
    in t, so from below t only rises, and no further than the solution."""
    load, store, positions, fold = mode.load, mode.store, mode.positions, mode.fold
    across_sum, vector_of = mode.across_sum, mode.vector_of
    load_first, largest = words.load_first, _largest(words, mode)

    @kernel
    def apply(context, x, other, y):
        zero = load_first(x[0], 0)
        lowest, one, half = spread(-INFINITY, zero), spread(1.0, zero), spread(0.5, zero)
        maximum = largest(x)
        threshold, moving, step = -one, True, 0
        while moving and step < STEPS:
            linear, square = widen(fold(zero)), widen(fold(zero))
            for i in range(positions(x[2])):
                excess = (load(x, i, lowest) - maximum) * half - threshold
                excess = select(excess < zero, zero, excess)
                linear, square = linear + widen(fold(excess)), square + widen(fold(excess * excess))
            size = sqrt(vector_of(across_sum(square), zero))
            following = threshold + (size - one) * size / vector_of(across_sum(linear), zero)
            moving = any_lane(following > threshold)
            threshold = select(following > threshold, following, threshold)
            step += 1
        for i in range(positions(x[2])):
            excess = (load(x, i, lowest) - maximum) * half - threshold
            store(select(excess < zero, zero, excess * excess), y, i)

    return SimpleNamespace(apply=apply)


def projection_gradient(operation: str, words: SimpleNamespace, mode: Mode) -> SimpleNamespace:
    """With y the forward's output and s its slope, ``s * (grad - sum(s * grad) / sum(s))``: s is 1 for what sparsemax
    leaves, and the square root of what entmax15 leaves."""
    load, store, positions, fold = mode.load, mode.store, mode.positions, mode.fold
    add, across_total, vector_of, load_first = words.add, mode.across_total, mode.vector_of, words.load_first
    flat = operation == "sparsemax_backward"

    @kernel
    def slope_of(y, zero):
        return select(y > zero, spread(1.0, zero), y) if flat else sqrt(y)

    @kernel
    def apply(context, y, grad, out):
        zero = load_first(y[0], 0)
        total, low = widen(fold(zero)), widen(fold(zero))
        slopes, slopes_low = widen(fold(zero)), widen(fold(zero))
        for i in range(positions(y[2])):
            slope = slope_of(load(y, i, zero), zero)
            term = select(slope == zero, zero, slope * load(grad, i, zero))
            total, low = add(total, low, fold(term))
            slopes, slopes_low = add(slopes, slopes_low, fold(slope))
        mean = vector_of(across_total(total, low) / across_total(slopes, slopes_low), zero)
        for i in range(positions(y[2])):
            slope = slope_of(load(y, i, zero), zero)
            store(select(slope == zero, zero, slope * (load(grad, i, zero) - mean)), out, i)

    return SimpleNamespace(apply=apply)

"""layer_norm and rms_norm of rows, and their gradients, in Numba's language.

The number that is added to a variance, which keeps it from 0, stands where a record has the factor of results.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from fastact.rows.moves import Mode
from fastact.simd.blocks import kernel
from fastact.simd.lanes import float_at, spread, widen
from fastact.simd.layout import Axis
from fastact.simd.vectors import sqrt

__all__ = ["norm", "norm_gradient"]


def norm(operation: str, words: SimpleNamespace, mode: Mode) -> SimpleNamespace:
    """``(x - mean) / sqrt(variance + eps) * weight``; of rms_norm the mean is 0."""
    load, store, positions, load_first = mode.load, mode.store, mode.positions, words.load_first
    measured = _measured(operation.startswith("layer"), words, mode)

    @kernel
    def apply(context, x, weight, y):
        zero = load_first(x[0], 0)
        high, low, factor = measured(context, x)
        for i in range(positions(x[2])):
            v = ((load(x, i, zero) - high) - low) * factor
            store(v * load(weight, i, zero), y, i)

    return SimpleNamespace(apply=apply)


def norm_gradient(operation: str, words: SimpleNamespace, mode: Mode) -> SimpleNamespace:
    """With n the normalized row, ``(grad - mean(grad) - n * mean(grad * n)) / sqrt(variance + eps)``; of rms_norm
    without the second term."""
    load, store, positions, load_first = mode.load, mode.store, mode.positions, words.load_first
    fold, add, across_total, vector_of = mode.fold, words.add, mode.across_total, mode.vector_of
    centred = operation.startswith("layer")
    measured = _measured(centred, words, mode)

    @kernel
    def apply(context, x, grad, out):
        zero, share = load_first(x[0], 0), 1.0 / x[2]
        high, low, factor = measured(context, x)
        total, lost = widen(fold(zero)), widen(fold(zero))
        product, product_lost = widen(fold(zero)), widen(fold(zero))
        for i in range(positions(x[2])):
            g, v = load(grad, i, zero), ((load(x, i, zero) - high) - low) * factor
            product, product_lost = add(product, product_lost, fold(g * v))
            if centred:
                total, lost = add(total, lost, fold(g))
        mean = vector_of(across_total(total, lost) * share, zero)
        slope = vector_of(across_total(product, product_lost) * share, zero)
        for i in range(positions(x[2])):
            v = ((load(x, i, zero) - high) - low) * factor
            store(((load(grad, i, zero) - mean) - v * slope) * factor, out, i)

    return SimpleNamespace(apply=apply)


def _measured(centred: bool, words: SimpleNamespace, mode: Mode) -> Any:
    """A kernel: a row's mean in two parts, and what deviations from it are multiplied by."""
    load, positions, fold, load_first = mode.load, mode.positions, mode.fold, words.load_first
    add, across_total, vector_of, number_of = words.add, mode.across_total, mode.vector_of, mode.number_of

    @kernel
    def measured(context, x):
        zero, share = load_first(x[0], 0), 1.0 / x[2]
        total, lost = widen(fold(zero)), widen(fold(zero))
        high, low = zero, zero
        if centred:
            for i in range(positions(x[2])):
                total, lost = add(total, lost, fold(load(x, i, zero)))
            mean = across_total(total, lost) * share
            high = vector_of(mean, zero)
            low = vector_of(mean - number_of(high), zero)
            total, lost = widen(fold(zero)), widen(fold(zero))
        for i in range(positions(x[2])):
            d = (load(x, i, high) - high) - low
            total, lost = add(total, lost, fold(d * d))
        variance = across_total(total, lost) * share
        root = sqrt(vector_of(variance + float_at(context, Axis.SCALE), zero))
        return high, low, spread(1.0, zero) / root

    return measured

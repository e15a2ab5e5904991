"""Losses of networks in training: the sum over rows, and ``scale`` times its gradient by the last preactivation.

In Numba's language. Elementwise losses are loops found by address
(:mod:`fastact.networks.objectives`), the cross-entropy couples a row's outputs and is written here. A network calls its
loss by address: only what it needs is compiled.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from numba import njit, types

from fastact.networks.loops import last_layer, real_at, words_for
from fastact.runtime.pool import record_at
from fastact.simd.blocks import Address, inline
from fastact.simd.layout import Layer, Network

__all__ = ["counts_for", "functions", "output_slope_for"]


def functions(name: str, coupled: bool, counted: bool) -> dict[str, tuple[Any, Any]]:
    """The compiled function for ``"float32"`` or ``"float64"``: ``loss(network, predicted, y, rows, scale)`` leaves its
    result where the network keeps a part's loss. ``coupled``: cross-entropy; ``counted``: rows do not all count 1."""
    words = words_for(name)
    counts = counts_for(words) if counted else once_for(words)
    of_rows = cross_entropy_for(words, counts) if coupled else elementwise_for(words, counts if counted else None)

    def loss(network, predicted, y, rows, scale):
        real_at(network[Network.LOSS_SUM])[0] = of_rows(network, predicted, y, rows, scale)

    return {"loss": (types.void(Address, types.intp, types.intp, types.intp, types.float64), loss)}


def counts_for(words: SimpleNamespace) -> Any:
    at = words.at

    @inline
    def counts(network, i):
        """What a row of the block at hand counts."""
        return at(network[Network.BLOCK_WEIGHTS])[i]

    return counts


def once_for(words: SimpleNamespace) -> Any:
    number = words.number

    @inline
    def once(network, i):
        return number(1)

    return once


def elementwise_for(words: SimpleNamespace, counts: Any) -> Any:
    """Of each row the mean over outputs, or the sum."""
    number, at, apply = words.number, words.at, words.apply
    total = total_for(words) if counts is None else weighted_total_for(words, counts)

    @inline
    def elementwise(network, predicted, y, rows, scale):
        count = rows * network[Network.TARGETS]
        values = network[Network.LOSS_VALUES]
        apply(network, network[Network.LOSS], count, predicted, y, values, network[Network.GRADIENT])
        scale_gradient(network, count, number(scale / network[Network.SHARE]))
        return total(network, rows) / network[Network.SHARE]

    @inline
    def scale_gradient(network, count, factor):
        """By a number, and the output activation's derivative."""
        last = last_layer(network)
        gradient, slope = at(network[Network.GRADIENT]), at(last[Layer.PREACTIVATION])
        if last[Layer.LOOP]:
            for i in range(count):
                gradient[i] = gradient[i] * factor * slope[i]
        else:
            for i in range(count):
                gradient[i] *= factor

    return elementwise


def sum_for(words: SimpleNamespace) -> Any:
    at = words.at

    @njit(error_model="numpy", fastmath={"reassoc"})
    def sum_of(values, count):
        """In float64; in any order, so that vectors can do it."""
        numbers, result = at(values), 0.0
        for i in range(count):
            result += np.float64(numbers[i])
        return result

    return sum_of


def total_for(words: SimpleNamespace) -> Any:
    sum_of = sum_for(words)

    @inline
    def total(network, rows):
        """The sum of the elements' losses."""
        return sum_of(network[Network.LOSS_VALUES], rows * network[Network.TARGETS])

    return total


def weighted_total_for(words: SimpleNamespace, counts: Any) -> Any:
    size, at, sum_of = words.size, words.at, sum_for(words)

    @inline
    def weighted_total(network, rows):
        """The same of rows that do not all count 1, whose gradients are multiplied likewise."""
        n, loss = network[Network.TARGETS], 0.0
        for i in range(rows):
            weight, gradient = counts(network, i), at(network[Network.GRADIENT] + i * n * size)
            for j in range(n):
                gradient[j] *= weight
            loss += np.float64(weight) * sum_of(network[Network.LOSS_VALUES] + i * n * size, n)
        return loss

    return weighted_total


def cross_entropy_for(words: SimpleNamespace, counts: Any) -> Any:
    """Of each row the logarithm of the sum of exponentials, less the logits that the targets pick out of it. Rows are
    shifted by their largest logit."""
    number, size, at, apply = words.number, words.size, words.at, words.apply
    shift, finish, times_output_slope = shift_for(words, counts), finish_for(words, counts), output_slope_for(words)

    @inline
    def cross_entropy(network, logits, y, rows, scale):
        n, gradient = network[Network.TARGETS], network[Network.GRADIENT]
        loss = shift(network, logits, y, rows)
        apply(network, network[Network.EXPONENTIAL], rows * n, gradient, gradient)
        finish(network, y, rows, number(scale))
        loss = add_logarithms(network, rows, loss)
        times_output_slope(network, rows * n)
        return loss

    @inline
    def add_logarithms(network, rows, loss):
        """Of each row's sum, as often as the weight of its targets says."""
        sums, logarithms = network[Network.LOSS_VALUES], network[Network.OTHER_GRADIENT]
        # The loop writes whole vectors: its results go where the weights are not.
        apply(network, network[Network.LOGARITHM], rows, sums, logarithms)
        weights, values = at(sums + rows * size), at(logarithms)
        for i in range(rows):
            loss += np.float64(weights[i] * values[i])
        return loss

    return cross_entropy


def shift_for(words: SimpleNamespace, counts: Any) -> Any:
    """What comes before the exponentials."""
    number, size, at = words.number, words.size, words.at

    @inline
    def shift(network, logits, y, rows):
        """Leave logits less the row's largest in the gradient's place, and behind the rows' sums the weights of their
        targets; the part of the loss that is known then."""
        n, gradient, loss = network[Network.TARGETS], network[Network.GRADIENT], 0.0
        weights = at(network[Network.LOSS_VALUES] + rows * size)
        for i in range(rows):
            shifted = at(gradient + i * n * size)
            shift_row(at(logits + i * n * size), shifted, n)
            weight, product = row_of_targets(network, y, i, shifted, n)
            count = counts(network, i)
            weights[i] = weight * count
            loss -= np.float64(product * count)
        return loss

    @inline
    def shift_row(z, shifted, n):
        top = z[0]
        for j in range(1, n):
            top = z[j] if z[j] > top else top
        for j in range(n):
            shifted[j] = z[j] - top

    @inline
    def row_of_targets(network, y, i, shifted, n):
        """Their weight (1 for a label), and minus the loss but for the logarithm of the row's sum."""
        if network[Network.LABELS]:
            return number(1), shifted[record_at(y)[i]]
        targets = at(y + i * n * size)
        weight = product = number(0)
        for j in range(n):
            weight += targets[j]
            # Minus infinity is none where none is wanted.
            product += targets[j] * shifted[j] if targets[j] != 0 else number(0)
        return weight, product

    return shift


def finish_for(words: SimpleNamespace, counts: Any) -> Any:
    """What comes after the exponentials."""
    number, size, at = words.number, words.size, words.at

    @inline
    def finish(network, y, rows, factor):
        """Turn exponentials into the gradient, the row's share of each less its target, and leave the rows' sums."""
        n, gradient, sums = network[Network.TARGETS], network[Network.GRADIENT], at(network[Network.LOSS_VALUES])
        for i in range(rows):
            e = at(gradient + i * n * size)
            row_sum = number(0)
            for j in range(n):
                row_sum += e[j]
            sums[i] = row_sum
            share = factor * sums[rows + i] / row_sum
            for j in range(n):
                e[j] *= share
            subtract_targets(network, y, i, e, n, factor * counts(network, i))

    @inline
    def subtract_targets(network, y, i, e, n, factor):
        if network[Network.LABELS]:
            e[record_at(y)[i]] -= factor
        else:
            targets = at(y + i * n * size)
            for j in range(n):
                e[j] -= factor * targets[j]

    return finish


def output_slope_for(words: SimpleNamespace) -> Any:
    """From the gradient with respect to the outputs to that with respect to the last preactivation."""
    apply = words.apply

    @inline
    def times_output_slope(network, count):
        last, gradient = last_layer(network), network[Network.GRADIENT]
        if last[Layer.LOOP]:
            apply(network, network[Network.PRODUCT], count, gradient, last[Layer.PREACTIVATION], gradient)

    return times_output_slope

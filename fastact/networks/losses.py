"""Losses of networks in training: the sum over rows, and ``scale`` times its gradient by the last preactivation.

Compiled by Numba as part of fastact.networks.training. Elementwise losses are loops found by address
(:mod:`fastact.networks.objectives`), the cross-entropy couples a row's outputs and is written here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from fastact.networks.loops import layer_at
from fastact.runtime.pool import record_at
from fastact.simd.blocks import inline
from fastact.simd.layout import Layer, Network

__all__ = ["losses_for"]


def losses_for(number: Any, size: int, at: Any, apply: Any) -> tuple[Any, Any]:
    """The two for one type: of each outputs, and of cross-entropy. ``at`` finds numbers of that type at an address,
    ``apply`` runs a loop."""

    @njit(error_model="numpy", fastmath={"reassoc"})
    def total(values, count):
        """The sum, in float64; in any order, so that vectors can do it."""
        numbers, result = at(values), 0.0
        for i in range(count):
            result += np.float64(numbers[i])
        return result

    @inline
    def elementwise_loss(network, predicted, y, rows, scale):
        """Of each row the mean over outputs."""
        count = rows * network[Network.TARGETS]
        values = network[Network.LOSS_VALUES]
        apply(network, network[Network.LOSS], count, predicted, y, values, network[Network.GRADIENT])
        last = layer_at(network, network[Network.LAYERS] - 1)
        gradient, slope = at(network[Network.GRADIENT]), at(last[Layer.PREACTIVATION])
        factor = number(scale / network[Network.TARGETS])
        if last[Layer.LOOP]:
            for i in range(count):
                gradient[i] = gradient[i] * factor * slope[i]
        else:
            for i in range(count):
                gradient[i] *= factor
        return total(values, count) / network[Network.TARGETS]

    @inline
    def row_of_targets(network, y, i, shifted, n):
        """Their weight (1 for a label), and minus the loss but for the logarithm of the row's sum."""
        if network[Network.LABELS]:
            return number(1), shifted[record_at(y)[i]]
        targets = at(y + i * n * size)
        weight = product = number(0)
        for j in range(n):
            weight += targets[j]
            product += targets[j] * shifted[j]
        return weight, product

    @inline
    def cross_entropy(network, logits, y, rows, scale):
        n = network[Network.TARGETS]
        gradient, values = network[Network.GRADIENT], at(network[Network.LOSS_VALUES])
        loss, factor = 0.0, number(scale)
        for i in range(rows):
            z, shifted = at(logits + i * n * size), at(gradient + i * n * size)
            top = z[0]
            for j in range(1, n):
                top = z[j] if z[j] > top else top
            for j in range(n):
                shifted[j] = z[j] - top
            weight, product = row_of_targets(network, y, i, shifted, n)
            values[rows + i] = weight
            loss -= np.float64(product)
        apply(network, network[Network.EXPONENTIAL], rows * n, gradient, gradient)
        for i in range(rows):
            e = at(gradient + i * n * size)
            row_sum = number(0)
            for j in range(n):
                row_sum += e[j]
            values[i] = row_sum
            share = factor * values[rows + i] / row_sum
            for j in range(n):
                e[j] *= share
            if network[Network.LABELS]:
                e[record_at(y)[i]] -= factor
            else:
                targets = at(y + i * n * size)
                for j in range(n):
                    e[j] -= factor * targets[j]
        weights = network[Network.LOSS_VALUES] + rows * size
        # The loop writes whole vectors: its results go where the weights are not.
        apply(
            network, network[Network.LOGARITHM], rows, network[Network.LOSS_VALUES], network[Network.OTHER_GRADIENT], 0
        )
        logarithms, weights_of = at(network[Network.OTHER_GRADIENT]), at(weights)
        for i in range(rows):
            loss += np.float64(weights_of[i] * logarithms[i])
        last = layer_at(network, network[Network.LAYERS] - 1)
        if last[Layer.LOOP]:
            apply(network, network[Network.PRODUCT], rows * n, gradient, last[Layer.PREACTIVATION], gradient)
        return loss

    return elementwise_loss, cross_entropy

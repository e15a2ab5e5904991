"""The losses of narrow networks in training: those of fastact.networks.losses, of rows that lie transposed.

In Numba's language. What lies side by side is the same output of many rows, or what is known of each: ``row`` bytes of
it, in whole vectors.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from fastact.networks.loops import last_layer, total
from fastact.networks.losses import output_slope_for
from fastact.simd.blocks import inline, select
from fastact.simd.layout import Layer, Network

__all__ = ["loss_for"]


def loss_for(words: SimpleNamespace) -> Any:
    """Loss and gradient of a block, by whichever loss the network has."""
    elementwise, cross_entropy = elementwise_for(words), cross_entropy_for(words)

    @inline
    def loss(network, predicted, count, width, scale):
        if network[Network.LOSS]:
            return elementwise(network, predicted, count, width, scale)
        return cross_entropy(network, predicted, width, scale)

    return loss


def elementwise_for(words: SimpleNamespace) -> Any:
    """Of each row the mean over outputs, or the sum."""
    number, size, at, apply = words.number, words.size, words.at, words.apply
    vector, load, store = words.vector, words.load, words.store

    @inline
    def elementwise(network, predicted, count, width, scale):
        n, losses = network[Network.TARGETS], network[Network.LOSS_VALUES]
        apply(
            network, network[Network.LOSS], n * width, predicted, network[Network.BLOCK_Y], losses,
            network[Network.GRADIENT],
        )  # fmt: skip
        scale_gradient(network, n * width * size, number(scale / network[Network.SHARE]))
        clear_repeated(network, n, count, width)
        loss = 0.0
        for place in range(0, n * width * size, vector):
            loss += np.float64(total(load(losses + place)))
        return loss / network[Network.SHARE]

    @inline
    def scale_gradient(network, end, factor):
        """By a number, and the output activation's derivative."""
        last, gradient = last_layer(network), network[Network.GRADIENT]
        slope = last[Layer.PREACTIVATION]
        for place in range(0, end, vector):
            value = load(gradient + place) * factor
            if last[Layer.LOOP]:
                value = value * load(slope + place)
            store(value, gradient + place)

    @inline
    def clear_repeated(network, n, count, width):
        """Rows that repeat the last have neither loss nor gradient."""
        gradient, losses = at(network[Network.GRADIENT]), at(network[Network.LOSS_VALUES])
        for j in range(n):
            for i in range(count, width):
                gradient[j * width + i] = losses[j * width + i] = number(0)

    return elementwise


def cross_entropy_for(words: SimpleNamespace) -> Any:
    """As for rows that are not transposed. Rows that repeat the last have no target: their weight is zero."""
    number, size, apply, vector, load = words.number, words.size, words.apply, words.vector, words.load
    shift, finish, times_output_slope = shift_for(words), finish_for(words), output_slope_for(words)

    @inline
    def cross_entropy(network, logits, width, scale):
        n, gradient, sums = network[Network.TARGETS], network[Network.GRADIENT], network[Network.LOSS_VALUES]
        row = width * size
        shift(network, logits, row)
        apply(network, network[Network.EXPONENTIAL], n * width, gradient, gradient)
        finish(network, row, number(scale))
        apply(network, network[Network.LOGARITHM], width, sums, sums)
        times_output_slope(network, n * width)
        return sum_of_losses(sums, sums + row, sums + 2 * row, row)

    @inline
    def sum_of_losses(logarithms, weights, products, row):
        loss = 0.0
        for place in range(0, row, vector):
            loss += np.float64(total(load(weights + place) * load(logarithms + place) - load(products + place)))
        return loss

    return cross_entropy


def shift_for(words: SimpleNamespace) -> Any:
    """What comes before the exponentials."""
    number, vector, load, store = words.number, words.vector, words.load, words.store

    @inline
    def shift(network, logits, row):
        """Leave logits less the row's largest in the gradient's place, and behind the rows' sums the weights of their
        targets, and the targets' products with what is left there."""
        n, gradient, targets = network[Network.TARGETS], network[Network.GRADIENT], network[Network.BLOCK_Y]
        weights, products = network[Network.LOSS_VALUES] + row, network[Network.LOSS_VALUES] + 2 * row
        for place in range(0, row, vector):
            top = largest(logits + place, n, row)
            weight, product = shift_output(logits + place, top, targets + place, gradient + place)
            for j in range(1, n):
                at_j = j * row + place
                target, part = shift_output(logits + at_j, top, targets + at_j, gradient + at_j)
                weight, product = weight + target, product + part
            store(weight, weights + place)
            store(product, products + place)

    @inline
    def largest(logits, n, row):
        top = load(logits)
        for j in range(1, n):
            z = load(logits + j * row)
            top = select(z > top, z, top)
        return top

    @inline
    def shift_output(logits, top, targets, result):
        """The targets, and their products with logits less the largest; minus infinity is none where none is wanted."""
        shifted, target = load(logits) - top, load(targets)
        store(shifted, result)
        return target, select(target == number(0), target, target * shifted)

    return shift


def finish_for(words: SimpleNamespace) -> Any:
    """What comes after the exponentials."""
    vector, load, store = words.vector, words.load, words.store

    @inline
    def finish(network, row, factor):
        """Turn exponentials into the gradient, the row's share of each less its target, and leave the rows' sums."""
        n, gradient, targets = network[Network.TARGETS], network[Network.GRADIENT], network[Network.BLOCK_Y]
        sums, weights = network[Network.LOSS_VALUES], network[Network.LOSS_VALUES] + row
        for place in range(0, row, vector):
            value = load(gradient + place)
            for j in range(1, n):
                value = value + load(gradient + j * row + place)
            store(value, sums + place)
            share = factor * load(weights + place) / value
            for j in range(n):
                here = j * row + place
                store(load(gradient + here) * share - factor * load(targets + here), gradient + here)

    return finish

"""What training does only where it is asked for. Compiled by Numba apart, so that plain training holds none of it.

Rows that do not all count 1; hidden units that are left out; gradients that a penalty, or a bound of their norm,
changes before the optimizer sees them; AdamW.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from numba import njit

from fastact.networks.batches import batches
from fastact.networks.dropout import BITS, STRIDE, mixed, place_of
from fastact.networks.loops import ONE, layer_at, order_at, real_at, words_for
from fastact.networks.optimizers import WORTH_SHARING, adam_for, optimize, share
from fastact.networks.parts import compute_parts, part_task, total_loss
from fastact.networks.passes import passes
from fastact.networks.training import TRAIN_SIGNATURE, gradients_for, train_for
from fastact.runtime.pool import TASK_SIGNATURE, call_task, parallel_for, record_at
from fastact.simd.blocks import inline
from fastact.simd.layout import ABOVE_ZERO, CHUNK, Layer, Network, Setting

__all__ = ["functions"]

#: Draws, as fastact.networks.dropout makes them of arrays.
mix, place = inline(mixed), inline(place_of)


def functions(name: str) -> dict[str, tuple[Any, Any]]:
    """The compiled functions for ``"float32"`` or ``"float64"``, by name: those of fastact.networks.training of the
    same names, and more."""
    words = words_for(name)
    gather = gather_for(words, batches(words).gather)
    gradients = gradients_for(passes(words, drop_for(words)), gather)
    return {
        "adjust": (TASK_SIGNATURE, adjust_for(words)),
        "part": (TASK_SIGNATURE, part_task(gradients)),
        "scale": (TASK_SIGNATURE, scale_for(words)),
        "train": (TRAIN_SIGNATURE, train_for(take_step_for(words))),
        "update": (TASK_SIGNATURE, adamw_for(words)),
    }


# -- rows that do not all count 1 -----------------------------------------------------------------


def gather_for(words: SimpleNamespace, gather: Any) -> Any:
    at, weight_at = words.at, weight_at_for(words)

    @inline
    def gather_weighted(network, step, begin, rows):
        """Inputs and targets of some of a step's rows, what they count, and where they stand in the epoch."""
        weights = at(network[Network.BLOCK_WEIGHTS])
        for i in range(rows):
            weights[i] = weight_at(step, begin + i)
        network[Network.DROP_EPOCH], network[Network.DROP_FIRST] = step[Network.EPOCH], step[Network.POSITION] + begin
        return gather(network, step, begin, rows)

    return gather_weighted


def weight_at_for(words: SimpleNamespace) -> Any:
    number, at = words.number, words.at

    @inline
    def weight_at(step, i):
        """What a row of a step counts."""
        if step[Network.WEIGHTS] == 0:
            return number(1)
        row = step[Network.POSITION] + i
        if step[Network.ORDER]:
            row = record_at(order_at(step, i))[0]
        return at(step[Network.WEIGHTS])[row]

    return weight_at


# -- hidden units that are left out ---------------------------------------------------------------


def drop_for(words: SimpleNamespace) -> Any:
    number, at = words.number, words.at

    @inline
    def drop(network, index, rows):
        """Leave out some of a hidden layer's units, each row others, and multiply the rest to make up for them."""
        if network[Network.THRESHOLD] == 0 or index == network[Network.LAYERS] - 1:
            return
        layer, threshold = layer_at(network, index), np.uint64(network[Network.THRESHOLD])
        units, scale = layer[Layer.OUTPUTS], number(1.0 / (1.0 - network[Network.THRESHOLD] / 2.0**BITS))
        seed, epoch = np.uint64(network[Network.SEED]), np.uint64(network[Network.DROP_EPOCH])
        first = mix(place(seed, epoch, np.uint64(index))) + STRIDE * np.uint64(network[Network.DROP_FIRST] * units)
        values, slopes = at(layer[Layer.ACTIVATION]), at(layer[Layer.PREACTIVATION])
        for i in range(rows * units):
            stays = mix(first + STRIDE * np.uint64(i)) >> np.uint64(64 - BITS) >= threshold
            values[i] = values[i] * scale if stays else number(0)
            slopes[i] = slopes[i] * scale if stays else number(0)

    return drop


# -- steps ----------------------------------------------------------------------------------------


def take_step_for(words: SimpleNamespace) -> Any:
    weight_of_step = weight_of_step_for(words)

    @inline
    def take_step(network, apart):
        compute_parts(network)
        if apart:
            share(network, network[Network.COMBINE])
        settings, rows = real_at(network[Network.SETTINGS]), network[Network.STEP_ROWS]
        weight = weight_of_step(network)
        inverse = 1.0 / weight if weight > 0.0 else 0.0  # a step of rows that count nothing
        loss = total_loss(network) * inverse
        if network[Network.WEIGHTS] or settings[Setting.ALPHA] > 0.0 or settings[Setting.MAX_NORM] > 0.0:
            settings[Setting.FACTOR], settings[Setting.DECAY] = rows * inverse, settings[Setting.ALPHA] * inverse
            loss += 0.5 * settings[Setting.DECAY] * adjust(network)
        real_at(network[Network.LOSSES])[network[Network.EPOCH]] += loss * rows / network[Network.ROWS]
        optimize(network)

    return take_step


def weight_of_step_for(words: SimpleNamespace) -> Any:
    weight_at = weight_at_for(words)

    @inline
    def weight_of_step(network):
        """The number of its rows, or the sum of what they count."""
        if network[Network.WEIGHTS] == 0:
            return np.float64(network[Network.STEP_ROWS])
        weight = 0.0
        for i in range(network[Network.STEP_ROWS]):
            weight += np.float64(weight_at(network, i))
        return weight

    return weight_of_step


@inline
def adjust(network):
    """Change the gradients as the settings say; the sum of the squares of all weights."""
    chunks, settings = (network[Network.COUNT] + CHUNK - 1) // CHUNK, real_at(network[Network.SETTINGS])
    if network[Network.COUNT] < WORTH_SHARING:
        call_task(network[Network.ADJUST], 0, chunks, network)
    else:
        parallel_for(record_at(network[Network.POOL]), network[Network.ADJUST], network, chunks, ONE)
    sums, weights, slopes = real_at(network[Network.SUMS]), 0.0, 0.0
    for chunk in range(chunks):
        weights += sums[2 * chunk]
        slopes += sums[2 * chunk + 1]
    most = settings[Setting.MAX_NORM]
    if most > 0.0 and most < np.sqrt(slopes) + ABOVE_ZERO:
        settings[Setting.FACTOR] = most / (np.sqrt(slopes) + ABOVE_ZERO)
        share(network, network[Network.SCALE])
    return weights


# -- tasks for threads ----------------------------------------------------------------------------


def adjust_for(words: SimpleNamespace) -> Any:
    """Multiply some chunks of the gradients by the factor of the settings, and add their share of the weights."""
    size, change = words.size, change_for(words)

    def adjust(begin, end, context):
        decay = real_at(context[Network.SETTINGS])[Setting.DECAY]
        for chunk in range(begin, end):
            weights, slopes = 0.0, 0.0
            for index in range(context[Network.LAYERS]):
                layer = layer_at(context, index)
                count = layer[Layer.INPUTS] * layer[Layer.OUTPUTS]
                squares, more = change_part(context, chunk, layer[Layer.WEIGHT], count, decay)
                _, most = change_part(context, chunk, layer[Layer.BIAS], layer[Layer.OUTPUTS], 0.0)
                weights, slopes = weights + squares, slopes + more + most
            sums = real_at(context[Network.SUMS])
            sums[2 * chunk], sums[2 * chunk + 1] = weights, slopes

    @inline
    def change_part(context, chunk, where, count, decay):
        """What a chunk holds of a weight or a bias."""
        start = (where - context[Network.PARAMETERS]) // size
        first, last = max(chunk * CHUNK, start), min((chunk + 1) * CHUNK, start + count)
        factor = real_at(context[Network.SETTINGS])[Setting.FACTOR]
        shift = first * size
        return change(
            context[Network.PARAMETERS] + shift, context[Network.GRADIENTS] + shift, last - first, factor, decay
        )

    return adjust


def change_for(words: SimpleNamespace) -> Any:
    number, at = words.number, words.at

    @njit(error_model="numpy", fastmath={"reassoc"})
    def change(parameters, gradients, count, factor, decay):
        """The sums of the squares of both are made in any order, so that vectors can do it."""
        p, g, factor, decay = at(parameters), at(gradients), number(factor), number(decay)
        weights = slopes = 0.0
        for i in range(count):
            slope = g[i] * factor + decay * p[i]
            g[i] = slope
            weights += np.float64(p[i]) * np.float64(p[i])
            slopes += np.float64(slope) * np.float64(slope)
        return weights, slopes

    return change


def scale_for(words: SimpleNamespace) -> Any:
    """Multiply some of the gradients by the factor of the settings."""
    number, at = words.number, words.at

    def scale(begin, end, context):
        g, factor = at(context[Network.GRADIENTS]), number(real_at(context[Network.SETTINGS])[Setting.FACTOR])
        for i in range(begin, end):
            g[i] *= factor

    return scale


def adamw_for(words: SimpleNamespace) -> Any:
    adam = adam_for(words, decoupled=True)

    def update(begin, end, context):
        adam(context, begin, end)

    return update

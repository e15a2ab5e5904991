"""Loss and gradients of narrow networks, whose layers have fewer units than fill registers. Compiled by Numba.

Along a row of two numbers most of a register stands empty. Here rows are taken a block at a time, transposed: what
lies side by side, and in a register, is one unit of many rows. A layer is then a few sums of such vectors, and
everything between input and gradient stays in the first-level cache.

A block is filled up to whole vectors by repeating its last row, with zeros as targets; the gradient there is zero.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from fastact.networks.loops import gradient_scale, layer_at, order_at, total, words_for
from fastact.networks.narrow_losses import loss_for
from fastact.networks.parts import part_task
from fastact.runtime.pool import TASK_SIGNATURE, record_at
from fastact.simd.blocks import fma, inline
from fastact.simd.layout import Layer, Network

__all__ = ["functions"]


def functions(name: str) -> dict[str, tuple[Any, Any]]:
    """The compiled function for ``"float32"`` or ``"float64"``: ``part``, as in fastact.networks.training."""
    return {"part": (TASK_SIGNATURE, part_task(gradients_for(words_for(name))))}


def gradients_for(words: SimpleNamespace) -> Any:
    """What a part of a step is: forward, loss, backward, a block of rows at a time."""
    size, lanes, clear = words.size, words.lanes, clear_for(words)
    gather, forward = gather_for(words, clear), forward_for(words)
    loss_of, backward = loss_for(words), backward_for(words)

    @inline
    def gradients(network, step, begin, end):
        """The loss of some of a step's rows; their gradients where the network's layers say. A step of all rows finds
        blocks where the step before has left them."""
        loss, scale = 0.0, gradient_scale(step)
        clear(network[Network.GRADIENTS], step[Network.COUNT])
        network[Network.BLOCK_X], network[Network.BLOCK_Y] = network[Network.BATCH_X], network[Network.BATCH_Y]
        while begin < end:
            count = min(network[Network.BLOCK_ROWS], end - begin)
            width = (count + lanes - 1) // lanes * lanes
            if network[Network.GATHERED] == 0:
                gather(network, step, begin, count, width)
            loss += gradients_of_block(network, count, width, scale)
            begin += count
            if step[Network.BATCH] == step[Network.ROWS]:
                network[Network.BLOCK_X] += width * layer_at(network, 0)[Layer.INPUTS] * size
                network[Network.BLOCK_Y] += width * network[Network.TARGETS] * size
        network[Network.GATHERED] = 1 if step[Network.BATCH] == step[Network.ROWS] else 0
        return loss

    @inline
    def gradients_of_block(network, count, width, scale):
        predicted = forward(network, width)
        loss = loss_of(network, predicted, count, width, scale)
        backward(network, width)
        return loss

    return gradients


def clear_for(words: SimpleNamespace) -> Any:
    number, at = words.number, words.at

    @inline
    def clear(target, count):
        numbers = at(target)
        for i in range(count):
            numbers[i] = number(0)

    return clear


# -- a block of rows, transposed ------------------------------------------------------------------


def gather_for(words: SimpleNamespace, clear: Any) -> Any:
    """Inputs and targets of a block."""
    number, at, gather_matrix = words.number, words.at, gather_matrix_for(words)

    @inline
    def gather(network, step, begin, count, width):
        inputs, targets = layer_at(network, 0)[Layer.INPUTS], network[Network.TARGETS]
        gather_matrix(step, step[Network.X], inputs, begin, count, width, network[Network.BLOCK_X])
        repeat_last(inputs, count, width, network[Network.BLOCK_X])
        clear(network[Network.BLOCK_Y], targets * width)
        if network[Network.LABELS]:
            mark_labels(step, begin, count, width, network[Network.BLOCK_Y])
        else:
            gather_matrix(step, step[Network.Y], targets, begin, count, width, network[Network.BLOCK_Y])

    @inline
    def mark_labels(step, begin, count, width, target):
        """A one where a row's label is."""
        labels, result = record_at(step[Network.Y]), at(target)
        for i in range(count):
            row = record_at(order_at(step, begin))[i] if step[Network.ORDER] else step[Network.POSITION] + begin + i
            result[labels[row] * width + i] = number(1)

    @inline
    def repeat_last(columns, count, width, target):
        result = at(target)
        for j in range(columns):
            last = result[j * width + count - 1]
            for i in range(count, width):
                result[j * width + i] = last

    return gather


def gather_matrix_for(words: SimpleNamespace) -> Any:
    at = words.at

    @inline
    def gather_matrix(step, source, columns, begin, count, width, target):
        """Rows of a matrix, where they lie or in the epoch's order."""
        numbers, result = at(source), at(target)
        if step[Network.ORDER] == 0:
            first = (step[Network.POSITION] + begin) * columns
            for j in range(columns):
                for i in range(count):
                    result[j * width + i] = numbers[first + i * columns + j]
        else:
            rows = record_at(order_at(step, begin))
            for j in range(columns):
                for i in range(count):
                    result[j * width + i] = numbers[rows[i] * columns + j]

    return gather_matrix


# -- passes ---------------------------------------------------------------------------------------


def forward_for(words: SimpleNamespace) -> Any:
    size, at, apply = words.size, words.at, words.apply
    vector, load, store = words.vector, words.load, words.store

    @inline
    def forward(network, width):
        """The last layer's outputs, (outputs, width)."""
        row, below = width * size, network[Network.BLOCK_X]
        for index in range(network[Network.LAYERS]):
            layer = layer_at(network, index)
            z = layer[Layer.PREACTIVATION]
            for place in range(0, row, vector):
                preactivations(layer, below + place, row, z + place)
            below = layer[Layer.ACTIVATION]
            if layer[Layer.LOOP]:
                apply(network, layer[Layer.LOOP], layer[Layer.OUTPUTS] * width, z, below, z)
        return below

    @inline
    def preactivations(layer, below, row, z):
        """Of a vector of rows."""
        inputs, outputs = layer[Layer.INPUTS], layer[Layer.OUTPUTS]
        weight, bias = at(layer[Layer.WEIGHT]), at(layer[Layer.BIAS])
        for o in range(outputs):
            value = fma(load(below), weight[o], bias[o])
            for i in range(1, inputs):
                value = fma(load(below + i * row), weight[i * outputs + o], value)
            store(value, z + o * row)

    return forward


def backward_for(words: SimpleNamespace) -> Any:
    size, at, input_gradient = words.size, words.at, input_gradient_for(words)
    sum_of_products, sum_of = sum_of_products_for(words), sum_for(words)

    @inline
    def backward(network, width):
        """Add the block's gradients to those that stand there."""
        row, gradient, other = width * size, network[Network.GRADIENT], network[Network.OTHER_GRADIENT]
        for index in range(network[Network.LAYERS] - 1, -1, -1):
            layer, below = layer_at(network, index), network[Network.BLOCK_X]
            if index > 0:
                previous = layer_at(network, index - 1)
                below = previous[Layer.ACTIVATION]
                input_gradient(layer, previous, gradient, other, row)
            parameter_gradients(layer, below, gradient, row)
            gradient, other = other, gradient

    @inline
    def parameter_gradients(layer, below, gradient, row):
        inputs, outputs = layer[Layer.INPUTS], layer[Layer.OUTPUTS]
        weights, biases = at(layer[Layer.WEIGHT_GRADIENT]), at(layer[Layer.BIAS_GRADIENT])
        for i in range(inputs):
            for o in range(outputs):
                weights[i * outputs + o] += sum_of_products(below + i * row, gradient + o * row, row)
        for o in range(outputs):
            biases[o] += sum_of(gradient + o * row, row)

    return backward


def sum_of_products_for(words: SimpleNamespace) -> Any:
    vector, load = words.vector, words.load

    @inline
    def sum_of_products(a, b, row):
        value = load(a) * load(b)
        for place in range(vector, row, vector):
            value = fma(load(a + place), load(b + place), value)
        return total(value)

    return sum_of_products


def sum_for(words: SimpleNamespace) -> Any:
    vector, load = words.vector, words.load

    @inline
    def sum_of(a, row):
        value = load(a)
        for place in range(vector, row, vector):
            value = value + load(a + place)
        return total(value)

    return sum_of


def input_gradient_for(words: SimpleNamespace) -> Any:
    at, vector, load, store = words.at, words.vector, words.load, words.store

    @inline
    def input_gradient(layer, previous, gradient, target, row):
        """The gradient with respect to the preactivation of the layer before."""
        outputs, weight, slope = layer[Layer.OUTPUTS], at(layer[Layer.WEIGHT]), previous[Layer.PREACTIVATION]
        for place in range(0, row, vector):
            for i in range(layer[Layer.INPUTS]):
                value = load(gradient + place) * weight[i * outputs]
                for o in range(1, outputs):
                    value = fma(load(gradient + o * row + place), weight[i * outputs + o], value)
                if previous[Layer.LOOP]:
                    value = value * load(slope + i * row + place)
                store(value, target + i * row + place)

    return input_gradient

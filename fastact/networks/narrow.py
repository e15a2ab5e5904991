"""Loss and gradients of narrow networks, whose layers have fewer units than fill registers. Compiled by Numba.

Along a row of two numbers most of a register stands empty. Here rows are taken a block at a time, transposed: what
lies side by side, and in a register, is one unit of many rows. A layer is then a few sums of such vectors, and
everything between input and gradient stays in the first-level cache.

A block is filled up to whole vectors by repeating its last row, with zeros as targets; the gradient there is zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.extending import intrinsic

from fastact.networks.loops import apply_for, gradient_scale, layer_at, numbers_at, order_at, real_at
from fastact.runtime.pool import TASK_SIGNATURE, record_at
from fastact.simd import blocks
from fastact.simd.blocks import LANES, fma, inline, select
from fastact.simd.layout import Layer, Network
from fastact.simd.vectors import suffix

__all__ = ["functions"]


@intrinsic
def total(typing_context, vector):
    """The sum of a vector's elements: halves are added to halves."""

    def generate(context, builder, signature, args):
        (value,) = args
        kind = value.type
        zero = ir.Constant(kind.element, -0.0)
        name = f"llvm.vector.reduce.fadd.{suffix(kind)}"
        function_type = ir.FunctionType(kind.element, [kind.element, kind])
        function = builder.module.globals.get(name) or ir.Function(builder.module, function_type, name)
        return builder.call(function, [zero, value], fastmath=("reassoc",))

    return vector.element(vector), generate


def functions(name: str) -> dict[str, tuple[Any, Any]]:
    """The compiled function for ``"float32"`` or ``"float64"``: ``part``, as in fastact.networks.training."""
    at, apply = numbers_at(name), apply_for(name)
    number, size, lanes = getattr(np, name), np.dtype(name).itemsize, LANES[name]
    load, store = getattr(blocks, f"load_whole_{name}"), getattr(blocks, f"store_whole_{name}")
    vector = size * lanes

    # -- a block of rows, transposed ----------------------------------------------------------------

    @inline
    def gather(step, source, columns, begin, count, width, target, repeat):
        """Rows of a matrix; beyond them, either the last again or zeros."""
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
        for j in range(columns):
            last = result[j * width + count - 1] if repeat else number(0)
            for i in range(count, width):
                result[j * width + i] = last

    @inline
    def gather_labels(step, classes, begin, count, width, target):
        """Of each row, a one where its label is, else zeros."""
        labels, result = record_at(step[Network.Y]), at(target)
        for j in range(classes * width):
            result[j] = number(0)
        for i in range(count):
            row = record_at(order_at(step, begin))[i] if step[Network.ORDER] else step[Network.POSITION] + begin + i
            result[labels[row] * width + i] = number(1)

    @inline
    def gather_block(network, step, begin, count, width):
        """Inputs and targets; a step of all rows finds them where the step before has left them."""
        inputs, targets = layer_at(network, 0)[Layer.INPUTS], network[Network.TARGETS]
        gather(step, step[Network.X], inputs, begin, count, width, network[Network.BLOCK_X], True)
        if network[Network.LABELS]:
            gather_labels(step, targets, begin, count, width, network[Network.BLOCK_Y])
        else:
            gather(step, step[Network.Y], targets, begin, count, width, network[Network.BLOCK_Y], False)

    # -- forward ------------------------------------------------------------------------------------

    @inline
    def forward(network, width):
        """The last layer's outputs, (outputs, width)."""
        row, below = width * size, network[Network.BLOCK_X]
        for index in range(network[Network.LAYERS]):
            layer = layer_at(network, index)
            inputs, outputs = layer[Layer.INPUTS], layer[Layer.OUTPUTS]
            weight, bias, z = at(layer[Layer.WEIGHT]), at(layer[Layer.BIAS]), layer[Layer.PREACTIVATION]
            for place in range(0, row, vector):
                for o in range(outputs):
                    value = fma(load(below + place), weight[o], bias[o])
                    for i in range(1, inputs):
                        value = fma(load(below + i * row + place), weight[i * outputs + o], value)
                    store(value, z + o * row + place)
            below = layer[Layer.ACTIVATION]
            if layer[Layer.LOOP]:
                apply(network, layer[Layer.LOOP], outputs * width, z, below, z)
        return below

    # -- losses -------------------------------------------------------------------------------------

    @inline
    def elementwise_loss(network, predicted, count, width, scale):
        n, row = network[Network.TARGETS], width * size
        gradient, losses = network[Network.GRADIENT], network[Network.LOSS_VALUES]
        apply(network, network[Network.LOSS], n * width, predicted, network[Network.BLOCK_Y], losses, gradient)
        last = layer_at(network, network[Network.LAYERS] - 1)
        slope, factor, loss = last[Layer.PREACTIVATION], number(scale / n), 0.0
        for place in range(0, n * row, vector):
            value = load(gradient + place) * factor
            if last[Layer.LOOP]:
                value = value * load(slope + place)
            store(value, gradient + place)
        for j in range(n):
            for i in range(count, width):
                at(gradient)[j * width + i] = at(losses)[j * width + i] = number(0)
            for place in range(0, row, vector):
                loss += np.float64(total(load(losses + j * row + place)))
        return loss / n

    @inline
    def shift(logits, top, targets, result):
        """The targets, and their products with logits less the largest; minus infinity is none where none is wanted."""
        shifted, target = load(logits) - top, load(targets)
        store(shifted, result)
        return target, select(target == number(0), target, target * shifted)

    @inline
    def cross_entropy(network, logits, width, scale):
        """Rows that repeat the last have no target: their weight is zero."""
        n, row, factor = network[Network.TARGETS], width * size, number(scale)
        gradient, targets, sums = network[Network.GRADIENT], network[Network.BLOCK_Y], network[Network.LOSS_VALUES]
        weights, products, loss = sums + row, sums + 2 * row, 0.0
        for place in range(0, row, vector):
            top = load(logits + place)
            for j in range(1, n):
                z = load(logits + j * row + place)
                top = select(z > top, z, top)
            weight, product = shift(logits + place, top, targets + place, gradient + place)
            for j in range(1, n):
                at_j = j * row + place
                target, part = shift(logits + at_j, top, targets + at_j, gradient + at_j)
                weight, product = weight + target, product + part
            store(weight, weights + place)
            store(product, products + place)
        apply(network, network[Network.EXPONENTIAL], n * width, gradient, gradient)
        for place in range(0, row, vector):
            value = load(gradient + place)
            for j in range(1, n):
                value = value + load(gradient + j * row + place)
            store(value, sums + place)
            share = factor * load(weights + place) / value
            for j in range(n):
                here = gradient + j * row + place
                store(load(here) * share - factor * load(targets + j * row + place), here)
        apply(network, network[Network.LOGARITHM], width, sums, sums)
        for place in range(0, row, vector):
            loss += np.float64(total(load(weights + place) * load(sums + place) - load(products + place)))
        last = layer_at(network, network[Network.LAYERS] - 1)
        if last[Layer.LOOP]:
            apply(network, network[Network.PRODUCT], n * width, gradient, last[Layer.PREACTIVATION], gradient)
        return loss

    # -- backward -----------------------------------------------------------------------------------

    @inline
    def sum_of_products(a, b, row):
        value = load(a) * load(b)
        for place in range(vector, row, vector):
            value = fma(load(a + place), load(b + place), value)
        return total(value)

    @inline
    def sum_of(a, row):
        value = load(a)
        for place in range(vector, row, vector):
            value = value + load(a + place)
        return total(value)

    @inline
    def backward(network, width):
        """Add the block's gradients to those that stand there."""
        row, gradient, other = width * size, network[Network.GRADIENT], network[Network.OTHER_GRADIENT]
        for index in range(network[Network.LAYERS] - 1, -1, -1):
            layer = layer_at(network, index)
            inputs, outputs, below = layer[Layer.INPUTS], layer[Layer.OUTPUTS], network[Network.BLOCK_X]
            if index > 0:
                previous = layer_at(network, index - 1)
                below = previous[Layer.ACTIVATION]
                input_gradient(layer, previous, gradient, other, row)
            weights, biases = at(layer[Layer.WEIGHT_GRADIENT]), at(layer[Layer.BIAS_GRADIENT])
            for i in range(inputs):
                for o in range(outputs):
                    weights[i * outputs + o] += sum_of_products(below + i * row, gradient + o * row, row)
            for o in range(outputs):
                biases[o] += sum_of(gradient + o * row, row)
            gradient, other = other, gradient

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

    @inline
    def gradients(network, step, begin, end, scale):
        """The loss of some of a step's rows; their gradients where the network's layers say."""
        flat, loss, all_rows = at(network[Network.GRADIENTS]), 0.0, step[Network.BATCH] == step[Network.ROWS]
        for i in range(step[Network.COUNT]):
            flat[i] = number(0)
        network[Network.BLOCK_X], network[Network.BLOCK_Y] = network[Network.BATCH_X], network[Network.BATCH_Y]
        while begin < end:
            count = min(network[Network.BLOCK_ROWS], end - begin)
            width = (count + lanes - 1) // lanes * lanes
            if network[Network.GATHERED] == 0:
                gather_block(network, step, begin, count, width)
            predicted = forward(network, width)
            if network[Network.LOSS]:
                loss += elementwise_loss(network, predicted, count, width, scale)
            else:
                loss += cross_entropy(network, predicted, width, scale)
            backward(network, width)
            begin += count
            if all_rows:
                network[Network.BLOCK_X] += width * layer_at(network, 0)[Layer.INPUTS] * size
                network[Network.BLOCK_Y] += width * network[Network.TARGETS] * size
        network[Network.GATHERED] = 1 if all_rows else 0
        return loss

    def part(begin, end, context):
        """Loss and gradients of some parts of a step's rows; a task for threads."""
        parts, rows, scale = context[Network.PARTS], context[Network.STEP_ROWS], gradient_scale(context)
        for i in range(begin, end):
            network = record_at(context[Network.PART] + 8 * Network.SIZE * i)
            loss = gradients(network, context, rows * i // parts, rows * (i + 1) // parts, scale)
            real_at(network[Network.LOSS_SUM])[0] = loss

    return {"part": (TASK_SIGNATURE, part)}

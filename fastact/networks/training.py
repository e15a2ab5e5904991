"""Training a network, as many batches as asked for in one call. Compiled by Numba, once for all networks.

What a network consists of is read from a table (:class:`fastact.simd.layout.Network` and ``Layer``): sizes,
buffers, and the addresses of the loops of its activations and loss, so another network needs no
compilation of its own. Nothing is allocated.

Plain gradient descent needs no gradients in memory: the loss's derivative is scaled by the negative
learning rate, everything that follows from it is then scaled likewise, and each product is added to
the parameters where it would have been stored.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types

from fastact.networks.loops import apply_for, gradient_scale, layer_at, numbers_at, order_at, real_at
from fastact.networks.losses import losses_for
from fastact.networks.products import products
from fastact.runtime.pool import (
    TASK_SIGNATURE,
    call_resolve,
    call_task,
    clear_floating_point_flags,
    parallel_for,
    record_at,
)
from fastact.simd.addresses import call, prefetch
from fastact.simd.blocks import Address, inline
from fastact.simd.layout import LARGE_PRODUCT, Gemm, Layer, Mode, Network, Optimizer, Setting

TRAIN_SIGNATURE = types.void(Address)

#: Parameters from which threads share the optimizer's work, and how many each takes at a time.
WORTH_SHARING, GRAIN = 32_768, 8_192

#: Bytes of a batch from which threads share collecting its rows, and how many rows each takes at a time.
WORTH_GATHERING, ROWS_GATHERED = 262_144, 16

#: Multiplications that scalar code has done before a call has begun.
TINY = 16


def functions(name: str) -> dict[str, tuple[Any, Any]]:
    """The compiled functions for ``"float32"`` or ``"float64"``, by name."""
    number = getattr(np, name)
    size = np.dtype(name).itemsize
    at, apply = numbers_at(name), apply_for(name)

    @njit(types.void(Address, *[types.intp] * 14), forceinline=True, error_model="numpy")
    def product(network, m, n, depth, a, a_row, a_step, b, b_step, b_column, c, c_row, other, other_row, mode):
        """``C[m, n]`` as in fastact.networks.products, packed if it is large; B may have any strides then."""
        if m * n * depth <= TINY and mode != Mode.SCALE:
            for i in range(m):
                for j in range(n):
                    total = at(other + i * other_row)[j] if mode != Mode.STORE else number(0)
                    for k in range(depth):
                        total += at(a + i * a_row + k * a_step)[0] * at(b + k * b_step)[j]
                    at(c + i * c_row)[j] = total
            return
        record = record_at(network[Network.GEMM])
        record[Gemm.M], record[Gemm.N], record[Gemm.K] = m, n, depth
        record[Gemm.A], record[Gemm.A_ROW], record[Gemm.A_COLUMN] = a, a_row, a_step
        record[Gemm.B], record[Gemm.B_ROW], record[Gemm.B_COLUMN] = b, b_step, b_column
        record[Gemm.C], record[Gemm.C_ROW] = c, c_row
        if m * n * depth < LARGE_PRODUCT:
            record[Gemm.BIAS], record[Gemm.OUT_ROW], record[Gemm.ACCUMULATE] = other, other_row, mode
            call_resolve(network[Network.MULTIPLY_SMALL], record)
            return
        record[Gemm.OUT_ROW] = 0
        record[Gemm.ACCUMULATE] = 1 if mode == Mode.ADD and other == c else 0
        record[Gemm.BIAS] = other if mode == Mode.ADD and other != c else 0
        call_resolve(network[Network.MULTIPLY], record)
        if mode == Mode.SCALE:
            apply(network, network[Network.PRODUCT], m * n, c, other, c)

    @inline
    def copy(source, target, count):
        a, b = at(source), at(target)
        for i in range(count):
            b[i] = a[i]

    @inline
    def bytes_per_target(network):
        return 8 if network[Network.LABELS] else size * network[Network.TARGETS]

    @inline
    def gather_rows(network, step, begin, end):
        """Some rows of a batch, in the epoch's order. While one is copied, the next is fetched: it may be anywhere."""
        inputs, targets, row = layer_at(network, 0)[Layer.INPUTS], network[Network.TARGETS], bytes_per_target(network)
        order = record_at(order_at(step, network[Network.GATHER_FIRST]))
        for i in range(begin, end):
            following = step[Network.X] + order[min(i + 1, end - 1)] * inputs * size
            for line in range(0, inputs * size, 64):
                prefetch(following + line)
            copy(step[Network.X] + order[i] * inputs * size, network[Network.BATCH_X] + i * inputs * size, inputs)
            if network[Network.LABELS]:
                record_at(network[Network.BATCH_Y])[i] = record_at(step[Network.Y])[order[i]]
            else:
                copy(step[Network.Y] + order[i] * row, network[Network.BATCH_Y] + i * row, targets)

    def gather_task(begin, end, context):
        """The same for a network of one part; a task for threads."""
        gather_rows(context, context, begin, end)

    @inline
    def gather(network, step, begin, rows):
        """Inputs and targets of some of a step's rows: where they lie, or collected in the epoch's order."""
        inputs, target_size = layer_at(network, 0)[Layer.INPUTS], bytes_per_target(network)
        start = step[Network.POSITION] + begin
        if step[Network.ORDER] == 0:
            return step[Network.X] + start * inputs * size, step[Network.Y] + start * target_size
        network[Network.GATHER_FIRST] = begin
        if network[Network.PARTS] == 1 and rows * inputs * size >= WORTH_GATHERING:
            parallel_for(record_at(network[Network.POOL]), network[Network.GATHER], network, rows, ROWS_GATHERED)
        else:
            gather_rows(network, step, 0, rows)
        return network[Network.BATCH_X], network[Network.BATCH_Y]

    @inline
    def forward(network, x, rows):
        for index in range(network[Network.LAYERS]):
            layer = layer_at(network, index)
            inputs, outputs = layer[Layer.INPUTS] * size, layer[Layer.OUTPUTS] * size
            product(
                network, rows, layer[Layer.OUTPUTS], layer[Layer.INPUTS], x, inputs, size,
                layer[Layer.WEIGHT], outputs, size, layer[Layer.PREACTIVATION], outputs, layer[Layer.BIAS], 0, Mode.ADD,
            )  # fmt: skip
            x = layer[Layer.ACTIVATION]
            if layer[Layer.LOOP]:
                z = layer[Layer.PREACTIVATION]
                apply(network, layer[Layer.LOOP], rows * layer[Layer.OUTPUTS], z, x, z)
        return x

    elementwise_loss, cross_entropy = losses_for(number, size, at, apply)

    # -- gradients ------------------------------------------------------------------------------------

    @inline
    def backward(network, x, rows, mode):
        gradient, other = network[Network.GRADIENT], network[Network.OTHER_GRADIENT]
        for index in range(network[Network.LAYERS] - 1, -1, -1):
            layer = layer_at(network, index)
            inputs, outputs = layer[Layer.INPUTS], layer[Layer.OUTPUTS]
            below = x
            if index > 0:
                previous = layer_at(network, index - 1)
                below = previous[Layer.ACTIVATION]
                input_gradient(network, layer, previous, rows, gradient, other)
            target = layer[Layer.WEIGHT_GRADIENT]
            product(
                network, inputs, outputs, rows, below, size, inputs * size, gradient, outputs * size, size,
                target, outputs * size, target, outputs * size, mode,
            )  # fmt: skip
            target = layer[Layer.BIAS_GRADIENT]
            product(
                network, 1, outputs, rows, network[Network.ONE], 0, 0, gradient, outputs * size, size,
                target, 0, target, 0, mode,
            )  # fmt: skip
            gradient, other = other, gradient

    @inline
    def input_gradient(network, layer, previous, rows, gradient, target):
        """The gradient with respect to the preactivation of the layer before."""
        inputs, outputs = layer[Layer.INPUTS], layer[Layer.OUTPUTS]
        weight, slope = layer[Layer.WEIGHT], previous[Layer.PREACTIVATION]
        mode = Mode.SCALE if previous[Layer.LOOP] else Mode.STORE
        # A transposition costs about a cycle per weight, which only many rows repay.
        if rows * (outputs + 192) < 32 * outputs:
            call(
                network[Network.MULTIPLY_BY_ROWS], rows, inputs, outputs, gradient, outputs * size,
                weight, outputs * size, target, inputs * size, slope, inputs * size, mode,
            )  # fmt: skip
            return
        step, column = size, outputs * size
        if rows * inputs * outputs < LARGE_PRODUCT:
            transpose(weight, network[Network.TRANSPOSED], inputs, outputs)
            weight, step, column = network[Network.TRANSPOSED], inputs * size, size
        product(
            network, rows, inputs, outputs, gradient, outputs * size, size, weight, step, column,
            target, inputs * size, slope, inputs * size, mode,
        )  # fmt: skip

    @inline
    def transpose(source, target, rows, columns):
        a, b = at(source), at(target)
        for i in range(rows):
            for j in range(columns):
                b[j * rows + i] = a[i * columns + j]

    # -- updates --------------------------------------------------------------------------------------

    def update(begin, end, context):
        """The optimizer on some of the parameters; a task for threads."""
        network = context
        settings = real_at(network[Network.SETTINGS])
        p, g = at(network[Network.PARAMETERS]), at(network[Network.GRADIENTS])
        rate, decay = number(settings[Setting.LEARNING_RATE]), number(settings[Setting.WEIGHT_DECAY])
        m = at(network[Network.MOMENTS])
        if network[Network.OPTIMIZER] == Optimizer.SGD:
            momentum, nesterov = number(settings[Setting.MOMENTUM]), settings[Setting.NESTEROV] != 0
            for i in range(begin, end):
                slope = g[i] + decay * p[i]
                m[i] = momentum * m[i] + slope
                p[i] -= rate * (slope + momentum * m[i] if nesterov else m[i])
            return
        v = at(network[Network.SQUARES])
        new1 = number(1.0 - settings[Setting.BETA1])
        beta2, new2 = number(settings[Setting.BETA2]), number(1.0 - settings[Setting.BETA2])
        step = number(settings[Setting.LEARNING_RATE] / (1.0 - settings[Setting.POWER1]))
        root = number(1.0 / np.sqrt(1.0 - settings[Setting.POWER2]))
        epsilon = number(settings[Setting.EPSILON])
        for i in range(begin, end):
            slope = g[i] + decay * p[i]
            m[i] += new1 * (slope - m[i])
            v[i] = beta2 * v[i] + new2 * slope * slope
            p[i] -= step * m[i] / (np.sqrt(v[i]) * root + epsilon)

    @inline
    def share(network, task):
        """Have threads go through the parameters, if there are enough of them."""
        if network[Network.COUNT] < WORTH_SHARING:
            call_task(task, 0, network[Network.COUNT], network)
        else:
            parallel_for(record_at(network[Network.POOL]), task, network, network[Network.COUNT], GRAIN)

    @inline
    def optimize(network):
        settings = real_at(network[Network.SETTINGS])
        settings[Setting.POWER1] *= settings[Setting.BETA1]
        settings[Setting.POWER2] *= settings[Setting.BETA2]
        share(network, network[Network.UPDATE])

    @inline
    def loss_and_gradients(network, step, begin, rows, mode):
        """Of a block of a step's rows."""
        scale = gradient_scale(step)
        x, y = gather(network, step, begin, rows)
        predicted = forward(network, x, rows)
        if network[Network.LOSS]:
            loss = elementwise_loss(network, predicted, y, rows, scale)
        else:
            loss = cross_entropy(network, predicted, y, rows, scale)
        backward(network, x, rows, mode)
        return loss

    def part(begin, end, context):
        """Loss and gradients of some parts of a step's rows; a task for threads."""
        parts, rows = context[Network.PARTS], context[Network.STEP_ROWS]
        for i in range(begin, end):
            network = record_at(context[Network.PART] + 8 * Network.SIZE * i)
            first, last, loss = rows * i // parts, rows * (i + 1) // parts, 0.0
            mode = Mode.ADD if network[Network.GRADIENTS] == context[Network.PARAMETERS] else Mode.STORE
            while first < last:
                count = min(network[Network.BLOCK_ROWS], last - first)
                loss += loss_and_gradients(network, context, first, count, mode)
                first, mode = first + count, Mode.ADD
            real_at(network[Network.LOSS_SUM])[0] = loss

    def combine(begin, end, context):
        """Add up some of the parts' gradients, in the first or all in the parameters; a task for threads."""
        whole = context[Network.PARAMETERS if context[Network.OPTIMIZER] == Optimizer.DIRECT else Network.GRADIENTS]
        target = at(whole)
        for i in range(context[Network.PARTS]):
            part = record_at(context[Network.PART] + 8 * Network.SIZE * i)
            if part[Network.GRADIENTS] != whole:
                gradients = at(part[Network.GRADIENTS])
                for j in range(begin, end):
                    target[j] += gradients[j]

    @inline
    def total_loss(network):
        loss = 0.0
        for i in range(network[Network.PARTS]):
            loss += real_at(record_at(network[Network.PART] + 8 * Network.SIZE * i)[Network.LOSS_SUM])[0]
        return loss

    def train(network):
        """Take ``STEPS`` steps from where training stands."""
        losses = real_at(network[Network.LOSSES])
        pool, parts = record_at(network[Network.POOL]), network[Network.PARTS]
        apart = parts > 1 or (
            network[Network.OPTIMIZER] == Optimizer.DIRECT and network[Network.GRADIENTS] != network[Network.PARAMETERS]
        )
        for i in range(parts):  # between two calls the user may have changed the data
            record_at(network[Network.PART] + 8 * Network.SIZE * i)[Network.GATHERED] = 0
        for _ in range(network[Network.STEPS]):
            rows = min(network[Network.BATCH], network[Network.ROWS] - network[Network.POSITION])
            network[Network.STEP_ROWS] = rows
            if parts > 1:
                parallel_for(pool, network[Network.PART_TASK], network, parts, 1)
            else:
                call_task(network[Network.PART_TASK], 0, 1, network)
            losses[network[Network.EPOCH]] += total_loss(network) / network[Network.ROWS]
            if apart:
                share(network, network[Network.COMBINE])
            if network[Network.OPTIMIZER] != Optimizer.DIRECT:
                optimize(network)
            network[Network.POSITION] += rows
            if network[Network.POSITION] == network[Network.ROWS]:
                network[Network.POSITION] = 0
                network[Network.EPOCH] += 1
        clear_floating_point_flags()

    def predict(network):
        """The outputs of all rows."""
        inputs, outputs = (
            layer_at(network, 0)[Layer.INPUTS],
            layer_at(network, network[Network.LAYERS] - 1)[Layer.OUTPUTS],
        )
        done = 0
        while done < network[Network.ROWS]:
            rows = min(network[Network.BATCH], network[Network.ROWS] - done)
            y = forward(network, network[Network.X] + done * inputs * size, rows)
            copy(y, network[Network.RESULT] + done * outputs * size, rows * outputs)
            done += rows
        clear_floating_point_flags()

    return products(name) | {
        "predict": (TRAIN_SIGNATURE, predict),
        "combine": (TASK_SIGNATURE, combine),
        "gather": (TASK_SIGNATURE, gather_task),
        "part": (TASK_SIGNATURE, part),
        "train": (TRAIN_SIGNATURE, train),
        "update": (TASK_SIGNATURE, update),
    }

"""Where the rows of a training step are: in the data as they stand, or collected in the epoch's order.

In Numba's language, as everything that training is compiled from.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from fastact.networks.loops import ZERO, layer_at, order_at
from fastact.runtime.pool import parallel_for, record_at
from fastact.simd.addresses import prefetch
from fastact.simd.blocks import inline
from fastact.simd.layout import Layer, Network

__all__ = ["batches"]

#: Bytes of a batch from which threads share collecting its rows, and how many rows each takes at a time.
WORTH_GATHERING, ROWS_GATHERED = 262_144, np.int64(16)


def batches(words: SimpleNamespace) -> SimpleNamespace:
    """``gather``, and the task of that name that it may share between threads."""
    size, at = words.size, words.at

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
            gather_rows(network, step, ZERO, rows)
        return network[Network.BATCH_X], network[Network.BATCH_Y]

    def gather_task(begin, end, context):
        """Some rows of a batch of a network of one part; a task for threads."""
        gather_rows(context, context, begin, end)

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

    @inline
    def bytes_per_target(network):
        return 8 if network[Network.LABELS] else size * network[Network.TARGETS]

    @inline
    def copy(source, target, count):
        a, b = at(source), at(target)
        for i in range(count):
            b[i] = a[i]

    return SimpleNamespace(gather=gather, gather_task=gather_task, copy=copy)

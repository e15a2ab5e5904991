"""The parts that a step's rows are cut into, in Numba's language.

Each has a record like the network's, and buffers of its own, so that threads compute gradients at once where products
are too small to be shared. A step that is not cut has one part, whose record is that of the network.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from fastact.networks.loops import ONE, real_at
from fastact.runtime.pool import call_task, parallel_for, record_at
from fastact.simd.blocks import inline
from fastact.simd.layout import Network, Optimizer

__all__ = ["combine_for", "compute_parts", "forget_gathered", "part_task", "total_loss"]


@inline
def part_at(network, index):
    """The record of a part."""
    return record_at(network[Network.PART] + 8 * Network.SIZE * index)


@inline
def compute_parts(network):
    """Loss and gradients of all parts."""
    parts = network[Network.PARTS]
    if parts > 1:
        parallel_for(record_at(network[Network.POOL]), network[Network.PART_TASK], network, parts, ONE)
    else:
        call_task(network[Network.PART_TASK], 0, 1, network)


def part_task(gradients: Any) -> Any:
    """Loss and gradients of some parts of a step's rows; a task for threads.

    ``gradients(part, step, begin, end)`` returns the loss of those rows and leaves their gradients in the part."""

    def part(begin, end, context):
        parts, rows = context[Network.PARTS], context[Network.STEP_ROWS]
        for i in range(begin, end):
            network = part_at(context, i)
            loss = gradients(network, context, rows * i // parts, rows * (i + 1) // parts)
            real_at(network[Network.LOSS_SUM])[0] = loss

    return part


@inline
def total_loss(network):
    loss = 0.0
    for i in range(network[Network.PARTS]):
        loss += real_at(part_at(network, i)[Network.LOSS_SUM])[0]
    return loss


def combine_for(words: SimpleNamespace) -> Any:
    """Add up some of the parts' gradients, in the first or all in the parameters; a task for threads."""
    at = words.at

    def combine(begin, end, context):
        whole = context[Network.PARAMETERS if context[Network.OPTIMIZER] == Optimizer.DIRECT else Network.GRADIENTS]
        target = at(whole)
        for i in range(context[Network.PARTS]):
            part = part_at(context, i)
            if part[Network.GRADIENTS] != whole:
                gradients = at(part[Network.GRADIENTS])
                for j in range(begin, end):
                    target[j] += gradients[j]

    return combine


@inline
def forget_gathered(network):
    """Have parts gather their rows anew: between two calls the user may have changed the data."""
    for i in range(network[Network.PARTS]):
        part_at(network, i)[Network.GATHERED] = 0

"""Training a network, as many batches as asked for in one call. Compiled by Numba, once for all networks.

What a network consists of is read from a table (:class:`fastact.simd.layout.Network` and ``Layer``): sizes,
buffers, and the addresses of the loops of its activations and loss, so another network needs no
compilation of its own. Nothing is allocated.

Plain gradient descent needs no gradients in memory: the loss's derivative is scaled by the negative
learning rate, everything that follows from it is then scaled likewise, and each product is added to
the parameters where it would have been stored.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from numba import types

from fastact.networks.batches import batches
from fastact.networks.loops import gradient_scale, real_at, words_for
from fastact.networks.optimizers import optimize, share
from fastact.networks.parts import combine_for, compute_parts, forget_gathered, part_task, total_loss
from fastact.networks.passes import passes
from fastact.runtime.pool import TASK_SIGNATURE, clear_floating_point_flags
from fastact.simd.addresses import call
from fastact.simd.blocks import Address, inline
from fastact.simd.layout import Mode, Network, Optimizer

__all__ = ["TRAIN_SIGNATURE", "functions", "gradients_for", "train_for"]

TRAIN_SIGNATURE = types.void(Address)


def functions(name: str) -> dict[str, tuple[Any, Any]]:
    """The compiled functions for ``"float32"`` or ``"float64"``, by name."""
    words = words_for(name)
    batch = batches(words)
    return {
        "combine": (TASK_SIGNATURE, combine_for(words)),
        "gather": (TASK_SIGNATURE, batch.gather_task),
        "part": (TASK_SIGNATURE, part_task(gradients_for(passes(words), batch.gather))),
        "train": (TRAIN_SIGNATURE, train_for(take_step)),
    }


# -- steps ----------------------------------------------------------------------------------------


def train_for(take_step: Any) -> Any:
    """Any number of steps. ``take_step(network, apart)`` is told whether :func:`gradients_are_apart`."""

    def train(network):
        """Take ``STEPS`` steps from where training stands."""
        forget_gathered(network)
        apart = gradients_are_apart(network)
        for _ in range(network[Network.STEPS]):
            rows = min(network[Network.BATCH], network[Network.ROWS] - network[Network.POSITION])
            network[Network.STEP_ROWS] = rows
            take_step(network, apart)
            advance(network, rows)
        clear_floating_point_flags()

    return train


@inline
def gradients_are_apart(network):
    """Whether they must be added up, or to the parameters, once they are there."""
    return network[Network.PARTS] > 1 or (
        network[Network.OPTIMIZER] == Optimizer.DIRECT and network[Network.GRADIENTS] != network[Network.PARAMETERS]
    )


@inline
def take_step(network, apart):
    compute_parts(network)
    real_at(network[Network.LOSSES])[network[Network.EPOCH]] += total_loss(network) / network[Network.ROWS]
    if apart:
        share(network, network[Network.COMBINE])
    if network[Network.OPTIMIZER] != Optimizer.DIRECT:
        optimize(network)


@inline
def advance(network, rows):
    network[Network.POSITION] += rows
    if network[Network.POSITION] == network[Network.ROWS]:
        network[Network.POSITION] = 0
        network[Network.EPOCH] += 1


def gradients_for(through: SimpleNamespace, gather: Any) -> Any:
    """What a part of a step is: forward, loss, backward, some rows at a time."""
    forward, backward = through.forward, through.backward

    @inline
    def gradients(network, step, begin, end):
        """The loss of some of a step's rows; their gradients where the network's layers say."""
        mode = Mode.ADD if network[Network.GRADIENTS] == step[Network.PARAMETERS] else Mode.STORE
        loss = 0.0
        while begin < end:
            count = min(network[Network.BLOCK_ROWS], end - begin)
            loss += gradients_of_block(network, step, begin, count, mode)
            begin, mode = begin + count, Mode.ADD
        return loss

    @inline
    def gradients_of_block(network, step, begin, rows, mode):
        scale = gradient_scale(step)
        x, y = gather(network, step, begin, rows)
        predicted = forward(network, x, rows)
        call(network[Network.LOSS_OF], network, predicted, y, rows, scale)
        backward(network, x, rows, mode)
        return real_at(network[Network.LOSS_SUM])[0]

    return gradients

"""What happens to all parameters after a step's gradients have been computed, in Numba's language."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from fastact.networks.loops import real_at, words_for
from fastact.runtime.pool import TASK_SIGNATURE, call_task, parallel_for, record_at
from fastact.simd.blocks import inline
from fastact.simd.layout import Network, Optimizer, Setting

__all__ = ["adam_for", "functions", "optimize", "share"]

#: Parameters from which threads share the optimizer's work, and how many each takes at a time.
WORTH_SHARING, GRAIN = 32_768, np.int64(8_192)


def functions(name: str) -> dict[str, tuple[Any, Any]]:
    """The compiled function for ``"float32"`` or ``"float64"``; plain gradient descent needs none."""
    return {"update": (TASK_SIGNATURE, update_for(words_for(name)))}


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


def update_for(words: SimpleNamespace) -> Any:
    """The optimizer on some of the parameters; a task for threads."""
    descend, adam = descend_for(words), adam_for(words, decoupled=False)

    def update(begin, end, context):
        if context[Network.OPTIMIZER] == Optimizer.SGD:
            descend(context, begin, end)
        else:
            adam(context, begin, end)

    return update


def descend_for(words: SimpleNamespace) -> Any:
    number, at = words.number, words.at

    @inline
    def descend(network, begin, end):
        settings = real_at(network[Network.SETTINGS])
        rate, decay = number(settings[Setting.LEARNING_RATE]), number(settings[Setting.WEIGHT_DECAY])
        momentum, nesterov = number(settings[Setting.MOMENTUM]), settings[Setting.NESTEROV] != 0
        p, g, m = at(network[Network.PARAMETERS]), at(network[Network.GRADIENTS]), at(network[Network.MOMENTS])
        for i in range(begin, end):
            slope = g[i] + decay * p[i]
            m[i] = momentum * m[i] + slope
            p[i] -= rate * (slope + momentum * m[i] if nesterov else m[i])

    return descend


def adam_for(words: SimpleNamespace, decoupled: bool) -> Any:
    """Adam, or AdamW: the decay goes into the gradient, or multiplies the parameters."""
    number, at = words.number, words.at

    @inline
    def adam(network, begin, end):
        settings = real_at(network[Network.SETTINGS])
        epsilon, decay = number(settings[Setting.EPSILON]), number(settings[Setting.WEIGHT_DECAY])
        kept = number(1.0 - settings[Setting.LEARNING_RATE] * settings[Setting.WEIGHT_DECAY])
        new1 = number(1.0 - settings[Setting.BETA1])
        beta2, new2 = number(settings[Setting.BETA2]), number(1.0 - settings[Setting.BETA2])
        step = number(settings[Setting.LEARNING_RATE] / (1.0 - settings[Setting.POWER1]))
        root = number(1.0 / np.sqrt(1.0 - settings[Setting.POWER2]))
        p, g = at(network[Network.PARAMETERS]), at(network[Network.GRADIENTS])
        m, v = at(network[Network.MOMENTS]), at(network[Network.SQUARES])
        for i in range(begin, end):
            slope = g[i] if decoupled else g[i] + decay * p[i]
            m[i] += new1 * (slope - m[i])
            v[i] = beta2 * v[i] + new2 * slope * slope
            before = p[i] * kept if decoupled else p[i]
            p[i] = before - step * m[i] / (np.sqrt(v[i]) * root + epsilon)

    return adam

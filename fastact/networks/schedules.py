"""How learning rates change from epoch to epoch."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi
from typing import Any

from fastact.networks.choices import ScheduleName

__all__ = ["LEAST_RATE", "SCHEDULES", "SLOWDOWN"]

#: Under "adaptive", what the learning rate is divided by when the loss no longer comes down, and the rate at which
#: training ends instead.
SLOWDOWN, LEAST_RATE = 5.0, 1e-6


def constant(network: Any, epoch: int, rows: int) -> float:
    return 1.0


def step(network: Any, epoch: int, rows: int) -> float:
    """As torch's ``StepLR``."""
    return float(network.gamma ** (epoch // network.step_size))


def cosine(network: Any, epoch: int, rows: int) -> float:
    """As torch's ``CosineAnnealingLR`` over all epochs: half a wave, down to zero."""
    return (1 + cos(pi * epoch / max(1, network.epochs))) / 2


def invscaling(network: Any, epoch: int, rows: int) -> float:
    """As scikit-learn's: of the number of rows that have been gone through."""
    return float((1 + epoch * rows) ** -network.power_t)


#: What the learning rate is multiplied with in an epoch, given the network, the epoch's number and the rows of each.
#: "adaptive" depends on how training goes: fastact.networks.fitting sees to it.
SCHEDULES: dict[ScheduleName, Callable[[Any, int, int], float]] = {
    "constant": constant,
    "step": step,
    "cosine": cosine,
    "invscaling": invscaling,
    "adaptive": constant,
}

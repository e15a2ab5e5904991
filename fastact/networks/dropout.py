"""Which hidden units a row leaves out in training: drawn from numbers that say where it stands, the same for any
trainer, and for any order in which threads come to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["BITS", "STRIDE", "Dropout", "mixed", "place_of"]

#: Bits of a draw: as many as a float64 holds.
BITS = 53

#: 2**64 over the golden ratio.
STRIDE = np.uint64(0x9E3779B97F4A7C15)


def mixed(number: Any) -> Any:
    """64 bits, each of which depends on all of a number's: Steele, Lea and Flood 2014 (SplitMix), in Vigna's form."""
    number = (number ^ (number >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    number = (number ^ (number >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return number ^ (number >> np.uint64(31))


def place_of(seed: Any, epoch: Any, layer: Any) -> Any:
    """What, mixed, the draws of a layer in an epoch begin with. All are np.uint64."""
    return seed + STRIDE * ((epoch << np.uint64(16)) + layer + np.uint64(1))


@dataclass
class Dropout:
    """The share of hidden units that are left out, and what draws begin with."""

    rate: float
    seed: int

    @property
    def threshold(self) -> int:
        """What a draw must reach for its unit to stay."""
        return round(self.rate * 2**BITS)

    @property
    def scale(self) -> float:
        """What units that stay are multiplied with: the mean is that of all."""
        return 1 / (1 - self.threshold / 2.0**BITS)

    def kept(self, epoch: int, layer: int, first: int, rows: int, units: int) -> np.ndarray:
        """Whether units stay of so many rows, from the first one on in the epoch's order."""
        with np.errstate(over="ignore"):
            key = mixed(place_of(np.uint64(self.seed), np.uint64(epoch), np.uint64(layer)))
            places = np.arange(first * units, (first + rows) * units, dtype=np.uint64)
            draws = mixed(key + STRIDE * places) >> np.uint64(64 - BITS)
        return (draws >= self.threshold).reshape(rows, units)

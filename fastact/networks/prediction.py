"""The outputs of a network. Compiled by Numba when the first are asked for, once for all networks."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from numba import types

from fastact.networks.batches import batches
from fastact.networks.loops import last_layer, layer_at, words_for
from fastact.networks.passes import passes
from fastact.runtime.pool import clear_floating_point_flags
from fastact.simd.blocks import Address
from fastact.simd.layout import Layer, Network

__all__ = ["functions"]


def functions(name: str) -> dict[str, tuple[Any, Any]]:
    """The compiled function for ``"float32"`` or ``"float64"``."""
    words = words_for(name)
    return {"predict": (types.void(Address), predict_for(words, passes(words).forward, batches(words).copy))}


def predict_for(words: SimpleNamespace, forward: Any, copy: Any) -> Any:
    """The outputs of all rows."""
    size = words.size

    def predict(network):
        inputs, outputs = layer_at(network, 0)[Layer.INPUTS], last_layer(network)[Layer.OUTPUTS]
        done = 0
        while done < network[Network.ROWS]:
            rows = min(network[Network.BATCH], network[Network.ROWS] - done)
            y = forward(network, network[Network.X] + done * inputs * size, rows)
            copy(y, network[Network.RESULT] + done * outputs * size, rows * outputs)
            done += rows
        clear_floating_point_flags()

    return predict

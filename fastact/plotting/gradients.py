"""How large gradients are."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["gradient_sizes"]


def gradient_sizes(network: Any, x: Any, y: Any) -> list[float]:
    """Root mean square of the gradient of each layer's weights."""
    rate = 2.0**60  # beside such a step, weights count for nothing: what they change by has all of its digits
    twin = type(network)(
        network.sizes, network.activation, network.output_activation, network.loss, learning_rate=rate,
        batch_size=None, shuffle=False, dtype="float64", epochs=1,
    )  # fmt: skip
    twin.weights, twin.biases = list(network.weights), list(network.biases)
    before = [np.array(weight, float) for weight in network.weights]
    twin.partial_fit(x, y)
    return [float(np.sqrt((((b - a) / rate) ** 2).mean())) for b, a in zip(before, twin.weights)]

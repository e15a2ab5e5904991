"""What tests of networks and layers share: data, activations, and a look into networks."""

from __future__ import annotations

from typing import Any

import numpy as np

import fastact


def data(rows: int = 24, inputs: int = 5, outputs: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    return draw.normal(size=(rows, inputs)), draw.uniform(size=(rows, outputs))


def labelled(rows: int = 200, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Points around as many centres as there are classes."""
    draw = np.random.default_rng(5)
    labels = draw.integers(0, classes, rows)
    return draw.normal(0, 0.3, (rows, 4)) + 2 * np.eye(classes, 4)[labels], labels


def parts(model: Any) -> list[np.ndarray]:
    return [np.array(part) for pair in zip(model.weights, model.biases) for part in pair]


def step_of(model: Any, x: Any, y: Any) -> list[np.ndarray]:
    """What one step subtracts from weights and biases; with plain gradient descent at rate 1, the gradients."""
    before = parts(model)
    model.partial_fit(x, y)
    return [b - a for a, b in zip(parts(model), before)]


def named(name: str) -> Any:
    """An activation of one's own under that name: twice x."""

    def formula(x: Any) -> Any:
        return 2 * x

    formula.__name__ = name
    return fastact.activation(formula)

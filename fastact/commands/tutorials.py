"""Lessons whose numbers are known: a gate of one neuron, a regression, and pairs of activation and loss."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

import fastact
from fastact.commands.learning import Outcome, Teacher, Times

__all__ = ["and_gate", "pairings", "regression"]


def _numbers(*arrays: Any) -> str:
    return ", ".join(f"{number:.8g}" for array in arrays for number in np.ravel(array).round(8) + 0.0)


# -- a gate -----------------------------------------------------------------------------------------

CORNERS, BOTH = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0.0, 0, 0, 1])

#: Output activation, epochs, and what the tutorial prints: two weights and a bias, rounded to eight digits.
GATES = [
    ("identity", 1_000, "0.5, 0.5, -0.25"),
    ("relu", 10_000, "1, 1, -1"),
    ("sigmoid", 10_000, "4.6498221, 4.6498221, -7.0720835"),
]


def and_gate(epochs: int | None, seed: int, teacher: Teacher) -> Outcome:
    """A neuron learns when both of its inputs are on."""
    rows, times, gates = [], Times(0, 0), []
    for activation, usual, printed in GATES:
        gate = fastact.MLP(
            [2, 1], output_activation=activation, learning_rate=0.1, batch_size=None, epochs=epochs or usual,
            dtype="float64",
        )  # fmt: skip
        gate.weights[0], gate.biases[0] = np.ones((1, 2)), np.ones(1)
        times = times.plus(teacher.fitted(gate, CORNERS, BOTH))
        rows.append((activation, _numbers(gate.weights[0], gate.biases[0]), printed))
        gates.append(gate)
    worst = [float(abs(gate.predict(CORNERS).ravel() - BOTH).max()) for gate in gates]
    remarks = [
        "Weights and bias of a neuron that is to be on when both of its inputs are.",
        f"A plane misses each corner by {worst[0]:.2f}; ReLU folds it ({worst[1]:.1e}), sigmoid bends it "
        f"({worst[2]:.2f}, and less with every epoch).",
    ]

    def draw() -> Any:
        from fastact.plotting import plot_surface
        from fastact.plotting.style import new_axes

        panels = new_axes(ncols=3, figsize=(15, 5), subplot_kw={"projection": "3d"})
        for panel, gate, (activation, _, _) in zip(panels, gates, GATES):
            plot_surface(gate, CORNERS, BOTH, ax=panel).set_title(activation)
        return panels

    return Outcome(rows, remarks, times, draw)


# -- a regression -----------------------------------------------------------------------------------

KNOWN, SOLD = np.array([[22.5, 72], [31.4, 45], [19.8, 85], [27.6, 63]]), np.array([[95.0], [210], [70], [155]])
UNSEEN, TRUE = np.array([[28.1, 58.0]]), 165.0

#: What the tutorial prints, as rounded there.
REGRESSION = {
    "hidden weights": "1.4519493, -0.1474136, 1.4368572, -0.44933811, 2.0229351, -0.21256492, 0.69414288, -0.14437451",
    "hidden biases": "1.0103382, 0.02443414, 0.79897522, 0.75654096",
    "output weights": "1.4018096, 1.4353071, 1.9713619, 0.69754262",
    "output bias": "0.03498444",
    "prediction": "164.86371",
    "squared error": "0.01857474",
}


def regression(epochs: int | None, seed: int, teacher: Teacher) -> Outcome:
    """Four hidden units learn a number from two, out of four examples."""
    random = np.random.RandomState(99)  # the tutorial's, whatever the seed: its digits depend on it
    network = fastact.MLP(
        [2, 4, 1], "relu", learning_rate=1e-5, batch_size=2, epochs=epochs or 1000, shuffle=False, dtype="float64"
    )
    hidden, bias, output = random.rand(4, 2) / 2, random.rand(4), random.rand(1, 4) / 4
    network.weights, network.biases = [hidden, output], [bias, np.zeros(1)]
    times = teacher.fitted(network, KNOWN, SOLD)
    prediction = network.predict(UNSEEN)
    learned = [network.weights[0], network.biases[0], network.weights[1], network.biases[1], prediction]
    learned.append((prediction - TRUE) ** 2)
    rows = [(name, _numbers(numbers), printed) for (name, printed), numbers in zip(REGRESSION.items(), learned)]

    def draw() -> Any:
        from fastact.plotting import plot_loss

        return plot_loss({"mean squared error": network})

    return Outcome(rows, [f"The example that it has not seen is {TRUE:g}."], times, draw)


# -- pairs of activation and loss ---------------------------------------------------------------------

#: What goes together, and what the tutorial says of it.
PAIRS = [
    ("sigmoid", "binary_cross_entropy", 1.0, "steady and fast"),
    ("tanh", "mse_loss", 0.5, "slow, but gets there"),
    ("relu", "mse_loss", 0.5, "may get stuck"),
]
STEP, START = 0.1, -2.0


def pairings(epochs: int | None, seed: int, teacher: Teacher) -> Outcome:
    """One weight, from -2, learns to answer 1 with 1."""
    rows, curves, compiling, learning = [], {}, 0.0, 0.0
    for activation, loss, factor, said in PAIRS:
        begin = time.perf_counter()
        teacher.learned_weight(activation, loss, factor, 1, START, STEP)
        middle = time.perf_counter()
        weight, curve = teacher.learned_weight(activation, loss, factor, epochs or 30, START, STEP)
        learning += time.perf_counter() - middle
        compiling += middle - begin
        curves[f"{activation} and {loss}"] = curve
        rows.append((f"{activation}, {loss}", f"weight {weight:.4f}, loss {curve[0]:.4f} to {curve[-1]:.4f}", said))
    slopes = {name: float(getattr(fastact, f"{name}_derivative")(START)) for name in ("sigmoid", "tanh", "relu")}
    remarks = [
        f"At {START:g} the slopes are {', '.join(f'{name} {slope:.3g}' for name, slope in slopes.items())}: what is "
        "multiplied by 0",
        "never moves. Cross entropy divides by sigmoid's slope, which is why that pair does not wait.",
    ]

    def draw() -> Any:
        from fastact.plotting.style import new_axes, theme

        ax = new_axes(figsize=(7, 4.5))
        for (label, curve), colour, marker in zip(curves.items(), theme(ax).colours, "os^"):
            ax.plot(curve, color=colour, marker=marker, markersize=4, label=label)
        ax.set(xlabel="step", ylabel="loss", title=f"one weight, from {START:g}")
        ax.grid(alpha=0.25)
        ax.legend()
        return ax

    return Outcome(rows, remarks, Times(compiling, learning), draw)

"""Lessons on data drawn at random: a neuron, digits, gradients that vanish, and an activation of one's own."""

from __future__ import annotations

from typing import Any

import numpy as np

import fastact
from fastact.commands.errors import UsageError
from fastact.commands.learning import Outcome, Teacher, Times

__all__ = ["digits", "neuron", "own", "vanishing"]

#: Where the tutorial prints no numbers.
NONE = "(a picture)"


# -- a neuron -----------------------------------------------------------------------------------------

#: Beans larger than this are toxic.
TOXIC = 0.8


def neuron(epochs: int | None, seed: int, teacher: Teacher) -> Outcome:
    """A neuron of one input learns from which size on a bean is toxic, one bean after the other."""
    size = np.random.default_rng(seed).uniform(0, 2, (100, 1))
    toxic = (size > TOXIC).astype(float)
    settings: dict[str, Any] = {
        "output_activation": "sigmoid", "learning_rate": 0.05, "batch_size": 1, "epochs": epochs or 1000,
        "shuffle": False, "random_state": seed,
    }  # fmt: skip
    network = fastact.MLP([1, 1], **settings)
    times = teacher.fitted(network, size, toxic)
    weight, bias = float(network.weights[0][0, 0]), float(network.biases[0][0])
    right = float(((network.predict(size) > 0.5) == toxic.reshape(-1, 1)).mean())
    rows = [
        ("toxic from", f"{-bias / weight:.3f}", f"{TOXIC:g}"),
        ("weight and bias", f"{weight:.3f}, {bias:.3f}", NONE),
        ("right", f"{right:.0%}", NONE),
    ]

    def draw() -> Any:
        from fastact.plotting.style import BLUE, VERMILLION, new_axes

        ax, line = new_axes(figsize=(7, 4.5)), np.linspace(0, 2, 201).reshape(-1, 1)
        ax.plot(size, toxic, "o", color=VERMILLION, label="beans")
        ax.plot(line, network.predict(line), color=BLUE, label="the neuron")
        ax.set(xlabel="size", ylabel="toxic", title=f"toxic from {-bias / weight:.2f}")
        ax.legend(loc="center right")
        return ax

    def animate() -> Any:
        from fastact.plotting import animate_fit

        return animate_fit(fastact.MLP([1, 1], **settings), size, toxic)

    return Outcome(rows, ["The animation: --save neuron.gif."], times, draw, animate)


# -- digits -----------------------------------------------------------------------------------------

#: Of the 1797 images, so many are held out.
HELD_OUT = 360


def digits(epochs: int | None, seed: int, teacher: Teacher) -> Outcome:
    """A network learns handwritten digits."""
    images, labels = _digits()
    order = np.random.default_rng(seed).permutation(len(images))
    held_out, known = order[:HELD_OUT], order[HELD_OUT:]
    network = fastact.MLP(
        [64, 256, 128, 10], "relu", loss="cross_entropy", optimizer="adam", weight_decay=1e-4, batch_size=64,
        epochs=epochs or 30, random_state=seed,
    )  # fmt: skip
    times = teacher.fitted(network, _shifted(images[known]), np.tile(labels[known], 5), progress=True)
    score = network.score(images[held_out], labels[held_out])
    rows = [
        ("to learn from", f"{len(known)} images of 8 x 8 pixels", None),
        ("units", ", ".join(map(str, network.sizes[1:])), None),
        ("epochs", f"{network.epochs}, over each image and its shifts by a pixel", None),
        ("right", f"{100 * score:.1f} % of {HELD_OUT} held out", ""),
    ]

    def draw() -> Any:
        from fastact.plotting import plot_digits

        return plot_digits(network, images[held_out], labels[held_out])

    return Outcome(rows, _mistake(network, images[held_out], labels[held_out]), times, draw)


def _mistake(network: Any, images: np.ndarray, labels: np.ndarray) -> list[str]:
    """The first that it gets wrong, in letters."""
    guesses = network.predict(images)
    for image, label, guess in zip(images, labels, guesses):
        if label != guess:
            picture = ["".join(" .:-=+*#%"[int(value * 8)] * 2 for value in row) for row in image.reshape(8, 8)]
            return [f"This {label} was taken for a {guess}:", *picture]
    return []


def _shifted(images: np.ndarray) -> np.ndarray:
    """Each image as it is, and moved by a pixel each way."""
    padded = np.pad(images.reshape(-1, 8, 8), ((0, 0), (1, 1), (1, 1)))
    corners = ((1, 1), (0, 1), (2, 1), (1, 0), (1, 2))
    return np.concatenate([padded[:, i : i + 8, j : j + 8].reshape(-1, 64) for i, j in corners])


def _digits() -> tuple[np.ndarray, np.ndarray]:
    """Images as rows of 64 numbers from 0 to 1, and what they show."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise UsageError("the demo's digits come with scikit-learn: python -m pip install scikit-learn") from None
    data = load_digits()
    return data.data / 16, data.target


# -- gradients that vanish ------------------------------------------------------------------------------

DEPTH = 10
SAID = {"sigmoid": "vanish", "tanh": "vanish, but later", "relu": "stay"}


def vanishing(epochs: int | None, seed: int, teacher: Teacher) -> Outcome:
    """What reaches the first of ten layers, before and after training."""
    x, y = _moons(seed)
    networks, rows, times = {}, [], Times(0, 0)
    for activation, said in SAID.items():
        network = fastact.MLP(
            [2, *[32] * (DEPTH - 1), 1], activation, loss="binary_cross_entropy_with_logits", optimizer="adam",
            epochs=epochs or 100, random_state=seed,
        )  # fmt: skip
        networks[activation] = fastact.MLP(
            network.sizes, activation, loss=network.loss, random_state=seed
        )  # the same weights, as they were before
        times = times.plus(teacher.fitted(network, x, y))
        first, last = _ends(networks[activation], x, y)
        rows.append((activation, f"{first / last:.1e} arrives; {network.score(x, y):.0%} right", said))

    def draw() -> Any:
        from fastact.plotting import plot_gradients

        return plot_gradients(networks, x, y)

    remarks = [f"What arrives: the gradient of the first of {DEPTH} layers beside that of the last, before training."]
    return Outcome(rows, remarks, times, draw)


def _ends(network: Any, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    from fastact.plotting.gradients import gradient_sizes

    sizes = gradient_sizes(network, x, y)
    return sizes[0], sizes[-1]


# -- an activation of one's own -------------------------------------------------------------------------


def own(epochs: int | None, seed: int, teacher: Teacher) -> Outcome:
    """An activation written here beside relu, on two half moons."""

    @fastact.activation
    def bent(x: Any, slope: float = 1.0) -> Any:
        return x + slope * (np.sqrt(x * x + 1) - 1)

    x, y = _moons(seed)
    unseen = _moons(seed + 1)
    networks, rows, times = {}, [], Times(0, 0)
    for name, activation in (("relu", "relu"), ("bent", bent)):
        network = fastact.MLP(
            [2, 16, 16, 1], activation, loss="binary_cross_entropy_with_logits", optimizer="adam", learning_rate=0.01,
            epochs=epochs or 200, random_state=seed,
        )  # fmt: skip
        times = times.plus(teacher.fitted(network, x, y))
        networks[name] = network
        rows.append((name, f"{network.score(*unseen):.1%} right, loss {network.loss_curve_[-1]:.4f}", ""))

    def draw() -> Any:
        from fastact.plotting import plot_surface
        from fastact.plotting.style import new_axes

        panels = new_axes(ncols=2, figsize=(11, 4.6))
        for panel, (name, network) in zip(panels, networks.items()):
            plot_surface(network, *unseen, kind="regions", ax=panel).set_title(name)
        return panels

    return Outcome(rows, [f"bent(x) = {bent.formula}", "Right: of moons that were not learned from."], times, draw)


def _moons(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two half circles that reach into each other, and which of them a point belongs to."""
    random = np.random.default_rng(seed)
    angle, which = random.uniform(0, np.pi, 400), np.arange(400) % 2
    x = np.stack([np.cos(angle) + which, np.sin(angle) + 0.0], axis=1)
    x[which == 1, 1] = 0.5 - x[which == 1, 1]
    return x + random.normal(0, 0.15, x.shape), which

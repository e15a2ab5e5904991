"""``fastact demo``: a network learns handwritten digits."""

from __future__ import annotations

from time import perf_counter

import numpy as np

from fastact.commands.errors import UsageError
from fastact.networks.mlp import MLP

__all__ = ["run_demo"]

#: Of the 1797 images, so many are held out.
HELD_OUT = 360


def run_demo(epochs: int, seed: int) -> int:
    images, digits = _digits()
    order = np.random.default_rng(seed).permutation(len(images))
    held_out, known = order[:HELD_OUT], order[HELD_OUT:]
    network = MLP(
        [64, 256, 128, 10], "relu", loss="cross_entropy", optimizer="adam", weight_decay=1e-4, batch_size=64,
        epochs=epochs, random_state=seed,
    )  # fmt: skip
    print(
        f"{len(known)} images of 8 x 8 pixels to learn from, {HELD_OUT} held out; layers of {network.sizes[1:]} units"
    )
    x, y = _shifted(images[known]), np.tile(digits[known], 5)
    network.partial_fit(x[:1], y[:1])  # compiles
    start = perf_counter()
    network.fit(x, y, progress=True)
    print(f"{epochs} epochs over each image and its shifts by a pixel took {perf_counter() - start:.2f} s")
    wrong = held_out[network.predict(images[held_out]) != digits[held_out]]
    print(f"{100 * network.score(images[held_out], digits[held_out]):.1f} % of those held out are right")
    for index in wrong[:1]:
        guess = network.predict(images[index : index + 1])[0]
        print(f"\nthis {digits[index]} was taken for a {guess}:")
        print(
            "\n".join("".join(" .:-=+*#%"[int(value * 8)] * 2 for value in row) for row in images[index].reshape(8, 8))
        )
    return 0


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

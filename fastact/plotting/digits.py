"""Images, and what a network takes them for."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastact.plotting.style import GREEN, VERMILLION, new_axes

__all__ = ["plot_digits"]

#: Of an image's side: what lies between images, and what its caption needs.
GAP, CAPTION = 0.2, 0.45


def plot_digits(network: Any, images: Any, labels: Any, *, most: int = 24, ax: Any = None) -> Any:
    """Draw images and what a network takes them for, those that it gets wrong first.

    Parameters
    ----------
    network : MLP
        Or whatever has ``predict``.
    images : array_like, shape (rows, pixels)
        Square ones.
    labels : array_like, shape (rows,)
    most : int, default 24
        How many to draw.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If images are not square.
    """
    images, labels = np.asarray(images), np.asarray(labels)
    flat = images.reshape(len(images), -1)
    side = math.isqrt(flat.shape[1])
    if side * side != flat.shape[1]:
        raise ValueError(f"images must be square; these have {flat.shape[1]} pixels")
    guesses = np.asarray(network.predict(flat))
    right = guesses == labels
    chosen = np.argsort(right, kind="stable")[:most]
    columns = min(8, max(1, len(chosen)))
    rows = math.ceil(len(chosen) / columns)
    ax = ax if ax is not None else new_axes(figsize=(1.1 * columns, 1.1 * rows * (1 + CAPTION) + 0.6))
    for place, i in enumerate(chosen):
        left, top = place % columns * (1 + GAP), place // columns * (1 + CAPTION + GAP)
        tile = flat[i].reshape(side, side)
        ax.imshow(tile, cmap="gray_r", extent=(left, left + 1, top + 1, top), interpolation="nearest")
        said = f"{labels[i]}" if right[i] else f"{labels[i]} as {guesses[i]}"
        colour = GREEN if right[i] else VERMILLION
        ax.text(left + 0.5, top + 1.06, said, color=colour, ha="center", va="top", weight="bold", fontsize="small")
    ax.set(xlim=(-GAP, columns * (1 + GAP)), ylim=(rows * (1 + CAPTION + GAP), -GAP), aspect="equal")
    ax.set_axis_off()
    wrong = f"first the {(~right).sum()} that are wrong: what, and as what it was read"
    ax.set_title(f"{right.sum()} of {len(labels)} right; {wrong}")
    return ax

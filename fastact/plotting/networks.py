"""What a network has learned, how, and how much reaches each of its layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np

from fastact.plotting.gradients import gradient_sizes
from fastact.plotting.style import VERMILLION, new_axes, theme

__all__ = ["plot_gradients", "plot_loss", "plot_surface"]

#: Points along each side of what is drawn, by its kind: of a surface, more could not be told apart.
SIDES = {"surface": 81, "regions": 301}


def plot_surface(
    network: Any, x: Any = None, y: Any = None, *, limits: Any = ((0, 1), (0, 1)), kind: str = "surface", ax: Any = None
) -> Any:
    """Draw the output of a network of two inputs over their plane.

    Parameters
    ----------
    network : MLP
        With two inputs.
    x : array_like, shape (rows, 2), optional
    y : array_like, shape (rows,), optional
        Points to draw with it; ``limits`` grow so that they are within.
    limits : pairs of float, default ((0, 1), (0, 1))
        From where to where each input goes.
    kind : {"surface", "regions"}, default "surface"
        In three dimensions, or from above, in colours for what ``predict`` says.
    ax : Axes, optional
        With ``projection="3d"`` for a surface.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If the network has not two inputs, or for another kind.
    """
    if network.sizes[0] != 2:
        raise ValueError(f"a surface is drawn over two inputs; the network has {network.sizes[0]}")
    if kind not in SIDES:
        raise ValueError(f"kind must be surface or regions, not {kind!r}")
    points = np.empty((0, 2)) if x is None else np.asarray(x, float)
    ends = [(min([low, *column]), max([high, *column])) for (low, high), column in zip(limits, points.T)]
    if kind == "regions" and len(points):  # points at the edge are to be seen whole
        ends = [(low - 0.05 * (high - low), high + 0.05 * (high - low)) for low, high in ends]
    first, second = np.meshgrid(*(np.linspace(low, high, SIDES[kind]) for low, high in ends))
    flat = np.stack([first.ravel(), second.ravel()], axis=1)
    height = _heights(network, flat, kind).reshape(first.shape)
    if kind == "regions":
        ax = ax if ax is not None else new_axes(figsize=(6, 5))
        _regions(ax, first, second, height, points, y)
    else:
        ax = ax if ax is not None else new_axes(figsize=(6.4, 5.4), subplot_kw={"projection": "3d"})
        ax.plot_surface(first, second, height, cmap="cividis", alpha=0.75, linewidth=0, antialiased=True)
        if y is not None:
            ax.scatter(*points.T, np.ravel(y), color=VERMILLION, s=45, depthshade=False, label="to be learned")
            ax.legend(loc="upper left")
        ax.zaxis.set_rotate_label(False)  # it would stand on its head
        ax.set_zlabel("output", rotation=90)
        ax.view_init(elev=22, azim=-125)
        ax.set_box_aspect(None, zoom=0.84)  # or labels would be cut off
    ax.set(xlabel="$x_1$", ylabel="$x_2$")
    return ax


def _heights(network: Any, x: np.ndarray, kind: str) -> np.ndarray:
    """The first output, as a number; seen from above, what is predicted."""
    if kind == "regions":
        return np.asarray(network.predict(x), float).reshape(len(x), -1)[:, 0]
    try:
        return np.asarray(network.predict_proba(x))[:, -1]
    except ValueError:  # it predicts no classes
        return np.asarray(network.predict(x)).reshape(len(x), -1)[:, 0]


def _regions(ax: Any, first: Any, second: Any, height: np.ndarray, points: np.ndarray, y: Any) -> None:
    from matplotlib.colors import ListedColormap

    classes = np.unique(height if y is None else np.concatenate([height.ravel(), np.ravel(y)]))
    levels = [*(classes - 0.5), classes[-1] + 0.5]
    shades = theme(ax)
    colours = [colour for colour, _ in zip(cycle(shades.colours), classes)]
    ax.contourf(first, second, height, levels=levels, cmap=ListedColormap(colours), alpha=0.25)
    for number, marker in zip(classes if y is not None else [], cycle("os^Dvp*")):  # by shape as well as by colour
        of_class = points[np.ravel(y) == number]
        shape = {"color": colours[int(np.searchsorted(classes, number))], "markeredgecolor": shades.paper}
        ax.plot(*of_class.T, marker, markersize=5, label=f"class {number:g}", **shape)
    if y is not None:
        ax.legend()


def plot_loss(networks: Any, *, ax: Any = None) -> Any:
    """Draw the loss of each epoch, and of validation data where there were any.

    Parameters
    ----------
    networks : MLP, or a mapping of labels to them, or a sequence
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    if isinstance(networks, Mapping):
        labelled = dict(networks)
    else:
        several = networks if isinstance(networks, Sequence) else [networks]
        labelled = {f"{i}: {_described(network)}": network for i, network in enumerate(several, 1)}
    ax = ax if ax is not None else new_axes(figsize=(7, 4.5))
    for (label, network), colour in zip(labelled.items(), cycle(theme(ax).colours)):
        curves = {"": (network.loss_curve_, "-"), ", validation": (getattr(network, "validation_curve_", ()), "--")}
        for suffix, (curve, style) in curves.items():
            if curve is not None and len(curve):
                epochs = np.arange(1, len(curve) + 1)
                ax.plot(
                    epochs, curve, style, color=colour, label=f"{label}{suffix}", marker="." if len(curve) < 2 else ""
                )
    losses = np.concatenate([np.ravel(network.loss_curve_) for network in labelled.values()])
    if len(losses) and losses.min() > 0 and losses.max() > 20 * losses.min():
        ax.set_yscale("log")
    ax.set(xlabel="epoch", ylabel="loss")
    ax.grid(alpha=0.25)
    ax.legend(fontsize="small")
    return ax


def _described(network: Any) -> str:
    activation = getattr(network.activation, "name", network.activation)
    return f"{activation}, {network.loss}"


def plot_gradients(networks: Any, x: Any, y: Any, *, ax: Any = None) -> Any:
    """Draw how large the gradients of each layer's weights are: where they vanish, nothing is learned.

    Parameters
    ----------
    networks : MLP, or a mapping of labels to them
        As they are; none of them is changed.
    x, y : array_like
        Data, as for ``fit``.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    labelled = dict(networks) if isinstance(networks, Mapping) else {_described(networks): networks}
    ax = ax if ax is not None else new_axes(figsize=(7, 4.5))
    for (label, network), colour, marker in zip(labelled.items(), cycle(theme(ax).colours), cycle("os^Dv")):
        sizes = gradient_sizes(network, x, y)
        ax.plot(range(1, len(sizes) + 1), sizes, color=colour, marker=marker, label=label)
    ax.set(xlabel="layer, 1 next to the inputs", ylabel="root mean square of the gradient", yscale="log")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.grid(alpha=0.25)
    ax.legend()
    return ax

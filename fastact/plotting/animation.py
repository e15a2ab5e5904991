"""A network while it learns."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastact.plotting.style import VERMILLION, new_axes, theme

__all__ = ["animate_fit"]


def animate_fit(network: Any, x: Any, y: Any, *, frames: int = 60, ax: Any = None) -> Any:
    """Fit a network of one input, and show its curve and its loss as they change.

    Parameters
    ----------
    network : MLP
        With one input. It is trained as by ``fit``.
    x, y : array_like, shape (rows, 1) or (rows,)
    frames : int, default 60
        How many pictures at most, spread evenly over the epochs.
    ax : pair of Axes, optional
        For the curve, and for the loss.

    Returns
    -------
    matplotlib.animation.FuncAnimation
        ``.save("learning.gif", writer="pillow")`` writes it.

    Raises
    ------
    ValueError
        If the network has not one input.
    """
    if network.sizes[0] != 1:
        raise ValueError(f"a curve is drawn over one input; the network has {network.sizes[0]}")
    x, y = np.asarray(x, float).reshape(-1, 1), np.asarray(y, float).reshape(-1, 1)
    margin = 0.05 * (np.ptp(x) or 1.0)
    line = np.linspace(x.min() - margin, x.max() + margin, 201).reshape(-1, 1)
    curves, epochs = [_output(network, line)], [0]
    every = max(1, -(-network.epochs // frames))

    def note(trained: Any, epoch: int, loss: float) -> None:
        if (epoch + 1) % every == 0 or epoch + 1 == trained.epochs:
            curves.append(_output(trained, line))
            epochs.append(epoch + 1)

    network.fit(x, y, callback=note)
    upper, lower = ax if ax is not None else new_axes(nrows=2, figsize=(6.4, 6.4), height_ratios=(2, 1))
    return _animated(upper, lower, (x, y), line, curves, epochs, np.asarray(network.loss_curve_))


def _output(network: Any, x: np.ndarray) -> np.ndarray:
    try:
        return np.array(network.predict_proba(x)).ravel()
    except ValueError:  # it predicts no classes
        return np.array(network.predict(x)).ravel()


def _animated(
    upper: Any, lower: Any, points: Any, line: np.ndarray, curves: list[np.ndarray], epochs: list[int], loss: np.ndarray
) -> Any:
    from matplotlib.animation import FuncAnimation

    upper.plot(*points, "o", color=VERMILLION, markersize=5, label="to be learned")
    (curve,) = upper.plot(line, curves[0], color=theme(upper).blue, label="the network")
    low, high = (f([f(points[1]), *map(f, curves)]) for f in (np.min, np.max))
    upper.set(ylim=(low - 0.08 * (high - low), high + 0.24 * (high - low)), xlabel="x", ylabel="output")
    upper.legend(loc="upper left", ncols=2)  # in the room above
    (trace,) = lower.plot([], [], color=theme(lower).blue)
    lower.set(xlim=(0, len(loss)), ylim=(0, 1.05 * np.nanmax(loss)), xlabel="epoch", ylabel="loss")
    lower.grid(alpha=0.25)

    def show(frame: int) -> tuple[Any, ...]:
        curve.set_ydata(curves[frame])
        trace.set_data(np.arange(1, epochs[frame] + 1), loss[: epochs[frame]])
        upper.set_title(f"after {epochs[frame]:,} epochs")
        return curve, trace

    return FuncAnimation(upper.figure, show, frames=len(curves), interval=60, blit=False)

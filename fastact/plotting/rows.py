"""Bars of the softmax family and its relatives over temperature."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Any

import numpy as np

from fastact.names import public_callable
from fastact.plotting.style import described, listed, panels, theme

__all__ = ["FORMULAS", "plot_rows"]

#: What is drawn, in mathematics: T is the temperature, mu and sigma are mean and deviation of a row.
FORMULAS = {
    "softmax": r"\dfrac{e^{x_i / T}}{\sum_j e^{x_j / T}}",
    "softmin": r"\dfrac{e^{-x_i / T}}{\sum_j e^{-x_j / T}}",
    "log_softmax": r"x_i / T - \log\, \sum_j e^{x_j / T}",
    "gumbel_softmax": r"\dfrac{e^{(x_i + g_i) / T}}{\sum_j e^{(x_j + g_j) / T}}\,,\ \ g_i = -\log(-\log u_i)",
    "sparsemax": r"\max(x_i / T - \tau,\, 0)\,,\ \ \tau\ \mathrm{so\ that\ they\ sum\ to}\ 1",
    "entmax15": r"\max(x_i / 2T - \tau,\, 0)^2,\ \ \tau\ \mathrm{so\ that\ they\ sum\ to}\ 1",
    "hardmax": r"\{1\ \mathrm{where}\ x_i\ \mathrm{is\ the\ largest,\ else}\ 0\}",
    "layer_norm": r"\dfrac{x_i - \mu}{\sqrt{\sigma^2 + \epsilon}}",
    "rms_norm": r"\dfrac{x_i}{\sqrt{\mu^2 + \sigma^2 + \epsilon}}",
    "logsumexp": r"T\, \log\, \sum_j e^{x_j / T}",
    "logmeanexp": r"T\, \log\left(\mathrm{mean}_j\ e^{x_j / T}\right)",
}

LOGITS = (2.0, 1.5, 0.5, 0.0, -1.5)
TEMPERATURES = (0.5, 1.0, 2.0)

#: Patterns beside colours: for prints in grey, and whoever cannot tell colours apart.
PATTERNS = ("", "///", "...", "xxx", "\\\\\\")

#: How far results at different temperatures may lie apart to count as the same.
SAME = 1e-3


def plot_rows(
    names: Any = None, x: Any = LOGITS, temperatures: Sequence[float] | None = None, *, ax: Any = None
) -> Any:
    """Draw functions of rows, such as softmax, as bars: an element each, for several temperatures.

    The row is divided by the temperature. Where that makes no difference, there is one set of bars; sums, such as
    logsumexp, are lines above the row that they are of.

    Parameters
    ----------
    names : str, callable or list of these, optional
        Functions of one array along an axis, yours included; softmax and all others by default.
    x : array_like
        The row.
    temperatures : sequence of float, optional
        By default 0.5, 1 and 2.
    ax : Axes or array of Axes, optional
        One for each function.

    Returns
    -------
    Axes or ndarray of Axes

    Raises
    ------
    ImportError
        Without matplotlib.
    ValueError
        If there is no such function, if the row has not one dimension, if a temperature is not positive, or if there
        are too few axes.

    Examples
    --------
    >>> from fastact import plotting
    >>> axes = plotting.plot_rows("sparsemax", [3, 1, 0.5], temperatures=[0.5, 1, 4])
    >>> axes.get_ylabel()
    'value'
    """
    chosen = listed(names, FORMULAS)
    row = np.asarray(x, float)
    if row.ndim != 1 or not row.size:
        raise ValueError(f"a row has one dimension, and elements; this has shape {row.shape}")
    temperatures = TEMPERATURES if temperatures is None else temperatures
    if not len(temperatures) or min(temperatures) <= 0:
        raise ValueError(f"temperatures must be positive, not {list(temperatures)}")
    called = [_named(name) for name in chosen]
    axes = panels(len(chosen), ax, "functions")
    for panel, (name, function) in zip(np.ravel(axes), called):
        results = [_result(name, function, row, float(temperature)) for temperature in temperatures]
        if results[0].ndim:
            _bars(panel, row, results, temperatures)
        else:
            _lines(panel, row, results, temperatures)
        described(panel, name, FORMULAS.get(name))
    return axes


def _named(name: Any) -> tuple[str, Callable[..., Any]]:
    if callable(name):
        return name.__name__, name
    if name not in FORMULAS:
        raise ValueError(f"no function of rows is called {name!r}; there are {', '.join(FORMULAS)}")
    return name, public_callable(name)


def _result(name: str, function: Callable[..., Any], row: np.ndarray, temperature: float) -> np.ndarray:
    if name == "gumbel_softmax":  # which has a temperature of its own; the draw is the same for all
        return np.asarray(function(row, tau=temperature, rng=0))
    scaled = row[np.newaxis] / temperature
    result = np.asarray(function(scaled, axis=-1))[0]
    return result if result.ndim else temperature * result


def _bars(ax: Any, row: np.ndarray, results: list[np.ndarray], temperatures: Sequence[float]) -> None:
    labels = [f"$T = {temperature:g}$" for temperature in temperatures]
    if all(np.allclose(result, results[0], rtol=SAME, atol=SAME) for result in results):
        results, labels = results[:1], ["any $T$"]
    width, shades = 0.8 / len(results), theme(ax)
    places = np.arange(row.size)
    looks = zip(cycle(shades.colours), cycle(PATTERNS))
    for number, (result, label, (colour, pattern)) in enumerate(zip(results, labels, looks)):
        left = places + (number - (len(results) - 1) / 2) * width
        ax.bar(left, result, width, label=label, color=colour, hatch=pattern, edgecolor=shades.paper, linewidth=0.5)
    ax.axhline(0, color=shades.ink, alpha=0.6, linewidth=0.8)
    _ticks(ax, row)
    ax.legend(fontsize="small", framealpha=0.85)


def _lines(ax: Any, row: np.ndarray, results: list[np.ndarray], temperatures: Sequence[float]) -> None:
    shades, styles = theme(ax), cycle(("-", "--", "-.", ":"))
    ax.bar(np.arange(row.size), row, 0.6, color=shades.ink, alpha=0.2, label="$x_i$")
    ax.axhline(0, color=shades.ink, alpha=0.6, linewidth=0.8)
    for result, temperature, colour, style in zip(results, temperatures, cycle(shades.colours), styles):
        ax.axhline(float(result), color=colour, linestyle=style, label=f"$T = {temperature:g}$")
    _ticks(ax, row)
    ax.margins(y=0.35)
    ax.legend(fontsize="small", framealpha=0.85, loc="lower left", ncols=2)


def _ticks(ax: Any, row: np.ndarray) -> None:
    ax.set_xticks(np.arange(row.size), [f"{value:g}" for value in row])
    ax.set(xlabel="$x_i$", ylabel="value")
    ax.set_axisbelow(True)
    ax.margins(y=0.12)

"""Curves and their derivatives, with what there is to see in them marked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Any, NamedTuple

import numpy as np

from fastact.plotting.features import asymptotes, broken, jumps
from fastact.plotting.style import VERMILLION, theme

__all__ = ["Curve", "common_legend", "draw_curves"]

#: Values beyond so many times half the width, or beyond so much, are cut off: exponential would flatten all others.
HIGHEST, LEAST = 1.6, 4.0


class Curve(NamedTuple):
    """A function of one array, its derivative, and what to call it beside others."""

    label: str
    value: Callable[[np.ndarray], np.ndarray]
    slope: Callable[[np.ndarray], np.ndarray]


def draw_curves(
    ax: Any, curves: Sequence[Curve], derivative: bool, low: float, high: float, *, legend: bool = True, x: str = "x"
) -> None:
    """One curve is blue and its derivative vermillion; of several, each has its colour, and derivatives are dashed."""
    points, half = np.linspace(low, high, 1001), (high - low) / 2
    alone, shades = len(curves) == 1, theme(ax)
    seen = [np.zeros(1)]
    ax.axhline(0, **shades.line)
    if low < 0 < high:
        ax.axvline(0, **shades.line)
    for number, (curve, colour) in enumerate(zip(curves, cycle(shades.colours))):
        width = 1.5 * (1 + number // len(shades.colours))  # colours that come again are told apart
        kinks, steps = jumps(curve.slope, low, high), jumps(curve.value, low, high)
        value, slope = curve.value(points), curve.slope(points)
        name = "value" if alone else curve.label
        ax.plot(*broken(points, value, steps), color=colour, linewidth=width, label=name)
        seen.append(value)
        if derivative:
            label = "derivative" if alone else None
            shade = VERMILLION if alone else colour
            ax.plot(*broken(points, slope, kinks), color=shade, linewidth=width, linestyle="--", label=label)
            seen.append(slope)
        _mark(ax, curve, [kink for kink in kinks if kink not in steps], low, high, alone)
    values, highest = np.concatenate(seen), max(HIGHEST * half, LEAST)
    shown = values[np.isfinite(values)].clip(-highest, highest)
    margin = 0.06 * max(np.ptp(shown), half)
    ax.set(xlim=(low, high), ylim=(shown.min() - margin, shown.max() + margin), xlabel=x)
    dashed = " (dashed)" if not alone else ""
    ax.set_ylabel(f"value and derivative{dashed}" if derivative else "value")
    ax.grid(alpha=0.25)
    if legend:
        ax.legend(fontsize="small", framealpha=0.85)


def _mark(ax: Any, curve: Curve, kinks: list[float], low: float, high: float, alone: bool) -> None:
    if kinks:
        ax.plot(kinks, curve.value(np.array(kinks)), label="kink" if alone else None, **theme(ax).ring)
    for number, line in enumerate(asymptotes(curve.value, curve.slope)):
        x = np.array([0, high if line.side > 0 else low])
        label = "asymptote" if alone and not number else None
        ax.plot(x, line.slope * x + line.intercept, label=label, **theme(ax).dotted)


def common_legend(first: Any, derivative: bool, own: bool) -> None:
    """One for all panels, below them if the figure is ours to arrange."""
    from matplotlib.lines import Line2D

    shades = theme(first)
    handles = [Line2D([], [], color=shades.blue, label="value")]
    handles += [Line2D([], [], color=VERMILLION, linestyle="--", label="derivative")] if derivative else []
    handles += [Line2D([], [], label="kink", **shades.ring), Line2D([], [], label="asymptote", **shades.dotted)]
    if own:
        first.figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    else:
        first.legend(handles=handles, fontsize="small", framealpha=0.85)

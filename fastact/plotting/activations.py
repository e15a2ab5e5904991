"""Curves of activations and of their derivatives."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle, product
from typing import Any, NamedTuple

import numpy as np

from fastact.catalogue import ACTIVATIONS, Activation, get
from fastact.functions.parameters import sample_parameters
from fastact.plotting.features import asymptotes, broken, jumps
from fastact.plotting.mathematics import mathematics, symbol
from fastact.plotting.style import BLUE, COLOURS, VERMILLION, new_axes

__all__ = ["grid", "plot_activations"]

#: A formula of more characters would not fit above a panel.
LONGEST = 90

#: Values beyond so many times the limit are cut off: exponential would flatten all others.
HIGHEST = 1.6


RING: dict[str, Any] = {
    "marker": "o", "markersize": 5, "markerfacecolor": "white", "markeredgecolor": "0.2", "linestyle": "none",
    "zorder": 3,
}  # fmt: skip
DOTTED: dict[str, Any] = {"color": "0.45", "linestyle": ":", "linewidth": 1.2, "zorder": 1}


class _Curve(NamedTuple):
    entry: Activation
    given: dict[str, float]

    def value(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(self.entry.value(x, **self.given))

    def slope(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(self.entry.derivative(x, **self.given))

    @property
    def label(self) -> str:
        numbers = [f"{symbol(name)} = {value:.4g}".replace("inf", r"\infty") for name, value in self.given.items()]
        named = r",\ ".join(numbers)
        return f"{self.entry.name}, ${named}$" if named else self.entry.name


def plot_activations(
    names: Any = None,
    derivative: bool = True,
    same_axes: bool = False,
    parameters: Mapping[str, float | Sequence[float]] | None = None,
    *,
    limit: float = 5.0,
    ax: Any = None,
) -> Any:
    """Draw activations and their derivatives, with their formulas.

    Kinks are marked by rings, lines that a curve approaches are dotted.

    Parameters
    ----------
    names : str, Activation or list of these, optional
        All of the catalogue by default.
    derivative : bool, default True
        Whether to draw derivatives, dashed.
    same_axes : bool, default False
        Whether all go into one panel.
    parameters : mapping, optional
        Numbers for parameters by name, for all activations that have them; of a list of numbers, each has its curve.
    limit : float, default 5
        Curves go from minus this to this.
    ax : Axes or array of Axes, optional
        One, or one for each activation.

    Returns
    -------
    Axes or ndarray of Axes

    Raises
    ------
    ImportError
        Without matplotlib.
    ValueError
        If there is no such activation, if none has a parameter that is given, or if there are too few axes.

    Examples
    --------
    >>> from fastact import plotting
    >>> axes = plotting.plot_activations(["relu", "gelu"], same_axes=True)
    >>> axes = plotting.plot_activations("elu", parameters={"alpha": [0.5, 1, 2]})
    """
    single = isinstance(names, str) or (not isinstance(names, Sequence) and names is not None)
    entries = [get(name) for name in ([names] if single else names or ACTIVATIONS.values())]
    families = [list(_curves(entry, parameters or {})) for entry in entries]
    for name in parameters or {}:
        if not any(name in entry.parameters for entry in entries):
            raise ValueError(f"none of these activations has a parameter {name!r}")
    if same_axes or len(entries) == 1:
        panel = ax if ax is not None else new_axes(figsize=(7, 5))
        _draw(panel, [curve for family in families for curve in family], derivative, limit)
        return panel
    shape = grid(len(entries))
    own = ax is None
    panels = new_axes(nrows=shape[0], ncols=shape[1], figsize=_size(shape), squeeze=False) if own else ax
    if np.size(panels) < len(entries):
        raise ValueError(f"{len(entries)} activations need as many axes; there are {np.size(panels)}")
    for panel, family in zip(np.ravel(panels), families):
        _draw(panel, family, derivative, limit, legend=len(family) > 1)
    for panel in np.ravel(panels)[len(entries) :] if own else []:
        panel.set_visible(False)
    _common_legend(np.ravel(panels)[0], derivative, own)
    return panels


def grid(count: int) -> tuple[int, int]:
    """Rows and columns for so many panels."""
    columns = min(count, 5, max(1, round(math.sqrt(1.3 * count))))
    return math.ceil(count / columns), columns


def _size(shape: tuple[int, int]) -> tuple[float, float]:
    return 4.6 * shape[1], 3.6 * shape[0]


def _curves(entry: Activation, parameters: Mapping[str, Any]) -> Iterator[_Curve]:
    """One for each combination of the numbers that are given."""
    usual = sample_parameters(entry)
    choices = [np.atleast_1d(parameters.get(name, default)).tolist() for name, default in usual.items()]
    for numbers in product(*choices):
        yield _Curve(entry, dict(zip(usual, numbers)))


def _draw(ax: Any, curves: list[_Curve], derivative: bool, limit: float, legend: bool = True) -> None:
    x = np.linspace(-limit, limit, 1001)
    alone = len(curves) == 1
    seen = [np.zeros(1)]
    ax.axhline(0, color="0.75", linewidth=0.8, zorder=0)
    ax.axvline(0, color="0.75", linewidth=0.8, zorder=0)
    for curve, colour in zip(curves, cycle(COLOURS)):
        kinks, steps = jumps(curve.slope, -limit, limit), jumps(curve.value, -limit, limit)
        value, slope = curve.value(x), curve.slope(x)
        ax.plot(*broken(x, value, steps), color=BLUE if alone else colour, label="value" if alone else curve.label)
        seen.append(value)
        if derivative:
            label = "derivative" if alone else None
            shade = VERMILLION if alone else colour
            ax.plot(*broken(x, slope, kinks), color=shade, linestyle="--", label=label)
            seen.append(slope)
        _mark(ax, curve, [kink for kink in kinks if kink not in steps], limit, alone)
    values = np.concatenate(seen)
    shown = values[np.isfinite(values)].clip(-HIGHEST * limit, HIGHEST * limit)
    margin = 0.06 * max(np.ptp(shown), limit)
    ax.set(xlim=(-limit, limit), ylim=(shown.min() - margin, shown.max() + margin), xlabel="x")
    _describe(ax, curves, derivative)
    if legend:
        ax.legend(fontsize="small", framealpha=0.85)


def _mark(ax: Any, curve: _Curve, kinks: list[float], limit: float, alone: bool) -> None:
    if kinks:
        ax.plot(kinks, curve.value(np.array(kinks)), label="kink" if alone else None, **RING)
    for number, line in enumerate(asymptotes(curve.value, curve.slope)):
        x = np.array([0, line.side * limit])
        label = "asymptote" if alone and not number else None
        ax.plot(x, line.slope * x + line.intercept, label=label, **DOTTED)


def _describe(ax: Any, curves: list[_Curve], derivative: bool) -> None:
    entry = curves[0].entry
    if all(curve.entry is entry for curve in curves):
        formula = [f"${mathematics(entry.formula)}$"] if len(entry.formula) <= LONGEST else []
        lines = [curves[0].label if len(curves) == 1 else entry.name, *formula]
        ax.set_title("\n".join(lines), fontsize="medium", va="bottom")  # or fractions would reach into the frame
    dashed = " (dashed)" if len(curves) > 1 else ""
    ax.set_ylabel(f"value and derivative{dashed}" if derivative else "value")
    ax.grid(alpha=0.25)


def _common_legend(first: Any, derivative: bool, own: bool) -> None:
    """One for all panels, below them if the figure is ours to arrange."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=BLUE, label="value")]
    handles += [Line2D([], [], color=VERMILLION, linestyle="--", label="derivative")] if derivative else []
    handles += [Line2D([], [], label="kink", **RING), Line2D([], [], label="asymptote", **DOTTED)]
    if own:
        first.figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    else:
        first.legend(handles=handles, fontsize="small", framealpha=0.85)

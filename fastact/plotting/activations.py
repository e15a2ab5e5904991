"""Curves of activations and of their derivatives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from fastact.catalogue import ACTIVATIONS, Activation, get
from fastact.functions.parameters import sample_parameters
from fastact.plotting.curves import Curve, common_legend, draw_curves
from fastact.plotting.mathematics import above, equals
from fastact.plotting.style import check_parameters, described, listed, new_axes, panels

__all__ = ["plot_activations"]


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
    entries = [get(name) for name in listed(names, ACTIVATIONS.values())]
    families = {entry: list(_curves(entry, parameters or {})) for entry in entries}
    check_parameters(parameters or {}, [entry.parameters for entry in entries], "activations")
    if same_axes or len(families) == 1:
        panel = ax if ax is not None else new_axes(figsize=(7, 5))
        _draw(panel, families, derivative, limit)
        return panel
    axes = panels(len(families), ax, "activations")
    for panel, (entry, family) in zip(np.ravel(axes), families.items()):
        _draw(panel, {entry: family}, derivative, limit, legend=len(family) > 1)
    common_legend(np.ravel(axes)[0], derivative, own=ax is None)
    return axes


def _curves(entry: Activation, parameters: Mapping[str, Any]) -> Iterator[Curve]:
    """One for each combination of the numbers that are given."""
    usual = sample_parameters(entry)
    choices = [np.atleast_1d(parameters.get(name, default)).tolist() for name, default in usual.items()]
    for numbers in product(*choices):
        given = dict(zip(usual, numbers))
        yield Curve(_label(entry, given), partial(entry.value, **given), partial(entry.derivative, **given))


def _label(entry: Activation, given: Mapping[str, float]) -> str:
    named = r",\ ".join(equals(name, value) for name, value in given.items())
    return f"{entry.name}, ${named}$" if named else entry.name


def _draw(
    ax: Any, families: Mapping[Activation, list[Curve]], derivative: bool, limit: float, legend: bool = True
) -> None:
    curves = [curve for family in families.values() for curve in family]
    draw_curves(ax, curves, derivative, -limit, limit, legend=legend)
    if len(families) == 1:
        (entry,) = families
        described(ax, curves[0].label if len(curves) == 1 else entry.name, above(entry.formula))

"""Curves of gates: what they let through of one half, by the other."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastact.catalogue import Activation, get
from fastact.functions.parameters import sample_parameters
from fastact.plotting.curves import Curve, draw_curves
from fastact.plotting.mathematics import above
from fastact.plotting.style import described, listed, panels
from fastact.rows.gates import GATES

__all__ = ["plot_gates"]

#: What is to go through.
HALVES = (1.0, 2.0, -1.0)


def plot_gates(
    names: Any = None,
    halves: Sequence[float] | None = None,
    derivative: bool = True,
    *,
    limit: float = 5.0,
    ax: Any = None,
) -> Any:
    """Draw gates, such as swiglu, over the half that opens them, and their derivatives by it.

    Parameters
    ----------
    names : str, Activation or list of these, optional
        Gates; of an activation, the gate that it would open. All gates by default.
    halves : sequence of float, optional
        What the first half holds, a curve for each; by default 1, 2 and -1.
    derivative : bool, default True
        Whether to draw derivatives, dashed.
    limit : float, default 5
        Curves go from minus this to this.
    ax : Axes or array of Axes, optional
        One for each gate.

    Returns
    -------
    Axes or ndarray of Axes

    Raises
    ------
    ImportError
        Without matplotlib.
    ValueError
        If there is no such gate or activation, or if there are too few axes.

    Examples
    --------
    >>> from fastact import plotting
    >>> axes = plotting.plot_gates(["glu", "swiglu"], halves=[1, 3])
    """
    opened = [_opened(name) for name in listed(names, GATES)]
    axes = panels(len(opened), ax, "gates")
    for panel, (label, entry) in zip(np.ravel(axes), opened):
        curves = [_curve(entry, float(half)) for half in (HALVES if halves is None else halves)]
        draw_curves(panel, curves, derivative, -limit, limit, x="b")
        described(panel, label, above(_times(entry.formula)))
    return axes


def _opened(name: Any) -> tuple[str, Activation]:
    """What to call a gate, and the activation that opens it."""
    if isinstance(name, str) and name in GATES:
        return name, get(GATES[name].activation)
    entry = get(name)
    return f"a gate that {entry.name} opens", entry


def _times(opening: str) -> str:
    """A factor in front of a formula; of a fraction, in its numerator."""
    body = ast.parse(re.sub(r"\bx\b", "b", opening), mode="eval").body
    if isinstance(body, ast.BinOp) and isinstance(body.op, ast.Div):
        divided, divisor = ast.unparse(body.left), ast.unparse(body.right)
        return f"a / ({divisor})" if divided == "1" else f"a * ({divided}) / ({divisor})"
    return f"a * ({ast.unparse(body)})"


def _curve(entry: Activation, half: float) -> Curve:
    given = sample_parameters(entry)

    def times(function: Callable[..., Any]) -> Callable[[np.ndarray], np.ndarray]:
        return lambda b: np.asarray(half * function(b, **given))

    return Curve(f"$a = {half:g}$", times(entry.value), times(entry.derivative))

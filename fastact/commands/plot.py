"""``fastact plot``: activations and their derivatives as a picture."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from fastact.catalogue import ACTIVATIONS
from fastact.commands.errors import UsageError
from fastact.functions.parameters import sample_parameters
from fastact.functions.registry import unknown

__all__ = ["run_plot"]


def run_plot(names: list[str], output: str, limit: float) -> int:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UsageError('plots are drawn by matplotlib: python -m pip install "fastact[plot]"') from None
    strange = [name for name in names if name not in ACTIVATIONS]
    if strange:
        raise UsageError(unknown(strange[0]))
    entries = [ACTIVATIONS[name] for name in names or ACTIVATIONS]
    columns = min(len(entries), max(1, round(math.sqrt(1.5 * len(entries)))))
    rows = math.ceil(len(entries) / columns)
    figure = Figure(figsize=(3 * columns, 2.4 * rows), layout="constrained")
    x = np.linspace(-limit, limit, 1001)
    for axes, entry in zip(figure.subplots(rows, columns, squeeze=False).flat, entries):
        value, slope = entry.with_derivative(x, **sample_parameters(entry))
        axes.plot(x, value, label=entry.name)
        axes.plot(x, slope, label="derivative", linestyle="--")
        axes.set_title(entry.name, fontsize="medium")
        axes.grid(alpha=0.3)
    for axes in figure.axes[len(entries) :]:
        axes.set_visible(False)
    try:
        figure.savefig(output)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot write {output}: {error}") from None
    print(f"wrote {Path(output)}: {len(entries)} activations (solid) and their derivatives (dashed)")
    return 0

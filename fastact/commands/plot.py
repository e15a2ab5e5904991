"""``fastact plot``: activations and their derivatives as a picture."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from fastact.catalogue import ACTIVATIONS, Activation, activation
from fastact.commands.errors import UsageError
from fastact.commands.pictures import write_picture
from fastact.functions.registry import unknown

__all__ = ["run_plot"]


def run_plot(
    names: Sequence[str], output: str, limit: float, settings: Sequence[str], same_axes: bool, derivative: bool
) -> int:
    entries = [_entry(name) for name in names] or list(ACTIVATIONS.values())
    parameters = _parameters(settings, entries)

    def draw() -> Any:
        from fastact.plotting import plot_activations

        return plot_activations(entries, derivative, same_axes, parameters, limit=limit)

    path = write_picture(output, draw)
    kinds = " (solid), derivatives dashed" if derivative else ""
    counted = "1 activation" if len(entries) == 1 else f"{len(entries)} activations"
    print(f"wrote {path}: {counted}{kinds}")
    return 0


def _entry(name: str) -> Activation:
    """One of the catalogue, or, as MODULE:FUNCTION, one's own."""
    module, colon, function = name.partition(":")
    if not colon:
        if name not in ACTIVATIONS:
            raise UsageError(unknown(name))
        entry: Activation = ACTIVATIONS[name]
        return entry
    sys.path.insert(0, os.getcwd())
    try:
        own = getattr(import_module(module), function)
        made: Activation = own if isinstance(own, Activation) else activation(own)
    except (ImportError, AttributeError, TypeError) as error:
        raise UsageError(f"cannot use {name}: {error}") from None
    finally:
        sys.path.remove(os.getcwd())
    return made


def _parameters(settings: Sequence[str], entries: Sequence[Activation]) -> dict[str, list[float]]:
    """Of ``alpha=0.5,1,2``, each number."""
    parameters = {}
    for setting in settings:
        name, _, values = setting.partition("=")
        if not any(name in entry.parameters for entry in entries):
            raise UsageError(f"none of these activations has a parameter {name!r}")
        try:
            parameters[name] = [float(value) for value in values.split(",")]
        except ValueError:
            raise UsageError(f"{name} must be a number, or several with commas between, not {values!r}") from None
    return parameters

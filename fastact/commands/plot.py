"""``fastact plot``: functions of every family, and one's own, as a picture."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from fastact.catalogue import ACTIVATIONS, SPECIAL, Activation, activation
from fastact.commands.errors import UsageError
from fastact.commands.pictures import write_picture
from fastact.functions.registry import unknown

__all__ = ["run_plot"]

Numbers = dict[str, list[float]]


class _Picture(NamedTuple):
    """What can be set, and how it is drawn into axes with what is set of it."""

    parameters: list[str]
    draw: Callable[[Any, Numbers], Any]


def run_plot(
    names: Sequence[str], output: str, limit: float, settings: Sequence[str], same_axes: bool, derivative: bool
) -> int:
    subjects = [_subject(name) for name in names] or list(ACTIVATIONS.values())
    activations = [subject for subject in subjects if isinstance(subject, Activation)]
    alike = len(activations) == len(subjects)
    if same_axes and not alike:
        raise UsageError("only activations can share axes")

    pictures = [_picture(subject, limit, derivative) for subject in subjects]
    numbers = _numbers(settings, [name for picture in pictures for name in picture.parameters])

    def draw() -> Any:
        if alike:
            from fastact.plotting import plot_activations

            return plot_activations(activations, derivative, same_axes, numbers, limit=limit)
        from fastact.plotting.style import panels

        axes = panels(len(pictures), None, "functions")
        for panel, picture in zip(np.ravel(axes), pictures):
            known = {name: values for name, values in numbers.items() if name in picture.parameters}
            try:
                picture.draw(panel, known)
            except ValueError as error:
                raise UsageError(str(error)) from None
        return axes

    path = write_picture(output, draw)
    kinds = " (solid), derivatives dashed" if derivative and alike else ""
    what = "activation" if alike else "function"
    print(f"wrote {path}: {len(subjects)} {what}{'s' * (len(subjects) != 1)}{kinds}")
    return 0


# -- what is drawn ------------------------------------------------------------------------------------------


def _subject(name: str) -> Any:
    """An activation, the name of a function of another family, or, as MODULE:FUNCTION, one's own of any family."""
    module, colon, function = name.partition(":")
    if colon:
        return _own(name, module, function)
    if name in ACTIVATIONS or name in SPECIAL:
        return (ACTIVATIONS if name in ACTIVATIONS else SPECIAL)[name]
    if name not in _others():
        raise UsageError(unknown(name, [*SPECIAL, *_others()], "function"))
    return name


def _others() -> list[str]:
    from fastact.plotting.losses import loss_names
    from fastact.plotting.rows import FORMULAS
    from fastact.rows.gates import GATES

    return [*FORMULAS, *GATES, *loss_names()]


def _own(name: str, module: str, function: str) -> Any:
    """A loss takes pred and target, a function of rows an axis; anything else is a formula."""
    sys.path.insert(0, os.getcwd())
    try:
        own = getattr(import_module(module), function)
        known = [] if isinstance(own, Activation) else list(inspect.signature(own).parameters)
        return own if not known or known[:2] == ["pred", "target"] or "axis" in known else activation(own)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise UsageError(f"cannot use {name}: {error}") from None
    finally:
        sys.path.remove(os.getcwd())


def _picture(subject: Any, limit: float, derivative: bool) -> _Picture:
    from fastact import plotting
    from fastact.plotting.losses import loss_names, loss_parameters
    from fastact.rows.gates import GATES

    if isinstance(subject, Activation):
        entry = subject
        return _Picture(
            list(entry.parameters),
            lambda ax, numbers: plotting.plot_activations(entry, derivative, False, numbers, limit=limit, ax=ax),
        )
    if subject in GATES:
        return _Picture(
            ["a"],
            lambda ax, numbers: plotting.plot_gates(subject, numbers.get("a"), derivative, limit=limit, ax=ax),
        )
    if subject in loss_names() or (callable(subject) and "target" in inspect.signature(subject).parameters):

        def draw(ax: Any, numbers: Numbers) -> Any:
            targets, single = numbers.pop("target", None), {name: values[0] for name, values in numbers.items()}
            return plotting.plot_loss_functions(subject, targets, derivative, single, limit=limit, ax=ax)

        return _Picture(["target", *loss_parameters(subject)], draw)

    def bars(ax: Any, numbers: Numbers) -> Any:
        return plotting.plot_rows(subject, temperatures=numbers.get("temperature"), ax=ax)

    return _Picture(["temperature"], bars)


def _numbers(settings: Sequence[str], known: Sequence[str]) -> Numbers:
    """Of ``alpha=0.5,1,2``, each number."""
    numbers = {}
    for setting in settings:
        name, _, values = setting.partition("=")
        if name not in known:
            raise UsageError(f"none of what is drawn has a parameter {name!r}")
        try:
            numbers[name] = [float(value) for value in values.split(",")]
        except ValueError:
            raise UsageError(f"{name} must be a number, or several with commas between, not {values!r}") from None
    return numbers

"""What parameters a formula has, and which it may have."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from keyword import iskeyword
from typing import Any

from fastact.formulas.expressions import NUMBERS
from fastact.simd.layout import MAX_OPERANDS

__all__ = ["name_of", "named", "parameters_of", "sample_parameters"]

#: Names that calls of the functions made from a formula have for something else.
RESERVED = ("grad", "keywords", "out", "parameters")

#: Parameters a formula can have: with x, the value and the derivative they fill a loop's operands.
MOST_PARAMETERS = MAX_OPERANDS - 3


def parameters_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Names and defaults of a formula's parameters, x aside; ``inspect.Parameter.empty`` where there is no default."""
    if not inspect.isroutine(function):
        raise TypeError(f"a formula is a function, written with def or lambda, not {type(function).__name__}")
    name, names = function.__name__, inspect.signature(function).parameters
    if not names or next(iter(names)) != "x":
        raise TypeError(f"a formula's first argument must be called x; {name} has {list(names)}")
    parameters = list(names.values())[1:]
    for parameter in parameters:
        if parameter.kind not in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            raise TypeError(f"a formula's parameters are given by position or name; {name} has {parameter}")
        if parameter.name in RESERVED:
            raise TypeError(f"a parameter cannot be called {parameter.name}, which calls have for something else")
        if parameter.default is not parameter.empty:
            _check_default(parameter)
    if len(parameters) > MOST_PARAMETERS:
        raise TypeError(f"a formula can have {MOST_PARAMETERS} parameters; {name} has {len(parameters)}")
    return {parameter.name: parameter.default for parameter in parameters}


def _check_default(parameter: inspect.Parameter) -> None:
    if not isinstance(parameter.default, NUMBERS):
        raise TypeError(f"the default of {parameter.name} must be a number, not {parameter.default!r}")
    try:
        float(parameter.default)
    except OverflowError:  # it may have too many digits to be shown
        raise TypeError(f"the default of {parameter.name} is an integer beyond float64's numbers") from None


def named(name: Any) -> str:
    """A name that was given."""
    if not isinstance(name, str):
        raise TypeError(f"a name is a string, not {type(name).__name__}")
    if not name.isidentifier() or iskeyword(name):
        raise ValueError(f"an activation's name must be one that Python could have, not {name!r}")
    return name


def name_of(function: Callable[..., Any]) -> str:
    name = function.__name__.rstrip("_")  # as in tanh_, which would hide the primitive
    return name if name.isidentifier() else "formula"  # as a lambda's is not


def sample_parameters(entry: Any) -> dict[str, float]:
    """An activation's defaults, and something usual for a parameter without one."""
    return {name: default if isinstance(default, float) else 0.25 for name, default in entry.parameters.items()}

"""Activations inside formulas: ``fastact.gelu(x)`` is a word like ``exp(x)``, with the derivative that gelu has."""

from __future__ import annotations

from functools import cache
from itertools import count
from typing import Any

from fastact.formulas.expressions import (
    CALLS,
    DERIVATIVES,
    Expression,
    apply,
    as_expression,
    constant,
    differentiate,
    lower,
    substitute,
    variable,
)
from fastact.formulas.language import DEFINITIONS
from fastact.formulas.operations import ARITY
from fastact.ufuncs.ufunc import Definition

__all__ = ["NUMBERED", "understood", "without_activations"]

_numbers = count()

#: What stands between the name of such a word and its number: two of one name are two.
NUMBERED = ":"


def understood(ufunc: Any, definition: Definition, derivative: Expression | None) -> None:
    """Have formulas understand a ufunc. ``derivative``: that of its only result, by x; without, it is found."""

    @cache  # which formulas seldom ask for
    def word() -> str:
        return _word(definition, derivative)

    def called(*operands: Any) -> Any:
        if derivative is not None:
            return apply(word(), *operands)
        results = _inserted(definition, definition.results, operands)
        return results[0] if len(results) == 1 else results

    CALLS[ufunc] = called


def _word(definition: Definition, derivative: Expression | None) -> str:
    word = f"{definition.name}{NUMBERED}{next(_numbers)}"
    (value,), parameters = definition.results, definition.inputs[1:]
    slopes = (derivative, *(differentiate(value, variable(parameter)) for parameter in parameters))
    ARITY[word] = len(definition.inputs)
    DEFINITIONS[word] = lambda *operands: _inserted(definition, (value,), operands)[0]
    DERIVATIVES[word] = lambda *operands: _inserted(definition, slopes, operands[:-1])
    return word


def _inserted(definition: Definition, graphs: Any, operands: Any) -> tuple[Expression, ...]:
    """With operands for inputs, and with its constants."""
    values = dict(zip(map(variable, definition.inputs), map(as_expression, operands)))
    values |= {variable(name): constant(float(value)) for name, value in definition.constants.items()}
    return substitute(graphs, values)


def without_activations(graphs: tuple[Expression, ...]) -> tuple[Expression, ...]:
    """The same in words that every process knows."""
    return lower(graphs, {word: rule for word, rule in DEFINITIONS.items() if NUMBERED in word})

"""Activations inside formulas: ``fastact.gelu(x)`` is a word like ``exp(x)``, with the derivative that gelu has."""

from __future__ import annotations

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
    substitute,
    variable,
)
from fastact.formulas.language import DEFINITIONS
from fastact.formulas.operations import ARITY
from fastact.ufuncs.ufunc import Definition

__all__ = ["understood"]

_numbers = count()


def understood(ufunc: Any, definition: Definition, derivative: Expression | None) -> None:
    """Have formulas understand a ufunc. ``derivative``: that of its only result, by x."""
    fixed = {variable(name): constant(float(value)) for name, value in definition.constants.items()}
    results = substitute(definition.results, fixed) if fixed else definition.results
    inputs = [variable(name) for name in definition.inputs]

    def inserted(*graphs: Expression) -> Any:
        return lambda *operands: substitute(graphs, dict(zip(inputs, map(as_expression, operands))))

    if derivative is None or len(results) > 1:
        CALLS[ufunc] = lambda *operands: _one_or_all(inserted(*results)(*operands))
        return
    (value,), slopes = results, list(substitute((derivative,), fixed) if fixed else (derivative,))
    slopes += [differentiate(value, parameter) for parameter in inputs[1:]]
    word = f"{definition.name}:{next(_numbers)}"  # two of one name are two
    ARITY[word] = len(inputs)
    DEFINITIONS[word] = lambda *operands: inserted(value)(*operands)[0]
    DERIVATIVES[word] = lambda *operands: inserted(*slopes)(*operands[:-1])
    CALLS[ufunc] = lambda *operands: apply(word, *operands)


def _one_or_all(results: tuple[Expression, ...]) -> Any:
    return results[0] if len(results) == 1 else results

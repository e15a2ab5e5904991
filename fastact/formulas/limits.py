"""Limits: what a formula goes to where x does to plus or minus infinity.

Computed there, ``x * exp(x)`` is ``-inf * 0``, which is NaN, though it goes to 0. So each part's leading term
``c * exp(E) * u**p * log(u)**l`` is found, for u = abs(x), where E is such a term itself (D. Gruntz, On computing
limits in a symbolic manipulation system, 1996, does this for all there is; here, what is not known is left as it is).
"""

from __future__ import annotations

import math
from functools import reduce
from itertools import product
from operator import and_

import numpy as np

from fastact.formulas.expressions import Expression, apply, as_expression, lower, substitute, variable
from fastact.formulas.fallback import numpy_function
from fastact.formulas.language import DEFINITIONS, WORDS
from fastact.formulas.nodes import topological
from fastact.formulas.operations import TRUTH_VALUED
from fastact.formulas.primitives import where
from fastact.formulas.terms import EXACT, RULES, VANISHED, ZERO, Term, UnknownError, minus, plus, sign_of

__all__ = ["with_limits"]

#: What is one of its operands.
CHOICES = ("where", "maximum", "minimum")


class _Limit:
    """The leading terms of the parts of a formula, at plus or minus infinity."""

    def __init__(self, sign: float) -> None:
        self.terms: dict[Expression, Term] = {variable("x"): Term(sign, power=1.0)}

    def of(self, expression: Expression) -> Term:
        if expression not in self.terms:
            self.terms[expression] = self._of(expression)
        return self.terms[expression]

    def _of(self, e: Expression) -> Term:
        if e.operation == "variable":
            return Term(e)
        if e.operation == "constant":
            value = e.operands[0]
            if not math.isfinite(value):
                raise UnknownError
            return Term(value)
        if e.operation in EXACT:
            return ZERO
        if e.operation in CHOICES:
            return self.of(self._chosen(e))
        if e.operation in RULES:
            return RULES[e.operation](*map(self.of, e.operands))
        if e.operation in DEFINITIONS:
            (meaning,) = lower((Expression(e.operation, e.operands),), {e.operation: DEFINITIONS[e.operation]})
            term = self.of(meaning)
            # an activation's own formula may end in a zero where its value is but small
            return VANISHED if term.is_zero() and e.operation not in WORDS else term
        raise UnknownError

    def _chosen(self, e: Expression) -> Expression:
        """What it is in the end, whatever it may be before."""
        while e.operation in CHOICES:
            if e.operation == "where":
                e = e.operands[1 if self._holds(e.operands[0]) else 2]
            else:
                a, b = e.operands
                e = a if self._positive(a, b) == (e.operation == "maximum") else b
        return e

    def _positive(self, a: Expression, b: Expression) -> bool:
        """Whether a is larger than b; unknown where they go to the same, unless they are the same number."""
        a, b = self._chosen(a), self._chosen(b)
        if a.operation == b.operation == "constant" and a is not b:
            return bool(a.operands[0] > b.operands[0])
        difference = plus(self.of(a), minus(self.of(b)))
        if difference.is_zero():
            raise UnknownError
        return sign_of(difference.factor) > 0

    def _holds(self, condition: Expression) -> bool:
        operation, operands = condition.operation, condition.operands
        if operation in ("logical_and", "logical_or"):
            return (all if operation == "logical_and" else any)(map(self._holds, operands))
        if operation == "logical_not":
            return not self._holds(operands[0])
        if operation in ("equal", "not_equal") and operands[0] is operands[1]:
            return operation == "equal"
        one, other = map(self._chosen, operands)
        if one is other and one.operation == "constant":
            return operation in ("equal", "less_equal", "greater_equal")
        if operation in ("less", "less_equal"):
            return self._positive(operands[1], operands[0])
        if operation in ("greater", "greater_equal"):
            return self._positive(*operands)
        if operation in TRUTH_VALUED:
            self._positive(*operands)  # which would say that they are not the same
            return operation == "not_equal"
        raise UnknownError


def _limit(result: Expression, sign: float) -> Expression | None:
    """A number, or an expression of parameters; None where it is not known."""
    try:
        return as_expression(_Limit(sign).of(result).limit())
    except (UnknownError, OverflowError, TypeError, ValueError, ZeroDivisionError):  # TypeError: parameters compared
        return None


def _parameters(result: Expression) -> list[Expression]:
    return [n for n in topological(result) if n.operation == "variable" and n.operands[0] != "x"]


def _signed(result: Expression, signs: dict[Expression, float]) -> Expression:
    """With parameters of these signs in it, so that their signs can be seen."""
    sizes = {parameter: sign * apply("absolute", parameter) for parameter, sign in signs.items()}
    return substitute((result,), sizes)[0]


def _at(result: Expression, sign: float, signs: dict[Expression, float]) -> float:
    """What computing it there gives, for parameters of these signs."""
    values = {variable("x"): sign * np.inf} | signs
    names, numbers = [v.operands[0] for v in values], [np.array(number) for number in values.values()]
    with np.errstate(all="ignore"):
        return float(numpy_function("at_infinity", names, (result,))(*numbers))


#: Parameters whose signs limits are looked for, one combination after the other.
MOST_SIGNS = 3


def with_limits(result: Expression, computed: Expression) -> Expression:
    """``computed``, and limits of ``result`` at the infinities where that gives something else, and there are such;
    where they depend on the signs of parameters, for each."""
    parameters = _parameters(result)
    ones = dict.fromkeys(parameters, 1.0)
    for sign in (1.0, -1.0):
        there, limit = apply("equal", variable("x"), sign * np.inf), _limit(result, sign)
        if limit is not None and _differ(computed, limit, sign, ones):
            computed = where(there, limit, computed)
        if limit is None and 0 < len(parameters) <= MOST_SIGNS:
            for combination in product((1.0, -1.0), repeat=len(parameters)):
                signs = dict(zip(parameters, combination))
                limit = _limit(_signed(result, signs), sign)
                if limit is not None and _differ(computed, limit, sign, signs):
                    computed = where(reduce(and_, [p * s > 0.0 for p, s in signs.items()], there), limit, computed)
    return computed


def _differ(computed: Expression, limit: Expression, sign: float, signs: dict[Expression, float]) -> bool:
    return not np.array_equal(_at(computed, sign, signs), _at(limit, sign, signs), equal_nan=True)

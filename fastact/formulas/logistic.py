"""The logistic function and its bell, as catalogue and language compute them: rounded about once, or twice."""

from __future__ import annotations

from typing import Any

from fastact.formulas.expressions import as_expression
from fastact.formulas.primitives import exp, exp_error, exp_times, quick_sum_error, quotient, square, where
from fastact.formulas.signs import is_zero

__all__ = ["bell_ratio", "falling", "logistic", "logistic_bell"]


def falling(z: Any, low: Any = 0.0) -> Any:
    """``exp(-z + low)``; low is what the rounding of -z lacks."""
    return exp(-z) if is_zero(as_expression(low)) else exp_times(1, -z, low)


def logistic(z: Any, e: Any) -> Any:
    """``1 / (1 + exp(-z))`` for e = exp(-abs(z))."""
    return quotient(where(z < 0, e, 1), 0, 1 + e, quick_sum_error(1, e))


def logistic_bell(factor: Any, z: Any, low: Any = 0.0) -> Any:
    """``factor * e / (1 + e)**2`` for e = exp(-z + low) and z >= 0: rounded about twice."""
    return exp_times(bell_ratio(factor, z, low), -z, low)


def bell_ratio(factor: Any, z: Any, low: Any = 0.0) -> Any:
    """``factor / (1 + e)**2``, likewise."""
    e = falling(z, low)
    return quotient(factor, 0, *square(1 + e, quick_sum_error(1, e) + exp_error(-z, low)))

"""The logistic function and its bell, as catalogue and language compute them: rounded about once, or twice."""

from __future__ import annotations

from typing import Any

from fastact.formulas.precise import precise, rounded
from fastact.formulas.primitives import exp, exp_times, where

__all__ = ["bell_ratio", "falling", "logistic", "logistic_bell"]


def falling(z: Any) -> Any:
    """``exp(-z)``, for z in two parts rounded once."""
    return rounded(exp(-z))


def logistic(z: Any, e: Any) -> Any:
    """``1 / (1 + exp(-z))`` for e = exp(-abs(z))."""
    return rounded(where(z < 0, e, 1) / (precise(1) + e))


def logistic_bell(factor: Any, z: Any) -> Any:
    """``factor * e / (1 + e)**2`` for e = exp(-z) and z >= 0: rounded about twice."""
    return exp_times(bell_ratio(factor, z), -z)


def bell_ratio(factor: Any, z: Any) -> Any:
    """``factor / (1 + e)**2``, likewise."""
    return rounded(factor / (1 + exp(-precise(z))) ** 2)

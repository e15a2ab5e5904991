"""The losses: each one's value and its gradient with respect to pred, side by side."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastact.formulas.expressions import Values
from fastact.formulas.primitives import absolute, exp, log, log1p, log1p_exp, maximum, quick_sum_error, quotient, where
from fastact.losses.elementwise import loss

PROBABILITY = "Probabilities, from 0 to 1."


@loss(formula="(pred - target)**2", reference="Gauss, Theoria motus corporum coelestium, 1809")
def mse_loss(pred: Any, target: Any) -> Values:
    """Squared error."""
    d = pred - target
    return d * d, 2 * d


@loss(formula="abs(pred - target)", reference="Boscovich, 1757", kink="Where pred equals target it is 0.")
def l1_loss(pred: Any, target: Any) -> Values:
    """Absolute error."""
    d = pred - target
    return absolute(d), where(d > 0, 1, where(d < 0, -1, d))


@loss(
    formula="where(abs(pred - target) < delta, (pred - target)**2 / 2, delta * (abs(pred - target) - delta / 2))",
    reference="Huber, Robust estimation of a location parameter, 1964",
)
def huber_loss(pred: Any, target: Any, delta: Any = 1.0) -> Values:
    """Squared error near zero, absolute error beyond delta."""
    d = pred - target
    u = absolute(d)
    slope = where(d >= delta, delta, where(d <= -delta, -delta, d))
    return where(u < delta, 0.5 * d * d, delta * (u - 0.5 * delta)), slope


@loss(
    formula="-(target * maximum(log(pred), -100) + (1 - target) * maximum(log(1 - pred), -100))",
    reference="Good, Rational decisions, 1952",
    pred=PROBABILITY,
    target=PROBABILITY,
    kink="As (pred - target) / maximum(pred * (1 - pred), 1e-12): 1e12 where pred is 0 or 1, which float16 does not "
    "reach. Outside of 0 to 1 both are NaN.",
)
def binary_cross_entropy(pred: Any, target: Any) -> Values:
    """Cross entropy of probabilities, with logarithms no lower than -100."""
    value = (target - 1) * maximum(log1p(-pred), -100.0) - target * maximum(log(pred), -100.0)
    slope = (pred - target) / maximum(pred * (1 - pred), 1e-12)
    return value, where((pred >= 0) & (pred <= 1), slope, np.nan)


@loss(
    formula="log(1 + exp(-abs(pred))) + abs(pred) * where(pred > 0, 1 - target, target)",
    reference="Good, Rational decisions, 1952",
    pred="Logits.",
    target=PROBABILITY,
)
def binary_cross_entropy_with_logits(pred: Any, target: Any) -> Values:
    """Cross entropy of the probabilities that belong to logits, which are never formed: accurate in both tails."""
    wrong = where(pred > 0, 1 - target, target)
    e = exp(-absolute(pred))
    tail = quotient(e, 0, 1 + e, quick_sum_error(1, e))
    value = where(wrong == 0, 0, wrong * absolute(pred)) + log1p_exp(-absolute(pred))
    return value, where(pred > 0, wrong - tail, tail - wrong)

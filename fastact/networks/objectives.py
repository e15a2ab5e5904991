"""What networks minimise: each loss as a formula, with what its targets look like. Definitions are torch's; the last
two are scikit-learn's, which add up what a row's outputs lose.

Elementwise losses are traced and compiled like activations, as a loop of two inputs, prediction and
target, and two results: the loss and its derivative with respect to the prediction. The cross-entropy
couples a row's elements; trainers compute it themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from fastact.catalogue import ACTIVATIONS, Activation
from fastact.formulas.expressions import trace, variable
from fastact.formulas.primitives import absolute, exp, log, log1p, log1p_exp, maximum, minimum, where
from fastact.ufuncs.ufunc import Definition, make_ufunc

__all__ = ["LOSSES", "Objective", "function_ufunc", "loss_ufunc", "product_ufunc"]

HUBER_DELTA = 1.0

#: torch's bounds: a logarithm in the binary cross-entropy counts as at least this, a denominator as at least that.
LEAST_LOGARITHM, LEAST_DENOMINATOR = -100.0, 1e-12


def squared(x: Any, target: Any) -> tuple[Any, Any]:
    error = x - target
    return error * error, 2.0 * error


def half_squared(x: Any, target: Any) -> tuple[Any, Any]:
    error = x - target
    return 0.5 * error * error, error


def absolute_error(x: Any, target: Any) -> tuple[Any, Any]:
    error = x - target
    return absolute(error), where(error > 0.0, 1.0, where(error < 0.0, -1.0, error))


def huber(x: Any, target: Any) -> tuple[Any, Any]:
    error = x - target
    size = absolute(error)
    value = where(size < HUBER_DELTA, 0.5 * error * error, HUBER_DELTA * (size - 0.5 * HUBER_DELTA))
    return value, minimum(maximum(error, -HUBER_DELTA), HUBER_DELTA)


def bernoulli(x: Any, target: Any) -> tuple[Any, Any]:
    yes, no = maximum(log(x), LEAST_LOGARITHM), maximum(log1p(-x), LEAST_LOGARITHM)
    return -(target * yes + (1.0 - target) * no), (x - target) / maximum(x * (1.0 - x), LEAST_DENOMINATOR)


def bernoulli_with_logits(x: Any, target: Any) -> tuple[Any, Any]:
    size, wrong = absolute(x), where(x > 0.0, 1.0 - target, target)
    small = exp(-size)
    probability = where(x > 0.0, 1.0, small) / (1.0 + small)
    return where(wrong == 0.0, 0.0, wrong * size) + log1p_exp(-size), probability - target


@dataclass(frozen=True)
class Objective:
    """A loss. ``fused`` maps an output activation to the loss that takes its input instead, and is more exact."""

    name: str
    formula: Callable[[Any, Any], tuple[Any, Any]] | None
    classes: str = ""  # "binary": each output a probability; "logits": its logit; "labels": logits of one class each
    fused: tuple[tuple[str, str], ...] = ()
    summed: bool = False  # over a row's outputs; otherwise averaged

    def with_output(self, activation: Activation) -> tuple[Objective, Activation]:
        """The loss and output activation to train with; they compute the same."""
        other = dict(self.fused).get(activation.name)
        if other is None or activation is not ACTIVATIONS[activation.name]:
            return self, activation
        return LOSSES[other], ACTIVATIONS["identity"]


LOSSES = {
    objective.name: objective
    for objective in (
        Objective("mse", squared),
        Objective("l1", absolute_error),
        Objective("huber", huber),
        Objective(
            "binary_cross_entropy", bernoulli, "binary", fused=(("sigmoid", "binary_cross_entropy_with_logits"),)
        ),
        Objective("binary_cross_entropy_with_logits", bernoulli_with_logits, "logits"),
        Objective("cross_entropy", None, "labels"),
        Objective("squared_error", half_squared, summed=True),
        Objective("log_loss", bernoulli_with_logits, "logits", summed=True),
    )
}


@cache
def loss_ufunc(name: str, backend: str) -> np.ufunc:
    """An elementwise loss: (prediction, target) to (loss, derivative)."""
    formula = LOSSES[name].formula
    assert formula
    return make_ufunc(Definition(name, ["x", "target"], trace(formula, ["x", "target"]), f"The loss {name}."), backend)


@cache
def product_ufunc() -> np.ufunc:
    """A product of two arrays that threads share if they are large."""
    return make_ufunc(Definition("product", ["x", "y"], (variable("x") * variable("y"),), "``x * y``"), "numba")


@cache
def function_ufunc(function: Callable[[Any], Any]) -> np.ufunc:
    """``exp`` or ``log``, compiled: what the cross-entropy is made of."""
    name = function.__name__
    return make_ufunc(Definition(name, ["x"], trace(function, ["x"]), f"The function {name}."), "numba")

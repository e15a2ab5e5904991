"""Elementwise functions that are no activations, for they are not defined everywhere: logarithms of probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastact.formulas.expressions import Values
from fastact.formulas.precise import precise, quick_sum
from fastact.formulas.primitives import exp, exp_error, exp_times, expm1, expm1_error, log, log1p, where
from fastact.functions.activations import catalogued
from fastact.functions.registry import SPECIAL

#: Below, ``log(x / (1 - x))`` is log(x), and 1 / x may be infinite.
TINY = 2.0**-60

LOG2 = 0.6931471805599453


@catalogued(
    registry=SPECIAL, formula="log(x / (1 - x))", range="(-inf, inf)", reference="Berkson, 1944", domain=(0.0, 1.0)
)
def logit(x: Any) -> Values:
    """The inverse of sigmoid: the logit that belongs to a probability."""
    # 2 x - 1 is exact from 1/4 on, and 1 - x from 1/2 on
    below = log1p((1 - 2 * x) / x)
    value = where(x < TINY, log(x), where(x < 0.5, -below, log1p((2 * x - 1) / (1 - x))))
    return value, where((x >= 0) & (x <= 1), 1 / (abs(x) * (1 - x)), np.nan)


@catalogued(
    registry=SPECIAL,
    formula="log(1 - exp(-x))",
    range="(-inf, 0)",
    reference="Maechler, Accurately computing ``log(1 - exp(-|a|))``, 2012",
    domain=(0.0, np.inf),
)
def log1mexp(x: Any) -> Values:
    """The logarithm of the probability of what another one, whose negative logarithm is x, leaves."""
    e, m = exp(-x), expm1(-x)
    near = log(-m) + where(x > 0, expm1_error(-x) / m, 0)
    far = log1p(-e) - exp_error(-x) / (1 - e)
    tail = exp_times(1 / quick_sum(1, -exp(precise(-x))), -x)
    slope = where(x < 1, 1 / abs(expm1(x)), tail)
    return where(x < LOG2, near, far), where(x >= 0, slope, np.nan)


@catalogued(
    registry=SPECIAL,
    formula="where(x == 0, 0, x * log(y))",
    range="(-inf, inf)",
    reference="scipy.special.xlogy",
    learned="y",
)
def xlogy(x: Any, y: Any) -> Values:
    """x times the logarithm of y, but 0 where x is, whatever y: a term of an entropy."""
    nothing = (x == 0) & (y == y)
    return where(nothing, 0, x * log(y)), where(nothing & (y <= 0), 0, where(x == x, log(y), x))

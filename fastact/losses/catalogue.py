"""The losses: each one's value and its gradient with respect to pred, side by side. Nothing else names one.

A probability of 0, and a weight of 0, count for nothing, whatever they are multiplied by.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastact.catalogue import ACTIVATIONS
from fastact.formulas.expressions import Values, substitute, variable
from fastact.formulas.logistic import logistic
from fastact.formulas.precise import precise, rounded
from fastact.formulas.primitives import (
    absolute,
    exp,
    exp_times,
    fma,
    log,
    log1p,
    log1p_exp,
    maximum,
    where,
)
from fastact.formulas.rounding import as_exponent
from fastact.losses.definition import LOSSES, REDUCTIONS, Bounds, Domain
from fastact.losses.elementwise import loss

__all__ = ["LOSSES"]

PROBABILITY = Domain("Probabilities, from 0 to 1.", 0, 1)
LOGARITHM = Domain("Logarithms of probabilities.", -20, 0)
LOGITS = Domain("Logits.")
SIGN = Domain("1 or -1.", -1, 1)
COUNT = Domain("Not negative.", 0, 9)
WEIGHT = Domain("What terms are multiplied by; one with a weight of 0 counts for nothing.", 0, 9)

NOT_NEGATIVE = Bounds("at least 0", lambda number: number >= 0)


def unless_zero(factor: Any, product: Any) -> Any:
    """The product, but 0 where the factor is, whatever the other one."""
    return where(factor == 0, 0, product)


def weighted(weight: Any, *results: Any) -> Any:
    return tuple(unless_zero(weight, weight * r) for r in results) if weight is not None else results


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
    formula="where(abs(pred - target) < beta, (pred - target)**2 / beta / 2, abs(pred - target) - beta / 2)",
    reference="Girshick, Fast R-CNN, arXiv:1504.08083",
    kink="With beta=0 it is that of l1_loss.",
    about={"beta": NOT_NEGATIVE},
)
def smooth_l1_loss(pred: Any, target: Any, beta: Any = 1.0) -> Values:
    """Absolute error, less half of beta, but a parabola below beta."""
    d = pred - target
    u = absolute(d)
    slope = where(u < beta, d / beta, where(d > 0, 1, where(d < 0, -1, d)))
    return where(u < beta, 0.5 * d * (d / beta), u - 0.5 * beta), slope


@loss(formula="log(cosh(pred - target))", reference="Saleh and Saleh, arXiv:2208.04564")
def log_cosh_loss(pred: Any, target: Any) -> Values:
    """Half the squared error near zero, the absolute error less log(2) beyond."""
    value, slope = substitute(ACTIVATIONS["logcosh"].expressions, {variable("x"): pred - target})
    return value, slope


@loss(
    formula="-(target * maximum(log(pred), -100) + (1 - target) * maximum(log(1 - pred), -100))",
    reference="Good, Rational decisions, 1952",
    pred=PROBABILITY,
    target=PROBABILITY,
    kink="As (pred - target) / maximum(pred * (1 - pred), 1e-12): 1e12 where pred is 0 or 1, which float16 does not "
    "reach. Outside of 0 to 1 both are NaN.",
    about={"weight": WEIGHT},
)
def binary_cross_entropy(pred: Any, target: Any, weight: Any = None) -> Values:
    """Cross entropy of probabilities, with logarithms no lower than -100."""
    value = (target - 1) * maximum(log1p(-pred), -100.0) - target * maximum(log(pred), -100.0)
    slope = (pred - target) / maximum(pred * (1 - pred), 1e-12)
    return weighted(weight, value, where((pred >= 0) & (pred <= 1), slope, np.nan))


@loss(
    formula="log(1 + exp(-abs(pred))) + abs(pred) * where(pred > 0, 1 - target, target)",
    reference="Good, Rational decisions, 1952",
    pred=LOGITS,
    target=PROBABILITY,
    about={"weight": WEIGHT, "pos_weight": Domain("What targets of 1 weigh beside those of 0.", 0, 9)},
)
def binary_cross_entropy_with_logits(pred: Any, target: Any, weight: Any = None, pos_weight: Any = None) -> Values:
    """Cross entropy of the probabilities that belong to logits, which are never formed: accurate in both tails."""
    positive, both = target, 1
    if pos_weight is not None:
        positive = unless_zero(target, pos_weight * target)
        both = positive + (1 - target)
    wrong = where(pred > 0, 1 - target, positive)
    e = exp(-absolute(pred))
    tail = both * rounded(e / (precise(1) + e))
    value = where(wrong == 0, 0, wrong * absolute(pred)) + both * log1p_exp(-absolute(pred))
    return weighted(weight, value, where(pred > 0, wrong - tail, tail - wrong))


@loss(
    formula="where(alpha < 0, 1, alpha * target + (1 - alpha) * (1 - target))"
    " * (target / (1 + exp(pred)) + (1 - target) / (1 + exp(-pred)))**gamma"
    " * (target * log(1 + exp(-pred)) + (1 - target) * log(1 + exp(pred)))",
    reference="Lin et al., Focal loss for dense object detection, arXiv:1708.02002",
    pred=LOGITS,
    target=PROBABILITY,
    about={
        "alpha": Bounds("what targets of 1 weigh, those of 0 weighing 1 - alpha; negative for no weights, at most 1",
                        lambda number: number <= 1),
        "gamma": NOT_NEGATIVE,
    },
)  # fmt: skip
def sigmoid_focal_loss(pred: Any, target: Any, alpha: Any = 0.25, gamma: Any = 2.0) -> Values:
    """Cross entropy of logits that pays little attention to what is almost right."""
    wrong = where(pred > 0, 1 - target, target)
    size = absolute(pred)
    e = exp(-size)
    entropy = unless_zero(wrong, wrong * size) + log1p_exp(-size)
    # The probability of what is wrong is ``missed / (1 + e)``, of which the logarithm is raised to a power.
    missed = wrong + e * (1 - wrong)
    logarithm = where(wrong == 0, -size, log(missed))
    z = as_exponent(precise(gamma) * logarithm)
    power = where(gamma == 0, 1, exp_times(exp(-gamma * log1p_exp(-size)), z))
    factor = where(alpha < 0, 1, alpha * target + (1 - alpha) * (1 - target)) * power
    tail = e / (1 + e)
    share = where(wrong == 0, 1 / (1 + e), tail / missed)
    slope = (wrong - tail) + gamma * unless_zero(share, entropy * share) * (2 * wrong - 1)
    return factor * entropy, factor * where(pred > 0, slope, -slope)


@loss(
    formula="exp(pred) - target * pred",
    reference="Poisson, 1837; torch.nn.PoissonNLLLoss",
    pred=Domain("Logarithms of expected counts, or these themselves.", -3, 9),
    target=COUNT,
    about={
        "log_input": "Whether pred is a logarithm; otherwise the formula is pred - target * log(pred + eps).",
        "full": "Add Stirling's approximation of the logarithm of target's factorial where target is above 1.",
        "eps": NOT_NEGATIVE,
    },
)
def poisson_nll_loss(pred: Any, target: Any, log_input: bool = True, full: bool = False, eps: Any = 1e-8) -> Values:
    """Negative logarithm of a count's probability under Poisson's distribution."""
    if log_input:
        e = exp(pred)
        value, slope = e - unless_zero(target, target * pred), e - target
    else:
        shifted = pred + eps
        nothing = (target == 0) & (shifted == 0)
        value = pred - unless_zero(target, target * log(shifted))
        slope = 1 - where(nothing, 0, target / shifted)
    if full:
        factorial = target * log(target) - target + 0.5 * log(2 * math.pi * target)
        value = value + where(target > 1, factorial, 0)
    return value, slope


@loss(
    formula="(log(maximum(var, eps)) + (pred - target)**2 / maximum(var, eps)) / 2",
    reference="Nix and Weigend, Estimating the mean and variance of the target probability distribution, 1994",
    kink="Where eps stands in for var, the slope by var is that at eps. Where var is negative, all is NaN.",
    learned=("pred", "var"),
    about={
        "var": Domain("Variances.", 0.1, 9),
        "full": "Add log(2 * pi) / 2.",
        "eps": Bounds("positive: the least variance", lambda number: number > 0),
    },
)
def gaussian_nll_loss(pred: Any, target: Any, var: Any, full: bool = False, eps: Any = 1e-6) -> tuple[Any, ...]:
    """Negative logarithm of the density of a normal distribution with mean pred and variance var."""
    variance = where(var >= 0, maximum(var, eps), np.nan)
    d = pred - target
    scaled = d / variance
    value = 0.5 * (log(variance) + d * scaled)
    value = value + 0.5 * math.log(2 * math.pi) if full else value
    return value, scaled, 0.5 * (1 / variance - scaled * scaled)


@loss(
    formula="where(target == 0, 0, target * (log(target) - pred))",
    reference="Kullback and Leibler, On information and sufficiency, 1951",
    pred=LOGARITHM,
    target=PROBABILITY,
    reductions=(*REDUCTIONS, "batchmean"),
    about={"log_target": "Whether target is a logarithm too; otherwise a probability."},
)
def kl_div(pred: Any, target: Any, log_target: bool = False) -> Values:
    """Relative entropy of the distribution target with respect to the one whose logarithms pred are."""
    if log_target:
        e = exp(target)
        return where(target == -np.inf, 0, e * (target - pred)), -e
    return unless_zero(target, target * (log(target) - pred)), -target


@loss(
    formula="maximum(1 - target * pred, 0)",
    reference="Cortes and Vapnik, Support-vector networks, 1995",
    target=SIGN,
    kink="Where the term just becomes 0 it is 0.",
)
def hinge_loss(pred: Any, target: Any) -> Values:
    """What is missing from a margin of 1."""
    margin = fma(-target, pred, 1)
    return where(margin <= 0, 0, margin), where(margin > 0, -target, where(margin <= 0, 0, margin))


@loss(formula="maximum(1 - target * pred, 0)**2", reference="Lee and Mangasarian, SSVM, 2001", target=SIGN)
def squared_hinge_loss(pred: Any, target: Any) -> Values:
    """The square of what is missing from a margin of 1."""
    margin = fma(-target, pred, 1)
    missing = where(margin <= 0, 0, margin)
    return missing * missing, -2 * target * missing


@loss(
    formula="log(1 + exp(-target * pred))",
    reference="Cox, The regression analysis of binary sequences, 1958",
    target=SIGN,
)
def soft_margin_loss(pred: Any, target: Any) -> Values:
    """Logistic loss: a hinge without a kink."""
    z = -target * pred
    return where(z > 0, z, 0) + log1p_exp(-absolute(z)), -target * logistic(z, exp(-absolute(z)))

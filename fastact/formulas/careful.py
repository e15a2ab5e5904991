"""Words that stay in graphs until they have been differentiated: each with the derivative that neither overflows nor
cancels, and with what it is in basic words."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastact.formulas import logistic
from fastact.formulas.expressions import constant
from fastact.formulas.language import LN2, copysign, defined
from fastact.formulas.primitives import (
    NORMAL_PEAK,
    absolute,
    arctan,
    cos,
    exp,
    exp_times,
    exp_times_any,
    expm1,
    fitted,
    fma,
    gauss_times,
    log,
    log1p,
    log1p_exp,
    maximum,
    minimum,
    normal_tail,
    product_error,
    quick_sum_error,
    quotient,
    sin,
    sqrt,
    tanh,
    where,
)
from fastact.formulas.rounding import carried

__all__ = [
    "arcsinh", "erf", "erfc", "gauss", "half_hypot_sum", "half_root_sum", "hypot", "log1mexp", "log1p_square",
    "log_root", "logaddexp", "logistic_bell", "ndtr", "precise_exp", "root", "root_ratio", "sech2", "sech2_times_exp",
    "sigmoid", "sin_ratio", "softplus", "xlogy",
]  # fmt: skip

# -- exponentials that neither overflow nor cancel --------------------------------------------------


@defined(lambda a, y: (y,), internal=True)
def precise_exp(a: Any) -> Any:
    """exp(a)"""
    # which multiplies what the rounding of a lacks by the size of a
    return exp_times(1.0, carried(a))


@defined(lambda a, y: (logistic_bell(a),))
def sigmoid(a: Any) -> Any:
    """1 / (1 + exp(-a))"""
    return logistic.logistic(a, logistic.falling(carried(absolute(a))))


@defined(lambda a, y: (-y * tanh(0.5 * a),), internal=True)
def logistic_bell(a: Any) -> Any:
    """sigmoid(a) * sigmoid(-a)"""
    return _bell(1.0, absolute(a))


@defined(lambda a, y: (-2.0 * y * tanh(a),), internal=True)
def sech2(a: Any) -> Any:
    """1 / cosh(a)**2"""
    return _bell(4.0, 2.0 * absolute(a))


@defined(lambda a, b, y: (-2.0 * y * tanh(a), y), internal=True)
def sech2_times_exp(a: Any, b: Any) -> Any:
    """exp(b) / cosh(a)**2"""
    z = 2.0 * absolute(a)
    return exp_times_any(logistic.bell_ratio(4.0, carried(z)), carried(b - z))


def _bell(factor: Any, z: Any) -> Any:
    """factor * exp(-z) / (1 + exp(-z))**2 for z >= 0."""
    return logistic.logistic_bell(factor, carried(z))


@defined(lambda a, y: (sigmoid(a),))
def softplus(a: Any) -> Any:
    """log(1 + exp(a))"""
    return where(a > 0.0, a, 0.0) + log1p_exp(-carried(absolute(a)))


@defined(lambda a, y: (-1.0 / expm1(-a),), internal=True)
def log1mexp(a: Any) -> Any:
    """log(1 - exp(a))"""
    return where(a > -LN2, log(-expm1(a)), log1p(-exp(a)))


ONE = constant(1.0)

#: From here on, 1 + a**2 is a**2 in every precision; the square of this is finite in all.
FAR = 2.0**60


@defined(lambda a, y: (2.0 * (a / hypot(1.0, a)) / hypot(1.0, a),), internal=True)
def log1p_square(a: Any) -> Any:
    """log(1 + a**2)"""
    z = absolute(a)
    return where(z > FAR, 2.0, 1.0) * log1p(where(z > FAR, z, z * z))


@defined(lambda a, b, y: (sigmoid(a - b), sigmoid(b - a)))
def logaddexp(a: Any, b: Any) -> Any:
    """log(exp(a) + exp(b))"""
    return maximum(a, b) + log1p_exp(where(a == b, 0.0, -absolute(a - b)))


@defined(lambda a, y: (cosh(a),))
def sinh(a: Any) -> Any:
    """(exp(a) - exp(-a)) / 2"""
    z = absolute(a)
    m = expm1(minimum(z, 30.0))
    return copysign(where(z < 22.0, 0.5 * (m + m / (1.0 + m)), exp_times_any(0.5, z)), a)


@defined(lambda a, y: (sinh(a),))
def cosh(a: Any) -> Any:
    """(exp(a) + exp(-a)) / 2"""
    z = absolute(a)
    return exp_times_any(0.5, z) + exp_times(0.5, -z)


# -- roots, and what becomes of inverse functions by them ------------------------------------------


@defined(lambda a, b, y: (a / y, b / y))
def hypot(a: Any, b: Any) -> Any:
    """sqrt(a * a + b * b)"""
    large, small = maximum(absolute(a), absolute(b)), minimum(absolute(a), absolute(b))
    ratio = where((large == 0.0) | (large == np.inf), 0.0, small / large)
    return where((absolute(a) == np.inf) | (absolute(b) == np.inf), np.inf, large * sqrt(1.0 + ratio * ratio))


@defined(lambda a, b, c, y: (0.5 / y, 0.5 * (c * (c / y)), b * root_ratio(a, b, c)), internal=True)
def root(a: Any, b: Any, c: Any) -> Any:
    """sqrt(a + b * c**2)"""
    z = absolute(c)  # whose square may be infinite
    return where(z > 1.0, z * sqrt(b + a / z / z), sqrt(a + b * (c * c)))


@defined(lambda a, b, c, y: _root_ratio_slopes(a, root(a, b, c), c / root(a, b, c)), internal=True)
def root_ratio(a: Any, b: Any, c: Any) -> Any:
    """c / sqrt(a + b * c**2)"""
    return c / root(a, b, c)


@defined(lambda a, b, y: (0.25 / root(a, 1.0, b), root_sum_ratio(a, b)), internal=True)
def half_root_sum(a: Any, b: Any) -> Any:
    """(b + sqrt(a + b**2)) / 2"""
    # which times (sqrt(a + b**2) - b) / 2 is a / 4; halves, as sums may be infinite where this is not
    large = root(a, 1.0, b)
    return where(b < 0.0, 0.25 * a / (0.5 * large - 0.5 * b), 0.5 * b + 0.5 * large)


@defined(
    lambda a, b, y: tuple(f / root(a, 1.0, b) / root(a, 1.0, b) / root(a, 1.0, b) for f in (-0.25 * b, 0.5 * a)),
    internal=True,
)
def root_sum_ratio(a: Any, b: Any) -> Any:
    """(b + sqrt(a + b**2)) / 2 / sqrt(a + b**2)"""
    return half_root_sum(a, b) / root(a, 1.0, b)


@defined(lambda a, b, y: (0.5 * (a / hypot(a, b)), hypot_sum_ratio(a, b)), internal=True)
def half_hypot_sum(a: Any, b: Any) -> Any:
    """(b + hypot(a, b)) / 2"""
    large = hypot(a, b)
    return where(b < 0.0, a * (0.25 * a / (0.5 * large - 0.5 * b)), 0.5 * b + 0.5 * large)


@defined(
    lambda a, b, y: tuple(
        f * (a / hypot(a, b)) / hypot(a, b) for f in (-0.5 * (b / hypot(a, b)), 0.5 * (a / hypot(a, b)))
    ),
    internal=True,
)
def hypot_sum_ratio(a: Any, b: Any) -> Any:
    """(b + hypot(a, b)) / 2 / hypot(a, b)"""
    return half_hypot_sum(a, b) / hypot(a, b)


@defined(
    lambda a, b, c, y: (1.0 / root(a, b, c) / root(a, b, c), root_ratio(a, b, c) ** 2, 2.0 * b * over_square(a, b, c)),
    internal=True,
)
def log_root(a: Any, b: Any, c: Any) -> Any:
    """log(a + b * c**2)"""
    z = absolute(c)
    square = b * z * z  # which may be infinite
    near = log1p(square) if a is ONE else log(a + square)
    return where(square > FAR, 2.0 * log(z) + log(b + a / z / z), near)


@defined(
    lambda a, b, c, y: (
        -y / root(a, b, c) / root(a, b, c),
        -y * root_ratio(a, b, c) ** 2,
        1.0 / root(a, b, c) / root(a, b, c) - 2.0 * b * y * y,
    ),
    internal=True,
)
def over_square(a: Any, b: Any, c: Any) -> Any:
    """c / (a + b * c**2)"""
    return where(absolute(c) > 1.0, 1.0 / (b + a / c / c) / c, c / (a + b * c * c))


def _root_ratio_slopes(a: Any, root: Any, ratio: Any) -> tuple[Any, Any, Any]:
    return -0.5 * ratio / root / root, -0.5 * ratio * ratio * ratio, a / root / root / root


@defined(lambda a, y: (1.0 / hypot(1.0, a),))
def arcsinh(a: Any) -> Any:
    """log(a + sqrt(a * a + 1))"""
    z = absolute(a)
    near = minimum(z, 2.0**28)
    return copysign(where(z > 2.0**28, log(z) + LN2, log1p(near + near * near / (1.0 + sqrt(1.0 + near * near)))), a)


@defined(lambda a, y: (1.0 / (sqrt(a - 1.0) * sqrt(a + 1.0)),))
def arccosh(a: Any) -> Any:
    """log(a + sqrt(a * a - 1))"""
    t = minimum(a, 2.0**28) - 1.0
    return where(a > 2.0**28, log(a) + LN2, log1p(t + sqrt(t * (t + 2.0))))


@defined(lambda a, y: (1.0 / ((1.0 - a) * (1.0 + a)),))
def arctanh(a: Any) -> Any:
    """log((1 + a) / (1 - a)) / 2"""
    z = absolute(a)
    return copysign(0.5 * log1p(2.0 * z / (1.0 - z)), a)


@defined(lambda a, y: (1.0 / sqrt((1.0 - a) * (1.0 + a)),))
def arcsin(a: Any) -> Any:
    """the angle of a sine"""
    cosine, low = _complement(a)
    half = arctan(quotient(a, 0.0, 1.0 + cosine, quick_sum_error(1.0, cosine) + low))
    return where(absolute(a) < 2.0**-26, a, 2.0 * half)


@defined(lambda a, y: (-1.0 / sqrt((1.0 - a) * (1.0 + a)),))
def arccos(a: Any) -> Any:
    """the angle of a cosine"""
    sine, low = _complement(a)
    half = arctan(quotient(sine, low, 1.0 + a, quick_sum_error(1.0, a)))
    return where(a == -1.0, math.pi, 2.0 * half)


def _complement(a: Any) -> tuple[Any, Any]:
    """sqrt(1 - a**2), in two parts."""
    square = a * a
    rest, rest_low = 1.0 - square, quick_sum_error(1.0, -square) - product_error(a, a)
    root = sqrt(rest)
    return root, where(root > 0.0, (fma(-root, root, rest) + rest_low) * (0.5 / root), 0.0)


# -- the normal distribution ------------------------------------------------------------------------

#: 2 / sqrt(pi), sqrt(2), and from where on exp(-a * a) is zero.
ERF_SLOPE, SQRT2, GAUSS_ENDS = 1.1283791670955126, math.sqrt(2), 28.0


@defined(lambda a, y: (-2.0 * a * y,), internal=True)
def gauss(a: Any) -> Any:
    """exp(-a**2)"""
    z = minimum(absolute(a), GAUSS_ENDS)
    return exp_times(1.0, -z * z, -product_error(z, z))


@defined(lambda a, y: (ERF_SLOPE * gauss(a),))
def erf(a: Any) -> Any:
    """2 / sqrt(pi) times the integral of exp(-t * t) from 0 to a"""
    z = absolute(a)
    return where(z < 1.0, a * fitted("ERF", a * a), copysign(1.0 - _erfc_of(z), a))


@defined(lambda a, y: (-ERF_SLOPE * gauss(a),))
def erfc(a: Any) -> Any:
    """1 - erf(a)"""
    z = absolute(a)
    far = _erfc_of(z)
    return where(z < 0.5, 1.0 - a * fitted("ERF", a * a), where(a < 0.0, 2.0 - far, far))


def _erfc_of(z: Any) -> Any:
    """erfc for z >= 0."""
    z = minimum(z, GAUSS_ENDS)
    return exp_times(2.0 * normal_tail(SQRT2 * z), -z * z, -product_error(z, z))


@defined(lambda a, y: (-a * y,), internal=True)
def normal_density(a: Any) -> Any:
    """exp(-a**2 / 2) / sqrt(2 * pi)"""
    return gauss_times(NORMAL_PEAK, _bounded(a))


@defined(lambda a, y: (normal_density(a),))
def ndtr(a: Any) -> Any:
    """the probability that a normal variable is less than a"""
    z = minimum(absolute(a), 54.0)
    tail = gauss_times(normal_tail(z), z)
    return where(a < 0.0, tail, 1.0 - tail)


def _bounded(a: Any) -> Any:
    """a, as far as exp(-a * a / 2) is not zero."""
    return maximum(minimum(a, 54.0), -54.0)


@defined(lambda a, y: (where(a < 0.0, NORMAL_PEAK / normal_tail(absolute(a)), normal_density(a) / ndtr(a)),))
def log_ndtr(a: Any) -> Any:
    """log(ndtr(a))"""
    z = minimum(absolute(a), 1e200)
    tail = gauss_times(normal_tail(_bounded(z)), _bounded(z))
    return where(a < 0.0, log(normal_tail(z)) - 0.5 * a * a, log1p(-tail))


# -- sines and ratios -------------------------------------------------------------------------------


@defined(lambda a, y: (sin_ratio_slope(a),), internal=True)
def sin_ratio(a: Any) -> Any:
    """sin(a) / a"""
    return where(a == 0.0, 1.0, sin(a) / a)


#: Of the derivative of sin(a) / a, divided by a, in a * a; highest power first.
SIN_RATIO_SLOPE = [(-1) ** n * 2 * n / math.factorial(2 * n + 1) for n in range(10, 0, -1)]


@defined(lambda a, y: (-sin_ratio(a) - 2.0 * where(absolute(a) < 1e-3, -1.0 / 3.0, y / a),), internal=True)
def sin_ratio_slope(a: Any) -> Any:
    """(cos(a) - sin(a) / a) / a"""
    near: Any = 0.0
    for coefficient in SIN_RATIO_SLOPE:
        near = near * (a * a) + coefficient
    return where(absolute(a) < 1.0, a * near, (cos(a) - sin(a) / a) / a)


@defined(lambda a, y: (1.0 / (a * (1.0 - a)),))
def logit(a: Any) -> Any:
    """log(a / (1 - a))"""
    # 2 a - 1 is exact from 1/4 on, and 1 - a from 1/2 on
    return where(
        a < 0.25, log(a) - log1p(-a), where(a < 0.5, -log1p((1.0 - 2.0 * a) / a), log1p((2.0 * a - 1.0) / (1.0 - a)))
    )


@defined(lambda a, y: (where(absolute(a) < 1e-4, 0.5 + a / 3.0, (exp(a) - y) / a),))
def exprel(a: Any) -> Any:
    """(exp(a) - 1) / a, and 1 at 0"""
    return where(a == 0.0, 1.0, expm1(a) / a)


@defined(lambda a, b, y: (where((a == 0.0) & (b <= 0.0), 0.0, log(b)), a / b))
def xlogy(a: Any, b: Any) -> Any:
    """a * log(b), and 0 where a is"""
    return where((a == 0.0) & (b == b), 0.0, a * log(b))


@defined(lambda a, b, y: (where((a == 0.0) & (b <= -1.0), 0.0, log1p(b)), a / (1.0 + b)))
def xlog1py(a: Any, b: Any) -> Any:
    """a * log(1 + b), and 0 where a is"""
    return where((a == 0.0) & (b == b), 0.0, a * log1p(b))

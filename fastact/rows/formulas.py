"""The mathematics of the softmax family, as expression graphs that :mod:`fastact.rows.exponential` strings together.

Nothing is subtracted from x before it is exponentiated. With ``exp(x) = 2**k * p`` for a whole number k
(:mod:`fastact.kernels.exponentials`) the exponentials of a row are brought to a common scale by taking the k of its
maximum away from every k, which is exact; ``exp(x - max(x))`` would multiply the rounding error of
the difference by the difference, 60 ulp at a spread of 100. Only rows with huge entries are shifted by their maximum:
there the difference is exact wherever its exponential is not zero (Sterbenz's lemma).

The logarithm of the sum is log1p of the sum without the maximum: P. Blanchard, D. J. Higham and N. J. Higham,
IMA J. Numer. Anal. 41, 2021. So the log_softmax of a dominating entry keeps its relative accuracy.
"""

from __future__ import annotations

from fastact.formulas.expressions import Expression, constant, variable
from fastact.formulas.primitives import absolute, log1p, where
from fastact.kernels.emit import kernel_source
from fastact.kernels.exponentials import exp_of_remainder, reduce_exp, whole_power
from fastact.kernels.instructions import clip
from fastact.kernels.precision import Precision

__all__ = ["HUGE", "sources"]

#: Where the reduction by multiples of log(2) is about to lose bits in float32; a power of two.
HUGE = 8192.0


def parts(precision: Precision) -> tuple[Expression, ...]:
    """p, to an ulp, and k with exp(x - shift) = 2**floor(k) * p; zero far below -HUGE. ldexp does without the floor."""
    difference = clip(variable("x") - variable("shift"), -2 * HUGE, None)
    plain = precision._replace(careful=precision.name == "float64")
    reduced = reduce_exp(plain, difference, constant(0.0))
    return exp_of_remainder(reduced, plain)[0], whole_power(plain, reduced)


def shift(precision: Precision) -> tuple[Expression, ...]:
    """What is subtracted from a row with the maximum x."""
    x = variable("x")
    return (where(absolute(x) <= HUGE, 0.0, x),)


def log_total(precision: Precision) -> tuple[Expression, ...]:
    """log of the sum of exp(x_j - maximum), from how often the maximum occurs and the other terms' sum; NaN where
    the maximum is infinite."""
    others, count, maximum = map(variable, ["others", "count", "maximum"])
    return (log1p((count - 1.0) + others) + (maximum - maximum),)


def sources(precision: Precision) -> dict[str, str]:
    """The kernels' source by name."""
    return {
        "parts": kernel_source("parts", ["x", "shift"], parts(precision), precision),
        "shift": kernel_source("shift", ["x"], shift(precision), precision),
        "log_total": kernel_source("log_total", ["others", "count", "maximum"], log_total(precision), precision),
    }

"""Activations made of exponentials and roots."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastact.formulas.expressions import Values
from fastact.formulas.logistic import falling, logistic, logistic_bell
from fastact.formulas.precise import parts, precise, quick_sum, rounded
from fastact.formulas.primitives import (
    exp,
    exp_times,
    exp_times_any,
    expm1,
    expm1_times,
    fitted,
    fma,
    gauss_times,
    gelu_slope,
    log1p_exp,
    log1p_near,
    logistic_times,
    logistic_times_any,
    maximum,
    minimum,
    normal_tail,
    sqrt,
    tanh,
    tanh_and_slope,
    tanh_times,
    where,
)
from fastact.formulas.rounding import EXTREME, as_exponent
from fastact.functions.activations import catalogued


@catalogued(formula="1 / (1 + exp(-x))", range="(0, 1)", reference="Verhulst, 1838", aliases=("expit",))
def sigmoid(x: Any) -> Values:
    """Logistic function: the probability that belongs to a logit."""
    return logistic_times(1, x), logistic_bell(1, abs(x))


@catalogued(formula="exp(x)", range="(0, inf)", reference="keras.activations.exponential")
def exponential(x: Any) -> Values:
    """The exponential function, which is its own derivative: a rate of events."""
    return exp(x), exp(x)


@catalogued(formula="tanh(x)", range="(-1, 1)", reference="LeCun et al., Efficient backprop, 1998")
def tanh_(x: Any) -> Values:
    """Hyperbolic tangent."""
    return tanh(x), logistic_bell(4, 2 * abs(x))


@catalogued(
    formula="-log(1 + exp(-x))", range="(-inf, 0)", reference="Verhulst, 1838", aliases=("log_sigmoid", "log_expit")
)
def logsigmoid(x: Any) -> Values:
    """Logarithm of the logistic function."""
    e = exp(-abs(x))
    return where(x < 0, x, 0) - log1p_exp(-abs(x)), where(x < 0, 1, e) / (precise(1) + e)


@catalogued(
    formula="x / (1 + abs(x))",
    range="(-1, 1)",
    reference="Turian et al., Quadratic features, 2009",
    aliases=("soft_sign",),
)
def softsign(x: Any) -> Values:
    """A sigmoid that approaches its limits like 1 / x."""
    far = abs(x) > 1e18  # where 1 + abs(x) is abs(x) in any precision, and abs(x) may be infinite
    u = rounded(where(far, 1 / abs(x), 1 / (precise(1) + abs(x))))
    return where(far, where(x < 0, -1, 1), x * u), u * u


@catalogued(formula="x - tanh(x)", range="(-inf, inf)", reference="torch.nn.Tanhshrink", aliases=("tanh_shrink",))
def tanhshrink(x: Any) -> Values:
    """What tanh takes away."""
    u, square = abs(x), x * x
    e, m = exp(-2 * u), expm1(precise(-2 * u))
    beyond = (u - 1) + rounded(2 * e / (precise(1) + e))
    third = precise("0.33333333333333333333333333333333333")
    near = precise(x) * quick_sum(third, -square * fitted("TANHSHRINK", square)) * precise(x) ** 2
    value = where(u < 1, near, where(x < 0, -beyond, beyond))
    return where(x == 0, x, value), m**2 / (2 + m) ** 2  # the sign of zero is lost in the sum


def scaled(x: Any, factor: Any) -> tuple[Any, Any]:
    """``factor * x``, and its size as an exponent."""
    return factor * x, as_exponent(precise(abs(factor)) * abs(x))


@catalogued(
    formula="where(beta * x > threshold, x, logaddexp(0, beta * x) / beta)",
    range="(0, inf)",
    reference="Dugas et al., NIPS 2000",
)
def softplus(x: Any, beta: Any = 1.0, threshold: Any = np.inf) -> Values:
    """Smooth rectifier; the identity above the threshold, where there is one."""
    z, size = scaled(x, beta)
    slope = logistic(z, falling(size))
    value = where(z > 0, x, 0) + log1p_exp(-size, divisor=beta)
    above, unknown = z > threshold, threshold != threshold
    value, slope = (where(above, linear, curved) for linear, curved in ((x, value), (1, slope)))
    return where(unknown, threshold, value), where(unknown, threshold, slope)


@catalogued(formula="(x + sqrt(x**2 + b)) / 2", range="(0, inf)", reference="Barron, arXiv:2112.11687")
def squareplus(x: Any, b: Any = 4.0) -> Values:
    """A smooth rectifier without exp; b is the size of its bend."""
    u, bend = abs(x), abs(b)
    # b is brought between 1e-30 and 1e18 (in float64 from further), and x with it: no square is infinite, or vanishes
    scale = where(bend > 2.0**40, 2.0**-70, where(bend < 2.0**-40, 2.0**50, 1))
    scale = where(bend > 2.0**200, 2.0**-482, scale)
    far = ((u * scale > 1e18) & (bend < np.inf)) | (b == 0)  # b does not count
    near = minimum(u * scale, 1e18)  # whose square is finite
    root = sqrt(precise(near) ** 2 + b * scale * scale)
    root = where((b > 0) | (root > 0), root, parts(root).high)  # of that of 0 it is not known what it lacks
    larger = near / 2 + root / 2
    below = rounded(b * scale / 4 / larger)  # the product of (root + x) / 2 and (root - x) / 2 is b / 4
    slope = where(x < 0, below * scale, larger) / root
    value = where(far, where(x < 0, b / 4 / u, u), where(x < 0, below, parts(larger).high / scale))
    slope = where(far, where(x < 0, b / 4 / u / u, 1), slope)
    return where(b == np.inf, x + b, value), where(b == np.inf, (x - x) + 1 / 2, slope)


@catalogued(formula="log(cosh(x))", range="[0, inf)", reference="Saleh and Saleh, arXiv:2208.04564", ulp=4.0)
def logcosh(x: Any) -> Values:
    """A parabola that turns into abs(x) - log(2): its derivative is tanh."""
    u, square, log2 = abs(x), x * x, parts(precise("0.69314718055994530941723212145817657"))
    near = u < 0.7
    f = where(near, square * fitted("COSHM1", square), exp(-2 * u))  # of both sides one logarithm
    log = log1p_near(f)
    return where(near, log, (u - log2.high) + (log - log2.low)), tanh(x)


@catalogued(formula="x * tanh(x)", range="[0, inf)", reference="Roy et al., arXiv:1901.05894")
def lisht(x: Any) -> Values:
    """Linearly scaled hyperbolic tangent."""
    u = abs(x)
    slope = tanh_and_slope(u)
    return where(u > 25, u, tanh_times(u, u)), where(x < 0, -slope, slope)


@catalogued(
    formula="where(x > 0, x, alpha * (exp(x) - 1))",
    range="(-alpha, inf)",
    reference="Clevert et al., 2015, arXiv:1511.07289",
)
def elu(x: Any, alpha: Any = 1.0) -> Values:
    """Exponential linear unit."""
    z = where(x > 0, 0, x)
    falling = where(abs(alpha) < np.inf, exp_times_any(alpha, z), alpha)
    return where(x > 0, x, expm1_times(alpha, z)), where(x > 0, 1, falling)


@catalogued(
    formula="where(x > 0, x, alpha * (exp(x / alpha) - 1))", range="(-alpha, inf)", reference="Barron, arXiv:1704.07483"
)
def celu(x: Any, alpha: Any = 1.0) -> Values:
    """An elu whose derivative is continuous for every alpha."""
    negative = where(x > 0, 0, x)
    z = as_exponent(precise(negative) / alpha)
    # a small quotient may be subnormal though x is not
    below = where((abs(z) < 1e-20) & (alpha != 1), x, expm1_times(alpha, z))
    return where(x > 0, x, below), where(x > 0, 1, exp_times(1, z))


@catalogued(
    formula="1.0507009873554804934193349852946 * where(x > 0, x, 1.6732632423543772848170429916717 * (exp(x) - 1))",
    range="(-1.758, inf)",
    reference="Klambauer et al., arXiv:1706.02515",
)
def selu(x: Any) -> Values:
    """An elu scaled so that layers keep zero mean and unit variance."""
    scale, product = precise("1.0507009873554804934193349852946"), precise("1.7580993408473768599402175208123")
    z, (high, low, _) = where(x > 0, 0, x), parts(product)
    rising = where(x < np.inf, scale * x, x)  # half an ulp too much would be infinite too soon
    value = where(x > 0, rising, where(x == 0, x, expm1_times(high, z)))  # the sign of zero is lost in a sum
    return value, where(x > 0, scale, exp_times(high, z, low / high))


def gate(x: Any, z: Any, slope: Any, far: float = EXTREME) -> Values:
    """``x * s`` and ``s + slope * s * (1 - s)`` for s = sigmoid(z).

    Where x is negative from ``far`` on, nothing is left of it. ``slope`` is x * z', bounded. On the negative side
    both results are a multiple of exp(z), which may vanish long before its multiple does. The derivative there is n,
    on the other side 1 - n; its root is where 1 - slope + e vanishes, so all of that is kept in two parts.
    """
    distance, below, steepness = abs(z), z < 0, parts(slope)
    e = exp(-precise(distance))
    rest = precise(1 - steepness.high, -steepness.low)  # near the root the difference is exact
    n = exp_times(quick_sum(rest, e) / (1 + e) ** 2, -distance)
    return logistic_times(maximum(x, -far), z), where(below, n, 1 - n)


@catalogued(formula="x / (1 + exp(-x))", range="[-0.2785, inf)", reference="Elfwing et al., 2017, arXiv:1702.03118")
def silu(x: Any) -> Values:
    """Sigmoid-weighted linear unit."""
    # as far as there is anything left for the largest factor of a swiglu
    return gate(x, x, minimum(abs(x), EXTREME))


@catalogued(
    formula="x / (1 + exp(-beta * x))", range="(-inf, inf)", reference="Ramachandran et al., 2017, arXiv:1710.05941"
)
def swish(x: Any, beta: Any = 1.0) -> Values:
    """Silu with a slope inside."""
    z = as_exponent(precise(beta) * x)
    size, low, _ = parts(abs(z))
    _, slope = gate(x, z, precise(minimum(size, EXTREME), low))
    return logistic_times_any(where(z <= -EXTREME, 0, x), z), slope  # x may be large where z is small


@catalogued(
    formula="x / (1 + exp(-1.702 * x))",
    range="[-0.164, inf)",
    reference="Hendrycks and Gimpel, arXiv:1606.08415",
    ulp=4.0,
)
def quick_gelu(x: Any) -> Values:
    """The approximation of gelu by a single sigmoid."""
    z = precise("1.702") * maximum(minimum(x, 800), -800)
    return gate(x, z, abs(z), far=800)


@catalogued(formula="x * tanh(log(1 + exp(x)))", range="[-0.309, inf)", reference="Misra, arXiv:1908.08681", ulp=4.0)
def mish(x: Any) -> Values:
    """x * tanh(softplus(x)): for e = exp(x), ``x * n / (n + 2)`` with n = e * (e + 2)."""
    # From -0.245 on the quotient is 1 less another, which is small: roundings of that count less.
    z, below = maximum(minimum(x, 23), -1000), x < -0.245
    e = exp(z)
    whole = fma(e, e + 2, 2)
    share = where(below, e + 2, -2) / whole
    value = where(below, exp_times(z * share, z), x * (1 + share))
    # So is the derivative. On the other side its numerator, e**3 + 4 e**2 + (4 z + 6) e + 4 z + 4, is zero near
    # z = -1.19: there it counts what the first sum lacks, and what e does; that by how all of the quotient changes
    # with e, which a line in z says nearly enough.
    lacks = parts(exp(precise(z))).low
    linear, sloping = fma(z, 4, 4), fma(z, 4, 6)
    start = fma(sloping, e, linear)
    rest = fma(lacks, fma(z, -9.17, -7), fma(sloping, e, linear - start))
    falling = fma(4 * e, e, start + fma(e * e, e, rest))
    squared = fma(whole, whole, whole * (2 * fma(e, e + 2, 2 - whole)))
    quotient = where(below, falling, -2) / where(below, squared, whole)
    rising = fma(quotient, fma(quotient, fma(e * (e + 1), z, 3 * lacks), 1), 1)
    return value, where(below, exp_times(quotient, z), rising)


@catalogued(
    formula="x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))) / 2",
    range="[-0.17, inf)",
    reference="Hendrycks and Gimpel, 2016, arXiv:1606.08415",
    aliases=("gelu_new", "gelu_fast", "gelu_accurate", "gelu_pytorch_tanh"),
    ulp=4.0,
)
def gelu_tanh(x: Any) -> Values:
    """The approximation of gelu that BERT and GPT-2 use; as a gate, x * sigmoid(a * x + b * x**3)."""
    # The cube multiplies rounding errors, and exp does so again: all of them are kept.
    u = maximum(minimum(x, 23), -23)
    a = precise("1.59576912160573071175978423973752747")  # sqrt(8 / pi)
    b = precise("0.07135481627260024877633875227986354")  # 0.044715 times that
    cubic = b * precise(u) ** 2
    ratio = a + cubic
    slope = quick_sum(ratio, 2 * parts(cubic).high)  # a + 3 * b * u**2
    return gate(x, u * ratio, abs(u) * slope, far=23)


@catalogued(
    formula="x * (1 + erf(x / sqrt(2))) / 2",
    range="[-0.17, inf)",
    reference="Hendrycks and Gimpel, 2016, arXiv:1606.08415",
    aliases=("gelu_python",),
    choice={"tanh": "gelu_tanh", True: "gelu_tanh"},
    ulp=4.0,
)
def gelu(x: Any) -> Values:
    """Gaussian error linear unit; ``approximate="tanh"`` computes gelu_tanh instead."""
    z = minimum(abs(x), 54)  # where even the largest float64 times exp(-z * z / 2) vanishes
    slope = gauss_times(gelu_slope(z), z)
    tail = gauss_times(normal_tail(z, z), z)  # what is missing of a rectifier
    return where(x < 0, -tail, x - tail), where(x < 0, slope, 1 - slope)

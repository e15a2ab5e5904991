"""The catalogue: every activation, its value and its derivative side by side. Nothing else names one.

Each entry is a formula in the sense of :mod:`fastact.formula`: plain mathematics on ``x`` that returns
``value, derivative``, both careful where a textbook's version would overflow, cancel or vanish. The
derivative at a kink is the one that torch's autograd returns. NaN gives NaN, so a comparison
that decides between pieces is written to let NaN through to a piece that contains x.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastact.activations import ACTIVATIONS, Activation
from fastact.primitives import (
    exp,
    exp_times,
    expm1,
    gauss_times,
    gelu_slope,
    log1p_exp,
    minimum,
    normal_tail,
    product_error,
    sum_error,
    tanh,
    two_parts,
    where,
)  # fmt: skip

Values = tuple[Any, Any]


def catalogued(**details: Any) -> Callable[[Callable[..., Values]], Activation]:
    return lambda function: ACTIVATIONS.add(function, **details)


# -- piecewise --------------------------------------------------------------------------------------


@catalogued(formula="x", range="(-inf, inf)", aliases=("linear",))
def identity(x: Any) -> Values:
    """The input itself: the output layer of a regression."""
    return x, where(x == x, 1, x)


@catalogued(formula="where(x > 0, 1, 0)", range="{0, 1}", reference="McCulloch and Pitts, A logical calculus, 1943")
def step(x: Any) -> Values:
    """Heaviside's step, 0 at 0: the threshold of the perceptron. Its derivative is 0 everywhere."""
    return where(x > 0, 1, where(x <= 0, 0, x)), where(x == x, 0, x)


@catalogued(formula="maximum(x, 0)", range="[0, inf)", reference="Nair and Hinton, Rectified linear units, ICML 2010")
def relu(x: Any) -> Values:
    """Rectified linear unit."""
    return where(x <= 0, 0, x), where(x > 0, 1, where(x <= 0, 0, x))


@catalogued(
    formula="minimum(maximum(x, 0), 6)",
    range="[0, 6]",
    reference="Krizhevsky, Convolutional deep belief networks, 2010",
)
def relu6(x: Any) -> Values:
    """Rectified linear unit that saturates at 6."""
    inside = (x > 0) & (x < 6)
    return where(x <= 0, 0, where(x >= 6, 6, x)), where(inside, 1, where(x == x, 0, x))


@catalogued(formula="where(x > 0, x, negative_slope * x)", range="(-inf, inf)", reference="Maas et al., ICML 2013")
def leaky_relu(x: Any, negative_slope: Any = 0.01) -> Values:
    """Rectified linear unit that lets a little of the negative side through."""
    return where(x > 0, x, negative_slope * x), where(x > 0, 1, where(x <= 0, negative_slope, x))


@catalogued(
    formula="where(x > 0, x, weight * x)",
    range="(-inf, inf)",
    reference="He et al., Delving deep into rectifiers, 2015, arXiv:1502.01852",
    learned="weight",
)
def prelu(x: Any, weight: Any) -> Values:
    """Leaky rectified linear unit with a learned slope; weight broadcasts against x, as in ``(N, C)`` with ``(C,)``."""
    return where(x > 0, x, weight * x), where(x > 0, 1, where(x <= 0, weight, x))


# -- smooth -----------------------------------------------------------------------------------------


@catalogued(formula="1 / (1 + exp(-x))", range="(0, 1)", reference="Verhulst, 1838", aliases=("expit",))
def sigmoid(x: Any) -> Values:
    """Logistic function: the probability that belongs to a logit."""
    e = exp(-abs(x))
    return where(x < 0, e, 1) / (1 + e), e / (1 + e) ** 2


@catalogued(formula="tanh(x)", range="(-1, 1)", reference="LeCun et al., Efficient backprop, 1998")
def tanh_(x: Any) -> Values:
    """Hyperbolic tangent."""
    e = exp(-2 * abs(x))
    return tanh(x), exp_times(4 / (1 + e) ** 2, -2 * abs(x))


@catalogued(formula="logaddexp(0, beta * x) / beta", range="(0, inf)", reference="Dugas et al., NIPS 2000")
def softplus(x: Any, beta: Any = 1.0) -> Values:
    """Smooth rectifier."""
    z = beta * x
    e = exp(-abs(z))
    return (where(z > 0, z, 0) + log1p_exp(-abs(z))) / beta, where(z < 0, e, 1) / (1 + e)


@catalogued(
    formula="where(x > 0, x, alpha * (exp(x) - 1))",
    range="(-alpha, inf)",
    reference="Clevert et al., 2015, arXiv:1511.07289",
)
def elu(x: Any, alpha: Any = 1.0) -> Values:
    """Exponential linear unit."""
    return where(x > 0, x, alpha * expm1(minimum(x, 0))), where(x > 0, 1, alpha * exp(minimum(x, 0)))


def gate(x: Any, z: Any, distance: Any, low: Any, slope: Any) -> Values:
    """``x * s`` and ``s + slope * s * (1 - s)`` for s = sigmoid(z).

    ``distance + low`` is abs(z), bounded; ``slope`` is x * z', bounded too. On the negative side both results are a
    multiple of exp(z), which may vanish long before its multiple does. The derivative there is n, on the other side
    1 - n; near its root, 1 - slope is exact.
    """
    e = exp(-distance)
    near = where(distance < 800, x, 0)  # beyond, the product is zero, and not inf * 0
    value = where(z < 0, exp_times(near / (1 + e), -distance, -low), x / (1 + e))
    n = exp_times(((1 - slope) + e) / (1 + e) ** 2, -distance, -low)
    return value, where(z < 0, n, 1 - n)


@catalogued(formula="x / (1 + exp(-x))", range="[-0.2785, inf)", reference="Elfwing et al., 2017, arXiv:1702.03118")
def silu(x: Any) -> Values:
    """Sigmoid-weighted linear unit."""
    z = minimum(abs(x), 1000)
    return gate(x, x, z, 0.0, z)


@catalogued(
    formula="x / (1 + exp(-beta * x))", range="(-inf, inf)", reference="Ramachandran et al., 2017, arXiv:1710.05941"
)
def swish(x: Any, beta: Any = 1.0) -> Values:
    """Silu with a slope inside."""
    z = minimum(abs(beta * x), 1000)
    return gate(x, beta * x, z, 0.0, z)


@catalogued(
    formula="x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))) / 2",
    range="[-0.17, inf)",
    reference="Hendrycks and Gimpel, 2016, arXiv:1606.08415",
)
def gelu_tanh(x: Any) -> Values:
    """The approximation of gelu that BERT and GPT-2 use; as a gate, x * sigmoid(a * x + b * x**3)."""
    # The cube multiplies rounding errors, and exp does so again: all of them are kept.
    a, a_low = two_parts("1.59576912160573071175978423973752747")  # sqrt(8 / pi)
    b, b_low = two_parts("0.07135481627260024877633875227986354")  # 0.044715 times that
    u = minimum(abs(x), 23)
    square = u * u
    q = a + b * square
    q_low = sum_error(a, b * square) + (product_error(b, square) + b * product_error(u, u) + (b_low * square + a_low))
    return gate(x, x, u * q, product_error(u, q) + u * q_low, u * (a + 3 * b * square))


@catalogued(
    formula="x * (1 + erf(x / sqrt(2))) / 2",
    range="[-0.17, inf)",
    reference="Hendrycks and Gimpel, 2016, arXiv:1606.08415",
    choice={"tanh": "gelu_tanh"},
)
def gelu(x: Any) -> Values:
    """Gaussian error linear unit; ``approximate="tanh"`` computes gelu_tanh instead."""
    z = minimum(abs(x), 40)
    slope = gauss_times(gelu_slope(z), z)
    return where(x > 0, x, 0) - gauss_times(z * normal_tail(z), z), where(x < 0, slope, 1 - slope)

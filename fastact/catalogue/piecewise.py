"""Activations made of straight lines and parabolas."""

from __future__ import annotations

from typing import Any

from fastact.formulas.expressions import Values
from fastact.formulas.precise import precise
from fastact.formulas.primitives import where
from fastact.functions.activations import catalogued


def unless_nan(parameter: Any, value: Any) -> Any:
    """The value, or NaN where the parameter is: it would not get through a comparison."""
    return where(parameter == parameter, value, parameter)


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
    formula="maximum(x, 0)**2",
    range="[0, inf)",
    reference="So et al., Primer, arXiv:2109.08668",
    aliases=("squared_relu", "relu2"),
)
def relu_squared(x: Any) -> Values:
    """The square of relu."""
    return where(x <= 0, 0, x * x), where(x <= 0, 0, 2 * x)


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
    initial={"weight": 0.25},  # torch.nn.PReLU's
)
def prelu(x: Any, weight: Any) -> Values:
    """Leaky rectified linear unit with a learned slope; weight broadcasts against x, as in ``(N, C)`` with ``(C,)``."""
    return where(x > 0, x, weight * x), where(x > 0, 1, where(x <= 0, weight, x))


@catalogued(
    formula="where(x > 0, x, (lower + upper) / 2 * x)",
    range="(-inf, inf)",
    reference="Xu et al., arXiv:1505.00853",
    trained_as="leaky_relu",
)
def rrelu(x: Any, lower: Any = 1 / 8, upper: Any = 1 / 3) -> Values:
    """Randomised leaky rectified linear unit: in training, each element's slope is drawn between the two bounds."""
    # the sum of two large numbers may be infinite, the half of a subnormal one is rounded
    slope = where(abs(lower) < 1, (lower + upper) / 2, lower / 2 + upper / 2)
    return where(x > 0, x, slope * x), where(x > 0, 1, where(x <= 0, slope, x))


@catalogued(formula="where(x > alpha, x, 0)", range="{0} or (alpha, inf)", reference="Konda et al., arXiv:1402.3337")
def thresholded_relu(x: Any, alpha: Any = 1.0) -> Values:
    """Rectified linear unit that opens at alpha."""
    closed = where(x <= alpha, 0, unless_nan(alpha, x))
    return where(x > alpha, x, closed), where(x > alpha, 1, closed)


@catalogued(formula="where(x > threshold, x, value)", range="{value} or (threshold, inf)", reference="torch.nn")
def threshold(x: Any, threshold: Any, value: Any) -> Values:
    """The input above the threshold, a given value below."""
    above, below, undecided = x > threshold, x <= threshold, unless_nan(threshold, x)
    return where(above, x, where(below, value, undecided)), where(above, 1, where(below, 0, undecided))


@catalogued(
    formula="minimum(maximum(x, min_val), max_val)",
    range="[min_val, max_val]",
    reference="Collobert, Large scale machine learning, 2004",
    aliases=("hard_tanh",),
)
def hardtanh(x: Any, min_val: Any = -1.0, max_val: Any = 1.0) -> Values:
    """The identity between two bounds, constant beyond: a hyperbolic tangent of straight lines."""
    raised = where(x <= min_val, min_val, unless_nan(min_val, x))
    value = where(raised >= max_val, max_val, unless_nan(max_val, raised))
    flat = where(x == x, unless_nan(min_val, unless_nan(max_val, 0)), x)
    return value, where((x > min_val) & (x < max_val), 1, flat)


@catalogued(
    formula="minimum(maximum(x + 3, 0), 6) / 6",
    range="[0, 1]",
    reference="Courbariaux et al., arXiv:1511.00363",
    aliases=("hard_sigmoid",),
)
def hardsigmoid(x: Any) -> Values:
    """A logistic function of straight lines."""
    inside = (x + 3) / 6
    slope = where((x > -3) & (x < 3), 1 / 6, where(x == x, 0, x))
    return where(x <= -3, 0, where(x >= 3, 1, inside)), slope


@catalogued(
    formula="x * minimum(maximum(x + 3, 0), 6) / 6",
    range="[-0.375, inf)",
    reference="Howard et al., arXiv:1905.02244",
    aliases=("hard_silu", "hard_swish"),
)
def hardswish(x: Any) -> Values:
    """A silu of straight lines and one parabola."""
    near = where(abs(x) >= 3, 0, x)
    inside = near * ((near + 3) * precise("0.1666666666666666666666666666666666667"))
    slope = (2 * x + 3) / 6
    return where(x >= 3, x, inside), where(x <= -3, 0, where(x >= 3, 1, slope))


@catalogued(
    formula="where(abs(x) > lambd, x, 0)",
    range="(-inf, inf)",
    reference="torch.nn.Hardshrink",
    aliases=("hard_shrink",),
)
def hardshrink(x: Any, lambd: Any = 0.5) -> Values:
    """Zero near zero, the input beyond."""
    inside, beyond = abs(x) <= lambd, unless_nan(lambd, x)
    return where(inside, 0, beyond), where(inside, 0, where(beyond == beyond, 1, beyond))


@catalogued(
    formula="where(x > lambd, x - lambd, where(x < -lambd, x + lambd, 0))",
    range="(-inf, inf)",
    reference="Donoho, De-noising by soft-thresholding, 1995",
    aliases=("soft_shrink",),
)
def softshrink(x: Any, lambd: Any = 0.5) -> Values:
    """Zero near zero, and the rest moved towards it to meet that without a jump."""
    raised = x + lambd  # a negative one is raised as much as a positive one is lowered, but not above zero
    slope = where((x > lambd) | (raised < 0), 1, where(raised >= 0, 0, raised))
    return where(x > lambd, x - lambd, where(raised >= 0, 0, raised)), slope


@catalogued(
    formula="where(x <= -1, 0, where(x >= 1, x, (x + 1)**2 / 4))",
    range="[0, inf)",
    reference="Sparse approximation of softplus, jax.nn.sparse_plus",
)
def sparse_plus(x: Any) -> Values:
    """A softplus that is exactly 0 below -1 and exactly x above 1."""
    value = where(x <= -1, 0, where(x >= 1, x, (precise(x) + 1) ** 2 / 4))
    return value, where(x <= -1, 0, where(x >= 1, 1, (x + 1) / 2))


@catalogued(
    formula="minimum(maximum((x + 1) / 2, 0), 1)",
    range="[0, 1]",
    reference="Martins and Astudillo, arXiv:1602.02068, in one dimension",
)
def sparse_sigmoid(x: Any) -> Values:
    """The derivative of sparse_plus: sparsemax for two classes."""
    slope = where((x > -1) & (x < 1), 1 / 2, where(x == x, 0, x))
    return where(x <= -1, 0, where(x >= 1, 1, (x + 1) / 2)), slope

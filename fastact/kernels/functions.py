"""What each function of a formula is in a compiled kernel: branch-free arithmetic on vectors of floats.

Numba alone would call the C library, one element at a time. These follow the plan shared by every
vector mathematics library (W. J. Cody and W. Waite, Software Manual for the Elementary Functions,
1980; P. T. P. Tang, ACM TOMS 15, 1989): reduce the argument, evaluate a polynomial, scale by powers
of two. The polynomials are in :mod:`fastact.formulas.coefficients`. Each rule here takes a precision and the
operands' expressions, and returns an expression in the language of :mod:`fastact.simd.vectors`.
"""

from __future__ import annotations

from collections.abc import Callable

from fastact.formulas import coefficients
from fastact.formulas.expressions import Expression, constant
from fastact.formulas.operations import FITTED
from fastact.formulas.primitives import (
    constant_error_in,
    fma,
    quick_sum_error_of,
    sqrt,
    sum_error_of,
    where,
)
from fastact.kernels.exponentials import (
    exp_error_kernel,
    exp_times_any_kernel,
    exp_times_kernel,
    expm1_and_error,
    expm1_times_kernel,
)
from fastact.kernels.hyperbolic import tanh_and_slope_kernel, tanh_kernel, tanh_times_kernel
from fastact.kernels.instructions import horner
from fastact.kernels.logarithms import log1p_exp_kernel, log1p_kernel, log1p_near_kernel, log_kernel
from fastact.kernels.logistic import logistic_times_any_kernel, logistic_times_kernel
from fastact.kernels.normal import gauss_times_kernel, gelu_slope_kernel, normal_tail_kernel
from fastact.kernels.powers import cbrt_kernel, exp2_kernel, log2_kernel, log10_kernel, power_kernel
from fastact.kernels.precision import Precision
from fastact.kernels.quotients import quotient_error_kernel, quotient_kernel
from fastact.kernels.trigonometric import arctan_kernel, cos_kernel, sin_kernel, tan_kernel

__all__ = ["KERNELS"]


def sqrt_error_kernel(precision: Precision, x: Expression, low: Expression) -> Expression:
    if not precision.careful:
        return constant(0.0)
    root = sqrt(x)
    return (fma(-root, root, x) + low) * (0.5 / root)


def _larger(precision: Precision, a: Expression, b: Expression) -> Expression:
    """NaN in either operand gives NaN. A constant is not NaN, and saves the question."""
    if b.operation == "constant":
        return where(a < b, b, a)
    return where((a > b) | (a != a), a, b)


def _smaller(precision: Precision, a: Expression, b: Expression) -> Expression:
    if b.operation == "constant":
        return where(a > b, b, a)
    return where((a < b) | (a != a), a, b)


KERNELS: dict[str, Callable[..., Expression]] = {
    f"fitted_{table}": lambda precision, w, table=table: horner(w, getattr(coefficients, table)[precision.table])
    for table in FITTED
}
KERNELS |= {
    "arctan": arctan_kernel,
    "cbrt": cbrt_kernel,
    "cos": cos_kernel,
    "constant_error": lambda precision, digits: (
        constant_error_in(precision.type, digits) if precision.careful else constant(0.0)
    ),
    "exp": lambda precision, x: exp_times_kernel(precision, constant(1.0), x, constant(0.0)),
    "exp2": exp2_kernel,
    "exp_error": exp_error_kernel,
    "exp_times": exp_times_kernel,
    "exp_times_any": exp_times_any_kernel,
    "expm1": lambda precision, x: expm1_and_error(precision, x)[0],
    "expm1_times": expm1_times_kernel,
    "expm1_error": lambda precision, x: expm1_and_error(precision, x)[1] if precision.careful else constant(0.0),
    "float_power": power_kernel,
    "gauss_times": gauss_times_kernel,
    "gelu_slope": gelu_slope_kernel,
    "log": log_kernel,
    "logistic_times": logistic_times_kernel,
    "logistic_times_any": logistic_times_any_kernel,
    "log10": log10_kernel,
    "log1p": log1p_kernel,
    "log1p_exp": log1p_exp_kernel,
    "log1p_near": log1p_near_kernel,
    "log2": log2_kernel,
    "maximum": _larger,
    "minimum": _smaller,
    "normal_tail": normal_tail_kernel,
    "product_error": lambda precision, a, b: fma(a, b, -(a * b)) if precision.careful else constant(0.0),
    "quotient": quotient_kernel,
    "quotient_error": quotient_error_kernel,
    "quick_sum_error": lambda precision, a, b: quick_sum_error_of(a, b) if precision.careful else constant(0.0),
    "sign": lambda precision, x: where(x > 0.0, 1.0, where(x < 0.0, -1.0, x)),
    "sin": sin_kernel,
    "sqrt_error": sqrt_error_kernel,
    "sum_error": lambda precision, a, b: sum_error_of(a, b) if precision.careful else constant(0.0),
    "tan": tan_kernel,
    "tanh": tanh_kernel,
    "tanh_and_slope": tanh_and_slope_kernel,
    "tanh_times": tanh_times_kernel,
}

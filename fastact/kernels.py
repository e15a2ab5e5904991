"""What each function of a formula is in a compiled kernel: branch-free arithmetic on vectors of floats.

Numba alone would call the C library, one element at a time. These follow the plan shared by every
vector mathematics library (W. J. Cody and W. Waite, Software Manual for the Elementary Functions,
1980; P. T. P. Tang, ACM TOMS 15, 1989): reduce the argument, evaluate a polynomial, scale by powers
of two. The polynomials are in :mod:`fastact.coefficients`. Each rule here takes a precision and the
operands' expressions, and returns an expression in the language of :mod:`fastact.vectors`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastact import coefficients
from fastact.formula import Expression, apply, constant
from fastact.primitives import (
    ARITY,
    FITTED,
    absolute,
    constant_error_in,
    fma,
    product_error,
    quick_sum_error,
    quick_sum_error_of,
    sum_error,
    sum_error_of,
    where,
)

__all__ = ["FLOAT16", "FLOAT32", "FLOAT64", "KERNELS", "WIDE", "Precision"]


class Precision(NamedTuple):
    """What a kernel must know of the floating-point format it computes in."""

    name: str
    type: type[np.floating[Any]]
    size: int  # bits in all
    digits: int  # bits of the significand that are stored
    bias: int  # of the exponent
    log_max: float  # exp of a little less than this is finite, of this infinite
    log_min: float  # exp of this is zero
    log2_high: float  # log(2), its last bits cleared so that k * log2_high is exact
    log2_low: float  # log(2) - log2_high
    table: str  # of coefficients
    careful: bool = True  # whether rounding errors count

    @property
    def round_shift(self) -> float:
        """Added to a float of moderate size, this leaves the nearest integer in the low bits of the sum."""
        return 1.5 * 2.0**self.digits


LOG2_E = 1.4426950408889634

FLOAT32 = Precision(
    "float32", np.float32, 32, 23, 127, 89.0, -104.0, 0.693145751953125, 1.42860682030941723212e-6, "float32"
)
FLOAT64 = Precision(
    "float64", np.float64, 64, 52, 1023, 709.9, -746.0, 0.6931471803691238165, 1.90821492927058770002e-10, "float64"
)

#: float16 is computed in float32, whose rounding errors it never sees: what kernels do about them is left out,
#: and shorter polynomials do.
FLOAT16 = FLOAT32._replace(table="float16", careful=False)

#: Sums of float32 terms are computed in float64, where the roundings of float32 do not add up; its polynomials will do.
WIDE = FLOAT64._replace(table="float32", careful=False)


def _operation(name: str) -> Callable[..., Expression]:
    ARITY[name] = 2
    return lambda *operands: apply(name, *operands)


copysign, ldexp, integer_sub, shift_left, shift_right = map(
    _operation, ["copysign", "ldexp", "integer_sub", "shift_left", "shift_right"]
)
ARITY |= {"bits": 1, "float_from_bits": 1, "to_float": 1, "rint": 1}


def bits(x: Expression) -> Expression:
    return apply("bits", x)


def float_from_bits(i: Expression) -> Expression:
    return apply("float_from_bits", i)


def integer(value: int, precision: Precision) -> Expression:
    return Expression("integer", (value, precision.size))


def horner(x: Expression, coefficients: Sequence[float]) -> Expression:
    """A polynomial with the fewest roundings near the end of the sum."""
    result: Any = coefficients[0]
    for c in coefficients[1:]:
        result = fma(result, x, c)
    return result


def polynomial(x: Expression, coefficients: Sequence[float]) -> Expression:
    """Estrin's scheme: pairs, then pairs of pairs. As many multiplications as Horner's and a few squares, but
    a chain a third as long, and a core can keep only so many waiting instructions in sight."""
    terms: list[Any] = list(reversed(coefficients))
    while len(terms) > 1:
        pairs = zip(terms[::2], terms[1::2])
        terms = [fma(high, x, low) for low, high in pairs] + terms[len(terms) - len(terms) % 2 :]
        x = x * x
    return terms[0]


def clip(x: Expression, low: float | None, high: float | None) -> Expression:
    """Bound an argument; NaN stays. An argument that is visibly not positive needs no upper bound."""
    if low is not None:
        x = where(x < low, low, x)
    if high is not None and not is_nonpositive(x):
        x = where(x > high, high, x)
    return x


def is_nonpositive(x: Expression) -> bool:
    if x.operation == "where":
        return all(is_nonpositive(branch) for branch in x.operands[1:])
    if x.operation == "constant":
        return bool(x.operands[0] <= 0)
    if x.operation == "multiply":
        a, b = x.operands
        return (is_nonpositive(a) and b.operation == "absolute") or (is_nonpositive(b) and a.operation == "absolute")
    return x.operation == "negative" and x.operands[0].operation == "absolute"


class Reduced(NamedTuple):
    """x = k log(2) + r + low: a whole number k, abs(r) <= log(2) / 2, and what r's rounding lost."""

    k: Expression
    r: Expression
    low: Expression


def reduce_exp(x: Expression, low: Expression | None, precision: Precision) -> Reduced:
    k = fma(x, LOG2_E, precision.round_shift) - precision.round_shift
    return _reduce_from(k, fma(k, -precision.log2_high, x), low, precision)  # that product is exact


def _reduce_from(k: Expression, exact: Expression, low: Expression | None, precision: Precision) -> Reduced:
    total = exact if low is None else exact + low
    r = fma(k, -precision.log2_low, total)
    if not precision.careful:
        return Reduced(k, r, constant(0.0))
    lost = fma(k, -precision.log2_low, total - r)
    return Reduced(k, r, lost if low is None else lost + quick_sum_error_of(exact, low))


def _bits_of(value: float, precision: Precision) -> int:
    return int(np.asarray(value, precision.type).view(f"int{precision.size}"))


def exp_parts(precision: Precision, x: Expression, low: Expression) -> tuple[Expression, Expression, Expression]:
    """p, its rounding error and k with exp(x + low) = 2**k * p: p to 0.6 ulp, with its error to a hundredth.

    The same for everything that is made of one exponential, so that it is computed once.
    """
    clipped = clip(x, 2 * precision.log_min, precision.log_max)
    reduced = reduce_exp(clipped, None if low is constant(0.0) else low, precision)
    p, error = exp_of_remainder(reduced, precision)
    return p, error, reduced.k


def exp_times_kernel(precision: Precision, factor: Expression, x: Expression, low: Expression) -> Expression:
    p, error, k = exp_parts(precision, x, low)
    if factor is constant(1.0) or not precision.careful:
        return ldexp(factor * p, k)
    return ldexp(fma(factor, p, factor * error), k)


def exp_error_kernel(precision: Precision, x: Expression, low: Expression) -> Expression:
    _, error, k = exp_parts(precision, x, low)
    return ldexp(error, k) if precision.careful else constant(0.0)


def gauss_times_kernel(precision: Precision, factor: Expression, z: Expression) -> Expression:
    """exp amplifies the rounding of z * z / 2 by its own size, so the square is never rounded: reduced inside
    one fused multiply-add, from a multiple of log(2) that is exact."""
    half = -0.5 * z
    k = fma(half * z, LOG2_E, precision.round_shift) - precision.round_shift
    reduced = _reduce_from(k, fma(half, z, k * -precision.log2_high), None, precision)
    p, error = exp_of_remainder(reduced, precision)
    return ldexp(fma(factor, p, factor * error) if precision.careful else factor * p, k)


def exp_of_remainder(reduced: Reduced, precision: Precision) -> tuple[Expression, Expression]:
    """exp(r + low) and its rounding error. 1 + r is the only sum with a rounding worth keeping (T. J. Dekker, 1971)."""
    r = reduced.r
    if not precision.careful:
        return fma(polynomial(r, coefficients.EXP[precision.table]), r * r, r) + 1.0, constant(0.0)
    small = fma(polynomial(r, coefficients.EXP[precision.table]), r * r, reduced.low)
    one_and_r = 1.0 + r
    rest = (r - (one_and_r - 1.0)) + small
    p = one_and_r + rest
    return p, rest - (p - one_and_r)


def expm1_and_error(precision: Precision, x: Expression) -> tuple[Expression, Expression]:
    """2**k * (1 + p) - 1 without cancellation: 2**k * p + (2**k - 1), halved so that 2**k stays finite."""
    saturated = -2 * (precision.digits + 3) / LOG2_E  # -1 from here on down, with no error to speak of
    k, r, low = reduce_exp(clip(x, saturated, precision.log_max), None, precision)
    small = fma(polynomial(r, coefficients.EXP[precision.table]), r * r, low)
    p, p_low = r + small, quick_sum_error(r, small)
    half = ldexp(constant(1.0), k - 1.0)
    y = fma(half, p, half - 0.5)
    y_low = sum_error(half - 0.5, half * p) + quick_sum_error(-0.5, half) + half * p_low
    tiny = absolute(x) < 2.0 ** -(precision.digits + 2)  # keeps -0.0 and the subnormals
    return where(tiny, x, 2.0 * y), where(tiny, 0.0, 2.0 * y_low)


def quotient_kernel(
    precision: Precision, a: Expression, a_low: Expression, b: Expression, b_low: Expression
) -> Expression:
    """One step of Newton's from a / b, with a residual that is exact in a and b."""
    if not precision.careful:
        return a / b
    reciprocal = 1.0 / b
    q = a * reciprocal
    residual = fma(-q, b, a) + fma(-q, b_low, a_low)
    return fma(residual, reciprocal, q)


def _split_exponent(x: Expression, precision: Precision) -> Expression:
    """The integer-typed exponent k for which x / 2**k lies between 3/4 and 3/2."""
    fraction = integer(_bits_of(0.75, precision), precision)
    return shift_right(integer_sub(bits(x), fraction), integer(precision.digits, precision))


def _log_of_sum(f: Expression, k: Expression, precision: Precision) -> Expression:
    """log(2**k * (1 + f)) for -1/4 <= f <= 1/2: near f where that is small and k is 0."""
    if precision.table in coefficients.LOG1P:
        log = fma(polynomial(f, coefficients.LOG1P["float32"]), f * f, f)
    else:
        s = f / (2.0 + f)
        w = s * s
        # f - s * f is 2 s, but f is exact: only the small correction is rounded.
        log = f - s * (f - 2.0 * w * polynomial(w, coefficients.ATANH["float64"]))
    if precision is WIDE:
        return fma(k, precision.log2_high + precision.log2_low, log)
    return fma(k, precision.log2_high, fma(k, precision.log2_low, log))


def log1p_kernel(precision: Precision, x: Expression) -> Expression:
    """Split 1 + x into 2**k * (1 + f) with f from -1/4 to 1/2, f exact however small x is.

    The exponent comes from the bits of 1 + x, f from a fused multiply-add of x itself (W. Kahan's way of
    not losing x, made branch-free).
    """
    k = apply("to_float", _split_exponent(x + 1.0, precision))
    scale = ldexp(constant(1.0), -k)
    result = _log_of_sum(fma(scale, x, scale - 1.0), k, precision)
    result = where(x > -1.0, result, where(x == -1.0, -np.inf, np.nan))
    return where((absolute(x) < 2.0**-precision.digits) | (x == np.inf) | (x != x), x, result)


def log1p_exp_kernel(precision: Precision, x: Expression) -> Expression:
    """log1p of e = exp(x) <= 1: k is 0 or 1, and nothing can go wrong."""
    e = exp_times_kernel(precision, constant(1.0), x, constant(0.0))
    large = e > 0.5
    return _log_of_sum(where(large, fma(e, 0.5, -0.5), e), where(large, 1.0, 0.0), precision)


def log_kernel(precision: Precision, x: Expression) -> Expression:
    """log(x) from the exponent and the significand; subnormal x is scaled up first, unless it cannot occur."""
    tiny = x < 2.0 ** (2 - precision.bias)
    scaled = x if precision is WIDE else where(tiny, x * 2.0 ** (precision.digits + 2), x)
    exponent = _split_exponent(scaled, precision)
    m = float_from_bits(integer_sub(bits(scaled), shift_left(exponent, integer(precision.digits, precision))))
    k = apply("to_float", exponent)
    k = k if precision is WIDE else k - where(tiny, float(precision.digits + 2), 0.0)
    result = _log_of_sum(m - 1.0, k, precision)
    result = where(x > 0.0, result, where(x == 0.0, -np.inf, np.nan))
    return where((x == np.inf) | (x != x), x, result)


def tanh_kernel(precision: Precision, x: Expression) -> Expression:
    """-expm1(-2a) / (2 + expm1(-2a)) with a = abs(x): exact as a goes to 0, 1 as it grows."""
    u, low = expm1_and_error(precision, -2.0 * absolute(x))
    return copysign(quotient_kernel(precision, u, low, 2.0 + u, quick_sum_error(2.0, u) + low), x)


def tail_polynomial(precision: Precision, z: Expression, table: Mapping[str, Sequence[float]]) -> Expression:
    """A polynomial in (z - c) / (z + a), which is 1 - (a + c) / (z + a): that has one rounding where it is near 1
    and the polynomial is steep."""
    a, c = coefficients.TAIL_VARIABLE[precision.table]
    v = fma(-(a + c), 1.0 / (z + a), 1.0)
    return horner(v, table[precision.table])


def normal_tail_kernel(precision: Precision, z: Expression, factor: Any = 1.0) -> Expression:
    a, _ = coefficients.TAIL_VARIABLE[precision.table]
    p = tail_polynomial(precision, z, coefficients.NORMAL_TAIL)
    return quotient_kernel(precision, factor * p, product_error(factor, p), z + a, sum_error(a, z))


def gelu_slope_kernel(precision: Precision, z: Expression) -> Expression:
    p = tail_polynomial(precision, z, coefficients.GELU_SLOPE)
    high, low = coefficients.GELU_ROOT[precision.table]
    return fma(high - z, p, (sum_error(high, -z) + low) * p)


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
    "constant_error": lambda precision, digits: constant_error_in(precision.type, digits),
    "exp": lambda precision, x: exp_times_kernel(precision, constant(1.0), x, constant(0.0)),
    "exp_error": exp_error_kernel,
    "exp_times": exp_times_kernel,
    "expm1": lambda precision, x: expm1_and_error(precision, x)[0],
    "expm1_error": lambda precision, x: expm1_and_error(precision, x)[1],
    "gauss_times": gauss_times_kernel,
    "gelu_slope": gelu_slope_kernel,
    "log": log_kernel,
    "log1p": log1p_kernel,
    "log1p_exp": log1p_exp_kernel,
    "maximum": _larger,
    "minimum": _smaller,
    "normal_tail": normal_tail_kernel,
    "product_error": lambda precision, a, b: fma(a, b, -(a * b)) if precision.careful else constant(0.0),
    "quotient": quotient_kernel,
    "quick_sum_error": lambda precision, a, b: quick_sum_error_of(a, b) if precision.careful else constant(0.0),
    "sign": lambda precision, x: where(x > 0.0, 1.0, where(x < 0.0, -1.0, x)),
    "sum_error": lambda precision, a, b: sum_error_of(a, b) if precision.careful else constant(0.0),
    "tanh": tanh_kernel,
}

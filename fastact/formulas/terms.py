"""Leading terms ``c * exp(E) * u**p * log(u)**l`` for u = abs(x): how they are added and multiplied, and what functions
make of them. :mod:`.limits` follows formulas with them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from fastact.formulas.expressions import NUMBERS, Expression, as_expression
from fastact.formulas.fallback import numpy_function
from fastact.formulas.nodes import topological
from fastact.formulas.primitives import NORMAL_PEAK

__all__ = ["EXACT", "RULES", "VANISHED", "ZERO", "Term", "UnknownError", "minus", "plus", "sign_of"]


class UnknownError(Exception):
    """There is no limit, or it is not found."""


class Term(NamedTuple):
    """The leading term of what a part goes to. Beside an exponential, the factor has the right sign, but no size."""

    factor: Any  # a number, an expression of parameters, or None for what oscillates, or is only known to be no larger
    exponent: Any = None  # E, which goes to plus or minus infinity
    power: float = 0.0
    logs: float = 0.0

    def growth(self) -> float:
        """Positive where it goes to infinity in size, negative where to zero, 0 where to the factor."""
        if self.is_zero():
            return -1.0
        exponent = 0.0 if self.exponent is None else sign_of(self.exponent.factor)
        return next((n for n in (exponent, self.power, self.logs) if n), 0.0)

    def limit(self) -> Any:
        growth = self.growth()
        if growth < 0:
            return 0.0
        if self.factor is None:
            raise UnknownError
        return self.factor if growth == 0 else math.copysign(math.inf, sign_of(self.factor))

    def is_zero(self) -> bool:
        return isinstance(self.factor, NUMBERS) and self.factor == 0


def _known(factor: Any) -> float:
    if not isinstance(factor, NUMBERS):
        raise UnknownError
    return float(factor)


def sign_of(factor: Any) -> float:
    """Of a number, or of what is made of sizes of parameters, which are not zero."""
    if isinstance(factor, NUMBERS):
        return float(np.sign(factor))
    if not isinstance(factor, Expression):
        raise UnknownError
    if factor.operation == "constant":
        return float(np.sign(factor.operands[0]))
    if factor.operation == "absolute":
        return 1.0 if factor.operands[0].operation == "variable" else abs(sign_of(factor.operands[0]))
    if factor.operation == "negative":
        return -sign_of(factor.operands[0])
    if factor.operation in ("multiply", "divide"):
        return math.prod(map(sign_of, factor.operands))
    raise UnknownError


ZERO = Term(0.0)

#: What is smaller than any power, but by how much is not known: an exponential of what a formula bounds.
VANISHED = Term(None, Term(-1.0, power=math.inf))


def _of_unknown_rate(a: Term) -> bool:
    return a.exponent is not None and math.isinf(a.exponent.power)


def _times(a: Term, b: Term) -> Term:
    if a.is_zero() or b.is_zero():
        return ZERO
    factor = None if a.factor is None or b.factor is None else a.factor * b.factor
    exponents = [t.exponent for t in (a, b) if t.exponent is not None]
    if len(exponents) == 2 and (_of_unknown_rate(a) or _of_unknown_rate(b)) and not _same_sign(*exponents):
        raise UnknownError
    exponent = reduce(plus, exponents) if exponents else None
    if exponent is not None and exponent.growth() <= 0:
        raise UnknownError  # they cancel, and what is left is not known
    return Term(factor, exponent, a.power + b.power, a.logs + b.logs)


def _raised(a: Term, power: float) -> Term:
    if a.is_zero() or a.factor is None:
        if power < 0:
            raise UnknownError
        return a
    if isinstance(a.factor, NUMBERS) and a.factor < 0 and power != -1:
        raise UnknownError
    exponent = None if a.exponent is None else a.exponent._replace(factor=a.exponent.factor * power)
    return Term(a.factor**power, exponent, a.power * power, a.logs * power)


def plus(a: Term, b: Term) -> Term:
    """The larger one; of two that are as large, the sum."""
    if a.is_zero() or b.is_zero():
        return b if a.is_zero() else a
    if not (_equal(a.exponent, b.exponent) and a[2:] == b[2:]):
        larger, other = (a, b) if _is_larger(a, b) else (b, a)
        close = larger.exponent is not None and _equal(larger.exponent, other.exponent)  # to first order
        return larger._replace(factor=None) if close and not _same_sign(a, b) else larger
    if a.factor is None or b.factor is None:
        return a._replace(factor=None)
    if a.exponent is not None:
        return a if _same_sign(a, b) else a._replace(factor=None)
    total = a.factor + b.factor
    cancelled = _equal(a.factor, -b.factor)
    return a._replace(factor=None if cancelled else total)  # what is left is smaller by we do not know how much


def _equal(a: Any, b: Any) -> bool:
    """Of two exponents or factors, but for roundings; those of parameters are tried with some numbers."""
    if a is None or b is None:
        return a is b
    if isinstance(a, Term):
        return a[2:] == b[2:] and _equal(a.exponent, b.exponent) and _equal(a.factor, b.factor)
    a, b = as_expression(a), as_expression(b)
    names = sorted({n.operands[0] for e in (a, b) for n in topological(e) if n.operation == "variable"})
    numbers = [np.array(math.sqrt(i + 2)) for i in range(len(names))]
    one, other = (float(numpy_function("factor", names, (e,))(*numbers)) for e in (a, b))
    return abs(one - other) <= 1e-14 * abs(one)


def _same_sign(a: Term, b: Term) -> bool:
    return a.factor is not None and b.factor is not None and sign_of(a.factor) * sign_of(b.factor) > 0


def _is_larger(a: Term, b: Term) -> bool:
    if _equal(a.exponent, b.exponent):
        return (a.power, a.logs) > (b.power, b.logs)
    if None not in (a.exponent, b.exponent) and (_of_unknown_rate(a) or _of_unknown_rate(b)):
        raise UnknownError
    exponents = [ZERO if t.exponent is None else t.exponent for t in (a, b)]
    difference = plus(exponents[0], minus(exponents[1]))
    if difference.growth() <= 0:
        raise UnknownError
    return sign_of(difference.factor) > 0


def minus(a: Term) -> Term:
    return a if a.factor is None else a._replace(factor=-a.factor)


# -- functions: what becomes of zero, of infinity, and of all else -----------------------------------


#: Where exp is next to nothing: so far formulas of the catalogue go, and no farther.
NOTHING = -100.0


def _exp(a: Term) -> Term:
    growth = a.growth()
    if growth > 0:
        sign_of(a.factor)  # or it might go either way
        return Term(1.0, a)
    return Term(1.0) if growth < 0 else Term(math.exp(_known(a.factor))) if _known(a.factor) > NOTHING else VANISHED


def _log(a: Term) -> Term:
    if a.growth() == 0:
        limit = _known(a.factor)
        if limit <= 0 or limit == 1:
            raise UnknownError
        return Term(math.log(limit))
    if a.exponent is not None:
        if _of_unknown_rate(a):
            raise UnknownError
        return a.exponent
    if not a.power or sign_of(a.factor) <= 0:
        raise UnknownError
    return Term(a.power, logs=1.0)


def _small_or(value: Callable[[Term], Term], slope: float = 1.0) -> Callable[[Term], Term]:
    """Of a function that is ``slope * a`` where a goes to zero."""
    return lambda a: _times(Term(slope), a) if a.growth() < 0 else value(a)


def _to(low: float, high: float, between: Callable[[float], float]) -> Callable[[Term], Term]:
    """Of a function that goes to a number on either side."""

    def value(a: Term) -> Term:
        growth = a.growth()
        if growth > 0:
            return Term(high if sign_of(a.factor) > 0 else low)
        return Term(between(0.0 if growth < 0 else _known(a.factor)))

    return value


def _falling(a: Term) -> Term:
    """exp(-abs(a))."""
    return _exp(minus(_absolute(a)))


def _sigmoid(a: Term) -> Term:
    if a.growth() > 0:
        return _exp(a) if sign_of(a.factor) < 0 else Term(1.0)
    return Term(0.5) if a.growth() < 0 else Term(1 / (1 + math.exp(-_known(a.factor))))


def _softplus(a: Term) -> Term:
    if a.growth() > 0:
        return _exp(a) if sign_of(a.factor) < 0 else a
    return Term(math.log1p(math.exp(_known(a.factor)))) if a.growth() == 0 else Term(math.log(2))


def _even(between: Callable[[float], float], factor: float) -> Callable[[Term], Term]:
    """Of a bell: ``factor * exp(-abs(a))`` far out."""

    def value(a: Term) -> Term:
        if a.growth() > 0:
            return _times(Term(factor), _falling(a))
        return Term(between(0.0 if a.growth() < 0 else _known(a.factor)))

    return value


def _erfc(a: Term) -> Term:
    if a.growth() > 0 and sign_of(a.factor) > 0:
        return _times(Term(1 / math.sqrt(math.pi)), _times(_falling(_times(a, a)), _raised(a, -1)))
    return _to(2.0, 0.0, math.erfc)(a)


def _ndtr(a: Term) -> Term:
    return _times(Term(0.5), _erfc(_times(Term(-math.sqrt(0.5)), a)))


def _root(c: Term, k: Term, v: Term) -> Term:
    return _raised(plus(c, _times(k, _times(v, v))), 0.5)


def _absolute(a: Term) -> Term:
    if a.factor is None:
        return a
    return a._replace(factor=abs(a.factor))


def _wave(a: Term) -> Term:
    if a.growth() < 0:
        raise UnknownError
    return Term(None)


def _expm1(a: Term) -> Term:
    if a.growth() > 0:
        return _exp(a) if sign_of(a.factor) > 0 else Term(-1.0)
    return Term(math.expm1(_known(a.factor)))


def _gauss(a: Term) -> Term:
    return _exp(minus(_times(a, a)))


def _normal_tail(z: Term, factor: Term) -> Term:
    """factor * Phi(-z) * exp(z * z / 2); beyond some 20 so nearly what it goes to that no limit is another for it."""
    if z.growth() <= 0 and _known(z.factor) < 20:
        raise UnknownError
    return _times(factor, _times(Term(NORMAL_PEAK), _raised(z, -1)))


def _exp_times_any(factor: Term, a: Term, low: Term, power: Term) -> Term:
    return _times(_times(factor, _exp(a)), Term(2.0 ** _known(power.limit())))


def _logistic_times_any(factor: Term, a: Term, low: Term, power: Term) -> Term:
    return _times(_times(factor, _sigmoid(a)), Term(2.0 ** _known(power.limit())))


#: What is left out of exact arithmetic is none.
EXACT = {
    "constant_error", "exp_error", "expm1_error", "product_error", "quick_sum_error", "quotient_error",
    "sqrt_error", "sum_error",
}  # fmt: skip

RULES: dict[str, Callable[..., Term]] = {
    "add": plus,
    "subtract": lambda a, b: plus(a, minus(b)),
    "multiply": _times,
    "divide": lambda a, b: _times(a, _raised(b, -1)),
    "negative": minus,
    "absolute": _absolute,
    "sqrt": lambda a: _raised(a, 0.5),
    "sign": lambda a: Term(math.copysign(1.0, sign_of(a.factor))),
    "exp": _exp,
    "precise_exp": _exp,
    "expm1": _small_or(_expm1),
    "log": _log,
    "log1p": _small_or(lambda a: _log(plus(Term(1.0), a))),
    "log1p_near": _small_or(lambda a: _log(plus(Term(1.0), a))),
    "tanh": _small_or(_to(-1.0, 1.0, math.tanh)),
    "arctan": _small_or(_to(-math.pi / 2, math.pi / 2, math.atan)),
    "erf": _small_or(_to(-1.0, 1.0, math.erf), 2 / math.sqrt(math.pi)),
    "erfc": _erfc,
    "ndtr": _ndtr,
    "normal_density": lambda a: _times(Term(NORMAL_PEAK), _gauss(_times(Term(math.sqrt(0.5)), a))),
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "logistic_bell": _even(lambda a: 1 / (2 + 2 * math.cosh(a)), 1.0),
    "sech2": lambda a: _even(lambda a: 1 / math.cosh(a / 2) ** 2, 4.0)(_times(Term(2.0), a)),
    "sech2_times_exp": lambda a, b: _times(RULES["sech2"](a), _exp(b)),
    "gauss": _gauss,
    "hypot": lambda a, b: _root(_times(a, a), Term(1.0), b),
    "root": _root,
    "log_root": lambda c, k, v: _log(plus(c, _times(k, _times(v, v)))),
    "root_ratio": lambda c, k, v: _times(v, _raised(_root(c, k, v), -1)),
    "exp_times": lambda factor, a, low: _times(factor, _exp(a)),
    "exp_times_any": _exp_times_any,
    "logistic_times": lambda factor, a, low: _times(factor, _sigmoid(a)),
    "logistic_times_any": _logistic_times_any,
    "expm1_times": lambda factor, a, low: _times(factor, RULES["expm1"](a)),
    "log1p_exp": lambda a, low, divisor: _times(_softplus(a), _raised(divisor, -1)),
    "gauss_times": lambda factor, a: _times(factor, _gauss(_times(Term(math.sqrt(0.5)), a))),
    "normal_tail": _normal_tail,
    "gelu_slope": lambda a: minus(_normal_tail(a, _times(a, a))),
    "quotient": lambda a, a_low, b, b_low: _times(a, _raised(b, -1)),
    "fma": lambda a, b, c: plus(_times(a, b), c),
    "tanh_times": lambda factor, a: _times(factor, RULES["tanh"](a)),
    "tanh_and_slope": _small_or(_to(-1.0, 1.0, lambda a: math.tanh(a) + a * (1 - math.tanh(a) ** 2)), 2.0),
    "sin": _small_or(_wave),
    "cos": _wave,
    "sin_ratio": lambda a: _times(_wave(a), _raised(a, -1)),
    "sin_ratio_slope": lambda a: _times(_wave(a), _raised(a, -1)),
}

"""Exact values: the registry's formulas as text, evaluated by mpmath, and distances from them in ulp."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import CodeType
from typing import Any

import mpmath as mp
import numpy as np

from fastact.catalogue import Activation
from fastact.losses.catalogue import LOSSES
from fastact.losses.definition import Domain, Loss

#: Enough that 1 + erf(-38) and exp(1e-320) - 1 keep twenty digits.
DIGITS = 400

#: The same for sqrt(x**2 + 4) + x at -1e308.
HUGE_DIGITS = 1300

#: Functions whose results have exponents of as many digits as their arguments have, and what they go to: exp(exp(1e30))
#: would take all memory there is.
LIMITS: dict[str, Callable[[Any], Any]] = {
    "exp": lambda a: mp.inf if a > 0 else mp.mpf(0),
    "expm1": lambda a: mp.inf if a > 0 else mp.mpf(-1),
    "cosh": lambda a: mp.inf,
    "tanh": mp.sign,
    "erf": mp.sign,
}


def limited(name: str) -> Callable[[Any], Any]:
    return lambda a: getattr(mp, name)(a) if mp.mag(a) < 2000 else LIMITS[name](a)


#: What a formula's words mean to mpmath.
WORDS: dict[str, Any] = {
    "abs": abs,
    "where": lambda condition, a, b: mp.mpf(a if condition else b),
    "maximum": lambda a, b: mp.mpf(max(a, b)),
    "minimum": lambda a, b: mp.mpf(min(a, b)),
    "logaddexp": lambda a, b: max(a, b) + mp.log1p(limited("exp")(-abs(a - b))),
    "sqrt": lambda a: mp.nan if a < 0 else mp.sqrt(a),
    "log2": lambda a: mp.log(a, 2),
}
WORDS |= {name: getattr(mp, name) for name in ["mpf", "log", "log1p", "pi"]}
WORDS |= {name: limited(name) for name in LIMITS}


def evaluated(text: str, name: str) -> CodeType:
    """A formula to be evaluated with mpmath's words."""
    text = re.sub(r"(\d+\.\d+)", r"mpf('\1')", text)  # 0.044715 means that decimal, not the float next to it
    text = re.sub(r"\(exp\(([^()]*)\) - 1\)", r"expm1(\1)", text)  # however large alpha is
    return compile(text, name, "eval")


def formula(entry: Activation, **parameters: Any) -> Callable[[Any], Any]:
    code = evaluated(entry.formula, entry.name)
    given = {name: mp.mpf(value) for name, value in parameters.items()}
    return lambda x: mp.mpf(eval(code, WORDS | {"x": x} | given))


def exact(entry: Activation, x: float, kind: str = "value", digits: int | None = None, **parameters: Any) -> Any:
    """The value or derivative at x, right to far more digits than any float has."""
    with mp.workdps(digits or (DIGITS if abs(x) < 1e30 else HUGE_DIGITS)):
        function = formula(entry, **parameters)
        if kind == "value":
            return function(mp.mpf(float(x)))
        # one-sided, away from zero: a step of 1e-200 across the kink of relu would see both sides
        return mp.diff(function, mp.mpf(float(x)), direction=1 if x > 0 else -1)


#: What gates multiply their first half by, given the second.
GATE_FACTORS: dict[str, Callable[[Any], Any]] = {
    "glu": lambda b: 1 / (1 + mp.exp(-b)),
    "reglu": lambda b: max(b, mp.mpf(0)),
    "geglu": lambda b: b * mp.erfc(-b / mp.sqrt(2)) / 2,
    "swiglu": lambda b: b / (1 + mp.exp(-b)),
}


#: What is given of arrays beside pred and target that a loss must have.
OTHERS = 0.5


def loss_term(loss: Loss) -> Callable[[Any, Any], Any]:
    """A loss of pred and target, from its formula as text."""
    code = evaluated(loss.formula, loss.name)
    required = [name for name, default in loss.arrays.items() if default is not None]
    given = {name: mp.mpf(value) for name, value in (loss.numbers | dict.fromkeys(required, OTHERS)).items()}
    return lambda p, t: mp.mpf(eval(code, WORDS | given | {"pred": p, "target": t}))


#: A term of each loss.
LOSS_TERMS = {name: loss_term(loss) for name, loss in LOSSES.items()}


def beside(name: str) -> tuple[float, ...]:
    """What a loss must be given beside pred and target."""
    return tuple(OTHERS for default in LOSSES[name].arrays.values() if default is not None)


def moved(function: Callable[[Any, Any], Any], p: Any, t: Any) -> Any:
    """By how much a function of pred and target moves if they do by their own size: where terms of it cancel, what a
    rounding of theirs does is no error."""
    return abs(p * mp.diff(lambda p: function(p, t), p)) + abs(t * mp.diff(lambda t: function(p, t), t))


def drawn_from(domain: Domain, rng: np.random.Generator, shape: Any, spread: float = 4.0) -> np.ndarray:
    """Numbers that make sense to a loss."""
    if np.isfinite(domain.low):
        return rng.uniform(domain.low, domain.high, shape)
    return rng.normal(0, spread, shape)


def ulp_distance(result: Any, truth: Any) -> float:
    """How many units in the last place of its type lie between a result and the truth."""
    kind = np.dtype(type(result))
    information = np.finfo(kind)
    with mp.workdps(50):
        largest = mp.mpf(float(information.max))
        if abs(truth) > largest * (1 + mp.mpf(float(information.epsneg)) / 2):
            return 0.0 if np.isinf(result) and (result > 0) == (truth > 0) else float("inf")
        if not np.isfinite(result):
            return float("inf")
        smallest = int(information.minexp - information.nmant)
        exponent = int(mp.frexp(truth)[1]) - 1 if truth else smallest
        spacing = mp.mpf(2) ** max(exponent - int(information.nmant), smallest)
        return float(abs(mp.mpf(float(result)) - truth) / spacing)


def every_exponent(dtype: Any, seed: int = 0, per_exponent: int = 1) -> np.ndarray:
    """Random significands at every exponent a dtype has, of both signs, subnormals included."""
    information = np.finfo(dtype)
    exponents = np.arange(int(information.minexp) - int(information.nmant) - 1, int(information.maxexp))
    rng = np.random.default_rng(seed)
    exponents = np.repeat(exponents, per_exponent)
    with np.errstate(under="ignore"):
        magnitudes = np.ldexp(1 + rng.random(exponents.size), exponents).astype(dtype)
    return np.concatenate([-magnitudes, magnitudes])

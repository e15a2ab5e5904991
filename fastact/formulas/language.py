"""The language of formulas: every word that one can use, what it means, and its derivative. The only list of them.

There are three kinds. A *basic* word has a kernel (:mod:`fastact.kernels.functions`) and a function of NumPy's. A word
that is *defined* stays in the graph, so that its derivative is the careful one given beside it, and is replaced by
others on the way into a kernel or into NumPy. A word that is *written out* is an abbreviation: no graph ever holds it.

Docstrings are the meaning, as the table of the language has it.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any, NamedTuple

from fastact.formulas.expressions import DERIVATIVES, WRITTEN_OUT, Expression, apply, as_expression, lower
from fastact.formulas.nodes import topological
from fastact.formulas.operations import ALIASES, ARITY
from fastact.formulas.primitives import NUMPY_NAMES, cos, exp, log, sin, where

__all__ = [
    "DEFINITIONS", "LN2", "WORDS", "Word", "calls_c_library", "copysign", "defined", "exp2", "floor", "rint", "trunc",
    "word", "written_out",
]  # fmt: skip

Rule = Callable[..., Any]


class Word(NamedTuple):
    """What a formula can say."""

    operands: int  # that must be given
    meaning: str
    derivative: Rule | None = None  # by each operand, given these and the result; None: as that of what is written out
    definition: Rule | None = None  # in other words; None: kernels and NumPy have it
    c_library: bool = False  # whether kernels call the C library's function where arguments are far out
    internal: bool = False  # whether nobody else has it; its meaning is in words that others have


WORDS: dict[str, Word] = {}

#: What the words that stay in graphs mean in others.
DEFINITIONS: dict[str, Rule] = {}


def basic(name: str, meaning: str, derivative: Rule, c_library: bool = False) -> None:
    operands = len(inspect.signature(derivative).parameters) - 1
    WORDS[name] = Word(operands, meaning, derivative, c_library=c_library)
    ARITY[name], DERIVATIVES[name] = operands, derivative
    NUMPY_NAMES.setdefault(name, f"np.{name}")


def defined(derivative: Rule, internal: bool = False) -> Callable[[Rule], Callable[..., Expression]]:
    """A decorator: a word with a derivative of its own, and with another meaning written out."""

    def entered(definition: Rule) -> Callable[..., Expression]:
        name, operands = definition.__name__.rstrip("_"), len(inspect.signature(definition).parameters)
        WORDS[name] = Word(operands, inspect.getdoc(definition) or "", derivative, definition, internal=internal)
        ARITY[name], DERIVATIVES[name], DEFINITIONS[name] = operands, derivative, definition
        return lambda *operands: apply(name, *operands)

    return entered


def written_out(definition: Rule) -> Rule:
    """A decorator: an abbreviation."""
    name, parameters = definition.__name__.rstrip("_"), inspect.signature(definition).parameters.values()
    operands = sum(parameter.default is parameter.empty for parameter in parameters)
    WORDS[name] = Word(operands, inspect.getdoc(definition) or "", None, definition)
    WRITTEN_OUT[name] = definition
    return definition


def calls_c_library(name: str) -> bool:
    """Whether kernels compute a word with the C library's functions where arguments are far out, one by one."""
    word = WORDS[name]
    if word.definition is None:
        return word.c_library
    operands = [Expression("variable", (f"a{i}",)) for i in range(word.operands)]
    nodes = topological(*lower((as_expression(apply(name, *operands)),), DEFINITIONS))
    return any(WORDS[node.operation].c_library for node in nodes if node.operation in WORDS)


def word(name: str) -> Callable[..., Expression]:
    return lambda *operands: apply(name, *operands)


sign, floor, rint, trunc, exp2, log2, copysign, sech2 = map(
    word, ("sign", "floor", "rint", "trunc", "exp2", "log2", "copysign", "sech2")
)


# -- basic words ------------------------------------------------------------------------------------

LN2 = 0.6931471805599453

basic("absolute", "the size of a", lambda a, y: (sign(a),))
basic("sign", "-1, 0 or 1", lambda a, y: (0.0,))
basic("copysign", "the size of a with the sign of b", lambda a, b, y: (sign(y) * sign(a), 0.0))
basic("floor", "the next whole number below", lambda a, y: (0.0,))
basic("ceil", "the next whole number above", lambda a, y: (0.0,))
basic("rint", "the nearest whole number, of two the even one", lambda a, y: (0.0,))
basic("trunc", "the next whole number towards zero", lambda a, y: (0.0,))
# torch and jax share a tie evenly between the two sides
basic("maximum", "the larger one", lambda a, b, y: (_share(a, b), _share(b, a)))
basic("minimum", "the smaller one", lambda a, b, y: (_share(b, a), _share(a, b)))
basic("sqrt", "the square root", lambda a, y: (0.5 / y,))
basic("cbrt", "the third root", lambda a, y: (1.0 / (3.0 * y * y),))
basic("exp", "e**a", lambda a, y: (y,))
basic("exp2", "2**a", lambda a, y: (LN2 * y,))
basic("expm1", "exp(a) - 1", lambda a, y: (exp(a),))
basic("log", "the natural logarithm", lambda a, y: (1.0 / a,))
basic("log2", "the logarithm to base 2", lambda a, y: (1.0 / (LN2 * a),))
basic("log10", "the logarithm to base 10", lambda a, y: (1.0 / (math.log(10) * a),))
basic("log1p", "log(1 + a)", lambda a, y: (1.0 / (1.0 + a),))
basic("tanh", "the hyperbolic tangent", lambda a, y: (sech2(a),))
basic("sin", "the sine", lambda a, y: (cos(a),), c_library=True)
basic("cos", "the cosine", lambda a, y: (-sin(a),), c_library=True)
basic("tan", "the tangent", lambda a, y: (1.0 + y * y,), c_library=True)
basic("arctan", "the angle of a tangent", lambda a, y: (1.0 / (1.0 + a * a),))


def _power_slopes(a: Any, b: Any, y: Any) -> tuple[Any, Any]:
    one_less = b.operands[0] - 1.0 if b.operation == "constant" else b - 1.0
    return b * word("power")(a, one_less), where((a == 0.0) & (b > 0.0), 0.0, y * log(a))


basic("float_power", "a**b by logarithm and exponential", _power_slopes)


def _share(a: Any, b: Any) -> Any:
    return where(a > b, 1.0, where(a < b, 0.0, 0.5))


#: What NumPy and SciPy call the same.
ALIASES |= {"expit": "sigmoid", "pow": "power", "around": "round", "fix": "trunc"}
ALIASES |= {"radians": "deg2rad", "degrees": "rad2deg", "mod": "remainder", "asin": "arcsin", "acos": "arccos"}
ALIASES |= {"asinh": "arcsinh", "acosh": "arccosh", "atanh": "arctanh", "bitwise_xor": "logical_xor"}

"""Formulas as expression graphs: what an activation's Python function turns into when it is traced.

A formula is an ordinary function of ``x`` and parameters. Called with :class:`Expression` objects
in place of numbers it records what it does: a graph whose equal parts are one object, so a
subexpression shared by value and derivative is computed once. The graph can be differentiated
here, written out as NumPy by :mod:`fastact.formulas.fallback` and as kernel source by :mod:`fastact.kernels.emit`.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any, Union

import numpy as np

from fastact.formulas.nodes import Node, topological
from fastact.formulas.operations import ALIASES, ARITY, LEAVES, TRUTH_VALUED
from fastact.formulas.text import inline_text

__all__ = [
    "CALLS", "DERIVATIVES", "IN_TWO_PARTS", "NUMBERS", "WRITTEN_OUT", "Expression", "Number", "Values", "apply",
    "as_expression", "constant", "differentiate", "lower", "node", "rounded", "substitute", "trace", "variable",
]  # fmt: skip

Number = Union["Expression", float]

#: What a formula with a derivative of its own returns: value and derivative.
Values = tuple[Any, Any]

#: What stands for a constant in a formula.
NUMBERS = (bool, int, float, np.floating, np.integer, np.bool_)

#: Derivative of each operation: given its operands and its own result, the partial derivative with
#: respect to each operand. Primitives add theirs (see fastact.formulas.primitives).
DERIVATIVES: dict[str, Callable[..., tuple[Number, ...]]] = {
    "add": lambda a, b, y: (1.0, 1.0),
    "subtract": lambda a, b, y: (1.0, -1.0),
    "multiply": lambda a, b, y: (b, a),
    "divide": lambda a, b, y: (1.0 / b, -y / b),
    "negative": lambda a, y: (-1.0,),
}


#: Words that are written out in others as soon as a formula says them, by NumPy's or SciPy's name; the table of the
#: language fills it (see fastact.formulas.language).
WRITTEN_OUT: dict[str, Callable[..., Any]] = {}

#: What operations make of numbers in two parts, which no graph holds (see fastact.formulas.precise); all others take
#: them rounded.
IN_TWO_PARTS: dict[str, Callable[..., Any]] = {}

#: What a ufunc of this package makes of expressions: whoever makes one notes it here.
CALLS: dict[np.ufunc, Callable[..., Any]] = {}


class Expression(Node):
    """A node of a formula: Python's operators on it record what they do."""

    __slots__ = ()

    def __add__(self, other: Number) -> Expression:
        return apply("add", self, other)

    def __radd__(self, other: Number) -> Expression:
        return apply("add", other, self)

    def __sub__(self, other: Number) -> Expression:
        return apply("subtract", self, other)

    def __rsub__(self, other: Number) -> Expression:
        return apply("subtract", other, self)

    def __mul__(self, other: Number) -> Expression:
        return apply("multiply", self, other)

    def __rmul__(self, other: Number) -> Expression:
        return apply("multiply", other, self)

    def __truediv__(self, other: Number) -> Expression:
        return apply("divide", self, other)

    def __rtruediv__(self, other: Number) -> Expression:
        return apply("divide", other, self)

    def __neg__(self) -> Expression:
        return apply("negative", self)

    def __pos__(self) -> Expression:
        return self

    def __abs__(self) -> Expression:
        return apply("absolute", self)

    def __lt__(self, other: Number) -> Expression:
        return apply("less", self, other)

    def __le__(self, other: Number) -> Expression:
        return apply("less_equal", self, other)

    def __gt__(self, other: Number) -> Expression:
        return apply("greater", self, other)

    def __ge__(self, other: Number) -> Expression:
        return apply("greater_equal", self, other)

    def __eq__(self, other: object) -> Any:
        return apply("equal", self, other)

    def __ne__(self, other: object) -> Any:
        return apply("not_equal", self, other)

    def __and__(self, other: Number) -> Expression:
        return apply("logical_and", self, other)

    def __or__(self, other: Number) -> Expression:
        return apply("logical_or", self, other)

    def __invert__(self) -> Expression:
        return apply("logical_not", self)

    __hash__ = object.__hash__

    def __pow__(self, exponent: Number) -> Expression:
        return apply("power", self, exponent)

    def __rpow__(self, base: Number) -> Expression:
        return apply("power", base, self)

    def __mod__(self, other: Number) -> Expression:
        return apply("remainder", self, other)

    def __rmod__(self, other: Number) -> Expression:
        return apply("remainder", other, self)

    def __floordiv__(self, other: Number) -> Expression:
        return apply("floor_divide", self, other)

    def __rfloordiv__(self, other: Number) -> Expression:
        return apply("floor_divide", other, self)

    def __xor__(self, other: Number) -> Expression:
        return apply("logical_xor", self, other)

    def __round__(self, digits: None = None) -> Expression:
        return apply("round", self, digits)

    def __floor__(self) -> Expression:
        return apply("floor", self)

    def __ceil__(self) -> Expression:
        return apply("ceil", self)

    def __trunc__(self) -> Expression:
        return apply("trunc", self)

    def __bool__(self) -> bool:
        raise TypeError(
            "a formula is compiled for every x at once and cannot branch on it with if, and, or, min or max; "
            "use where(condition, a, b), maximum(a, b), minimum(a, b), and & | ~ between conditions"
        )

    def __float__(self) -> float:
        raise TypeError(
            "float(...) and the functions of Python's module math take a number, and x stands for all of them; "
            "write np.exp(x), and so on"
        )

    __int__ = __complex__ = __float__

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"a formula has no x.{name}; write np.{name}(x), if NumPy has that for each number by itself"
        )

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """Let a formula say ``np.exp(x)``, ``scipy.special.erf(x)`` and ``fastact.gelu(x)``."""
        if method != "__call__" or kwargs:
            raise TypeError(f"a formula can call {ufunc.__name__}(...) plainly, without keywords or methods")
        return CALLS[ufunc](*inputs) if ufunc in CALLS else apply(ufunc.__name__, *inputs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Let a formula say ``np.where(x > 0, a, b)``."""
        if kwargs and function.__name__ not in WRITTEN_OUT:
            raise TypeError(f"a formula can call np.{function.__name__}(...) plainly, without keywords")
        return apply(function.__name__, *args, **kwargs)

    def __repr__(self) -> str:
        return inline_text(self)


def variable(name: str) -> Expression:
    return Expression("variable", (name,))


def constant(value: Any) -> Expression:
    try:
        return Expression("constant", (float(value),))
    except OverflowError:  # it may have too many digits to be shown
        raise TypeError("a formula's numbers are float64's; an integer in it is beyond them") from None


def apply(operation: str, *operands: Any, **options: Any) -> Expression:
    """The expression of an operation on expressions and numbers."""
    operation = ALIASES.get(operation, operation)
    if operation in WRITTEN_OUT:
        try:
            inspect.signature(WRITTEN_OUT[operation]).bind(*operands, **options)
        except TypeError as error:
            raise TypeError(f"{operation} of a formula: {error}") from None
        return as_expression(WRITTEN_OUT[operation](*operands, **options))
    if ARITY.get(operation) != len(operands):
        raise TypeError(unknown(operation, len(operands)))
    nodes = list(map(as_expression, operands))
    logical = operation.startswith("logical_")
    for i, operand in enumerate(nodes):
        as_truth = logical or (operation == "where" and i == 0)
        if as_truth and operand.operation not in TRUTH_VALUED | {"constant"}:
            nodes[i] = apply("not_equal", operand, 0.0)
        elif operand.operation in TRUTH_VALUED and not as_truth:
            nodes[i] = apply("where", operand, 1.0, 0.0)
    if any(operand.operation == "precise" for operand in nodes):
        return as_expression(IN_TWO_PARTS.get(operation, partial(_of_rounded, operation))(*nodes))
    simpler = _simplified(operation, nodes)
    return Expression(operation, tuple(nodes)) if simpler is None else simpler


def rounded(number: Any) -> Any:
    """A number in two parts as a plain one: its parts added up, and rounded about once; any other as it is."""
    parts = as_expression(number)
    return parts.operands[2] if parts.operation == "precise" else number


def _of_rounded(operation: str, *operands: Expression) -> Expression:
    return apply(operation, *map(rounded, operands))


def node(operation: str, *operands: Any) -> Expression:
    """An operation that is no word of formulas: machines have more of them."""
    return Expression(operation, tuple(map(as_expression, operands)))


def as_expression(operand: Any) -> Expression:
    """Of a number, or of an array of no dimensions."""
    if isinstance(operand, np.ndarray) and operand.ndim == 0:
        operand = operand[()]
    if isinstance(operand, NUMBERS):
        return constant(operand)
    if isinstance(operand, np.ndarray):
        raise TypeError("a formula is made of numbers, not of arrays; make the array a parameter and give it in calls")
    if not isinstance(operand, Expression):
        raise TypeError(f"a formula is made of x, its parameters and numbers, not of {type(operand).__name__}")
    return operand


def unknown(operation: str, count: int) -> str:
    """What to say of a word that the language does not have."""
    known = ARITY | dict.fromkeys(WRITTEN_OUT, count)
    if operation in known:
        return f"{operation} takes {known[operation]} operands in a formula, not {count}"
    from difflib import get_close_matches

    public = [word for word in known if not word.startswith("fitted_")]
    near = get_close_matches(operation, public, n=3)
    instead = f"; did you mean {' or '.join(near)}?" if near else ""
    return f"a formula cannot use {operation}{instead}; the README lists all it can use"


def _simplified(operation: str, nodes: list[Expression]) -> Expression | None:
    """What the chain rule and parameters that are numbers make a lot of: products with one, choices that are made.
    Exact for every x, NaN included."""
    if operation in TRUTH_VALUED:
        return _decided(operation, nodes)
    if operation == "where":
        condition, yes, no = nodes
        if condition.operation == "constant":
            return yes if condition.operands[0] else no
        return yes if yes is no else None
    if operation == "multiply":
        for one, other in (nodes, nodes[::-1]):
            if one is constant(1.0):
                return other
            if one is constant(-1.0):
                return apply("negative", other)
    if operation == "negative" and nodes[0].operation == "constant":
        return constant(-nodes[0].operands[0])
    if operation == "absolute" and nodes[0].operation == "constant":
        return constant(abs(nodes[0].operands[0]))
    if operation == "divide" and nodes[1] is constant(1.0):
        return nodes[0]
    if operation == "product_error" and any(node is constant(1.0) for node in nodes):
        return constant(0.0)
    if operation == "quotient_error" and nodes[1] is constant(1.0):
        return constant(0.0)
    return None


def _decided(operation: str, nodes: list[Expression]) -> Expression | None:
    """A truth value that is known already, as 1 or 0; or what it depends on alone."""
    known = [bool(node.operands[0]) for node in nodes if node.operation == "constant"]
    if operation in ("logical_and", "logical_or"):
        if not known:
            return None
        decisive = operation == "logical_or"
        if decisive in known:
            return constant(decisive)
        others = [node for node in nodes if node.operation != "constant"]
        return others[0] if others else constant(not decisive)
    if operation == "greater" and nodes[1] is constant(np.inf):
        return constant(False)
    if len(known) < len(nodes):
        return None
    return constant(bool(getattr(np, operation)(*(node.operands[0] for node in nodes))))


def trace(function: Callable[..., Any], variables: list[str]) -> tuple[Expression, ...]:
    """Call a formula on variables; one expression for each thing it returns."""
    name = getattr(function, "__name__", "the formula")
    try:
        results = function(*map(variable, variables))
    except (TypeError, AttributeError) as error:
        raise TypeError(f"{name} could not be traced{_line_of(function, error)}: {error}") from error
    results = results if isinstance(results, tuple) else (results,)
    for result in results:
        if not isinstance(result, (Expression, *NUMBERS)):
            raise TypeError(f"{name} must return what it computes, not {result!r}")
    results = tuple(as_expression(rounded(result)) for result in results)
    return tuple(apply("where", r, 1.0, 0.0) if r.operation in TRUTH_VALUED else r for r in results)


def _line_of(function: Callable[..., Any], error: BaseException) -> str:
    """Where in the formula that was, as far as its source can be read."""
    code = getattr(function, "__code__", None)
    frames = [f for f in traceback.extract_tb(error.__traceback__) if code and f.filename == code.co_filename]
    if not frames:
        return ""
    return f' in line {frames[-1].lineno}, "{frames[-1].line}"' if frames[-1].line else f" in line {frames[-1].lineno}"


def substitute(results: tuple[Expression, ...], values: dict[Expression, Expression]) -> tuple[Expression, ...]:
    """The same with other expressions in place of variables; what becomes simpler by that is simplified."""
    made = dict(values)
    for node in topological(*results):
        if node not in made:
            leaf = node.operation in LEAVES
            made[node] = node if leaf else apply(node.operation, *(made[o] for o in node.operands))
    return tuple(made[result] for result in results)


def differentiate(result: Expression, by: Expression) -> Expression:
    """The chain rule, forwards: the derivative of every part by one variable, operands first.

    Forwards, because a choice then chooses between finished derivatives: the branch not taken can be
    infinite or NaN without spoiling the other.
    """
    zero = constant(0.0)
    slopes: dict[Expression, Expression] = {by: constant(1.0)}
    for node in topological(result):
        if node in slopes:
            continue
        slopes[node] = zero
        if node.operation in LEAVES or node.operation in TRUTH_VALUED:
            continue
        inner = [slopes[operand] for operand in node.operands]
        if all(slope is zero for slope in inner):
            continue
        if node.operation == "where":
            slopes[node] = apply("where", node.operands[0], *inner[1:])
            continue
        partials = DERIVATIVES[node.operation](*node.operands, node)
        pairs = [(as_expression(partial), slope) for partial, slope in zip(partials, inner)]
        terms = [partial * slope for partial, slope in pairs if partial is not zero and slope is not zero]
        slopes[node] = sum(terms[1:], start=terms[0]) if terms else zero
    return slopes[result]


def lower(roots: tuple[Expression, ...], rules: dict[str, Callable[..., Expression]]) -> tuple[Expression, ...]:
    """Replace every operation that has a rule by what the rule makes of its operands, until none has."""
    lowered: dict[Expression, Expression] = {}

    def visit(root: Expression) -> Expression:
        for node in topological(root):
            if node in lowered:
                continue
            operands = tuple(lowered[o] if isinstance(o, Expression) else o for o in node.operands)
            rule = rules.get(node.operation)
            lowered[node] = visit(rule(*operands)) if rule else Expression(node.operation, operands)
        return lowered[root]

    return tuple(visit(root) for root in roots)

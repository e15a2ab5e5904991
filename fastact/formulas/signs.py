"""What can be seen of an expression's sign and size: it saves bounds that nothing can reach."""

from __future__ import annotations

import math
from collections.abc import Callable

from fastact.formulas.expressions import Expression
from fastact.formulas.nodes import topological

__all__ = ["bounds", "is_nonnegative", "is_nonpositive", "is_zero"]


def is_zero(x: Expression) -> bool:
    """Of either sign, or of the one that a condition gives it: an error that there is not."""
    if x.operation == "negative":
        return is_zero(x.operands[0])
    if x.operation == "where":
        return all(map(is_zero, x.operands[1:]))
    return bool(x.operation == "constant" and x.operands[0] == 0)


def is_nonpositive(x: Expression) -> bool:
    """Of ``-abs(x)``, ``where(x > 0, 0, x)`` and the like."""
    if x.operation == "where":
        condition, yes, no = x.operands
        bounded = condition.operation == "greater" and condition.operands[0] is no
        return is_nonpositive(yes) and is_nonpositive(condition.operands[1] if bounded else no)
    if x.operation == "constant":
        return bool(x.operands[0] <= 0)
    if x.operation == "multiply":
        a, b = x.operands
        return (is_nonpositive(a) and is_nonnegative(b)) or (is_nonpositive(b) and is_nonnegative(a))
    return x.operation == "negative" and is_nonnegative(x.operands[0])


def is_nonnegative(x: Expression) -> bool:
    if x.operation == "where":
        return all(is_nonnegative(branch) for branch in x.operands[1:])
    if x.operation == "constant":
        return bool(x.operands[0] >= 0)
    if x.operation in ("add", "multiply"):
        a, b = x.operands
        return (is_nonnegative(a) and is_nonnegative(b)) or (x.operation == "multiply" and a is b)
    return x.operation == "absolute"


Bounds = tuple[float, float]


def bounds(x: Expression) -> Bounds:
    """What x lies between, as far as that can be seen."""
    known: dict[Expression, Bounds] = {}
    for node in topological(x):
        between = (-math.inf, math.inf)
        if node.operation == "constant":
            between = node.operands[0], node.operands[0]
        elif node.operation in BOUNDS:
            between = BOUNDS[node.operation](*(known[operand] for operand in node.operands))
        known[node] = between if between[0] <= between[1] else (-math.inf, math.inf)
    return known[x]


def _product_bounds(a: Bounds, b: Bounds) -> Bounds:
    ends = [i * j if i and j else 0.0 for i in a for j in b]
    return min(ends), max(ends)


def _exp(x: float) -> float:
    return math.exp(x) if x < 700.0 else math.inf


BOUNDS: dict[str, Callable[..., Bounds]] = {
    "negative": lambda a: (-a[1], -a[0]),
    "absolute": lambda a: (max(a[0], -a[1], 0.0), max(-a[0], a[1])),
    "minimum": lambda a, b: (min(a[0], b[0]), min(a[1], b[1])),
    "maximum": lambda a, b: (max(a[0], b[0]), max(a[1], b[1])),
    "where": lambda condition, a, b: (min(a[0], b[0]), max(a[1], b[1])),
    "add": lambda a, b: (a[0] + b[0], a[1] + b[1]),
    "multiply": _product_bounds,
    "exp": lambda a: (0.0, _exp(a[1])),
    "expm1": lambda a: (-1.0, _exp(a[1])),
    "exp_times": lambda factor, a, low: _product_bounds(factor, (0.0, _exp(a[1]))),
    "logistic_times": lambda factor, a, low: _product_bounds(factor, (0.0, 1.0)),
}

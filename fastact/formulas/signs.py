"""What can be seen of an expression's sign: it saves bounds that nothing can reach."""

from __future__ import annotations

from fastact.formulas.expressions import Expression

__all__ = ["is_nonnegative", "is_nonpositive", "is_zero"]


def is_zero(x: Expression) -> bool:
    """Of either sign."""
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

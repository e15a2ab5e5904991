"""From a formula to what its functions compute: value and derivative, by x, by a parameter, and once more.

A formula that gives its derivative is taken at its word. One that gives the value alone is brought into a form that can
be differentiated without overflow first; what comes out is looked over again, and gets its limits where x is infinite.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from fastact.formulas.expressions import Expression, apply, constant, differentiate, trace, variable
from fastact.formulas.limits import with_limits
from fastact.formulas.nodes import from_table, table_of, topological
from fastact.formulas.stable import stable
from fastact.formulas.tails import with_tails
from fastact.functions.inlined import without_activations

__all__ = ["Graphs", "through"]


class Graphs:
    """What a formula of x and parameters computes, as graphs.

    ``written`` is the value, and the derivative if that was given too.
    """

    def __init__(self, written: tuple[Expression, ...], parameters: list[str]) -> None:
        self.written, self.parameters = written, parameters

    @classmethod
    def of(cls, function: Callable[..., Any], parameters: list[str], derivative: Callable[..., Any] | None) -> Graphs:
        written = trace(function, ["x", *parameters])
        if len(written) > 2:
            name = getattr(function, "__name__", "a formula")
            raise TypeError(
                f"{name} must return its value, or value and derivative; it returned {len(written)} results"
            )
        if derivative is not None:
            slopes = trace(derivative, ["x", *parameters])
            if len(slopes) != 1:
                raise TypeError(f"derivative must return one thing; it returned {len(slopes)} results")
            written = (stable(written[0]), *slopes)
        return cls(written, parameters)

    @cached_property
    def _given(self) -> bool:
        """Whether the derivative was."""
        return len(self.written) == 2

    @cached_property
    def _value(self) -> Expression:
        """What is differentiated."""
        return self.written[0] if self._given else stable(self.written[0])

    @cached_property
    def _slope(self) -> Expression:
        return self.written[1] if self._given else stable(differentiate(self._value, variable("x")))

    @cached_property
    def value(self) -> Expression:
        return _of_x(self._value) if self._given else _finished(self._value)

    @cached_property
    def derivative(self) -> Expression:
        return _of_x(self._slope) if self._given else _finished(self._slope)

    @cached_property
    def second_derivative(self) -> Expression:
        return _finished(stable(differentiate(self._slope, variable("x"))))

    @cached_property
    def by_parameter(self) -> dict[str, Expression]:
        """The derivative of the value by each parameter."""
        return {name: _finished(stable(differentiate(self._value, variable(name)))) for name in self.parameters}

    # -- on the way to other processes --------------------------------------------------------------

    def table(self) -> tuple[list[str], int, Any]:
        """All of them as plain data."""
        graphs = (*self.written, self.value, self.derivative, self.second_derivative, *self.by_parameter.values())
        return self.parameters, len(self.written), table_of(*without_activations(graphs))

    @classmethod
    def from_table(cls, parameters: list[str], count: int, table: Any) -> Graphs:
        graphs = from_table(Expression, table)
        made, rest = cls(graphs[:count], parameters), graphs[count:]
        vars(made).update(value=rest[0], derivative=rest[1], second_derivative=rest[2])
        vars(made)["by_parameter"] = dict(zip(parameters, rest[3:]))
        return made


def _finished(result: Expression) -> Expression:
    return _of_x(with_limits(result, with_tails(result)))


def _of_x(result: Expression) -> Expression:
    """The result, also where it is a number that does not depend on x: one for each x, and NaN for NaN."""
    x = variable("x")
    return result if x in set(topological(result)) else apply("where", apply("equal", x, x), result, x)


def through(grad: Expression, slope: Expression) -> Expression:
    """``grad * slope``, but 0 where the slope is the number 0, whatever the gradient: as autograd has it, where a piece
    that is flat passes nothing on."""
    if slope is constant(0.0):
        return slope
    if slope.operation != "where" or not _has_flat_piece(slope):
        return grad * slope
    condition, yes, no = slope.operands
    return apply("where", condition, through(grad, yes), through(grad, no))


def _has_flat_piece(slope: Expression) -> bool:
    return slope is constant(0.0) or (slope.operation == "where" and any(map(_has_flat_piece, slope.operands[1:])))

"""From a formula to what its functions compute: value and derivative, by x, by a parameter, and once more.

A formula that gives its derivative is taken at its word. One that gives the value alone is brought into a form that can
be differentiated without overflow first; what comes out is looked over again, and gets its limits where x is infinite.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from fastact.formulas.expressions import Expression, apply, differentiate, trace, variable
from fastact.formulas.limits import with_limits
from fastact.formulas.nodes import topological
from fastact.formulas.stable import stable
from fastact.formulas.tails import with_tails

__all__ = ["Graphs"]


class Graphs:
    """What a formula of x and parameters computes, as graphs."""

    def __init__(self, function: Callable[..., Any], parameters: list[str], derivative: Any = None) -> None:
        results = trace(function, ["x", *parameters])
        if derivative is not None:
            results = (*results[:1], *trace(derivative, ["x", *parameters]))
        if len(results) > 2:
            raise TypeError(
                f"a formula must return its value, or value and derivative; this one returned {len(results)} results"
            )
        #: As they were written; the derivative only if it was.
        self.written = results

    @cached_property
    def _value(self) -> Expression:
        """What is differentiated."""
        return self.written[0] if len(self.written) == 2 else stable(self.written[0])

    @cached_property
    def slope(self) -> Expression:
        """The derivative, to read."""
        return self.written[1] if len(self.written) == 2 else stable(differentiate(self._value, variable("x")))

    @cached_property
    def value(self) -> Expression:
        return _of_x(self._value if len(self.written) == 2 else _finished(self._value))

    @cached_property
    def derivative(self) -> Expression:
        return _of_x(self.slope if len(self.written) == 2 else _finished(self.slope))

    @cached_property
    def second(self) -> Expression:
        return _of_x(_finished(stable(differentiate(self.slope, variable("x")))))

    def by(self, parameter: str) -> Expression:
        """The derivative of the value by a parameter."""
        return _of_x(_finished(stable(differentiate(self._value, variable(parameter)))))


def _finished(result: Expression) -> Expression:
    return with_limits(result, with_tails(result))


def _of_x(result: Expression) -> Expression:
    """The result, also where it is a number that does not depend on x: one for each x, and NaN for NaN."""
    x = variable("x")
    return result if x in set(topological(result)) else apply("where", apply("equal", x, x), result, x)

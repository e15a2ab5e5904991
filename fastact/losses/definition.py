"""What a loss is: its formula, what the formula's arguments are, and the loops made from it.

A formula is a function of ``pred``, ``target`` and more, which returns a term and its derivative with respect to pred.
What else it takes follows from the defaults:

* none, or None: another array, for each element of pred; without one that may be missing, nothing is computed for it;
* True or False: an option, for each value of which there is another loop;
* any other number: a number.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from functools import cache, cached_property
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import numpy as np

from fastact.formulas.expressions import Expression, variable
from fastact.ufuncs.sums import Sum
from fastact.ufuncs.ufunc import Definition, make_ufunc

__all__ = ["LOSSES", "REDUCTIONS", "Bounds", "Domain", "Loss", "Reduction", "Variant"]

Reduction: TypeAlias = Literal["mean", "sum", "none"]

REDUCTIONS: tuple[str, ...] = get_args(Reduction)

REQUIRED = inspect.Parameter.empty


class Domain(NamedTuple):
    """What an array holds, in words, and from where to where its numbers make sense."""

    words: str = ""
    low: float = -math.inf
    high: float = math.inf


class Bounds(NamedTuple):
    """What a number must be, in words, and whether one is."""

    words: str
    hold: Callable[[Any], bool]


POSITIVE = Bounds("positive", lambda number: number > 0)


class Variant:
    """A loss with its options chosen, and with some of its arrays."""

    def __init__(self, loss: Loss, options: tuple[bool, ...], given: tuple[bool, ...]) -> None:
        self.name = loss.name
        self.arrays = [name for name, present in zip(loss.arrays, given) if present]
        #: The names of what is an array for whoever calls: operands that come before the numbers.
        self.operands = ["pred", "target", *self.arrays]
        self.numbers = loss.numbers
        values: dict[str, Any] = {name: variable(name) for name in [*self.operands, *self.numbers]}
        self.term, *slopes = loss.function(**values, **dict(zip(loss.options, options)))
        self.slopes: dict[str, Expression] = dict(zip(loss.learned, slopes))

    # ``usual``: with the numbers' defaults as constants, which need not be spread over each vector

    @cache  # noqa: B019  losses live as long as the process
    def total(self, backend: str, usual: bool = False) -> Sum:
        return Sum(self._definition("total", [], usual, self.term), backend)

    @cache  # noqa: B019
    def elementwise(self, backend: str, usual: bool = False) -> np.ufunc:
        return make_ufunc(self._definition("", [], usual, self.term), backend)

    @cache  # noqa: B019
    def backward(self, backend: str, usual: bool = False) -> np.ufunc:
        results = [variable("scale") * slope for slope in self.slopes.values()]
        return make_ufunc(self._definition("backward", ["scale"], usual, *results), backend)

    def _definition(self, kind: str, more: list[str], usual: bool, *results: Expression) -> Definition:
        name = f"{self.name}_{kind}" if kind else self.name
        numbers, constants = ([], self.numbers) if usual else ([*self.numbers], {})
        return Definition(name, [*self.operands, *more, *numbers], results, "", constants)


class Loss:
    """A loss: its formula and what there is to say about it.

    ``learned`` are the arrays that its backward differentiates by, ``about`` what to say of arguments: a domain for an
    array, bounds for a number, text for an option.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        formula: str,
        reference: str,
        pred: Domain = Domain(),  # noqa: B008
        target: Domain = Domain(),  # noqa: B008
        kink: str = "",
        learned: tuple[str, ...] = ("pred",),
        reductions: tuple[str, ...] = REDUCTIONS,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        self.function = function
        self.name = function.__name__
        self.summary = inspect.getdoc(function) or ""
        self.formula, self.reference, self.kink = formula, reference, kink
        self.pred, self.target, self.learned, self.reductions = pred, target, learned, reductions
        others = dict(list(inspect.signature(function).parameters.items())[2:])
        defaults = {name: parameter.default for name, parameter in others.items()}
        #: Arrays beside pred and target, and their defaults: none, or None.
        self.arrays = {name: default for name, default in defaults.items() if default in (REQUIRED, None)}
        #: Options and numbers, and their defaults.
        self.options = {name: default for name, default in defaults.items() if isinstance(default, bool)}
        self.numbers = {name: default for name, default in defaults.items() if name not in self.arrays | self.options}
        self.about: dict[str, Any] = dict.fromkeys(self.numbers, POSITIVE) | dict(about or {})
        self._variants: dict[tuple[tuple[bool, ...], tuple[bool, ...]], Variant] = {}

    @cached_property
    def usual(self) -> Variant:
        """With the default options, and the arrays that must be given."""
        given = tuple(default is REQUIRED for default in self.arrays.values())
        return self.variant(tuple(self.options.values()), given)

    def variant(self, options: tuple[bool, ...], given: tuple[bool, ...]) -> Variant:
        key = options, given
        if key not in self._variants:
            self._variants[key] = Variant(self, options, given)
        return self._variants[key]


#: Every loss of the catalogue by name, in its order.
LOSSES: dict[str, Loss] = {}

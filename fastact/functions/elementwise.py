"""Expressions of several arrays, each made one ufunc: one pass over memory, in vectors and by all threads."""

from __future__ import annotations

import contextlib
import inspect
import pickle
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from fastact.formulas.expressions import Expression, differentiate, trace, variable
from fastact.formulas.nodes import from_table, table_of
from fastact.formulas.stable import stable
from fastact.functions import pickles
from fastact.functions.graphs import through
from fastact.functions.inlined import understood, without_activations
from fastact.functions.parameters import name_of
from fastact.runtime.backends import backend as backend_in_use
from fastact.runtime.backends import do_without
from fastact.runtime.notices import UnavailableError
from fastact.simd.layout import MAX_OPERANDS
from fastact.ufuncs.keywords import sum_to
from fastact.ufuncs.ufunc import Definition, make_ufunc, pickled_as

__all__ = ["Elementwise", "elementwise"]

#: Arrays there can be: with the gradient and one result they fill a loop's operands.
MOST_ARRAYS = MAX_OPERANDS - 2


class Elementwise:
    """An expression of arrays; made by :func:`fastact.elementwise`.

    Attributes
    ----------
    name : str
    arguments : tuple of str
    formula : str
        The expression as text.
    value : numpy.ufunc
        What a call calls.

    Examples
    --------
    >>> import fastact
    >>> fastact.elementwise(lambda a, b: 2 * a + 3 * b).formula
    '2 * a + 3 * b'
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.arguments = _arguments(function)
        self.name = name_of(function)
        self.__module__, self.__qualname__ = function.__module__, function.__qualname__
        self.summary = inspect.getdoc(function) or f"The expression {self.name}."
        results = trace(function, list(self.arguments))
        if len(results) != 1:
            raise TypeError(f"{self.name} must return one thing; it returned {len(results)} results")
        self.written = results[0]
        self._made: dict[tuple[Any, ...], np.ufunc] = {}

    @property
    def formula(self) -> str:
        return repr(self.written)

    @cached_property
    def _value(self) -> Expression:
        return stable(self.written)

    def definition(self, kind: str = "value", argument: str = "") -> Definition:
        """``"value"``, or ``"derivative"`` or ``"backward"`` by an argument."""
        inputs, result, suffix = list(self.arguments), self._value, ""
        if argument:
            result, suffix = stable(differentiate(result, variable(argument))), f"_{kind}_by_{argument}"
        if kind == "backward":
            inputs, result = [GRADIENT, *inputs], through(variable(GRADIENT), result)
        return Definition(self.name + suffix, inputs, (result,), self.summary)

    def source(self, dtype: Any = "float32") -> str:
        """The emitted Python module that Numba compiles for a dtype."""
        return self.definition().source(np.dtype(dtype).name)

    def ufunc(self, kind: str = "value", argument: str = "", backend: str | None = None) -> np.ufunc:
        """The ufunc that computes the value, or a derivative or its product with a gradient."""
        backend = backend or backend_in_use()
        key = kind, argument, backend
        if key not in self._made:
            definition = self.definition(kind, argument)
            try:
                made: Any = make_ufunc(definition, backend)
            except UnavailableError as error:
                return self.ufunc(kind, argument, do_without(error))
            with contextlib.suppress(AttributeError):  # before NumPy 2.2
                made.__module__ = self.__module__
            understood(made, definition, None)
            pickled_as(made, _ufunc_of, self, kind, argument, pickles.portable(backend))
            self._made[key] = made
        return self._made[key]

    value = property(lambda self: self.ufunc())

    def __call__(self, *arrays: Any, **keywords: Any) -> Any:
        return self.ufunc()(*arrays, **keywords)

    def derivatives(self, *arrays: Any) -> tuple[Any, ...]:
        """The derivative by each argument, for each element."""
        return tuple(self.ufunc("derivative", argument)(*arrays) for argument in self.arguments)

    def backward(self, grad: Any, *arrays: Any) -> tuple[Any, ...]:
        """The gradient of each argument, summed to its shape."""
        each = (self.ufunc("backward", argument)(grad, *arrays) for argument in self.arguments)
        return tuple(sum_to(gradient, array) for gradient, array in zip(each, arrays))

    def __reduce__(self) -> str | tuple[Any, ...]:
        """By name where others can import it; else by what it consists of."""
        if pickles.importable(self):
            return self.__qualname__
        state = {name: value for name, value in vars(self).items() if name not in ("_made", "_value", "written")}
        return _restored, (pickle.dumps((state, table_of(*without_activations((self.written,))))),)

    def __repr__(self) -> str:
        return f"<elementwise {self.name}({', '.join(self.arguments)}): {self.formula}>"


#: What no argument is called.
GRADIENT = "grad"


def _arguments(function: Callable[..., Any]) -> tuple[str, ...]:
    if not inspect.isroutine(function):
        raise TypeError(f"an expression is a function, written with def or lambda, not {type(function).__name__}")
    parameters = list(inspect.signature(function).parameters.values())
    for parameter in parameters:
        if parameter.kind not in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            raise TypeError(f"arrays are given by position; {function.__name__} has {parameter}")
        if parameter.default is not parameter.empty:
            raise TypeError(f"arrays have no defaults; {function.__name__} has {parameter}")
        if parameter.name == GRADIENT:
            raise TypeError(f"an array cannot be called {GRADIENT}, which backward has for something else")
    if not 1 <= len(parameters) <= MOST_ARRAYS:
        raise TypeError(f"an expression has 1 to {MOST_ARRAYS} arrays; {function.__name__} has {len(parameters)}")
    return tuple(parameter.name for parameter in parameters)


def _restored(content: bytes) -> Elementwise:
    state, table = pickle.loads(content)
    made = Elementwise.__new__(Elementwise)
    vars(made).update(state, _made={}, written=from_table(Expression, table)[0])
    return made


def _ufunc_of(expression: Elementwise, kind: str, argument: str, backend: str | None) -> np.ufunc:
    return expression.ufunc(kind, argument, backend)


def elementwise(function: Callable[..., Any], /) -> Elementwise:
    """Make one ufunc of an expression of arrays; a decorator.

    Parameters
    ----------
    function : callable
        A function of one to six arrays, made of what formulas of activations can say too.

    Returns
    -------
    Elementwise
        Compiled on first use. It is called like a ufunc of NumPy's, with broadcasting, ``out``, ``where`` and so on;
        ``derivatives(*arrays)`` and ``backward(grad, *arrays)`` are found by the chain rule.

    Raises
    ------
    TypeError
        If the expression branches on what is in the arrays, or uses what does not compute each number by itself.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> @fastact.elementwise
    ... def distance(a, b):
    ...     return np.sqrt(a**2 + b**2)
    >>> distance(np.array([3.0, 1e200]), 4.0).tolist()
    [5.0, 1e+200]
    >>> [float(d) for d in distance.derivatives(3.0, 4.0)]
    [0.6, 0.8]
    """
    return Elementwise(function)

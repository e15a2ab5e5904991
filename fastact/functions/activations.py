"""Activations: a formula, what there is to say about it, and the four callables made from it."""

from __future__ import annotations

import contextlib
import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any, overload

import numpy as np

from fastact.formulas.expressions import Expression, Values, differentiate, variable
from fastact.functions import pickles
from fastact.functions.documentation import docstring
from fastact.functions.graphs import Graphs, through
from fastact.functions.homes import home
from fastact.functions.inlined import understood
from fastact.functions.parameters import name_of, named, parameters_of
from fastact.functions.registry import ACTIVATIONS, KINDS, Registry
from fastact.functions.shown import Shown
from fastact.runtime.backends import backend as backend_in_use
from fastact.runtime.backends import do_without
from fastact.runtime.notices import UnavailableError
from fastact.ufuncs.keywords import REQUIRED, Call, with_keywords
from fastact.ufuncs.ufunc import Definition, make_ufunc, pickled_as

__all__ = ["ACTIVATIONS", "Activation", "activation", "catalogued"]

#: Between a kind and the parameter that is differentiated by.
BY = ":"


class Activation:
    """An activation function: formula, parameters and the callables made from them.

    Made by :func:`fastact.activation`; ``fastact.ACTIVATIONS`` holds those of the catalogue.

    Attributes
    ----------
    name : str
    aliases : tuple of str
        Other names of the same functions.
    parameters : dict
        Names and defaults; ``inspect.Parameter.empty`` where a value must be given.
    formula : str
        The value as text.
    range : str
        The interval of its values.
    reference : str
        Where it comes from.
    derivative_formula : str
        The derivative as text.
    domain : tuple of float
        Between which x there are values; outside, both they and derivatives are NaN.
    ulp : float
        The bound that the tests hold values and derivatives to, in units in the last place.
    value, derivative, backward, with_derivative : callable
        ``f(x)``; ``f'(x)``; ``grad * f'(x)``; both ``f(x)`` and ``f'(x)``, each in one pass over memory.
        ``backward(grad, x, parameters=True)`` is followed by the gradient of each parameter, summed to its shape.
    second_derivative : callable
        The derivative of the derivative.

    Examples
    --------
    >>> import fastact
    >>> fastact.ACTIVATIONS["elu"].parameters
    {'alpha': 1.0}
    >>> float(fastact.ACTIVATIONS["relu"](-3.0))
    0.0
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        derivative: Callable[..., Any] | None = None,
        formula: str | None = None,
        range: str = "",
        reference: str = "",
        aliases: tuple[str, ...] = (),
        choice: Mapping[str | bool, str] | None = None,
        learned: str | None = None,
        initial: Mapping[str, float] | None = None,
        trained_as: str | None = None,
        ulp: float = 2.0,
        domain: tuple[float, float] = (-math.inf, math.inf),
        catalogued: bool = False,
    ) -> None:
        self.parameters = parameters_of(function)
        self.name = named(name) if name is not None else name_of(function)
        self.aliases = tuple(map(named, aliases))
        self.catalogued = catalogued
        self.range = range
        self.reference = reference
        self.ulp = ulp
        self.domain = domain
        self.summary = inspect.getdoc(function) or f"The activation {self.name}."
        self.learned = learned  # a parameter that backward also differentiates by
        self.initial = dict(initial or {})  # what parameters without a default begin with where they are trained
        self.trained_as = trained_as  # in training, this activation with a random parameter between two bounds
        self.choice = dict(choice or {})  # values of the option `approximate`: the activation each stands for
        self._function, self._derivative = function, derivative
        self.__module__, self.__qualname__ = function.__module__, function.__qualname__
        self._formula = formula
        self._made: dict[tuple[Any, ...], Any] = {}

    # -- the formula ------------------------------------------------------------------------------

    @cached_property
    def graphs(self) -> Graphs:
        return Graphs.of(self._function, list(self.parameters), self._derivative)

    @property
    def expressions(self) -> tuple[Expression, Expression]:
        """Value and derivative as graphs; the derivative by the chain rule unless the formula gives it."""
        return self.graphs.value, self.graphs.derivative

    @property
    def options(self) -> dict[str, Any]:
        """Keywords that choose what is computed, and their defaults."""
        training = {"training": False, "rng": None} if self.trained_as else {}
        return training | ({"approximate": "none"} if self.choice else {})

    @cached_property
    def shown(self) -> Shown:
        return Shown(self.name, self._formula, self.graphs)

    @property
    def formula(self) -> str:
        return self._formula or self.shown.value_text

    @property
    def derivative_formula(self) -> str:
        return self.shown.slope_text

    def _repr_latex_(self) -> str:
        """What notebooks show: value and derivative."""
        return self.shown.latex

    def definition(self, kind: str = "value", fixed: bool = False) -> Definition:
        """What the ufunc of that kind computes; ``fixed``: with the defaults as constants in place of parameters."""
        constants = self.parameters if fixed else {}
        inputs = [name for name in ("x", *self.parameters) if name not in constants]
        kind, _, parameter = kind.partition(BY)
        if kind == "backward":
            inputs = ["grad", *inputs]
        suffix = "" if kind == "value" else f"_{kind}{'_by_' * bool(parameter)}{parameter}"
        doc = self.documentation(kind) if kind in KINDS.values() and not parameter else ""
        return Definition(self.name + suffix, inputs, self._results(kind, parameter), doc, constants)

    def _results(self, kind: str, parameter: str) -> tuple[Expression, ...]:
        graphs, grad = self.graphs, variable("grad")
        if kind == "backward" and parameter:
            return (through(grad, graphs.by_parameter[parameter]),)
        if kind == "backward":
            learned = [through(grad, differentiate(graphs.value, variable(self.learned)))] if self.learned else []
            return (through(grad, graphs.derivative), *learned)
        if kind == "derivative":
            return (graphs.by_parameter[parameter] if parameter else graphs.derivative,)
        if kind == "with_derivative":
            return graphs.value, graphs.derivative
        if kind not in ("value", "second_derivative"):
            raise ValueError(f"kind must be one of {', '.join(KINDS.values())}, not {kind!r}")
        return (getattr(graphs, kind),)

    def source(self, kind: str = "value", dtype: Any = "float32") -> str:
        """The emitted Python module that Numba compiles for one kind and dtype.

        Parameters
        ----------
        kind : str, default "value"
            ``"value"``, ``"derivative"``, ``"backward"`` or ``"with_derivative"``.
        dtype : dtype, default float32
            float16, float32 or float64.

        Raises
        ------
        ValueError
            For another kind or dtype.

        Examples
        --------
        >>> import fastact
        >>> print(fastact.ACTIVATIONS["relu"].source()[:28])
        from fastact.simd.blocks import *
        """
        storage = np.dtype(dtype).name
        if storage not in ("float16", "float32", "float64"):
            raise ValueError(f"dtype must be float16, float32 or float64, not {storage}")
        return self.definition(kind).source(storage)

    def beginning(self) -> dict[str, float]:
        """What its parameters are before they are trained."""
        return {name: float(self.initial.get(name, default)) for name, default in self.parameters.items()}

    def documentation(self, kind: str = "value") -> str:
        return docstring(self, kind)

    # -- the callables ----------------------------------------------------------------------------

    def callable(self, kind: str = "value", backend: str | None = None) -> Callable[..., Any]:
        """The callable of that kind; a ufunc, or a function with keyword defaults over one."""
        if backend is None:
            backend = backend_in_use()
        key = kind, backend
        if key not in self._made:
            plain = not self.parameters and not self.options
            try:
                made = self.ufunc(kind, backend) if plain else self._with_keywords(kind, backend)
            except UnavailableError as error:
                made = self.callable(kind, do_without(error))
            self._made[key] = made
        return self._made[key]

    def ufunc(self, kind: str, backend: str, fixed: bool = False) -> np.ufunc:
        """The ufunc under the callable of that kind; ``fixed``: with the defaults as constants."""
        fixed = fixed and bool(self.parameters)
        key = kind, backend, fixed
        if key not in self._made:
            ufunc: Any = make_ufunc(self.definition(kind, fixed), backend)
            with contextlib.suppress(AttributeError):  # before NumPy 2.2
                ufunc.__module__ = home(backend) if self.catalogued else self.__module__
            understood(ufunc, self.definition(kind, fixed), self.expressions[1] if kind == "value" else None)
            pickled_as(ufunc, pickles.ufunc_of, self, kind, pickles.portable(backend), fixed)
            self._made[key] = ufunc
        return self._made[key]

    def _with_keywords(self, kind: str, backend: str) -> Callable[..., Any]:
        function = with_keywords(self._call(kind, backend), backend)
        if self.catalogued:
            return function
        return pickles.Own(function, self, kind, backend)

    def _call(self, kind: str, backend: str) -> Call:
        """How the callable of that kind is to be called."""
        usual = self.parameters and REQUIRED not in self.parameters.values()
        chosen = BY not in kind  # by a parameter, what is differentiated is the formula as it stands
        return Call(
            self.definition(kind),
            self.ufunc(kind, backend),
            self.ufunc(kind, backend, fixed=True) if usual else None,
            self.parameters,
            self.options if chosen else {},
            {option: ACTIVATIONS[other].callable(kind, backend) for option, other in self.choice.items() if chosen},
            ACTIVATIONS[self.trained_as].callable(kind, backend) if self.trained_as and chosen else None,
            self.learned if kind == "backward" else None,
            (lambda: self.backward_by(self.parameters, backend)) if kind == "backward" and self.parameters else None,
        )

    def backward_by(self, parameters: Iterable[str], backend: str) -> list[np.ufunc]:
        """What makes the gradient of each of these, for each element: ``(grad, x, *all parameters)`` to that."""
        return [self.ufunc(f"backward{BY}{parameter}", backend) for parameter in parameters]

    def parameter_derivatives(self, x: Any, *parameters: Any, **keywords: Any) -> tuple[Any, ...]:
        """The derivative of the value by each parameter, for each element of x.

        Parameters
        ----------
        x : array_like
        *parameters, **keywords
            As the value takes them.

        Returns
        -------
        tuple of ndarray or scalar
            One for each parameter, in their order.

        Examples
        --------
        >>> import fastact
        >>> by_alpha, = fastact.ACTIVATIONS["elu"].parameter_derivatives(-1.0)
        >>> round(float(by_alpha), 4)
        -0.6321
        """
        return tuple(self.callable(f"derivative{BY}{name}")(x, *parameters, **keywords) for name in self.parameters)

    value = property(lambda self: self.callable("value"))
    derivative = property(lambda self: self.callable("derivative"))
    backward = property(lambda self: self.callable("backward"))
    with_derivative = property(lambda self: self.callable("with_derivative"))
    second_derivative = property(lambda self: self.callable("second_derivative"))

    def __call__(self, x: Any, *parameters: Any, **keywords: Any) -> Any:
        return self.value(x, *parameters, **keywords)

    def __copy__(self) -> Activation:
        """Itself, as with functions."""
        return self

    def __deepcopy__(self, memo: Any) -> Activation:
        return self

    def __reduce__(self) -> str | tuple[Any, ...]:
        """By name, as functions are pickled, where others can import it; else by what it consists of."""
        return self.__qualname__ if pickles.importable(self) else pickles.by_value(self, self.state(), self.graphs)

    def state(self) -> dict[str, Any]:
        """What it is beside its graphs."""
        return {**vars(self), "_formula": self.formula}

    def __repr__(self) -> str:
        return f"<activation {self.name}: {self.formula}>"


@overload
def activation(function: Callable[..., Any], /) -> Activation: ...


@overload
def activation(
    *,
    name: str | None = ...,
    aliases: tuple[str, ...] = ...,
    register: bool = ...,
    derivative: Callable[..., Any] | None = ...,
    formula: str | None = ...,
    range: str = ...,
    reference: str = ...,
) -> Callable[[Callable[..., Any]], Activation]: ...


def activation(function: Callable[..., Any] | None = None, /, *, register: bool = False, **details: Any) -> Any:
    """Make an activation of a formula; a decorator.

    Parameters
    ----------
    function : callable
        A formula: a function of ``x`` and up to five parameters, made of operators, numbers, other activations, and
        functions of NumPy and ``scipy.special`` that compute each number by itself; the README has a table. It returns
        the value, or the pair of value and derivative; without the latter the chain rule finds it.
    name : str, optional
        Its name, if the function has another one.
    aliases : tuple of str, optional
        Other names.
    register : bool, default False
        Whether layers, networks and ``fastact.get`` know it by its names from now on. Another one of the same name
        takes its place.
    derivative : callable, optional
        A formula of the same parameters for the derivative, instead of what the chain rule finds.
    formula, range, reference : str, optional
        The formula as text, the interval of its values, and where it comes from.

    Returns
    -------
    Activation
        Compiled on first use; accepted wherever this package takes an activation.

    Raises
    ------
    TypeError
        If the formula branches on x, or uses something that has no compiled form; if a parameter has a default that is
        no number, or is called ``grad``, ``keywords``, ``out`` or ``parameters``.
    ValueError
        If a name is none that Python could have, or is to be registered and belongs to another activation.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> @fastact.activation
    ... def bent(x, slope=1.0):
    ...     return x + slope * (np.sqrt(x * x + 1) - 1) / 2
    >>> bent(np.array([-0.75, 0.0, 0.75]))
    array([-0.625,  0.   ,  0.875])
    >>> float(bent.derivative(0.0, slope=2.0))
    1.0
    """
    if function is None:
        return lambda actual: _made_of(actual, register, details)
    return _made_of(function, register, details)


def _made_of(function: Callable[..., Any], register: bool, details: Mapping[str, Any]) -> Activation:
    made = Activation(function, **details)
    made.expressions  # noqa: B018  an error in the formula is raised here, where it was written
    if register:
        ACTIVATIONS.register(made)
    return made


def catalogued(registry: Registry = ACTIVATIONS, **details: Any) -> Callable[[Callable[..., Values]], Activation]:
    """A decorator: an entry of the catalogue."""

    def entered(function: Callable[..., Values]) -> Activation:
        entry = Activation(function, catalogued=True, **details)
        registry.add(entry)
        return entry

    return entered

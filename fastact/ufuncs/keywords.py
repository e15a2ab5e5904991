"""Functions with keyword defaults over ufuncs, for activations that have parameters.

They are written out as source, so that each has a true signature and costs one plain call; and calls that leave
all parameters alone do not even come here, see :mod:`fastact.ufuncs.shortcut`. Names of the source's own begin with an
underscore: others may be a parameter's.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from fastact.containers.blocks import uniform
from fastact.containers.recognition import as_summable, handler_of
from fastact.runtime.backends import HOMES
from fastact.ufuncs import nested
from fastact.ufuncs.direct import in_front_of
from fastact.ufuncs.known_loops import note_ufunc
from fastact.ufuncs.nested import broadcast_axes
from fastact.ufuncs.shortcut import with_shortcut
from fastact.ufuncs.ufunc import STORAGES, Definition, bfloat16, records_of

__all__ = ["REQUIRED", "Call", "sum_to", "with_keywords"]

#: The default of a parameter that must be given.
REQUIRED = inspect.Parameter.empty

NONE: Mapping[Any, Any] = MappingProxyType({})


class Call(NamedTuple):
    """What a function is to be made of."""

    definition: Definition
    ufunc: np.ufunc
    usual: np.ufunc | None  # with the defaults as constants; None if a parameter has none
    parameters: Mapping[str, Any]  # and their defaults
    options: Mapping[str, Any] = NONE  # likewise
    choices: Mapping[Any, Callable[..., Any]] = NONE  # for each value of ``approximate``
    trained: Callable[..., Any] | None = None  # takes over for ``training=True``, with a parameter for each element
    learned: str | None = None  # a parameter: the second result is summed to its shape
    by_parameters: Callable[[], list[np.ufunc]] | None = None  # gradients of each, for ``parameters=True``


def with_keywords(call: Call, backend: str) -> Callable[..., Any]:
    """A function that takes parameters and options by position or keyword."""
    definition, ufunc = call.definition, call.ufunc
    names, defaults = definition.inputs, call.parameters
    arrays = [name for name in names if name not in defaults]
    signature = [n if defaults.get(n, REQUIRED) is REQUIRED else f"{n}=_default_{n}" for n in names]
    signature += [f"{name}={default!r}" for name, default in call.options.items()]
    namespace: dict[str, Any] = {"_ufunc": ufunc} | {f"_default_{name}": default for name, default in defaults.items()}
    body: list[str] = []
    if call.trained:
        body += _train(call.trained, namespace, names, list(defaults))
    if call.by_parameters:
        body += _by_parameters(call.by_parameters, namespace, names, list(defaults), len(definition.results))
    if call.choices:
        body += _choose(call.choices, namespace, names)
    if call.usual:
        body += _usual(list(defaults), call.usual, namespace, arrays)
    body += _fitting(list(defaults), namespace, arrays)
    plain = _narrow(list(defaults), namespace)
    if defaults and backend == "numba" and len(definition.results) == 1:
        plain += _nested(namespace, ufunc, names, list(defaults), noted=not call.usual)
    if defaults and plain:
        body += ["if _type(x) is _array:", *(f"    {line}" for line in plain)]
    apply = f"_ufunc({', '.join(names)}, **keywords)"
    if call.learned:
        if backend == "numba":
            body += _fused(definition, namespace)
        namespace["_sum_to"] = sum_to
        body += [f"_dx, _dw = {apply}", f"return _dx, _sum_to(_dw, {call.learned})"]
    else:
        body.append(f"return {apply}")
    text = "".join(f"    {line}\n" for line in body)
    source = f"def {definition.name}({', '.join(signature)}, **keywords):\n{text}"
    exec(compile(source, f"<fastact {definition.name}>", "exec"), namespace)
    function: Callable[..., Any] = namespace[definition.name]
    function.__doc__ = definition.doc
    function.__module__ = HOMES[backend]
    shortcut = call.usual if defaults else ufunc
    if backend == "numba":
        if shortcut:
            return with_shortcut(function, shortcut)
        if "_calls" in namespace:
            function, namespace["_calls"] = in_front_of(function)
    return function


def _by_parameters(
    made: Callable[[], list[np.ufunc]], namespace: dict[str, Any], names: list[str], parameters: list[str], results: int
) -> list[str]:
    """``parameters=True`` asks for the gradient of every parameter, summed to its shape."""

    def gradients(dx: Any, *operands: Any) -> tuple[Any, ...]:
        given = operands[len(operands) - len(parameters) :]
        each = (sum_to(ufunc(*operands), parameter) for ufunc, parameter in zip(made(), given))
        return (dx[0] if results > 1 else dx, *each)

    namespace["_gradients"] = gradients
    arguments = ", ".join(names)
    return [
        "if 'parameters' in keywords and keywords.pop('parameters'):",
        f"    return _gradients(_ufunc({arguments}, **keywords), {arguments})",
    ]


def _choose(choices: Mapping[Any, Callable[..., Any]], namespace: dict[str, Any], names: list[str]) -> list[str]:
    """``approximate="tanh"``, which jax calls True, hands over to the function that stands for it."""
    namespace |= {"_options": choices, "_refuse": _refuse}
    return [
        "if not isinstance(approximate, (str, bool)): _refuse(approximate, _options)",
        "if approximate is False: approximate = 'none'",
        "if approximate != 'none':",
        "    if approximate not in _options: _refuse(approximate, _options)",
        f"    return _options[approximate]({', '.join(names)}, **keywords)",
    ]


def _train(trained: Callable[..., Any], namespace: dict[str, Any], names: list[str], bounds: list[str]) -> list[str]:
    """``training=True`` draws the parameter of another function for each element."""
    namespace |= {"_trained": trained, "_draw": _draw}
    leading = ", ".join(name for name in names if name not in bounds)
    return ["if training:", f"    return _trained({leading}, _draw(x, {', '.join(bounds)}, rng), **keywords)"]


def _draw(x: Any, lower: Any, upper: Any, rng: Any) -> Any:
    """Numbers between the bounds, one per element of x and in its dtype."""
    handler = handler_of(x)
    if handler == "lazy":
        return uniform(x, lower, upper, rng)
    if handler == "datasets":
        drawn = np.random.default_rng(rng)  # one sequence of numbers for all variables
        return x.map(lambda variable: variable.copy(data=_draw(variable, lower, upper, drawn)))
    if handler == "partitions":
        raise TypeError("rrelu draws a number for every row, and how many there are Dask does not know")
    x = np.asanyarray(x)
    dtype = x.dtype if x.dtype.kind == "f" or x.dtype == bfloat16() else np.dtype(float)
    return np.random.default_rng(rng).uniform(lower, upper, x.shape).astype(dtype)


def _usual(parameters: list[str], usual: np.ufunc, namespace: dict[str, Any], inputs: list[str]) -> list[str]:
    """With all parameters left at their defaults, a ufunc in which they are constants: one operand less to
    prepare for NumPy (half of a one-element call), and nothing to compute for a factor of one."""
    namespace["_usual"] = usual
    given = " and ".join(f"{name} is _default_{name}" for name in parameters)
    return [f"if {given}:", f"    return _usual({', '.join(inputs)}, **keywords)"]


def _fitting(parameters: list[str], namespace: dict[str, Any], arrays: list[str]) -> list[str]:
    """Numbers beyond an array's dtype become infinite in it, and NumPy warns of that; the mathematics does not."""
    namespace |= {"_fit": _fit, "_type": type, "_float": float}
    condition = "if _type({0}) is _float and not -65504.0 <= {0} <= 65504.0: "
    return [f"{condition.format(name)}{name} = _fit({name}, ({', '.join(arrays)},))" for name in parameters]


def _fit(parameter: float, arrays: tuple[Any, ...]) -> Any:
    """The parameter in the dtype that a call with these arrays has, unless that is wide."""
    dtypes = {getattr(array, "dtype", np.dtype(float)) for array in arrays}
    if not all(isinstance(dtype, np.dtype) for dtype in dtypes):  # pandas and polars have others
        return parameter
    if len(dtypes) > 1 or any(dtype.itemsize >= 8 or dtype.kind not in "fV" for dtype in dtypes):
        return parameter
    with np.errstate(over="ignore"):
        return dtypes.pop().type(parameter)


def _narrow(parameters: list[str], namespace: dict[str, Any]) -> list[str]:
    """Numbers of Python's take the dtype of arrays; bfloat16, which NumPy knows nothing of, would become float32."""
    if bfloat16() is None:
        return []
    namespace |= {"_bfloat16": bfloat16(), "_float": float, "_type": type, "_array": np.ndarray}
    narrowed = (f"    if _type({name}) in (_float, int): {name} = _bfloat16.type({name})" for name in parameters)
    return ["if x.dtype is _bfloat16:", *narrowed]


def _nested(
    namespace: dict[str, Any], ufunc: np.ufunc, names: list[str], parameters: list[str], noted: bool
) -> list[str]:
    """Large arrays with a parameter per row or channel: all rows in one compiled call. ``noted``: the next call with
    parameters that are arrays like these does not come here."""
    namespace |= {"_records": records_of(ufunc), "_storages": STORAGES, "_array": np.ndarray, "_type": type}
    namespace["_nested"] = nested
    operands = ", ".join(names)
    lines = [
        "_result = NotImplemented",
        "if x.size >= _nested.LARGE:",
        f"    _result = _nested.run_nested(_records, _storages, ({operands},), keywords)",
    ]
    if noted:
        namespace |= {"_calls": None, "_note": note_ufunc}
        arrays = " and ".join(f"_type({name}) is _array" for name in parameters)
        given = ", ".join(f"{name!r}: {name}" for name in names)
        lines += [
            f"if _calls is not None and {arrays} and not keywords.keys() - {{'out'}}:",
            f"    if _result is NotImplemented: _result = _ufunc({operands}, **keywords)",
            f"    _note(_calls, _ufunc, {{{given}}}, _result)",
        ]
    return [*lines, "if _result is not NotImplemented: return _result"]


def _fused(definition: Definition, namespace: dict[str, Any]) -> list[str]:
    """The parameter's gradient summed where it arises: written out first, it would double what is written."""
    from fastact.ufuncs.learned import LearnedBackward

    namespace["_fused"] = LearnedBackward(definition)
    return [
        f"_result = _fused(({', '.join(definition.inputs)}), keywords)",
        "if _result is not NotImplemented: return _result",
    ]


def _refuse(approximate: Any, options: Mapping[Any, Any]) -> None:
    choices = f"approximate must be one of {', '.join(map(str, ['none', *options, False]))}"
    if not isinstance(approximate, (str, bool)):  # likely an array that was meant for out
        raise TypeError(f"{choices}, not {type(approximate).__name__}")
    raise ValueError(f"{choices}, not {approximate!r}")


def sum_to(gradient: Any, parameter: Any) -> Any:
    """Sum over the axes along which a parameter was broadcast."""
    shape = np.shape(parameter)
    gradient = as_summable(gradient)
    axes = broadcast_axes(shape, gradient.shape)
    if not axes:
        return gradient[()]
    with np.errstate(over="ignore", invalid="ignore"):  # float16 may well be too narrow, infinities may cancel
        return gradient.sum(axis=axes, dtype=np.float64).astype(gradient.dtype).reshape(shape)[()]

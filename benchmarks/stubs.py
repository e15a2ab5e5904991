"""The type stubs of the public names, for ``fastact`` and ``fastact.fallback``, written from the registry.

Arrays of floats give arrays of the same floats. Whatever else can be made an array is taken too, and gives what it
gives: containers return themselves, and numbers scalars.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator

from fastact import fallback
from fastact.catalogue import ACTIVATIONS, SPECIAL, Activation
from fastact.functions.registry import KINDS
from fastact.losses.definition import LOSSES, REDUCTIONS
from fastact.names import functions

__all__ = ["CATALOGUE", "fallback_stubs", "stubs"]

#: What comes with derivatives: activations, and the special functions behind them.
CATALOGUE = [*ACTIVATIONS.values(), *SPECIAL.values()]

FLOATS = "NDArray[_Float]"

HEADER = '''"""Type stubs of the public names. Written by benchmarks/generate.py from the registry."""

from collections.abc import Mapping
from typing import Any, Literal, TypedDict, TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from typing_extensions import Unpack

from fastact import fallback as fallback
from fastact.catalogue import Activation as Activation
from fastact.catalogue import activation as activation
from fastact.estimators.classifier import MLPClassifier as MLPClassifier
from fastact.estimators.regressor import MLPRegressor as MLPRegressor
from fastact.functions.elementwise import Elementwise as Elementwise
from fastact.functions.elementwise import elementwise as elementwise
from fastact.losses.definition import Reduction
from fastact.networks.mlp import MLP as MLP
from fastact.rows.shapes import Axis, OneAxis, SomeAxes
from fastact.runtime.backends import backend as backend
from fastact.runtime.control import get_num_threads as get_num_threads
from fastact.runtime.control import set_num_threads as set_num_threads
from fastact.ufuncs.memory import kept_memory as kept_memory

__version__: str
__all__: list[str]
ACTIVATIONS: Mapping[str, Activation]

def get(name: str | Activation) -> Activation: ...

_Float = TypeVar("_Float", bound=np.floating[Any])
_Integers = NDArray[np.integer[Any] | np.bool_]
_Out = NDArray[Any] | tuple[NDArray[Any] | None, ...] | None

class _Keywords(TypedDict, total=False):
    where: ArrayLike
    casting: Literal["no", "equiv", "safe", "same_kind", "unsafe"]
    order: Literal["K", "A", "C", "F"] | None
    subok: bool
    signature: str | tuple[Any, ...]

class _Anything(_Keywords, total=False):
    dtype: DTypeLike | None
'''

#: How a ufunc is called, for each kind: arguments and result. NumPy's own stubs make subclasses of it likewise.
UFUNC = """
class {name}(np.ufunc):  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]
    @overload
    def __call__(self, {floats}, out: {out} = None, /, **keywords: Unpack[_Keywords]) -> {result}: ...
    @overload
    def __call__(self, {floats}, /, *, out: {out} = None, **keywords: Unpack[_Keywords]) -> {result}: ...
    @overload
    def __call__(self, {integers}, /, **keywords: Unpack[_Keywords]) -> {wide}: ...
    @overload
    def __call__(self, {anything}, out: _Out = None, /, **keywords: Unpack[_Anything]) -> {other}: ...
    @overload
    def __call__(self, {anything}, /, *, out: _Out = None, **keywords: Unpack[_Anything]) -> {other}: ...
"""

CLASSES = {"value": "_Value", "derivative": "_Value", "backward": "_Backward", "with_derivative": "_Pair"}

FALLBACK = '''"""Type stubs of the NumPy versions. Written by benchmarks/generate.py."""

from fastact import (
{names})

__all__: list[str]
'''


def pair(result: str, several: bool) -> str:
    return f"tuple[{result}, {result}]" if several else result


def out_of(several: bool) -> str:
    """Where arrays of floats go, one or two of them."""
    return f"{pair(f'{FLOATS} | None', several)} | None" if several else f"{FLOATS} | tuple[{FLOATS}] | None"


def ufunc_class(kind: str) -> str:
    """The type of the ufuncs of a kind."""
    several = kind == "with_derivative"
    arguments = ["grad", "x"] if kind == "backward" else ["x"]
    typed = {
        name: ", ".join(f"{argument}: {type_}" for argument in arguments)
        for name, type_ in (("floats", FLOATS), ("integers", "_Integers"), ("anything", "ArrayLike"))
    }
    results = {"result": FLOATS, "wide": "NDArray[np.float64]", "other": "Any"}
    results = {name: pair(result, several) for name, result in results.items()}
    return UFUNC.format(name=CLASSES[kind], out=out_of(several), **typed, **results)


def overloads(*declarations: str) -> str:
    return "".join(f"@overload\n{declaration}" for declaration in declarations)


def activation_stub(entry: Activation, kind: str) -> str:
    """The declaration of one callable."""
    suffix = next(suffix for suffix, known in KINDS.items() if known == kind)
    name = entry.name + suffix
    if not entry.parameters and not entry.options:
        return f"{name}: {CLASSES[kind]}\n"
    learned = entry.learned if kind == "backward" else None
    several = kind == "with_derivative" or learned is not None
    arrays = ["grad", "x"] if kind == "backward" else ["x"]

    def declaration(array: str, number: str, out: str, keywords: str, result: str, *more: str) -> str:
        arguments = [f"{argument}: {array}" for argument in arrays]
        for parameter, default in entry.parameters.items():
            type_ = number if parameter != learned else array  # whose gradient is of its shape
            arguments.append(f"{parameter}: {type_}{shown(default)}")
        arguments += [f"{option}: {option_type(entry, option)} = {d!r}" for option, d in entry.options.items()]
        arguments += ["*", *more, f"out: {out} = None", f"**keywords: Unpack[{keywords}]"]
        return f"def {name}({', '.join(arguments)}) -> {result}: ...\n"

    declarations = [
        declaration(FLOATS, f"float | {FLOATS}", out_of(several), "_Keywords", pair(FLOATS, several)),
        declaration("ArrayLike", "ArrayLike", "_Out", "_Anything", pair("Any", several)),
    ]
    if kind == "backward" and entry.parameters:  # with the gradient of each parameter
        both = "ArrayLike", "ArrayLike", "_Out", "_Anything", "tuple[Any, ...]"
        declarations.append(declaration(*both, "parameters: Literal[True]"))
    return overloads(*declarations)


def shown(default: object) -> str:
    """A default as it is written in a signature; infinity has no literal."""
    return "" if default is inspect.Parameter.empty else " = ..." if default == math.inf else f" = {default}"


def option_type(entry: Activation, option: str) -> str:
    if option == "approximate":
        names = [entry.options[option], *(choice for choice in entry.choice if isinstance(choice, str))]
        return f"Literal{names} | bool"
    return {"training": "bool", "rng": "np.random.Generator | int | None"}[option]


def function_stub(name: str) -> str:
    """The declaration of a function that is no activation."""
    signature = inspect.signature(functions().callable(name, "numpy"))  # built-in functions have no annotations
    result = str(signature.return_annotation)
    declarations = [
        f"def {name}({arguments(signature, types)}) -> {special}: ...\n" for types, special in variants(name, signature)
    ]
    general = "Any" if " | " in result else result.replace("NDArray[Any]", "Any")
    declarations.append(f"def {name}({arguments(signature, {})}) -> {general}: ...\n")
    return overloads(*declarations) if len(declarations) > 1 else declarations[0]


def variants(name: str, signature: inspect.Signature) -> Iterator[tuple[dict[str, str], str]]:
    """What some types of arguments tell of the result: types by argument, and the result."""
    result, parameters = str(signature.return_annotation), signature.parameters
    types = {key: str(parameters[key].annotation).replace("ArrayLike", FLOATS) for key in followed(signature)}
    types |= {"out": f"{parameters['out'].annotation}".replace("[Any]", "[_Float]")} if "out" in parameters else {}
    types |= {"dtype": "None"} if "dtype" in parameters else {}
    if "reduction" in parameters and result == "Any":
        known = LOSSES[name].reductions if name in LOSSES else REDUCTIONS
        yield types | {"reduction": "Literal['none']"}, FLOATS
        yield types | {"reduction": f"Literal{[r for r in known if r != 'none']}"}, "_Float"
    elif "keepdims" in parameters:
        yield from sums(types, "return_sign" in parameters)
    elif " | " in result:  # one array, or also the gradient with respect to another, if there is that
        other = next(key for key, p in parameters.items() if p.annotation == "ArrayLike | None")
        alone, _, several = result.replace("NDArray[Any]", FLOATS).partition(" | ")
        yield types | {other: "None"}, alone
        yield types | {other: FLOATS}, several
    elif "NDArray" in result:
        yield types, result.replace("NDArray[Any]", FLOATS)


def sums(types: dict[str, str], signed: bool) -> Iterator[tuple[dict[str, str], str]]:
    """A sum over all is a number, one along some axes an array; ``signed``: its signs may be asked for as well."""
    whole = {"axis": "None", "keepdims": "Literal[False]", "out": "None"}
    for changed, result in ((whole, "_Float"), ({"axis": "SomeAxes"}, FLOATS), ({"keepdims": "Literal[True]"}, FLOATS)):
        if not signed:
            yield types | changed, result
        else:
            yield types | changed | {"return_sign": "Literal[False]"}, result
            yield types | changed | {"return_sign": "Literal[True]"}, pair(result, True)


def followed(signature: inspect.Signature) -> list[str]:
    """The arguments whose dtypes the result has, promoted."""
    names = [name for name, p in signature.parameters.items() if "ArrayLike" in str(p.annotation) and name != "where"]
    return names[:1] if "ignore_index" in signature.parameters else names  # with labels, only the prediction's counts


def arguments(signature: inspect.Signature, types: dict[str, str]) -> str:
    """A signature's inside; what must be of another type than its default is must be given, by name after others."""
    written: list[str] = []
    keywords_only = False
    for name, parameter in signature.parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY and not keywords_only:
            written.append("*")
            keywords_only = True
        type_ = types.get(name, str(parameter.annotation))
        default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
        if name in types and repr(parameter.default) not in type_ and choosing(parameter):
            default = ""
            if not keywords_only and any(" = " in other for other in written):
                written.append("*")
                keywords_only = True
        written.append(f"{name}: {type_}{default}")
    return ", ".join(written)


def choosing(parameter: inspect.Parameter) -> bool:
    """Whether what is given decides on the kind of result."""
    return parameter.name == "reduction" or parameter.default is None or isinstance(parameter.default, bool)


def stubs() -> str:
    parts = [HEADER, *map(ufunc_class, dict.fromkeys(("value", "backward", "with_derivative"))), "\n"]
    for entry in CATALOGUE:
        parts += [activation_stub(entry, kind) for kind in KINDS.values()]
        parts += [f"{alias}{suffix} = {entry.name}{suffix}\n" for alias in entry.aliases for suffix in KINDS]
    return "".join([*parts, *map(function_stub, functions())])


def fallback_stubs() -> str:
    return FALLBACK.format(names="".join(f"    {name} as {name},\n" for name in fallback.__all__))

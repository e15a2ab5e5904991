"""Docstrings of the public callables, written from the registry."""

from __future__ import annotations

from typing import Any

from fastact.ufuncs.keywords import REQUIRED

__all__ = ["docstring"]

HEADLINES = {
    "value": "{summary}",
    "derivative": "Derivative of {name} with respect to x.",
    "backward": "``grad * {name}_derivative(x)`` in one pass over memory; x is the input of {name}, not its output.",
    "with_derivative": "The pair of {name} and its derivative, in one pass over memory.",
}

EXAMPLES = {
    "value": """    >>> y = fastact.{name}(x{given})
    >>> y.dtype, y.shape
    (dtype('float32'), (4,))""",
    "derivative": """    >>> x = x.astype(np.float64)
    >>> slope = (fastact.{name}(x + 1e-6{given}) - fastact.{name}(x - 1e-6{given})) / 2e-6
    >>> bool(np.allclose(fastact.{name}_derivative(x{given}), slope))
    True""",
    "backward": """    >>> grad = np.ones_like(x)
    >>> dx = fastact.{name}_backward(grad, x{given}){first}
    >>> bool(np.all(dx == fastact.{name}_derivative(x{given})))
    True""",
    "with_derivative": """    >>> y, slope = fastact.{name}_with_derivative(x{given})
    >>> bool(np.all(y == fastact.{name}(x{given})))
    True""",
}


def docstring(entry: Any, kind: str) -> str:
    """The docstring of one of an activation's callables."""
    name, backward = entry.name, kind == "backward"
    lines = [HEADLINES[kind].format(name=name, summary=entry.summary), ""]
    lines += [f"    {name}(x) = {entry.formula}", "", "Parameters", "----------"]
    if backward:
        lines += ["grad : array_like", f"    Gradient with respect to {name}(x); broadcasts against x."]
    lines += ["x : array_like", "    float16 is computed in float32, integers and bools give float64."]
    for parameter, default in entry.parameters.items():
        required = default is REQUIRED
        lines.append(f"{parameter} : array_like" + ("" if required else f", default {default}"))
        lines.append("    Broadcasts against x.")
    if entry.choice:
        options = ", ".join(f'"{option}" ({other})' for option, other in entry.choice.items())
        lines += ['approximate : str, default "none"', f'    "none" or {options}.']
    if entry.trained_as:
        lines += ["training : bool, default False", f"    Draw the slope of {entry.trained_as} for each element."]
        lines += ["rng : None, int or numpy.random.Generator, default None"]
        lines += ["    Where slopes come from; the same seed gives value and derivative the same slopes."]
    lines += ["**keywords", "    ``out``, ``where``, ``dtype``, ``casting``, ``order``: as for every NumPy ufunc."]
    lines += ["", "Returns", "-------"]
    if kind == "with_derivative":
        lines += ["value, derivative : ndarray or scalar", "    Each of the shape of the inputs broadcast together."]
    elif backward and entry.learned:
        lines += [
            f"dx, d{entry.learned} : ndarray or scalar",
            f"    The second is summed to the shape of {entry.learned}.",
        ]
    else:
        lines += ["ndarray or scalar", "    Of the shape of the inputs broadcast together."]
        if kind == "value" and entry.range:
            lines[-1] += f" Values in {entry.range}."
    lines += ["", "Raises", "------", "TypeError", "    If x is complex, an object, a string or a date."]
    if entry.choice:
        lines += ["ValueError", "    For another value of ``approximate``."]
    if entry.reference:
        lines += ["", "References", "----------", entry.reference]
    lines += ["", "Examples", "--------", ">>> import numpy as np, fastact"]
    lines += [">>> x = np.array([-2.25, -0.25, 0.25, 2.25], np.float32)"]
    given = "".join(f", {_sample(p)}" for p, default in entry.parameters.items() if default is REQUIRED)
    first = "[0]" if entry.learned else ""
    example = EXAMPLES[kind].format(name=name, given=given, first=first)
    lines += [line[4:] for line in example.split("\n")]
    return "\n".join(lines) + "\n"


def _sample(parameter: str) -> float:
    """A value for a parameter without default, where examples and tests need one."""
    return {"value": -1.0}.get(parameter, 0.125)

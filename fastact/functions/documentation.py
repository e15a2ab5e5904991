"""Docstrings of the public callables, written from what is known of them."""

from __future__ import annotations

import math
from typing import Any

from fastact.ufuncs.keywords import REQUIRED

__all__ = ["docstring", "numpydoc"]

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


def numpydoc(introduction: str, **sections: str) -> str:
    """A docstring as numpydoc reads it: an introduction, and sections under their titles, unless they are empty."""
    titled = (f"{title}\n{'-' * len(title)}\n{text}" for title, text in sections.items() if text)
    return "\n\n".join([introduction, *titled]) + "\n"


def docstring(entry: Any, kind: str) -> str:
    """The docstring of one of an activation's callables."""
    headline = HEADLINES[kind].format(name=entry.name, summary=entry.summary)
    raised = ["TypeError", "    If x is complex, an object, a string or a date."]
    if entry.choice:
        raised += ["ValueError", "    For another value of ``approximate``."]
    return numpydoc(
        f"{headline}\n\n    {entry.name}(x) = {entry.formula}",
        Parameters="\n".join(_parameters(entry, kind)),
        Returns="\n".join(_returned(entry, kind)),
        Raises="\n".join(raised),
        References=entry.reference,
        Examples="\n".join(_example(entry, kind)),
    )


def _parameters(entry: Any, kind: str) -> list[str]:
    lines = []
    if kind == "backward":
        lines += ["grad : array_like", f"    Gradient with respect to {entry.name}(x); broadcasts against x."]
    lines += ["x : array_like", "    float16 is computed in float32, integers and bools give float64."]
    if entry.domain != (-math.inf, math.inf):
        lines[-1] += " Outside of {:g} to {:g} all is NaN.".format(*entry.domain)
    for parameter, default in entry.parameters.items():
        required = default is REQUIRED
        lines.append(f"{parameter} : array_like" + ("" if required else f", default {default}"))
        lines.append("    Broadcasts against x.")
    if entry.choice:
        options = " or ".join(f'"{o}"' if isinstance(o, str) else str(o) for o in entry.choice)
        named = ", ".join(dict.fromkeys(entry.choice.values()))
        lines += ['approximate : str or bool, default "none"', f'    "none" or False; {options} for {named}.']
    if entry.trained_as:
        lines += ["training : bool, default False", f"    Draw the slope of {entry.trained_as} for each element."]
        lines += ["rng : None, int or numpy.random.Generator, default None"]
        lines += ["    Where slopes come from; the same seed gives value and derivative the same slopes."]
    lines += ["**keywords", "    ``out``, ``where``, ``dtype``, ``casting``, ``order``: as for every NumPy ufunc."]
    return lines


def _returned(entry: Any, kind: str) -> list[str]:
    if kind == "with_derivative":
        return ["value, derivative : ndarray or scalar", "    Each of the shape of the inputs broadcast together."]
    if kind == "backward" and entry.learned:
        second = f"    The second is summed to the shape of {entry.learned}."
        return [f"dx, d{entry.learned} : ndarray or scalar", second]
    bounds = f" Values in {entry.range}." if kind == "value" and entry.range else ""
    return ["ndarray or scalar", f"    Of the shape of the inputs broadcast together.{bounds}"]


def _example(entry: Any, kind: str) -> list[str]:
    points = "-2.25, -0.25, 0.25, 2.25" if entry.domain[0] < 0 else "0.0625, 0.25, 0.5, 0.75"
    lines = [">>> import numpy as np, fastact", f">>> x = np.array([{points}], np.float32)"]
    given = "".join(f", {_sample(p)}" for p, default in entry.parameters.items() if default is REQUIRED)
    first = "[0]" if entry.learned else ""
    example = EXAMPLES[kind].format(name=entry.name, given=given, first=first)
    return lines + [line[4:] for line in example.split("\n")]


def _sample(parameter: str) -> float:
    """A value for a parameter without default, where examples and tests need one."""
    return {"value": -1.0}.get(parameter, 0.125)

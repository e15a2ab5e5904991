"""Arguments that a function can be called with, found from its signature: to compile it ahead, or to time it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np

from fastact.names import public_callable

__all__ = ["arguments_of", "inputs_of"]

Arguments = tuple[Any, ...]


def arguments_of(name: str, x: np.ndarray) -> Iterator[Arguments]:
    """What a function of another family than activations is called with, of which x is the first, or is the input of
    the function whose backward it is."""
    forward, parameters = name.removesuffix("_backward"), inspect.signature(public_callable(name)).parameters
    for inputs in inputs_of(forward, x):
        if next(iter(parameters)) != "grad":
            yield inputs
            continue
        y = public_callable(forward)(*inputs)
        yield (
            np.ones_like(y),
            *([y] if "y" in parameters else inputs),
            *([y] if "preactivation" in parameters else []),
        )


def inputs_of(name: str, x: np.ndarray) -> Iterator[Arguments]:
    """Probabilities, or labels, or one after the other."""
    if name == "dense":
        yield x, np.full((8, x.shape[1]), 0.5, x.dtype)
        return
    parameters = inspect.signature(public_callable(name)).parameters
    labelled = "ignore_index" in parameters
    if not labelled or name == "cross_entropy":
        yield (x,) * sum(parameter.default is parameter.empty for parameter in parameters.values())
    if labelled:
        yield x, np.zeros(len(x), np.int64)

"""What ``fastact bench`` times: functions of every family and training, the same in NumPy, and by other libraries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

import fastact
from fastact.catalogue import ACTIVATIONS, SPECIAL, Activation
from fastact.commands.errors import UsageError
from fastact.commands.peers import Call, peers_of, plain_numpy
from fastact.commands.row_peers import NAMES as ROWS
from fastact.commands.row_peers import row_peers
from fastact.commands.samples import arguments_of
from fastact.functions.parameters import sample_parameters
from fastact.functions.registry import unknown
from fastact.names import functions, public_callable

__all__ = ["Subject", "chosen_names", "subject"]

#: Elements of a row, where functions go along rows; units of a dense layer.
ROW, UNITS = 1000, 128

BACKWARD = "_backward"

#: An epoch of a network of these layers, in batches of so many rows.
TRAINING, LAYERS, BATCH = "training", (784, 128, 10), 256


class Subject(NamedTuple):
    """A function called, the same in NumPy, the arrays that go through memory, and the same by other libraries."""

    name: str
    call: Call
    plain: Call
    arrays: list[np.ndarray]
    peers: Callable[[], dict[str, Call]]


def chosen_names(names: Sequence[str], backward: bool) -> list[str]:
    """Those asked for, or all that are not made of another; with ``backward``, the backward of each."""
    elementwise, others = ACTIVATIONS.public_names() | SPECIAL.public_names(), functions()
    chosen = list(names) or [*ACTIVATIONS, *(name for name in others if not name.endswith(BACKWARD)), TRAINING]
    if backward:
        suffixed = [name if name.endswith(BACKWARD) else name + BACKWARD for name in chosen]
        known = elementwise | dict.fromkeys(others)
        chosen = suffixed if names else [name for name in suffixed if name in known]
    for name in chosen:
        if name not in elementwise and name not in others and name != TRAINING:
            raise UsageError(_unknown(name))
    return chosen


def _unknown(name: str) -> str:
    forward = name.removesuffix(BACKWARD)
    if forward in functions():
        return f"{forward} has no backward"
    return unknown(forward, [*(name for name in functions() if not name.endswith(BACKWARD)), TRAINING], "function")


def subject(name: str, size: int, dtype: np.dtype) -> Subject:
    elementwise = ACTIVATIONS.public_names() | SPECIAL.public_names()
    if name in elementwise:
        return _elementwise(name, *elementwise[name], size, dtype)
    if name == TRAINING:
        return _training(size, dtype)
    return _of_arrays(name, size, dtype)


def _elementwise(name: str, entry: Activation, kind: str, size: int, dtype: np.dtype) -> Subject:
    x = np.random.default_rng(0).standard_normal(size).astype(dtype) * dtype.type(3)
    given = sample_parameters(entry)
    arguments = (np.ones_like(x), x) if kind == "backward" else (x,)
    out: Any = np.empty_like(x)
    arrays = [*arguments, out]
    if kind == "with_derivative":
        out = (out, np.empty_like(x))
        arrays = [*arguments, *out]
    elif kind == "backward" and entry.learned:
        out = (out, None)  # the parameter's gradient is a sum
    function, there = entry.callable(kind), entry.callable(kind, "numpy")
    formula = plain_numpy(entry) if kind == "value" else None

    def plain() -> object:
        return formula(x, **given) if formula else there(*arguments, *given.values())

    peers = (lambda: peers_of(entry, x, out)) if kind == "value" else dict
    return Subject(name, lambda: function(*arguments, *given.values(), out=out), plain, arrays, peers)


def _of_arrays(name: str, size: int, dtype: np.dtype) -> Subject:
    """A function of rows, gates, losses or a dense layer: numbers from 0 to 1 make sense to all of them."""
    width, random = min(ROW, size), np.random.default_rng(0)
    x = random.random((size // width, width)).astype(dtype)
    arguments: tuple[Any, ...] = next(arguments_of(name, x))
    if name == "dense":
        weight, bias = random.normal(size=(UNITS, width)), random.normal(size=UNITS)
        arguments = x, weight.astype(dtype), bias.astype(dtype), "relu"
    function, there = public_callable(name), public_callable(name, "numpy")
    result = function(*arguments)
    results = [part for part in (result if isinstance(result, tuple) else (result,)) if isinstance(part, np.ndarray)]
    given = [argument for argument in arguments if isinstance(argument, np.ndarray)]

    def peers() -> dict[str, Call]:
        if name in ROWS:
            return {key: call for key, call in row_peers(name, x, -1, None).items() if key != "numpy"}
        return _of_torch(name, arguments, result)

    return Subject(name, lambda: function(*arguments), lambda: there(*arguments), [*given, *results], peers)


def _of_torch(name: str, arguments: tuple[Any, ...], expected: Any) -> dict[str, Call]:
    """Torch's function of that name, if it is installed, has one, and computes the same."""
    try:
        import torch
    except ImportError:
        return {}
    torch.set_num_threads(max(1, fastact.get_num_threads()))
    tensors = [torch.from_numpy(argument) for argument in arguments if isinstance(argument, np.ndarray)]
    named = {"dense": lambda *given: torch.relu(torch.nn.functional.linear(*given))}
    function = named.get(name) or getattr(torch.nn.functional, name, None)

    if function is None:
        return {}

    def call() -> Any:
        with torch.inference_mode():
            return function(*tensors)

    try:
        same = np.allclose(call().numpy(), expected, rtol=1e-2, atol=1e-3)
    except (TypeError, ValueError, RuntimeError):  # it is called otherwise, or not for this type
        return {}
    return {"torch": call} if same else {}


def _training(size: int, dtype: np.dtype) -> Subject:
    if dtype.name == "float16":
        raise UsageError("networks train in float32 or float64, not float16")
    random, rows = np.random.default_rng(0), max(1, size // LAYERS[0])
    x, labels = random.random((rows, LAYERS[0])).astype(dtype), random.integers(0, LAYERS[-1], rows)
    settings: dict[str, Any] = {
        "loss": "cross_entropy", "learning_rate": 1e-3, "batch_size": min(BATCH, rows), "shuffle": False,
        "dtype": dtype.name, "random_state": 0, "epochs": 1,
    }  # fmt: skip
    ours, there = fastact.MLP(LAYERS, **settings), fastact.fallback.MLP(LAYERS, **settings)
    weights = [np.empty((units, inputs), dtype) for inputs, units in pairwise(LAYERS)]

    def peers() -> dict[str, Call]:
        try:
            from fastact.commands.by_torch import epoch_of_torch

            return {"torch": epoch_of_torch(ours, x, labels)}
        except ImportError:
            return {}

    return Subject(
        TRAINING, lambda: ours.partial_fit(x, labels), lambda: there.partial_fit(x, labels), [x, *weights], peers
    )

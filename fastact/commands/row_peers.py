"""The softmax family of other libraries, those that are installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

import fastact
from fastact.commands.onnx_models import calls_of_operator

__all__ = ["NAMES", "PEERS", "row_peers"]

Call = Callable[[], object]

NAMES = ("softmax", "log_softmax", "logsumexp")
PEERS = ("numpy", "scipy", "torch", "jax", "onnxruntime")


def numpy_calls(name: str, x: np.ndarray, axis: int, out: np.ndarray | None) -> Iterator[Call]:
    if name == "softmax" and out is not None:

        def softmax() -> None:
            np.subtract(x, x.max(axis=axis, keepdims=True), out=out)
            np.exp(out, out=out)
            np.divide(out, out.sum(axis=axis, keepdims=True), out=out)

        yield softmax


def scipy_calls(name: str, x: np.ndarray, axis: int, out: np.ndarray | None) -> Iterator[Call]:
    from scipy import special

    if out is None:
        yield lambda: getattr(special, name)(x, axis=axis)


def torch_calls(name: str, x: np.ndarray, axis: int, out: np.ndarray | None) -> Iterator[Call]:
    import torch

    torch.set_num_threads(fastact.get_num_threads())
    given = torch.from_numpy(x)
    function = getattr(torch, name)
    if out is None:
        yield lambda: function(given, axis)
    elif name == "softmax":
        target = torch.from_numpy(out)
        native = torch.ops.aten._softmax.out
        yield lambda: native(given, axis, False, out=target)


def jax_calls(name: str, x: np.ndarray, axis: int, out: np.ndarray | None) -> Iterator[Call]:
    import jax

    given = jax.numpy.asarray(x)
    if out is None and given.dtype == x.dtype:  # it may know no float64
        function = jax.jit(lambda a: getattr(jax.nn, name)(a, axis=axis))
        yield lambda: function(given).block_until_ready()


def onnxruntime_calls(name: str, x: np.ndarray, axis: int, out: np.ndarray | None) -> Iterator[Call]:
    operators = {"softmax": "Softmax", "log_softmax": "LogSoftmax"}
    if out is None and name in operators:
        yield from calls_of_operator(operators[name], x, axis=axis)


def row_peers(name: str, x: np.ndarray, axis: int, out: np.ndarray | None) -> dict[str, Call]:
    found: dict[str, Call] = {}
    for peer in PEERS:
        try:
            call = next(globals()[f"{peer}_calls"](name, x, axis, out), None)
        except ImportError:
            continue
        if call:
            found[peer] = call
    return found

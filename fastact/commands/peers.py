"""Elementwise functions of other libraries, those that are installed: what ours are timed beside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

import fastact
from fastact.catalogue import Activation
from fastact.commands.onnx_models import calls_of_operator
from fastact.functions.parameters import sample_parameters

__all__ = ["PEERS", "peers_of", "plain_numpy"]

Call = Callable[[], object]

#: torch's and jax's names are ours, but for these.
TORCH_NAMES = {"swish": "silu", "gelu_tanh": "gelu"}
JAX_NAMES = {"hardtanh": "hard_tanh", "hardsigmoid": "hard_sigmoid", "gelu_tanh": "gelu"}
SCIPY_NAMES = {"sigmoid": "expit", "logsigmoid": "log_expit"}


def torch_calls(entry: Activation, x: np.ndarray, out: np.ndarray | None) -> Iterator[Call]:
    import torch

    torch.set_num_threads(fastact.get_num_threads())
    name = TORCH_NAMES.get(entry.name, entry.name)
    given = torch.from_numpy(x)
    parameters = (
        list(sample_parameters(entry).values()) if entry.name in ("leaky_relu", "elu", "celu", "softplus") else []
    )
    options = {"approximate": "tanh"} if entry.name == "gelu_tanh" else {}
    if out is not None:
        native = getattr(torch, name, None) or getattr(torch._C._nn, name, None)
        target = torch.from_numpy(out)
        with torch.inference_mode():
            try:
                native(given, *parameters, out=target, **options)  # type: ignore[misc]
            except (TypeError, RuntimeError):
                return
        yield lambda: native(given, *parameters, out=target, **options)  # type: ignore[misc]
        return
    function = getattr(torch.nn.functional, name, None)
    if function and entry.name not in ("prelu", "threshold", "rrelu"):
        yield lambda: function(given, *parameters, **options)


def jax_calls(entry: Activation, x: np.ndarray, out: np.ndarray | None) -> Iterator[Call]:
    import jax

    function = getattr(jax.nn, JAX_NAMES.get(entry.name, entry.name), None)
    if function is jax.nn.gelu:
        function = partial(function, approximate=entry.name == "gelu_tanh")
    if function is None or out is not None or entry.name in ("identity", "prelu"):
        return
    compiled, given = jax.jit(function), jax.numpy.asarray(x)
    if given.dtype == x.dtype:  # it may know no float64
        yield lambda: compiled(given).block_until_ready()


def numexpr_calls(entry: Activation, x: np.ndarray, out: np.ndarray | None) -> Iterator[Call]:
    import numexpr

    if any(word in entry.formula for word in ("erf", "logaddexp", "maximum", "minimum", "cosh")):
        return
    numexpr.set_num_threads(fastact.get_num_threads())
    names = {"x": x, "pi": np.float32(np.pi)} | {n: np.float32(v) for n, v in sample_parameters(entry).items()}
    yield lambda: numexpr.evaluate(entry.formula, local_dict=names, out=out, casting="same_kind")


def numpy_calls(entry: Activation, x: np.ndarray, out: np.ndarray | None) -> Iterator[Call]:
    plain = plain_numpy(entry)
    if plain and out is None:
        yield lambda: plain(x, **sample_parameters(entry))
    ufunc = getattr(np, entry.name, None)
    if isinstance(ufunc, np.ufunc):
        yield lambda: ufunc(x, out=out)


def scipy_calls(entry: Activation, x: np.ndarray, out: np.ndarray | None) -> Iterator[Call]:
    from scipy import special

    if entry.name in SCIPY_NAMES:
        function = getattr(special, SCIPY_NAMES[entry.name])
        yield lambda: function(x, out=out)


ONNX_OPERATORS = {
    "sigmoid": "Sigmoid", "tanh": "Tanh", "relu": "Relu", "softplus": "Softplus", "softsign": "Softsign", "elu": "Elu",
    "celu": "Celu", "selu": "Selu", "mish": "Mish", "hardswish": "HardSwish", "gelu": "Gelu", "leaky_relu": "LeakyRelu",
    "thresholded_relu": "ThresholdedRelu",
}  # fmt: skip


def onnxruntime_calls(entry: Activation, x: np.ndarray, out: np.ndarray | None) -> Iterator[Call]:
    if out is None and entry.name in ONNX_OPERATORS:
        yield from calls_of_operator(ONNX_OPERATORS[entry.name], x)


PEERS = {
    "onnxruntime": onnxruntime_calls,
    "numpy": numpy_calls,
    "scipy": scipy_calls,
    "numexpr": numexpr_calls,
    "torch": torch_calls,
    "jax": jax_calls,
}


def peers_of(entry: Activation, x: np.ndarray, out: np.ndarray | None) -> dict[str, Call]:
    """Those that are installed, have the function, and can run it here."""
    calls: dict[str, Call] = {}
    for name, make in PEERS.items():
        try:
            for call in make(entry, x, out):
                call()
                calls[name] = call
        except (ImportError, AttributeError, TypeError, NotImplementedError):
            continue
    return calls


def plain_numpy(entry: Activation) -> Callable[..., Any] | None:
    """The formula as its text has it, evaluated by NumPy (and SciPy's erf); None where SciPy is missing."""
    names = {name: getattr(np, name) for name in dir(np) if not name.startswith("_")}
    if "erf" in entry.formula:
        try:
            from scipy.special import erf
        except ImportError:
            return None
        names["erf"] = erf
    code = compile(entry.formula, f"<formula of {entry.name}>", "eval")

    def evaluate(x: Any, **parameters: float) -> Any:
        y = eval(code, names | {"x": x} | parameters)
        return x.copy() if y is x else y

    return evaluate

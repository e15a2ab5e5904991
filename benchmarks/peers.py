"""``python -m benchmarks.peers``: the fastest peer's time over ours, per function, size and way of calling.

Above 1.0 we are faster. All peers that are installed and have the function run interleaved in one process, with as
many threads as we have. "out" writes into memory given; "fresh" lets each allocate its result.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from tqdm import tqdm

import fastact
from benchmarks.onnx_models import single_operator
from benchmarks.turns import Call, medians
from fastact.catalogue import ACTIVATIONS, Activation
from fastact.commands.bench import plain_numpy
from fastact.functions.parameters import sample_parameters

SIZES = (1, 1_000, 100_000, 10_000_000)

#: torch's and jax's names are ours, but for these.
TORCH_NAMES = {"swish": "silu", "gelu_tanh": "gelu"}
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

    function = getattr(
        jax.nn, {"hardtanh": "hard_tanh", "hardsigmoid": "hard_sigmoid"}.get(entry.name, entry.name), None
    )
    if function is None or out is not None or entry.name in ("identity", "prelu"):
        return
    compiled, given = jax.jit(function), jax.numpy.asarray(x)
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
    import onnxruntime

    if out is None and entry.name in ONNX_OPERATORS:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = fastact.get_num_threads()
        model = single_operator(ONNX_OPERATORS[entry.name], x.shape)
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        yield lambda: session.run(None, {"x": x})


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="functions, all by default")
    names = parser.parse_args().names or list(ACTIVATIONS)
    print(f"float32, {fastact.get_num_threads()} of {os.cpu_count()} cores; fastest peer's time / ours\n")
    columns = [f"{size:.0e} {way}" for size in SIZES for way in ("fresh", "out")]
    print(f"{'':16}" + "".join(f"{column:>18}" for column in columns))
    with tqdm(total=len(names) * len(columns), leave=False, unit="cell") as progress, np.errstate(all="ignore"):
        for name in names:
            tqdm.write(
                f"{name:16}"
                + "".join(cell(ACTIVATIONS[name], n, way, progress) for n in SIZES for way in (False, True))
            )


def cell(entry: Activation, size: int, with_out: bool, progress: Any) -> str:
    x = (np.random.default_rng(0).standard_normal(size) * 3).astype(np.float32)
    out = np.empty_like(x) if with_out else None
    parameters = sample_parameters(entry) if any(not isinstance(d, float) for d in entry.parameters.values()) else {}
    function = entry.value
    # written as the peers' calls are where it can be: unpacking dictionaries takes 100 ns
    calls: dict[str, Call] = {
        "ours": (lambda: function(x, **parameters, out=out)) if parameters else (lambda: function(x, out=out))
    }
    calls |= peers_of(entry, x, out)
    calls["ours"]()
    result = medians(calls)
    progress.update()
    others = {name: seconds for name, seconds in result.items() if name != "ours"}
    if not others:
        return f"{'-':>18}"
    fastest = min(others, key=others.__getitem__)
    ratio = others[fastest] / result["ours"]
    return f"{ratio:.2f} {fastest}".rjust(18)


if __name__ == "__main__":
    main()

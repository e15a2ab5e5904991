"""``python -m benchmarks.layers``: dense layers and matrix products beside every library that is installed.

A row is GFLOPS here and the time of each peer over ours: above 1 we are faster, below it is marked with ``<``. All
peers take turns in one process, with as many threads as we have and a pause before each turn: the threads of OpenBLAS
and of OpenMP go on looking for work for milliseconds after a product, on cores that the next in turn needs.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from tqdm import tqdm

import fastact
from benchmarks.turns import Call, medians
from fastact.commands.onnx_models import message, model, value

#: batch, inputs, outputs
SHAPES = ((8192, 784, 512), (1024, 784, 512), (128, 784, 128), (32, 784, 128), (65536, 64, 64), (1, 784, 128))
SQUARE = 4096
ACTIVATIONS = ("identity", "relu", "gelu", "sigmoid")

#: Sums at once in the loop that measures multiply-adds: as many as 16 registers hold beside a factor, and more than are
#: under way at any time.
SUMS = 12

PAUSE = 0.1  # for as long, OpenBLAS's threads go on looking for work

Case = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, str]  # x, weight, bias, gradient, activation


# -- the peers ------------------------------------------------------------------------------------


def numpy_calls(case: Case) -> Iterator[tuple[str, Call]]:
    x, weight, bias, grad, name = case
    value, backward = getattr(fastact, name), getattr(fastact, f"{name}_backward")
    y = np.empty_like(grad)
    z = x @ weight.T + bias

    def forward() -> None:
        np.matmul(x, weight.T, out=y)
        np.add(y, bias, out=y)
        if name != "identity":
            value(y, out=y)

    def gradients() -> tuple[Any, ...]:
        dz = grad if name == "identity" else backward(grad, z)
        return dz @ weight, dz.T @ x, dz.sum(axis=0)

    yield "forward", forward
    yield "backward", gradients


def torch_calls(case: Case) -> Iterator[tuple[str, Call]]:
    import torch

    torch.set_num_threads(fastact.get_num_threads())
    x, weight, bias, grad = map(torch.from_numpy, case[:4])
    function = {"identity": lambda z: z}.get(case[4]) or getattr(torch.nn.functional, case[4])

    def forward() -> None:
        with torch.inference_mode():
            function(torch.nn.functional.linear(x, weight, bias))

    leaves = [tensor.clone().requires_grad_() for tensor in (x, weight, bias)]
    y = function(torch.nn.functional.linear(*leaves))
    yield "forward", forward
    yield "backward", lambda: torch.autograd.grad(y, leaves, grad, retain_graph=True)


def jax_calls(case: Case) -> Iterator[tuple[str, Call]]:
    import jax

    x, weight, bias, grad = map(jax.numpy.asarray, case[:4])
    named = {"identity": lambda z: z, "gelu": lambda z: jax.nn.gelu(z, approximate=False)}
    function = named.get(case[4]) or getattr(jax.nn, case[4])
    forward = jax.jit(lambda x, w, b: function(x @ w.T + b))
    z = x @ weight.T + bias

    def from_preactivation(grad: Any, x: Any, w: Any, z: Any) -> tuple[Any, ...]:
        (dz,) = jax.vjp(function, z)[1](grad)
        return dz @ w, dz.T @ x, dz.sum(axis=0)

    backward = jax.jit(from_preactivation)
    yield "forward", lambda: forward(x, weight, bias).block_until_ready()
    yield "backward", lambda: jax.block_until_ready(backward(grad, x, weight, z))


def onnx_model(batch: int, weight: np.ndarray, bias: np.ndarray, operator: str) -> bytes:
    """operator(x @ weight.T + bias)."""

    def constant(name: str, array: np.ndarray) -> bytes:
        return message(*((1, n) for n in array.shape), (2, 1), (8, name), (9, array.tobytes()))

    transposed = message((1, "transB"), (3, 1), (20, 2))
    product = message((1, "x"), (1, "w"), (1, "b"), (2, "z"), (4, "Gemm"), (5, transposed))
    return model(
        (1, product), (1, message((1, "z"), (2, "y"), (4, operator))), (2, "dense"),
        (5, constant("w", weight)), (5, constant("b", bias)),
        (11, value("x", batch, weight.shape[1])), (12, value("y", batch, len(weight))),
    )  # fmt: skip


def onnxruntime_calls(case: Case) -> Iterator[tuple[str, Call]]:
    import onnxruntime

    x, weight, bias, _, name = case
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = fastact.get_num_threads()
    model = onnx_model(len(x), weight, bias, name.capitalize())
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    yield "forward", lambda: session.run(None, {"x": x})


PEERS = {"numpy": numpy_calls, "torch": torch_calls, "jax": jax_calls, "onnxruntime": onnxruntime_calls}


def our_calls(case: Case) -> Iterator[tuple[str, Call]]:
    x, weight, bias, grad, name = case
    y, z = np.empty_like(grad), np.empty_like(grad)
    fastact.dense(x, weight, bias, preactivation=z)
    yield "forward", lambda: fastact.dense(x, weight, bias, name, out=y)
    yield "backward", lambda: fastact.dense_backward(grad, x, weight, z, name)


# -- the limit --------------------------------------------------------------------------------------


def peak() -> float:
    """GFLOPS of a loop of multiply-adds that never leaves the registers, on all threads at once."""
    from fastact.layers import tiles
    from fastact.runtime import compiler

    def module() -> tuple[list[str], str]:
        module = tiles.ir.Module("peak")
        element = tiles._Element(module, "float32")

        def write(builder: Any, address: Any, turns: Any) -> None:
            value = element.load(builder, address)
            sums = element.accumulate(
                builder,
                turns,
                [element.zero] * SUMS,
                [],
                lambda _, sums: [element.multiply_add(builder, value, value, s) for s in sums],
            )
            total = sums[0]
            for other in sums[1:]:
                total = builder.fadd(total, other)
            element.store(builder, total, address)

        tiles._function(module, "peak", 2, write, public=True)
        return ["peak"], str(module)

    here = compiler.load(f"{__file__}{tiles.__doc__}", module, compiler.assemble_object)["peak"]
    loop = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64)(here)
    threads, turns, best = fastact.get_num_threads(), 1_000_000, 0.0
    for _ in range(5):
        values = [np.full(tiles.lanes_of("float32"), 1e-3, np.float32) for _ in range(threads)]
        workers = [threading.Thread(target=loop, args=(v.ctypes.data, turns)) for v in values]
        start = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        best = max(best, threads * turns * SUMS * 2 * tiles.lanes_of("float32") / (time.perf_counter() - start) / 1e9)
    return best


# -- the table ------------------------------------------------------------------------------------


def measure(case: Case, direction: str) -> dict[str, float]:
    """Seconds by library."""
    calls: dict[str, Call] = {}
    for name, make in {"fastact": our_calls, **PEERS}.items():
        try:
            for way, call in make(case):
                if way == direction:
                    call()
                    calls[name] = call
        except ImportError:
            continue
    return medians(calls, PAUSE)


def row(label: str, flops: float, seconds: dict[str, float]) -> str:
    ours = seconds["fastact"]
    cells = [f"{flops / ours / 1e9:8.1f}"]
    for name in PEERS:
        ratio = seconds[name] / ours if name in seconds else None
        cells.append(f"{'-':>12}" if ratio is None else f"{ratio:10.2f}{' <' if ratio < 1 else '  '}")
    return f"{label:36}" + "".join(cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shapes", type=int, default=len(SHAPES), help="only the first so many shapes")
    parser.add_argument("--activations", nargs="*", default=ACTIVATIONS)
    chosen = parser.parse_args()
    print(f"float32, {fastact.get_num_threads()} of {os.cpu_count()} cores")
    print(f"multiply-adds in registers alone: {peak():.0f} GFLOPS")
    print("GFLOPS here, then the time of each library over ours\n")
    print(f"{'batch, in, out':36}{'GFLOPS':>8}" + "".join(f"{name:>10}  " for name in PEERS))
    rng = np.random.default_rng(0)

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, dtype=np.float32)

    cells = 2 * len(chosen.activations) * chosen.shapes + 1
    with tqdm(total=cells, leave=False, unit="cell") as progress, np.errstate(all="ignore"):
        for batch, n_in, n_out in SHAPES[: chosen.shapes]:
            x, weight, bias, grad = normal(batch, n_in), normal(n_out, n_in), normal(n_out), normal(batch, n_out)
            for name in chosen.activations:
                for direction in ("forward", "backward"):
                    seconds = measure((x, weight, bias, grad, name), direction)
                    progress.update()
                    flops = 2.0 * batch * n_in * n_out * (2 if direction == "backward" else 1)
                    tqdm.write(row(f"{batch}, {n_in}, {n_out} {name} {direction}", flops, seconds))
        a, b = normal(SQUARE, SQUARE), normal(SQUARE, SQUARE)
        c = np.empty_like(a)
        seconds = medians(
            {"fastact": lambda: fastact.dense(a, b, out=c), "numpy": lambda: np.matmul(a, b.T, out=c)}, PAUSE
        )
        tqdm.write(row(f"{SQUARE}, {SQUARE}, {SQUARE} product", 2.0 * SQUARE**3, seconds))


if __name__ == "__main__":
    main()

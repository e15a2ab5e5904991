"""``python -m benchmarks.losses``: gates and losses beside their peers and beside a copy of the same bytes, in one run.

Microseconds, medians of calls that take turns, float32. Losses: the mean, and its gradient into an array given. Gates:
over rows of two halves, into arrays given where a peer can. A row ends with our time over the copy's (a two-thread
copy of as many bytes as the function must touch) and the fastest peer's time over ours, marked where it is below 1.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import fastact
from benchmarks.turns import Call, medians
from fastact.commands.bench import parallel_copy
from fastact.losses.catalogue import LOSSES
from fastact.rows.gates import GATES
from tests.losses.torch_losses import of_torch
from tests.reference import OTHERS, beside, drawn_from

SIZES = (1_000, 100_000, 10_000_000)
HALVES = (8, 64, 512, 4096)
# -- peers ----------------------------------------------------------------------------------------


def numpy_loss(name: str, p: np.ndarray, t: np.ndarray) -> Any:
    d = p - t
    if name == "mse_loss":
        return np.mean(np.square(d, out=d))
    if name == "l1_loss":
        return np.mean(np.abs(d, out=d))
    return formula_loss(name, np)(p, t)


def formula_loss(name: str, library: Any) -> Callable[[Any, Any], Any]:
    """The mean of a loss's formula, written with what a library calls NumPy's names."""
    code, loss = compile(LOSSES[name].formula, name, "eval"), LOSSES[name]
    words = {word: getattr(library, word) for word in ("abs", "cosh", "exp", "log", "maximum", "where")}
    given = words | loss.numbers | dict.fromkeys(loss.arrays, OTHERS)
    return lambda p, t: library.mean(eval(code, given | {"pred": p, "target": t}))


def loss_peers(name: str, p: np.ndarray, t: np.ndarray, backward: bool) -> Iterator[tuple[str, Call]]:
    if not backward:
        yield "numpy", lambda: numpy_loss(name, p, t)
    try:
        import torch
    except ImportError:
        pass
    else:
        torch.set_num_threads(fastact.get_num_threads())
        function = of_torch(name)
        x, y = torch.from_numpy(p), torch.from_numpy(t)
        others = [torch.full_like(x, number) for number in beside(name)]
        if backward:
            leaf = x.clone().requires_grad_(True)
            yield "torch", lambda: torch.autograd.grad(function(leaf, y, *others), leaf)
        else:
            yield "torch", lambda: function(x, y, *others)
    try:
        import jax
    except ImportError:
        return
    loss = formula_loss(name, jax.numpy)
    compiled = jax.jit(jax.grad(loss) if backward else loss)
    u, v = jax.numpy.asarray(p), jax.numpy.asarray(t)
    yield "jax", lambda: compiled(u, v).block_until_ready()


def gate_peers(name: str, x: np.ndarray, half: int) -> Iterator[tuple[str, Call]]:
    if name == "reglu":
        yield "numpy", lambda: x[:, :half] * np.maximum(x[:, half:], 0)
    try:
        import torch
    except ImportError:
        pass
    else:
        torch.set_num_threads(fastact.get_num_threads())
        given = torch.from_numpy(x)
        activation = getattr(torch.nn.functional, GATES[name].activation)
        if name == "glu":
            yield "torch", lambda: torch.nn.functional.glu(given)
        else:
            yield "torch", lambda: given[:, :half] * activation(given[:, half:])
    try:
        import jax
    except ImportError:
        return
    opened = getattr(jax.nn, GATES[name].activation)
    compiled = jax.jit(lambda x: x[:, :half] * opened(x[:, half:]))
    there = jax.numpy.asarray(x)
    yield "jax", lambda: compiled(there).block_until_ready()


# -- the table ------------------------------------------------------------------------------------


def copy_of(bytes_moved: int) -> Call:
    source = np.ones(bytes_moved // 8, np.float32)
    return parallel_copy(np.empty_like(source), source, fastact.get_num_threads())


def report(label: str, size: int, calls: dict[str, Call]) -> None:
    result = {name: seconds * 1e6 for name, seconds in medians(calls).items()}
    ours, copy = result["fastact"], result["copy"]
    peers = {name: value for name, value in result.items() if name not in ("fastact", "copy")}
    columns = "".join(
        f"{result.get(name, float('nan')):11.1f}" for name in ("fastact", "copy", "numpy", "torch", "jax")
    )
    best = min(peers, key=peers.__getitem__, default=None)
    verdict = f"{peers[best] / ours:8.2f} {best}" + (" <--" if peers[best] < ours else "") if best else ""
    print(f"{label:46}{size:10,}{columns}{ours / copy:8.2f}{verdict}", flush=True)


def compare_loss(name: str, size: int) -> None:
    rng = np.random.default_rng(0)
    domains = LOSSES[name].pred, LOSSES[name].target
    pred, target = (drawn_from(domain, rng, size, 1.0).astype(np.float32) for domain in domains)
    value, gradient, others = getattr(fastact, name), getattr(fastact, f"{name}_backward"), beside(name)
    out: Any = np.empty(size, np.float32)
    out = (out, None) if len(LOSSES[name].learned) > 1 else out
    calls: dict[str, Call] = {"fastact": lambda: value(pred, target, *others), "copy": copy_of(8 * size)}
    report(name, size, calls | dict(loss_peers(name, pred, target, False)))
    calls = {"fastact": lambda: gradient(pred, target, *others, out=out), "copy": copy_of(12 * size)}
    report(f"{name}_backward", size, calls | dict(loss_peers(name, pred, target, True)))


def compare_gate(name: str, size: int, half: int) -> None:
    x = np.random.default_rng(0).standard_normal((size // (2 * half), 2 * half)).astype(np.float32)
    out, dx = np.empty_like(x[:, :half]), np.empty_like(x)
    value, gradient = getattr(fastact, name), getattr(fastact, f"{name}_backward")
    calls: dict[str, Call] = {"fastact": lambda: value(x, out=out), "copy": copy_of(6 * x.size)}
    report(f"{name}, rows of 2 x {half}", size, calls | dict(gate_peers(name, x, half)))
    calls = {"fastact": lambda: gradient(out, x, out=dx), "copy": copy_of(10 * x.size)}
    report(f"{name}_backward, rows of 2 x {half}", size, calls)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="functions, all by default")
    parser.add_argument("--size", type=int, action="append", help=f"elements, by default {SIZES}")
    arguments = parser.parse_args()
    names = arguments.names or [*LOSSES, *GATES]
    print(f"float32, us per call, backend {fastact.backend()}, {fastact.get_num_threads()} of {os.cpu_count()} cores")
    print(f"{'':46}{'elements':>10}{'fastact':>11}{'copy':>11}{'numpy':>11}{'torch':>11}{'jax':>11}  /copy  peer/ours")
    with np.errstate(all="ignore"):
        for size in arguments.size or SIZES:
            for name in (name for name in LOSSES if name in names):
                compare_loss(name, size)
            for half in (half for half in HALVES if 2 * half <= size):
                for name in (name for name in GATES if name in names):
                    compare_gate(name, size, half)


if __name__ == "__main__":
    main()

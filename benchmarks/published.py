"""``python -m benchmarks.published``: formulas that people write, beside the compilers and graphs they would use else.

Sixteen published activations, values and derivatives, and the expressions of numexpr's own examples, each as one line
of NumPy. Milliseconds, medians of calls that take turns, float32, with a result array where one can be given. A row
ends with the fastest peer's time over ours, marked where it is below 1.
"""

from __future__ import annotations

import argparse
import inspect
import os
import textwrap
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

import fastact
from benchmarks.losses import copy_of
from benchmarks.turns import Call, medians
from tests.formulas.test_published import TRUTHS

#: What numexpr's pages compute.
EXPRESSIONS = {
    "2*a + 3*b": lambda a, b: 2 * a + 3 * b,
    "sin(a)**2 + cos(b)**2": lambda a, b: np.sin(a) ** 2 + np.cos(b) ** 2,
    "where(a > b, a, b)": lambda a, b: np.where(a > b, a, b),
    "exp(-a*a/2)/sqrt(6.28)": lambda a: np.exp(-a * a / 2) / np.sqrt(6.28),
}

PEERS = ("torch", "jax", "numexpr", "numpy")


def with_words(function: Callable[..., Any], words: Any, gauss: Any) -> Callable[..., Any]:
    """The function as its text says, with another library's words for NumPy's."""
    namespace: dict[str, Any] = {"np": words, "erf": gauss, "Any": Any}
    exec(textwrap.dedent(inspect.getsource(function)), namespace)
    result: Callable[..., Any] = namespace[function.__name__]
    return result


def torch_words(torch: Any) -> SimpleNamespace:
    names = ("exp", "log", "tanh", "sin", "abs", "sign", "where")
    words = SimpleNamespace(**{name: getattr(torch, name) for name in names})
    words.maximum = lambda x, bound: torch.clamp(x, min=bound)
    words.sqrt = lambda x: torch.sqrt(x) if torch.is_tensor(x) else np.sqrt(x)
    return words


def peers_of(function: Callable[..., Any], x: np.ndarray, derivative: bool) -> Iterator[tuple[str, Call]]:
    yield from torch_calls(function, x, derivative)
    yield from jax_calls(function, x, derivative)
    if not derivative:
        yield "numpy", lambda: function(x)
        yield from numexpr_calls(fastact.activation(function).formula, {"x": x})


def torch_calls(function: Callable[..., Any], x: np.ndarray, derivative: bool) -> Iterator[tuple[str, Call]]:
    try:
        import torch
    except ImportError:
        return
    torch.set_num_threads(fastact.get_num_threads())
    of_torch, given = with_words(function, torch_words(torch), torch.erf), torch.from_numpy(x)
    leaf, ones = given.clone().requires_grad_(True), torch.ones_like(given)

    def slope() -> Any:
        return torch.autograd.grad(of_torch(leaf), leaf, ones)

    yield "torch", slope if derivative else lambda: of_torch(given)


def jax_calls(function: Callable[..., Any], x: np.ndarray, derivative: bool) -> Iterator[tuple[str, Call]]:
    try:
        import jax
    except ImportError:
        return
    of_jax, there = with_words(function, jax.numpy, jax.scipy.special.erf), jax.numpy.asarray(x)
    compiled = jax.jit(jax.vmap(jax.grad(of_jax)) if derivative else of_jax)
    yield "jax", lambda: compiled(there).block_until_ready()


def numexpr_calls(text: str, operands: dict[str, np.ndarray]) -> Iterator[tuple[str, Call]]:
    """Where numexpr knows all the words."""
    try:
        import numexpr
    except ImportError:
        return
    numexpr.set_num_threads(fastact.get_num_threads())
    out = np.empty_like(next(iter(operands.values())))

    def call() -> Any:
        return numexpr.evaluate(text, operands, out=out, casting="same_kind")

    try:
        call()
    except (AttributeError, KeyError, NotImplementedError, TypeError, ValueError):
        return
    yield "numexpr", call


def report(label: str, calls: dict[str, Call]) -> None:
    result = {name: seconds * 1e3 for name, seconds in medians(calls).items()}
    peers = {name: value for name, value in result.items() if name in PEERS}
    best = min(peers, key=peers.__getitem__)
    columns = "".join(f"{result.get(name, float('nan')):10.2f}" for name in ("fastact", "copy", *PEERS))
    ratio = peers[best] / result["fastact"]
    print(f"{label:28}{columns}{result['fastact'] / result['copy']:8.2f}{ratio:8.2f} {best}{' <--' * (ratio < 1)}")


def compare(function: Callable[..., Any], x: np.ndarray) -> None:
    entry, out = fastact.activation(function), np.empty_like(x)
    for kind, ours in (("", entry), ("'", entry.derivative)):
        calls: dict[str, Call] = {"fastact": lambda ours=ours: ours(x, out=out), "copy": copy_of(2 * x.nbytes)}
        report(function.__name__ + kind, calls | dict(peers_of(function, x, bool(kind))))


def compare_expression(text: str, function: Callable[..., Any], x: np.ndarray) -> None:
    ours, out = fastact.elementwise(function), np.empty_like(x)
    operands = dict(zip("ab", [x, x[::-1].copy()][: function.__code__.co_argcount]))
    arrays = list(operands.values())
    copy = copy_of((len(arrays) + 1) * x.nbytes)
    calls: dict[str, Call] = {
        "fastact": lambda: ours(*arrays, out=out),
        "copy": copy,
        "numpy": lambda: function(*arrays),
    }
    report(text, calls | dict(numexpr_calls(text, operands)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="activations, all by default")
    parser.add_argument("--size", type=int, default=10_000_000, help="elements (default: %(default)s)")
    arguments = parser.parse_args()
    x = (3 * np.random.default_rng(0).standard_normal(arguments.size)).astype(np.float32)
    print(f"float32, ms per call, {arguments.size:,} elements, {fastact.get_num_threads()} of {os.cpu_count()} cores")
    print(f"{'':28}" + "".join(f"{name:>10}" for name in ("fastact", "copy", *PEERS)) + "   /copy  peer/ours")
    with np.errstate(all="ignore"):
        for function in TRUTHS:
            if not arguments.names or function.__name__ in arguments.names:
                compare(function, x)
        for text, expression in EXPRESSIONS.items() if not arguments.names or "expressions" in arguments.names else ():
            compare_expression(text, expression, x)


if __name__ == "__main__":
    main()

"""``python -m benchmarks.accuracy``: how far every function is from the exact value, in units in the last place.

float32 and float16 results are compared with the float64 kernels. Those are compared with mpmath on points over the
whole range and, where longdouble is wider, with the formulas in longdouble (benchmarks/wide.py) on a million points.
``--exhaustive`` walks all 2**32 float32 inputs. Where a derivative crosses zero, within 0.05 of the root, an absolute
error of 1.2e-7 counts as none (an ulp has no meaning there). Rows, gates and losses: benchmarks/accuracy_families.py.
``--set alpha=0.7`` gives parameters other values than their defaults, to all functions named that have them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from tqdm import tqdm

import fastact
from benchmarks import wide
from benchmarks.errors import ROOT_DISTANCE, ROOT_ERROR, ROOT_ERROR_WIDE, Errors, compiled_float32_errors, ulp_errors
from fastact.catalogue import ACTIVATIONS, Activation
from fastact.functions.parameters import sample_parameters

BLOCK = 1 << 22

#: The same functions elsewhere, by module: called if they can be imported.
PEERS: dict[str, dict[str, str]] = {
    "torch": {
        name: f"torch.nn.functional.{name}"
        for name in [
            "sigmoid",
            "tanh",
            "softplus",
            "elu",
            "celu",
            "selu",
            "silu",
            "mish",
            "gelu",
            "logsigmoid",
            "softsign",
            "tanhshrink",
            "hardswish",
        ]
    },
    "scipy": {"sigmoid": "scipy.special.expit", "logsigmoid": "scipy.special.log_expit"},
}


def float32_blocks(exhaustive: bool) -> Iterator[np.ndarray]:
    """All float32 numbers but NaN, or one in 4099 of them, in blocks."""
    step = 1 if exhaustive else 4099
    for start in range(0, 1 << 32, BLOCK * step):
        bits = np.arange(start, min(start + BLOCK * step, 1 << 32), step, dtype=np.int64).astype(np.uint32)
        x = bits.view(np.float32)
        yield x[~np.isnan(x)]


def parameters_of(entry: Activation, given: Mapping[str, float]) -> dict[str, float]:
    return {name: given.get(name, value) for name, value in sample_parameters(entry).items()}


def roots(entry: Activation, given: Mapping[str, float]) -> np.ndarray:
    """Where its derivative crosses zero, found on a grid."""
    x = np.linspace(-8, 8, 160_001)
    with np.errstate(all="ignore"):
        slope = entry.callable("derivative")(x, *given.values())
    crossing = (slope[:-1] < 0) & (slope[1:] > 0)
    return x[:-1][crossing & (abs(slope[:-1]) < 1e-3)]


def measured(
    entry: Activation,
    kind: str,
    function: Callable[..., Any],
    given: Mapping[str, float],
    dtype: Any,
    exhaustive: bool,
    progress: Any,
) -> Errors:
    """Errors of float32 or float16 results against the float64 kernel."""
    parameters = [np.dtype(dtype).type(value) for value in given.values()]
    reference = entry.callable(kind)
    zeros = roots(entry, given) if kind == "derivative" else np.empty(0)
    errors = Errors()
    blocks = float32_blocks(exhaustive) if dtype == np.float32 else iter([all_float16()])
    fast = compiled_float32_errors() if dtype == np.float32 and len(zeros) < 2 else None
    for x in blocks:
        result = np.asarray(function(x, *parameters))
        truth = np.asarray(reference(x.astype(np.float64), *map(np.float64, parameters)))
        if fast:
            root = zeros[0] if len(zeros) else np.inf
            largest, worst, total = fast(x, result, truth, truth.view(np.int64), root)
            errors = errors.plus(largest, worst, total, x.size)
            progress.update(x.size)
            continue
        distances = ulp_errors(result, truth)
        for root in zeros:
            near = (abs(x - root) < ROOT_DISTANCE) & (abs(result - truth) <= ROOT_ERROR)
            distances[near] = 0
        errors = errors.merged(distances, x)
        progress.update(x.size)
    return errors


def all_float16() -> np.ndarray:
    x = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    return x[~np.isnan(x)]


def proof(entry: Activation, kind: str, backend: str, given: Mapping[str, float], points: int) -> Errors:
    """Errors of float64 results against mpmath, at every exponent and where functions bend."""
    from tests.reference import every_exponent, exact, ulp_distance

    rng = np.random.default_rng(1)
    x = np.concatenate([rng.uniform(-12, 12, points // 2), rng.uniform(-750, 750, points // 4)])
    x = np.concatenate([x, every_exponent(np.float64)[:: max(1, 4 * 4000 // points)]])
    results = entry.callable(kind, backend)(x, **given)
    zeros = roots(entry, given) if kind == "derivative" else np.empty(0)
    errors = np.empty(x.size)
    for i, value in enumerate(x):
        truth = exact(entry, value, kind, **given)
        near = any(abs(value - root) < ROOT_DISTANCE for root in zeros) and abs(results[i] - truth) <= ROOT_ERROR_WIDE
        errors[i] = 0 if near else ulp_distance(results[i], truth)
    return Errors().merged(errors, x)


def many(entry: Activation, kind: str, backend: str, given: Mapping[str, float], points: int) -> Errors:
    """Errors of float64 results against longdouble, half of the points of any exponent."""
    rng = np.random.default_rng(2)
    bits = rng.integers(0, 1 << 64, points // 2, dtype=np.uint64).view(np.float64)
    x = np.concatenate(
        [bits[np.isfinite(bits)], rng.uniform(-12, 12, points // 4), rng.uniform(-750, 750, points // 4)]
    )
    result = entry.callable(kind, backend)(x, **given)
    truth = wide.exact_enough(entry, kind, x, **given)
    errors = ulp_errors(result, truth)
    for root in roots(entry, given) if kind == "derivative" else []:
        errors[(abs(x - root) < ROOT_DISTANCE) & (abs(result - truth) <= ROOT_ERROR_WIDE)] = 0
    return Errors().merged(errors, x)


def peer_functions(name: str) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The peers installed that have a function, taking and giving NumPy arrays."""
    from importlib import import_module

    for module, functions in PEERS.items():
        if name not in functions:
            continue
        try:
            library = import_module(module)
            home, _, attribute = functions[name].rpartition(".")
            function = getattr(import_module(home), attribute)
        except ImportError:
            continue
        if module == "torch":
            yield module, lambda x, *_, f=function, t=library: f(t.from_numpy(x)).numpy()
        else:
            yield module, lambda x, *_, f=function: f(x)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="functions, all by default")
    parser.add_argument("--exhaustive", action="store_true", help="all 2**32 float32 inputs, minutes per function")
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="parameters, instead of defaults")
    parser.add_argument("--points", type=int, default=400, help="points compared with mpmath (default: 400)")
    parser.add_argument("--many", type=int, default=1_000_000, help="float64 points compared with longdouble")
    arguments = parser.parse_args()
    from benchmarks import accuracy_families as families

    given = {name: float(value) for name, _, value in (text.partition("=") for text in arguments.set)}
    names = arguments.names or [*ACTIVATIONS, *families.NAMES]
    print("ulp:" + " " * 26 + "    max    mean  worst input")
    for name in names:
        if name in families.NAMES:
            for row, errors in families.rows(name, arguments.points):
                tqdm.write(f"{name:27.27} {row:18} {errors}")
            continue
        entry = ACTIVATIONS[name]
        for kind in ("value", "derivative"):
            for row, errors in rows(entry, kind, parameters_of(entry, given), arguments):
                tqdm.write(f"{name:16} {kind:10} {row:18} {errors}")


def rows(
    entry: Activation, kind: str, given: Mapping[str, float], arguments: argparse.Namespace
) -> Iterator[tuple[str, Errors]]:
    exhaustive = arguments.exhaustive
    total = (1 << 32) // (1 if exhaustive else 4099)
    backends = ["numpy"] if fastact.backend() == "numpy" else ["numba", "numpy"]
    with tqdm(total=total, unit="", unit_scale=True, leave=False, desc=f"{entry.name} {kind}") as progress:
        for backend in backends:
            yield f"{backend} float64", proof(entry, kind, backend, given, arguments.points)
            if wide.available():
                yield f"{backend} float64, many", many(entry, kind, backend, given, arguments.many)
            if backend == "numpy" and exhaustive:
                continue
            function = entry.callable(kind, backend)
            yield f"{backend} float32", measured(entry, kind, function, given, np.float32, exhaustive, progress)
            yield f"{backend} float16", measured(entry, kind, function, given, np.float16, False, progress)
        if kind == "value" and not exhaustive:
            for peer, function in peer_functions(entry.name):
                yield f"{peer} float32", measured(entry, kind, function, given, np.float32, False, progress)


if __name__ == "__main__":
    main()

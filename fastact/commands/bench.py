"""``fastact bench``: each function beside plain NumPy and beside a copy of the same bytes, in one run."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
from tqdm import tqdm

import fastact
from fastact.catalogue import ACTIVATIONS, Activation
from fastact.commands.errors import UsageError
from fastact.functions.registry import unknown

__all__ = ["interleaved", "parallel_copy", "plain_numpy", "run_bench"]

Timed = Callable[[], object]


def parallel_copy(target: np.ndarray, source: np.ndarray, threads: int) -> Timed:
    """A copy by as many threads as the functions have: what memory allows, the limit for every function."""
    pool = ThreadPoolExecutor(threads)
    bounds = [len(source) * i // threads for i in range(threads + 1)]
    parts = [slice(*pair) for pair in pairwise(bounds)]

    def run() -> None:
        for done in [pool.submit(np.copyto, target[part], source[part]) for part in parts]:
            done.result()

    return run


def interleaved(
    functions: dict[str, Timed], repeat: int, progress: Callable[[], object] = lambda: None
) -> dict[str, float]:
    """Median seconds of each, all taking turns: a machine that slows down slows all of them down."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(repeat + 1):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            if turn:  # the first turn compiles, touches memory and wakes threads
                times[name].append(time.perf_counter() - start)
        progress()
    return {name: statistics.median(values) for name, values in times.items()}


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


def sample_parameters(entry: Activation) -> dict[str, float]:
    """The defaults, and something usual for a parameter without one."""
    return {name: default if isinstance(default, float) else 0.25 for name, default in entry.parameters.items()}


def run_bench(names: Sequence[str], size: int, dtype: str, backward: bool, repeat: int) -> int:
    strange = [name for name in names if name not in ACTIVATIONS]
    if strange:
        raise UsageError(unknown(strange[0]))
    entries = [ACTIVATIONS[name] for name in names] or list(ACTIVATIONS.values())
    x = np.random.default_rng(0).standard_normal(size).astype(dtype) * np.dtype(dtype).type(3)
    grad, out = np.ones_like(x), np.empty_like(x)
    what = "grad * f'(x)" if backward else "f(x)"
    threads = max(1, fastact.get_num_threads())
    print(f"{what} of {size:,} {dtype}, out given: backend {fastact.backend()}, {threads} of {os.cpu_count()} cores\n")
    print(f"{'':15} {'ns/element':>11} {'x its copy':>11} {'plain NumPy':>12} {'speedup':>8}")
    with tqdm(total=len(entries) * (repeat + 1), leave=False, unit="round") as progress:
        for entry in entries:
            progress.set_description(entry.name)
            tqdm.write(_row(entry, x, grad, out, backward, repeat, threads, progress))
    return 0


def _row(
    entry: Activation,
    x: np.ndarray,
    grad: np.ndarray,
    out: np.ndarray,
    backward: bool,
    repeat: int,
    threads: int,
    progress: Any,
) -> str:
    parameters = sample_parameters(entry)
    arguments = (grad, x) if backward else (x,)
    function = entry.callable("backward" if backward else "value")
    if backward and entry.learned:
        out = (out, None)  # type: ignore[assignment]  # the parameter's gradient is a sum
    plain = None if backward else plain_numpy(entry)
    timed: dict[str, Timed] = {
        "copy": parallel_copy(np.empty_like(x), x, threads),
        "fastact": lambda: function(*arguments, *parameters.values(), out=out),
    }
    if plain:
        timed["numpy"] = lambda: plain(x, **parameters)
    with np.errstate(all="ignore"):
        medians = interleaved(timed, repeat, progress.update)
    arrays = 3 if backward else 2  # a copy moves one array in and one out; backward moves two in and one out
    ours, copy = medians["fastact"], medians["copy"] * arrays / 2
    row = f"{entry.name:15} {ours / x.size * 1e9:11.3f} {ours / copy:11.2f}"
    if plain:
        row += f" {medians['numpy'] / x.size * 1e9:12.3f} {medians['numpy'] / ours:7.1f}x"
    return row

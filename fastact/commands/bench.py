"""``fastact bench``: each function beside plain NumPy and beside a copy of the same bytes, in one run."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

import fastact
from fastact.catalogue import ACTIVATIONS, SPECIAL, Activation
from fastact.commands.bench_report import Report, Row
from fastact.commands.errors import UsageError
from fastact.commands.samples import arguments_of
from fastact.functions.parameters import sample_parameters
from fastact.functions.registry import unknown
from fastact.names import functions, public_callable

__all__ = ["parallel_copy", "plain_numpy", "run_bench"]

Timed = Callable[[], object]

#: Elements of a row, where functions go along rows.
ROW = 1000

BACKWARD = "_backward"


class Subject(NamedTuple):
    """A function called, the same in NumPy, and the arrays that go through memory."""

    name: str
    call: Timed
    plain: Timed
    arrays: list[np.ndarray]


def run_bench(names: Sequence[str], size: int, dtype: str, backward: bool, repeat: int, style: str = "text") -> int:
    wanted = _names(names, backward)
    threads = max(1, fastact.get_num_threads())
    about = {
        "size": size,
        "dtype": dtype,
        "fastact": fastact.__version__,
        "backend": fastact.backend(),
        "threads": threads,
        "cores": os.cpu_count(),
    }
    report = Report(about, style, max(map(len, wanted)))
    with tqdm(total=len(wanted) * (repeat + 1), leave=False, unit="round") as progress, np.errstate(all="ignore"):
        report.begin(tqdm.write)
        for name in wanted:
            progress.set_description(name)
            subject = _subject(name, size, np.dtype(dtype))
            report.add(_timed(subject, threads, repeat, progress.update), tqdm.write)
        report.end(tqdm.write)
    return 0


# -- what is timed --------------------------------------------------------------------------------------


def _names(names: Sequence[str], backward: bool) -> list[str]:
    """Those asked for, or all that are not made of another; with ``backward``, the backward of each."""
    elementwise, others = ACTIVATIONS.public_names() | SPECIAL.public_names(), functions()
    chosen = list(names) or [*ACTIVATIONS, *(name for name in others if not name.endswith(BACKWARD))]
    if backward:
        suffixed = [name if name.endswith(BACKWARD) else name + BACKWARD for name in chosen]
        chosen = suffixed if names else [name for name in suffixed if name in elementwise or name in others]
    for name in chosen:
        if name not in elementwise and name not in others:
            raise UsageError(_unknown(name))
    return chosen


def _unknown(name: str) -> str:
    forward = name.removesuffix(BACKWARD)
    if forward in functions():
        return f"{forward} has no backward"
    return f"{unknown(forward)}, {', '.join(name for name in functions() if not name.endswith(BACKWARD))}"


def _subject(name: str, size: int, dtype: np.dtype) -> Subject:
    elementwise = ACTIVATIONS.public_names() | SPECIAL.public_names()
    if name in elementwise:
        return _elementwise(name, *elementwise[name], size, dtype)
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

    return Subject(name, lambda: function(*arguments, *given.values(), out=out), plain, arrays)


def _of_arrays(name: str, size: int, dtype: np.dtype) -> Subject:
    """A function of rows, gates, losses or a dense layer: numbers from 0 to 1 make sense to all of them."""
    width = min(ROW, size)
    x = np.random.default_rng(0).random((size // width, width)).astype(dtype)
    arguments = next(arguments_of(name, x))
    function, there = public_callable(name), public_callable(name, "numpy")
    result = function(*arguments)
    results = [part for part in (result if isinstance(result, tuple) else (result,)) if isinstance(part, np.ndarray)]
    given = [argument for argument in arguments if isinstance(argument, np.ndarray)]
    return Subject(name, lambda: function(*arguments), lambda: there(*arguments), [*given, *results])


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


# -- timing ---------------------------------------------------------------------------------------------


def _timed(subject: Subject, threads: int, repeat: int, progress: Callable[[], object]) -> Row:
    largest = max(subject.arrays, key=lambda array: array.size)
    source = np.ones(largest.size, largest.dtype)
    copy = parallel_copy(np.empty_like(source), source, threads)
    times = _in_turns({"copy": copy, "fastact": subject.call, "numpy": subject.plain}, repeat, progress)
    moved = sum(array.nbytes for array in subject.arrays) / (2 * source.nbytes)  # a copy moves its bytes in and out
    medians = {name: statistics.median(values) for name, values in times.items()}
    return Row(
        subject.name,
        medians["fastact"] / largest.size * 1e9,
        medians["fastact"] / (medians["copy"] * moved),
        medians["numpy"] / largest.size * 1e9,
        medians["numpy"] / medians["fastact"],
        tuple(times["copy"]),
    )


def _in_turns(calls: dict[str, Timed], repeat: int, progress: Callable[[], object]) -> dict[str, list[float]]:
    """Seconds of each, all taking turns: a machine that slows down slows all of them down."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(repeat + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if turn:  # the first turn compiles, touches memory and wakes threads
                times[name].append(time.perf_counter() - start)
        progress()
    return times


def parallel_copy(target: np.ndarray, source: np.ndarray, threads: int) -> Timed:
    """A copy by as many threads as the functions have: what memory allows, the limit for every function."""
    pool = ThreadPoolExecutor(threads)
    bounds = [len(source) * i // threads for i in range(threads + 1)]
    parts = [slice(*pair) for pair in pairwise(bounds)]

    def run() -> None:
        for done in [pool.submit(np.copyto, target[part], source[part]) for part in parts]:
            done.result()

    return run

"""``fastact cache``: where compiled code is kept, and how to have it there before it is needed.

A container image, say, is built with ``FASTACT_CACHE_DIR=/opt/fastact fastact cache --warm``: what root has written is
found, and run, by every user of the image, who need not be able to write there.
"""

from __future__ import annotations

import itertools
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np

import fastact
from fastact.catalogue import ACTIVATIONS, SPECIAL
from fastact.commands.errors import UsageError
from fastact.commands.samples import arguments_of
from fastact.functions.registry import unknown
from fastact.names import functions, public_callable, public_names
from fastact.networks.choices import LossName, OptimizerName
from fastact.runtime import cache, limits, threads
from fastact.runtime.progress import progress_bar
from fastact.ufuncs.keywords import REQUIRED

__all__ = ["run_cache", "warm"]

#: What stands among the names for training.
NETWORK = "MLP"

#: With which training compiles what others run too.
OPTIMIZERS: tuple[OptimizerName, ...] = ("sgd", "adam")
LOSSES: tuple[LossName, ...] = ("mse", "cross_entropy")

#: Few rows, many, and long ones: they go different ways.
SHAPES = ((4, 6), (30_000, 40), (4, 200_000))


def run_cache(names: Sequence[str] | None, dtypes: Sequence[str], clear: bool) -> int:
    folder = cache.directory()
    if folder is None:
        raise UsageError(f"nothing is kept: {cache.problem()}")
    if clear:
        _clear(folder)
    if names is not None:
        _warm_all(names or [*public_names(), NETWORK], dtypes)
    for name, value in _rows(folder):
        print(f"{name:9}{value}")
    return 0


def _rows(folder: Path) -> Iterator[tuple[str, str]]:
    sizes = [entry.stat().st_size for entry in folder.glob("*.o")]
    yield "folder", str(folder)
    yield "entries", f"{len(sizes):,}"
    yield "size", f"{sum(sizes) / 1e6:.1f} MB"
    if cache.problem():
        yield "problem", f"{cache.problem()}; what is missing is compiled in memory"


def _clear(folder: Path) -> None:
    for entry in [*folder.glob("*.o"), *folder.glob("*.lock")]:
        entry.unlink(missing_ok=True)


def _warm_all(names: Sequence[str], dtypes: Sequence[str]) -> None:
    for name in names:
        if name != NETWORK and public_callable(name) is None:
            raise UsageError(unknown(name, [*SPECIAL, *functions()], "function"))
    if fastact.backend() == "numpy":
        raise UsageError("nothing is compiled in the NumPy backend (fastact info says why it is in use)")
    if cache.problem():
        raise UsageError(f"nothing more is kept: {cache.problem()}")
    # Spawned: a process that has compiled holds locks that a fork would copy.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(limits.available_cores(), mp_context=context) as workers:
        tasks = {workers.submit(warm, name, dtype): name for name in names for dtype in dtypes}
        with progress_bar(total=len(tasks), desc="compiling", unit="function") as bar:
            for task in as_completed(tasks):
                task.result()
                bar.update()


# -- calls that have everything compiled ----------------------------------------------------------------


def warm(name: str, dtype: str) -> None:
    """Call a function in all ways that are compiled apart."""
    if fastact.backend() == "numba":
        threads.begin_sharing()  # which on one core no call would
    if name == NETWORK:
        _train(dtype)
        return
    function = public_callable(name)
    with np.errstate(all="ignore"):
        for shape in SHAPES:
            for arguments in _calls(name, np.full(shape, 0.5, dtype)):
                function(*arguments)


def _calls(name: str, x: np.ndarray) -> Iterator[tuple[Any, ...]]:
    elementwise = ACTIVATIONS.public_names() | SPECIAL.public_names()
    if name in elementwise:
        entry, kind = elementwise[name]
        arrays = (x, x) if kind == "backward" else (x,)
        if REQUIRED not in entry.parameters.values():
            yield arrays
        if entry.parameters:
            yield (*arrays, *[x.dtype.type(0.5)] * len(entry.parameters))
            yield (*arrays, *[x[:1]] * len(entry.parameters))
        return
    yield from arguments_of(name, x)


def _train(dtype: str) -> None:
    if dtype == "float16":  # networks have none
        return
    for width, outputs in ((4, 3), (200, 150)):
        x, y = np.full((64, width), 0.5, dtype), np.full((64, outputs), 0.5, dtype)
        for optimizer, loss in itertools.product(OPTIMIZERS, LOSSES):
            network = fastact.MLP([width, 100, outputs], optimizer=optimizer, loss=loss, epochs=1, dtype=dtype)
            network.fit(x, y)
            network.predict(x)

"""``fastact bench``: each function beside plain NumPy and beside a copy of the same bytes, in one run."""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
from tqdm import tqdm

import fastact
from fastact.commands.bench_chart import draw_chart
from fastact.commands.bench_report import Report, Row
from fastact.commands.peers import Call
from fastact.commands.pictures import write_picture
from fastact.commands.subjects import Subject, chosen_names, subject

__all__ = ["parallel_copy", "run_bench", "timed"]

#: Seconds of a turn, for which short calls are repeated: the clock and the threads of a copy have their own jitter.
TURN = 2e-4

#: Seconds before each turn, beside others: threads of OpenMP look for work for so long on cores that the next in turn
#: needs, those of onnxruntime for longer.
PAUSE, LONG_PAUSE = 0.02, 0.07


def run_bench(
    names: Sequence[str],
    size: int,
    dtype: str,
    backward: bool,
    repeat: int,
    style: str = "text",
    peers: bool = False,
    plot: str | None = None,
) -> int:
    wanted = chosen_names(names, backward)
    threads = max(1, fastact.get_num_threads())
    about = {
        "size": size,
        "dtype": dtype,
        "fastact": fastact.__version__,
        "backend": fastact.backend(),
        "threads": threads,
        "cores": os.cpu_count(),
    }
    report = Report(about, style, max(map(len, wanted)), peers)
    with tqdm(total=len(wanted) * (repeat + 1), leave=False, unit="round") as progress, np.errstate(all="ignore"):
        report.begin(tqdm.write)
        for name in wanted:
            progress.set_description(name)
            row = timed(subject(name, size, np.dtype(dtype)), threads, repeat, progress.update, peers)
            report.add(row, tqdm.write)
        report.end(tqdm.write)
    if plot is not None:
        path = write_picture(plot, lambda: draw_chart(report.rows, report.said))
        print(f"wrote {path}", file=sys.stderr if style == "json" else sys.stdout)
    return 0


# -- timing ---------------------------------------------------------------------------------------------


def timed(subject: Subject, threads: int, repeat: int, progress: Callable[[], object], peers: bool = False) -> Row:
    largest = max(subject.arrays, key=lambda array: array.size)
    source = np.ones(largest.size, largest.dtype)
    calls = {"copy": parallel_copy(np.empty_like(source), source, threads), "fastact": subject.call}
    calls |= {"numpy": subject.plain} | (
        {f"by {name}": call for name, call in subject.peers().items()} if peers else {}
    )
    others = calls.keys() - {"copy", "fastact", "numpy"}
    pause = LONG_PAUSE if "by onnxruntime" in others else PAUSE if others else 0.0
    times = _in_turns(calls, repeat, progress, pause)
    moved = sum(array.nbytes for array in subject.arrays) / (2 * source.nbytes)  # a copy moves its bytes in and out
    medians = {name: statistics.median(values) for name, values in times.items()}
    each = {name: seconds / largest.size * 1e9 for name, seconds in medians.items()}
    return Row(
        subject.name,
        each["fastact"],
        medians["fastact"] / (medians["copy"] * moved),
        each["numpy"],
        medians["numpy"] / medians["fastact"],
        tuple(times["copy"]),
        {name.removeprefix("by "): value for name, value in each.items() if name.startswith("by ")},
    )


def _in_turns(
    calls: Mapping[str, Call], repeat: int, progress: Callable[[], object], pause: float
) -> dict[str, list[float]]:
    """Seconds of each, all taking turns: a machine that slows down slows all of them down."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    often = dict.fromkeys(calls, 1)
    for turn in range(repeat + 2):
        for name, call in calls.items():
            if pause:
                time.sleep(pause)
                call()  # wakes its threads
            start = time.perf_counter()
            for _ in range(often[name]):
                call()
            took = time.perf_counter() - start
            if turn == 1:  # the turn before compiled, touched memory and woke threads
                often[name] = max(1, int(TURN / took))
            elif turn:
                times[name].append(took / often[name])
        if turn:
            progress()
    return times


def parallel_copy(target: np.ndarray, source: np.ndarray, threads: int) -> Call:
    """A copy by as many threads as the functions have: what memory allows, the limit for every function."""
    pool = ThreadPoolExecutor(threads)
    bounds = [len(source) * i // threads for i in range(threads + 1)]
    parts = [slice(*pair) for pair in pairwise(bounds)]

    def run() -> None:
        for done in [pool.submit(np.copyto, target[part], source[part]) for part in parts]:
            done.result()

    return run

"""``python -m benchmarks.report``: everything once, into a file of this machine's, the README's tables and a chart.

Elementwise functions, their backwards, rows, losses, dense layers, training, start-up, memory and accuracy, beside
those other libraries that are installed, all taking turns. Some ten minutes; ``--parts`` measures some of it, and
leaves what else is known of this machine as it is; ``--quick`` tries everything on little, and writes where ``--into``
says.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

import fastact
from benchmarks import accuracy, generate, layers, machines, training
from fastact.catalogue import ACTIVATIONS, Activation
from fastact.commands.bench import parallel_copy, timed
from fastact.commands.bench_chart import draw_chart
from fastact.commands.bench_report import QUIET, Row, spread
from fastact.commands.pictures import write_picture
from fastact.commands.subjects import subject
from fastact.losses.catalogue import LOSSES
from fastact.rows.gates import GATES

ROWS = ("softmax", "log_softmax", "logsumexp", "sparsemax", "layer_norm", *GATES)
PACKAGES = ("numpy", "numba", "scipy", "torch", "jax", "numexpr", "onnxruntime")


class Run:
    """One run: how much of everything, and what it has found so far."""

    def __init__(self, quick: bool) -> None:
        self.quick = quick
        self.size, self.repeat = (10_000, 2) if quick else (10_000_000, 7)
        self.threads = max(1, fastact.get_num_threads())
        self.rows: list[Row] = []
        self.spreads: list[float] = []

    def some(self, names: Any, few: int = 2) -> list[Any]:
        return list(names)[:few] if self.quick else list(names)

    def bench(self, names: list[str]) -> dict[str, machines.Entry]:
        """What ``fastact bench`` measures."""
        entries = {}
        for name in tqdm(names, leave=False, unit="function"):
            row = timed(subject(name, self.size, np.dtype("float32")), self.threads, self.repeat, lambda: None, True)
            self.rows.append(row)
            self.spreads.append(spread(row.copy_seconds))
            entries[name] = entry(row.each, row.quiet, row.copies if row.quiet else None)
        return entries

    def while_quiet(self, measure: Callable[[], dict[str, float]], unit: float = 1.0) -> machines.Entry:
        """Seconds measured between two looks at how quiet the machine is, in units of which so many are one."""
        before, each, after = self.look(), measure(), self.look()
        self.spreads += [before, after]
        return entry({name: unit * value for name, value in each.items()}, max(before, after) <= QUIET)

    def look(self) -> float:
        source = np.ones(1 << (12 if self.quick else 20), np.float32)
        copy = parallel_copy(np.empty_like(source), source, self.threads)
        times = []
        for _ in range(16):
            start = time.perf_counter()
            copy()
            times.append(time.perf_counter() - start)
        return spread(times[1:])


def entry(each: dict[str, float], quiet: bool = True, copies: float | None = None) -> machines.Entry:
    rounded = {name: float(f"{value:.4g}") for name, value in each.items()}
    known = {} if copies is None else {"copies": float(f"{copies:.4g}")}
    return {"each": rounded, "quiet": quiet} | known


# -- the parts ------------------------------------------------------------------------------------------


def elementwise(run: Run) -> dict[str, machines.Entry]:
    return run.bench(run.some(ACTIVATIONS, 3))


def backward(run: Run) -> dict[str, machines.Entry]:
    return run.bench([f"{name}_backward" for name in run.some(ACTIVATIONS)])


def rows(run: Run) -> dict[str, machines.Entry]:
    return run.bench(run.some(ROWS))


def losses(run: Run) -> dict[str, machines.Entry]:
    return run.bench(run.some([*LOSSES, "cross_entropy"]))


def dense(run: Run) -> dict[str, machines.Entry]:
    entries, random = {}, np.random.default_rng(0)

    def normal(*shape: int) -> np.ndarray:
        return random.standard_normal(shape, dtype=np.float32)

    shapes: list[tuple[int, int, int]] = [(32, 16, 8)] if run.quick else list(layers.SHAPES)
    for batch, n_in, n_out in tqdm(shapes, leave=False, unit="shape"):
        case = normal(batch, n_in), normal(n_out, n_in), normal(n_out), normal(batch, n_out), "relu"
        for direction in ("forward", "backward"):
            label = f"{batch}, {n_in}, {n_out}, relu, {direction}"
            entries[label] = run.while_quiet(partial(layers.measure, case, direction), 1e6)
    return entries


def steps(run: Run) -> dict[str, machines.Entry]:
    entries = {}
    cases = [(sizes, batch) for sizes in training.SIZES for batch in training.BATCHES]
    for sizes, batch in tqdm(cases[:1] if run.quick else cases, leave=False, unit="network"):
        label = f"{', '.join(map(str, sizes))}; {batch}"
        contestants = training.contestants(sizes, batch)
        rounds = 1 if run.quick else 5
        entries[label] = run.while_quiet(partial(training.medians, contestants, rounds), 1e6)
    return entries


#: What a new process does.
PROCESSES = {
    "fastact": "import numpy as np, fastact; fastact.gelu(np.ones(9, np.float32))",
    "numpy": "import numpy as np; np.tanh(np.ones(9, np.float32))",
    "torch": "import torch; torch.nn.functional.gelu(torch.ones(9))",
    "jax": "import jax; jax.nn.gelu(jax.numpy.ones(9)).block_until_ready()",
    "scipy": "import numpy as np, scipy.special; scipy.special.erf(np.ones(9, np.float32))",
}
PEAK = "; from benchmarks.peak import peak; print(peak() / 2**20)"


def _processes(run: Run) -> dict[str, str]:
    return {name: code for name, code in PROCESSES.items() if name == "fastact" or (_has(name) and not run.quick)}


def startup(run: Run) -> dict[str, machines.Entry]:
    def once(code: str) -> float:
        start = time.perf_counter()
        _python(code)
        return 1e3 * (time.perf_counter() - start)

    def measure() -> dict[str, float]:
        turns = [{name: once(code) for name, code in _processes(run).items()} for _ in range(2 if run.quick else 4)]
        return {name: statistics.median(turn[name] for turn in turns[1:]) for name in turns[0]}

    return {"gelu of a few numbers": run.while_quiet(measure)}


def memory(run: Run) -> dict[str, machines.Entry]:
    entries = {"gelu of a few numbers": entry({n: float(_python(c + PEAK)) for n, c in _processes(run).items()})}
    for sizes in run.some(training.SIZES, 1):
        label = f"a fit of {', '.join(map(str, sizes))}, 4096 rows, above what was there"
        entries[label] = entry({"fastact": training.peak_of_fit(sizes, 4096) / 2**20})
    return entries


def errors(run: Run) -> dict[str, machines.Entry]:
    entries = {}
    for name in tqdm(run.some(ACTIVATIONS, 1), leave=False, unit="function"):
        activation = ACTIVATIONS[name]
        for kind in ("value", "derivative"):
            functions = {"fastact": activation.callable(kind)}
            functions |= dict(accuracy.peer_functions(name)) if kind == "value" else {}
            entries[f"{name}, {kind}"] = entry({n: _largest(activation, kind, f) for n, f in functions.items()})
    return entries


def _largest(activation: Activation, kind: str, function: Callable[..., Any]) -> float:
    given, silent = accuracy.parameters_of(activation, {}), tqdm(disable=True)
    return accuracy.measured(activation, kind, function, given, np.float32, False, silent).largest


PARTS: dict[str, Callable[[Run], dict[str, machines.Entry]]] = {
    "elementwise": elementwise, "backward": backward, "rows": rows, "losses": losses, "dense": dense,
    "training": steps, "startup": startup, "memory": memory, "accuracy": errors,
}  # fmt: skip


# -- the machine ------------------------------------------------------------------------------------------


def _python(code: str) -> str:
    # Installed packages have byte code; what lies in a working tree gets it in the first process, and keeps it.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    return done.stdout


def _has(package: str) -> bool:
    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False


def processor() -> str:
    """Its name, as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def registers() -> str:
    if fastact.backend() == "numpy":
        return "NumPy backend"
    import llvmlite.binding as llvm

    from fastact.simd.registers import register_bytes

    unused = register_bytes() < 64 and llvm.get_host_cpu_features().get("avx512f")
    return f"{8 * register_bytes()} bits" + (" of 512" if unused else "")


def about(run: Run) -> machines.Machine:
    return {
        "processor": processor(),
        "registers": registers(),
        "cores": os.cpu_count(),
        "threads": run.threads,
        "versions": {"Python": platform.python_version(), "fastact": fastact.__version__}
        | {name: version(name) for name in PACKAGES if _has(name)},
        "noise": round(statistics.median(run.spreads), 4) if run.spreads else 0.0,
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS), help="only these")
    parser.add_argument("--quick", action="store_true", help="little of everything, which says nothing of speed")
    parser.add_argument("--into", type=Path, help="another folder than benchmarks/figures; leaves the README alone")
    chosen = parser.parse_args(arguments)
    if chosen.quick and chosen.into is None:
        parser.error("--quick measures nothing worth keeping: say --into FOLDER")
    run, folder, parts = Run(chosen.quick), chosen.into or machines.FIGURES, {}
    with np.errstate(all="ignore"):
        for part in chosen.parts:
            start = time.perf_counter()
            parts[part] = PARTS[part](run)
            print(f"{part}: {time.perf_counter() - start:.0f} s", flush=True)
    machine = about(run) | {"parts": parts}
    print(f"wrote {machines.save(machine, folder)}")
    if "elementwise" in parts:
        shown = [row for row in run.rows if row.name in parts["elementwise"]]
        title = f"{machine['processor']}, {machine['registers']}, {run.size:,} float32"
        print(f"wrote {write_picture(str(machines.picture(machine, folder)), lambda: draw_chart(shown, title))}")
    if chosen.into is None:
        generate.main()


if __name__ == "__main__":
    main()

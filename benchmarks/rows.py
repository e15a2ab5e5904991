"""``python -m benchmarks.rows``: the softmax family beside every library that is installed, and beside a copy.

A row is nanoseconds per element, float32, for us and each peer in turns in one process, with as many threads as we
have; then our time over that of a copy of the same bytes, and the fastest peer's over ours, marked where it is below 1.
"fresh" allocates its result, "out" writes into memory given.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

import numpy as np
from tqdm import tqdm

import fastact
from benchmarks.turns import Call, medians
from fastact.commands.bench import parallel_copy
from fastact.commands.row_peers import NAMES, PEERS, row_peers

#: shape and axis
CASES: tuple[tuple[tuple[int, ...], int], ...] = (
    ((1_000_000, 10), -1), ((100_000, 100), -1), ((10_000, 1000), -1), ((312, 32000), -1), ((1, 10_000_000), -1),
    ((10, 1_000_000), 0), ((100, 100_000), 0), ((1000, 10_000), 0), ((32000, 312), 0),
    ((1000, 10), -1), ((100, 1000), -1),
)  # fmt: skip

#: Seconds before each turn: threads of onnxruntime look for work for 50 ms, on a core that the next in turn needs.
PAUSE = 0.07


def compare(name: str, shape: tuple[int, ...], axis: int, given: bool) -> str:
    x = np.random.default_rng(0).normal(0, 5, shape).astype(np.float32)
    out = np.empty_like(x) if given else None
    function: Any = getattr(fastact, name)
    calls: dict[str, Call] = {
        "fastact": (lambda: function(x, axis=axis, out=out)) if given else (lambda: function(x, axis=axis)),
        "copy": parallel_copy(np.empty_like(x).ravel(), x.ravel(), fastact.get_num_threads()),
    }
    result = {key: value / x.size * 1e9 for key, value in medians(calls | row_peers(name, x, axis, out), PAUSE).items()}
    rivals = {peer: result[peer] for peer in PEERS if peer in result}
    best = min(rivals, key=rivals.__getitem__, default="")
    columns = "".join(f"{result.get(key, float('nan')):9.3f}" for key in ("fastact", "copy", *PEERS))
    label = f"{name} {shape} axis {axis} {'out' if given else 'fresh'}"
    ratio = rivals[best] / result["fastact"] if best else float("nan")
    verdict = f"{result['fastact'] / result['copy']:9.2f}{ratio:10.2f} {best}" + (" <" if ratio < 1 else "")
    return f"{label:44}{columns}{verdict}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", default=NAMES, help="functions, by default all")
    names = parser.parse_args().names
    print(f"float32, ns per element, {fastact.backend()}, {fastact.get_num_threads()} of {os.cpu_count()} cores")
    print(f"{'':44}" + "".join(f"{key:>9.9}" for key in ("fastact", "copy", *PEERS)) + "  us/copy best/us")
    cases = [
        (name, shape, axis, given)
        for name in names
        for shape, axis in CASES
        for given in (False, True)
        if not (given and name == "logsumexp")
    ]
    with np.errstate(all="ignore"):
        for case in tqdm(cases, leave=False, disable=None):
            tqdm.write(compare(*case))


if __name__ == "__main__":
    main()

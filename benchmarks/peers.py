"""``python -m benchmarks.peers``: the fastest peer's time over ours, per function, size and way of calling.

Above 1.0 we are faster. All peers that are installed and have the function run interleaved in one process, with as
many threads as we have. "out" writes into memory given; "fresh" lets each allocate its result.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

import numpy as np
from tqdm import tqdm

import fastact
from benchmarks.turns import Call, medians
from fastact.catalogue import ACTIVATIONS, Activation
from fastact.commands.peers import peers_of
from fastact.functions.parameters import sample_parameters

SIZES = (1, 1_000, 100_000, 10_000_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="functions, all by default")
    names = parser.parse_args().names or list(ACTIVATIONS)
    print(f"float32, {fastact.get_num_threads()} of {os.cpu_count()} cores; fastest peer's time / ours\n")
    columns = [f"{size:.0e} {way}" for size in SIZES for way in ("fresh", "out")]
    print(f"{'':16}" + "".join(f"{column:>18}" for column in columns))
    with tqdm(total=len(names) * len(columns), leave=False, unit="cell") as progress, np.errstate(all="ignore"):
        for name in names:
            tqdm.write(
                f"{name:16}"
                + "".join(cell(ACTIVATIONS[name], n, way, progress) for n in SIZES for way in (False, True))
            )


def cell(entry: Activation, size: int, with_out: bool, progress: Any) -> str:
    x = (np.random.default_rng(0).standard_normal(size) * 3).astype(np.float32)
    out = np.empty_like(x) if with_out else None
    parameters = sample_parameters(entry) if any(not isinstance(d, float) for d in entry.parameters.values()) else {}
    function = entry.value
    # written as the peers' calls are where it can be: unpacking dictionaries takes 100 ns
    calls: dict[str, Call] = {
        "ours": (lambda: function(x, **parameters, out=out)) if parameters else (lambda: function(x, out=out))
    }
    calls |= peers_of(entry, x, out)
    calls["ours"]()
    result = medians(calls)
    progress.update()
    others = {name: seconds for name, seconds in result.items() if name != "ours"}
    if not others:
        return f"{'-':>18}"
    fastest = min(others, key=others.__getitem__)
    ratio = others[fastest] / result["ours"]
    return f"{ratio:.2f} {fastest}".rjust(18)


if __name__ == "__main__":
    main()

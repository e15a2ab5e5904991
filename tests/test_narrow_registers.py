"""Hosts without AVX-512 have kernels without its tables and reciprocals: compiled and run here as if this were one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import fastact
from fastact.registers import has_avx512

NARROW = """
import numpy as np
from fastact import registers

name, features = registers.host()
kept = [f for f in features.split(",") if not f.startswith(("+avx512", "+evex512", "+avx10"))]
registers.host = lambda: ("x86-64-v3", ",".join(kept))
assert not registers.has_avx512()

from benchmarks.accuracy import ulp_errors
from benchmarks.wide import exact_enough
from fastact.activations import ACTIVATIONS
from fastact.bench import sample_parameters
from tests.test_accuracy import points

x = points(np.float32)
for entry in ACTIVATIONS.values():
    given = {name: np.float32(value) for name, value in sample_parameters(entry).items()}
    for kind in ("value", "derivative"):
        truth = exact_enough(entry, kind, x.astype(np.float64), **given)
        result = entry.callable(kind, "numba")(x, **given)
        errors = ulp_errors(result, truth)
        root = (kind == "derivative") & (abs(truth) < 0.04) & (-4 < x) & (x < 0) & (abs(result - truth) < 1.2e-7)
        worst = np.argmax(np.where(root, 0, errors))
        assert errors[worst] <= entry.ulp, (entry.name, kind, errors[worst], x[worst], result[worst], truth[worst])
print("within bounds")
"""


@pytest.mark.skipif(fastact.backend() == "numpy" or not has_avx512(), reason="nothing wider than this to compile for")
def test_float32_is_as_accurate_without_avx512(tmp_path: Path) -> None:
    environment = os.environ | {"FASTACT_CACHE_DIR": str(tmp_path)}
    root = Path(__file__).parent.parent
    run = subprocess.run(
        [sys.executable, "-c", NARROW], cwd=root, env=environment, capture_output=True, text=True, timeout=300
    )
    assert run.stdout == "within bounds\n", run.stderr[-2000:]

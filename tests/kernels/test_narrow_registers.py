"""Kernels for hosts that lack some of this one's instructions: compiled and run here as if it lacked them."""

from __future__ import annotations

import platform

import pytest

from fastact.simd.registers import has_avx512
from tests.conftest import compiled_only
from tests.processes import run

NARROW = """
import numpy as np
from fastact.simd import registers

name, features = registers.host()
kept = [f for f in features.split(",") if not f.startswith(("+avx512", "+evex512", "+avx10"))]
registers.host = lambda: ("x86-64-v3", ",".join(kept))
assert not registers.has_avx512()

from benchmarks.accuracy import ulp_errors
from benchmarks.wide import exact_enough
from fastact.catalogue import ACTIVATIONS
from fastact.commands.bench import sample_parameters
from tests.catalogue.test_accuracy import points

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


WITHOUT_HALF = """
import numpy as np
from fastact.simd import registers

name, features = registers.host()
first = ("+64bit", "+cmov", "+cx8", "+fxsr", "+mmx", "+sse", "+sse2")
registers.host = lambda: ("x86-64", ",".join(f if f in first else "-" + f[1:] for f in features.split(",")))

import fastact

x = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
with np.errstate(all="ignore"):
    for slope in (np.float16(0.3), np.float16(3)):
        truth = np.where(x > 0, x, np.float16(np.float32(x) * np.float32(slope)))
        np.testing.assert_array_equal(fastact.leaky_relu(x, slope), truth)
rows = fastact.softmax(np.zeros((8, 100), np.float16))
assert rows.dtype == np.float16 and (rows == np.float16(0.01)).all()
print("right")
"""


@compiled_only
@pytest.mark.skipif(not has_avx512(), reason="this machine has no AVX-512 to do without")
def test_float32_is_as_accurate_without_avx512() -> None:
    assert said_by(NARROW) == "within bounds\n"


@compiled_only
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="this machine is no x86-64")
def test_float16_needs_no_instructions_for_it() -> None:
    assert said_by(WITHOUT_HALF) == "right\n"


def said_by(program: str) -> str:
    done = run(program)
    return done.stdout or f"{done.returncode}: {done.stderr[-2000:]}"

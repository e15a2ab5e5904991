"""Who computes where Numba, or the system, withholds something: compiled code, or NumPy and one line that says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import compiled_only
from tests.processes import run

#: Prints the backend and the sums of functions of each kind, after whatever a test puts in front.
COMPUTE = """
import numpy as np
import fastact
x = np.linspace(-9, 9, 1001, dtype=np.float32).reshape(7, 143)
print(fastact.backend(), fastact.sigmoid(x).sum(), fastact.softmax(x).sum())
"""


@compiled_only
@pytest.mark.parametrize("setting", ["NUMBA_DEBUGINFO", "NUMBA_ENABLE_PROFILING", "NUMBA_BOUNDSCHECK"])
def test_settings_of_numbas_do_not_reach_compiled_code(tmp_path: Path, setting: str) -> None:
    usual = run(COMPUTE)
    result = run(COMPUTE, FASTACT_CACHE_DIR=str(tmp_path), **{setting: "1"})
    assert (result.returncode, result.stderr, result.stdout) == (0, "", usual.stdout)
    assert result.stdout.startswith("numba ")

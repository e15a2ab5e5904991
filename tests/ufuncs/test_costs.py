"""What loops are measured to take, and from how many elements threads pay then."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import fastact
from fastact.simd.layout import Loop
from fastact.ufuncs import costs
from fastact.ufuncs.ufunc import STORAGES, loop_of, records_of
from tests.conftest import compiled_only

FLOAT32 = np.dtype(np.float32)


def record_for(nanoseconds: float) -> np.ndarray:
    record = np.zeros(Loop.SIZE, np.int64)
    costs.set_thresholds(record, nanoseconds)
    return record


def test_slower_loops_are_shared_sooner() -> None:
    slow, quick = record_for(2.0), record_for(0.25)
    for slot in (Loop.WORTH_SHARING, Loop.WORTH_WAKING, Loop.GRAIN):
        assert 1024 <= slow[slot] < quick[slot]
        assert slow[slot] % 1024 == 0
    assert slow[Loop.WORTH_WAKING] == 65_000 // 2 // 1024 * 1024


def test_a_clock_that_stands_still_gives_thresholds() -> None:
    assert (record_for(costs.LEAST)[[Loop.WORTH_SHARING, Loop.WORTH_WAKING, Loop.GRAIN]] > 100_000).all()


@compiled_only
@pytest.mark.parametrize("disturbed", [0, 1, 2])
def test_the_quickest_turn_counts_less_what_a_call_takes(monkeypatch: pytest.MonkeyPatch, disturbed: int) -> None:
    """Of a call of few elements and of one of many; two of three turns each may be disturbed."""
    few, many = [1_000, 1_000, 1_000], [1_000 + 2 * (costs.ELEMENTS - costs.FEW)] * 3
    for turns in (few, many):
        turns[:disturbed] = [10**9] * disturbed
    moments = iter(list(itertools.accumulate(t for turn in few + many for t in (0, turn))))
    ufunc: Any = fastact.sigmoid
    loop, _ = loop_of(ufunc, FLOAT32)  # measured, so far by the true clock
    record = records_of(ufunc)[STORAGES.index("float32")]
    monkeypatch.setattr(costs.time, "perf_counter_ns", lambda: next(moments))
    assert costs.nanoseconds(loop, record, [FLOAT32] * 2) == 2.0


@compiled_only
@pytest.mark.parametrize("name", ["sigmoid", "softplus", "gelu"])
@pytest.mark.parametrize("kind", ["value", "backward", "with_derivative"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int64"])
def test_every_loop_that_was_called_has_thresholds(name: str, kind: Any, dtype: str) -> None:
    ufunc = fastact.ACTIVATIONS[name].ufunc(kind, "numba", fixed=True)
    ufunc(*[np.ones(3, dtype)] * ufunc.nin)
    record = records_of(ufunc)[STORAGES.index(dtype)]
    assert record[Loop.FUNCTION]
    assert record[Loop.WORTH_SHARING] >= 1024

"""float16 is computed in float32, as far as float16 can see: all 65536 inputs."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import wide
from fastact.catalogue import ACTIVATIONS, Activation
from fastact.functions.parameters import sample_parameters
from tests.conftest import compiled_only, needs_wide_longdouble


@compiled_only
@needs_wide_longdouble
@pytest.mark.parametrize("kind", ["value", "derivative"])
@pytest.mark.parametrize("entry", ACTIVATIONS.values(), ids=lambda entry: entry.name)
def test_all_values(entry: Activation, kind: str) -> None:
    """Hardly further off than a rounded result must be."""
    x = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    x = x[np.isfinite(x)]
    given = {name: np.float16(value) for name, value in sample_parameters(entry).items()}
    truth = wide.exact_enough(entry, kind, x.astype(np.float64), **{n: float(v) for n, v in given.items()})
    result = entry.callable(kind)(x, **given).astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        nearest = truth.astype(np.float16).astype(np.float64)
        spacing = np.ldexp(1.0, np.maximum(np.frexp(truth.astype(np.float64))[1] - 11, -24))
        wrong = (result != nearest) & ~(np.abs(result - truth) <= 0.7 * spacing)
    assert not wrong.any(), (x[wrong][:3], result[wrong][:3], truth[wrong][:3])

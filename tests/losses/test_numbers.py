"""Numbers that are parameters of losses: calls that leave them alone have them as constants."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest

import fastact
from fastact.losses.catalogue import LOSSES
from fastact.losses.definition import REQUIRED


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble"])
@pytest.mark.parametrize("name", [name for name, loss in LOSSES.items() if loss.numbers])
def test_the_usual_ones_change_no_bit_when_they_are_given(name: str, dtype: str) -> None:
    loss, rng = LOSSES[name], np.random.default_rng(0)
    given = {number: float(str(default)) for number, default in loss.numbers.items()}
    arrays = [rng.uniform(0.01, 0.99, 1000).astype(dtype) for _ in range(2 + len(loss.arrays))]
    required = {n: array for (n, default), array in zip(loss.arrays.items(), arrays[2:]) if default is REQUIRED}
    for suffix, reduction in itertools.product(("", "_backward"), loss.reductions):
        function = functools.partial(getattr(fastact, name + suffix), *arrays[:2], reduction=reduction, **required)
        for _ in range(2):  # the second goes without Python
            assert np.array_equal(np.asarray(function()), np.asarray(function(**given)))


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("suffix", ["", "_backward"])
def test_others_are_not_taken_for_them(reduction: str, suffix: str) -> None:
    pred, target = np.array([0.0, 3.0, -5.0]), np.zeros(3)
    function = getattr(fastact, f"huber_loss{suffix}")
    terms = np.array([0, 2.5, 4.5]) if not suffix else np.array([0, 1.0, -1.0])
    other = np.array([0, 4.0, 8.0]) if not suffix else np.array([0, 2.0, -2.0])
    divisor = 3 if reduction == "mean" else 1
    for delta, expected in ((1.0, terms), (2.0, other), (1, terms), (2.0, other)):
        if suffix:
            expected = expected / divisor
        elif reduction != "none":
            expected = expected.sum() / divisor
        assert np.allclose(function(pred, target, reduction=reduction, delta=delta), expected, rtol=1e-15)

"""Every container with every family of functions: what comes back is what was given, with the same numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastact
from tests.containers.cells import CASES, CONTAINERS, Case


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.family}-{case}")
@pytest.mark.parametrize("kind", CONTAINERS)
def test_cell(kind: str, case: Case, backend: str) -> None:
    home, container = fastact.fallback if backend == "fallback" else fastact, CONTAINERS[kind]
    case = case.row() if container.rows else case
    if case.name in container.refused:
        with pytest.raises((TypeError, NotImplementedError)):
            case.call(home, container.wrap)
        return
    given = tuple(map(container.wrap, case.arrays))
    results, expected = case.call(home, container.wrap), case.call(home)
    several = isinstance(expected, tuple)
    for ours, theirs in zip(results, expected) if several else [(results, expected)]:
        _check(container, ours, theirs, given)


def _check(container: Any, ours: Any, theirs: Any, given: tuple[Any, ...]) -> None:
    values = container.values(ours)
    assert values.shape == np.shape(theirs)
    assert values.dtype == np.asarray(theirs).dtype
    assert np.allclose(values.astype(float), np.asarray(theirs, float), rtol=1e-12, atol=1e-14)
    like = [array for array in given if isinstance(array, container.kind) and np.shape(array) == values.shape]
    if like and values.ndim:
        assert isinstance(ours, container.kind)
        assert container.kept(ours, like[0])

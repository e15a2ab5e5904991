"""Every container with every family of functions: what comes back is what was given, with the same numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastact
from tests.containers.cells import CASES, CONTAINERS, Case, Container


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
        _check_numbers(container, ours, theirs, drawn=kind == "Dask" and "rng" in case.rest)
        _check_kind(container, ours, given)


def _check_numbers(container: Container, ours: Any, theirs: Any, drawn: bool) -> None:
    """``drawn``: by every chunk for itself."""
    values = container.values(ours)
    assert values.shape == np.shape(theirs)
    assert values.dtype == np.asarray(theirs).dtype
    if not drawn:
        assert np.allclose(values.astype(float), np.asarray(theirs, float), rtol=1e-12, atol=1e-14)


def _check_kind(container: Container, ours: Any, given: tuple[Any, ...]) -> None:
    shape = container.values(ours).shape
    held = [array for array in given if isinstance(array, container.kind)]
    like = [array for array in held if container.values(array).shape == shape]
    if like and shape:
        assert isinstance(ours, container.kind)
        assert container.kept(ours, like[0])

"""Parameters per row, column or channel of large arrays, whose short rows are taken together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastact
from fastact.ufuncs import nested
from tests.conftest import compiled_only


@pytest.fixture(autouse=True)
def _everything_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nested, "LARGE", 1)


CASES = [
    ((1000, 64), (64,)), ((777, 20), (20,)), ((3000, 3), (3,)), ((513, 511), (511,)), ((300, 600), (600,)),
    ((100, 7, 33), (33,)), ((50, 7, 33), (7, 33)), ((50, 7, 33), (50, 1, 33)), ((50, 7, 33), (7, 1)),
    ((50, 33, 1), (33, 1)), ((2, 64), (64,)),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "of_weight"), CASES)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("gaps", ["none", "between rows", "between blocks"])
def test_every_element_has_its_own_weight(
    shape: tuple[int, ...], of_weight: tuple[int, ...], dtype: Any, gaps: str
) -> None:
    rng = np.random.default_rng(0)
    full = (*shape[:-1], shape[-1] + 5) if gaps == "between rows" else shape
    full = (2 * shape[0], *shape[1:]) if gaps == "between blocks" else full
    x, weight = rng.standard_normal(full).astype(dtype), rng.uniform(0, 1, of_weight).astype(dtype)
    x = x[..., : shape[-1]] if gaps == "between rows" else x[:: full[0] // shape[0]]
    product = np.broadcast_to(weight, x.shape).astype(np.float32) * x if dtype == "float16" else weight * x
    expected = np.where(x > 0, x, product.astype(dtype))
    assert np.array_equal(fastact.prelu(x, weight), expected)
    assert fastact.prelu(x, weight, out=x) is x
    assert np.array_equal(x, expected)


@compiled_only
def test_short_rows_are_taken_together_where_that_takes_no_copies() -> None:
    """A row's bytes stand in the description of rows that are."""

    def together(distance: int) -> int:
        found = nested._rows((1000, 64), ((distance, 4), (0, 4), (256, 4)), 2, 4)
        assert found is not None
        return int(found[0][3])

    assert together(distance=256) == 256
    assert together(distance=320) == 0

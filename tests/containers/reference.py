"""How results in containers are compared."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["same_masked"]


def same_masked(ours: Any, expected: Any, rtol: float = 1e-13) -> None:
    """Both masked arrays, with the same mask, and the same numbers where that is not."""
    assert type(ours) is np.ma.MaskedArray
    assert ours.shape == expected.shape
    assert np.array_equal(np.ma.getmaskarray(ours), np.ma.getmaskarray(expected))
    assert np.allclose(ours.compressed(), expected.compressed(), rtol=rtol, atol=1e-15)

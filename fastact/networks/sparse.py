"""Sparse inputs, of which no more is dense at a time than a few batches."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastact.networks.plan import room

__all__ = ["DENSE_ROWS", "SparseRows"]

#: Rows that are dense at a time, if a batch has no more.
DENSE_ROWS = 1024


class SparseRows:
    """A sparse matrix of SciPy's, as trainers look at inputs: ``rows[indices]`` is dense, in the network's type."""

    def __init__(self, matrix: Any, dtype: np.dtype) -> None:
        self._matrix, self.shape, self.dtype, self.itemsize = matrix.tocsr(), matrix.shape, dtype, dtype.itemsize

    @property
    def stored(self) -> np.ndarray:
        """The numbers that are not zero."""
        result: np.ndarray = self._matrix.data
        return result

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, rows: Any) -> np.ndarray:
        part = self._matrix[rows]
        dense = room(part.shape[0] * part.shape[1], self.dtype).reshape(part.shape)
        with np.errstate(over="ignore"):
            dense[...] = part.toarray()
        return dense

"""Copying elements in Numba's language: one, a vector, a row of them, or a whole matrix however it lies."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from llvmlite import ir
from numba import types

from fastact.layers.tiles import lanes_of
from fastact.simd.addresses import memory
from fastact.simd.blocks import inline

__all__ = ["copies"]


def copies(name: str) -> SimpleNamespace:
    """For one element type."""
    size, lanes = np.dtype(name).itemsize, lanes_of(name)
    vector = size * lanes
    get, put, copy_vector = memory(ir.FloatType() if size == 4 else ir.DoubleType(), getattr(types, name), lanes)

    @inline
    def copy_row(source, target, count):
        """Elements side by side; the last vector may overlap the one before."""
        whole = count // lanes
        for i in range(whole):
            copy_vector(source + i * vector, target + i * vector)
        if whole * lanes < count:
            if count >= lanes:
                copy_vector(source + (count - lanes) * size, target + (count - lanes) * size)
            else:
                for i in range(count):
                    put(get(source + i * size), target + i * size)

    @inline
    def copy_any(source, row, column, target, target_row, target_column, rows, columns):
        for i in range(rows):
            for j in range(columns):
                put(get(source + i * row + j * column), target + i * target_row + j * target_column)

    return SimpleNamespace(get=get, put=put, copy_vector=copy_vector, copy_row=copy_row, copy_any=copy_any)

"""Dense layers in compiled code, as generalized ufuncs and as what calls without Python are to know of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from fastact.catalogue import Activation
from fastact.layers import matmul
from fastact.layers.blocking import blocking
from fastact.layers.checks import PLAIN, is_identity
from fastact.runtime import threads
from fastact.runtime.guard import once
from fastact.runtime.numpy_api import address
from fastact.simd.layout import Dense
from fastact.ufuncs.direct import Operand, Work
from fastact.ufuncs.memory import from_kept
from fastact.ufuncs.nested import words
from fastact.ufuncs.ufunc import loop_of, make_generalized, make_ufunc

__all__ = ["backward", "backward_work", "forward", "forward_work", "ufunc_of"]


def forward(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None, entry: Activation, y: Any, z: np.ndarray | None
) -> np.ndarray:
    """``y = activation(x @ weight.T + bias)``, and z without the activation."""
    layer = _forward_layer(entry, weight.dtype.char, bias is not None, z is not None)
    operands = (x, weight) if bias is None else (x, weight, bias)
    if y is not None:
        return layer.call(0, *operands, y) if z is None else layer.call(0, *operands, y, z)[0]
    size = len(x) * len(weight) * weight.itemsize
    results = layer.call(size, *operands, out=None if z is None else (y, z))
    return results if z is None else results[0]


def forward_work(given: Mapping[str, Any], entry: Activation) -> Work | None:
    """What a call without Python is to know of a layer; None if operands must be converted."""
    sizes = _sizes(given)
    if sizes is None:
        return None
    m, k, n, dtype = sizes
    biased, kept = given["bias"] is not None, given["preactivation"] is not None
    shapes = [(m, k), (n, k), *[(n,)] * biased, (m, n), *[(m, n)] * kept]
    names = ["x", "weight", *["bias"] * biased, "out", *["preactivation"] * kept]
    data = address(np.asarray(_forward_layer(entry, dtype.char, biased, kept).record))
    return Work(
        _loops(dtype.char)["forward"],
        [*map(Operand, names)],
        words([1, m, k, n]),
        _steps(shapes, given["weight"]),
        data,
        (*given["x"].shape[:-1], n),
        dtype,
        refused=data + 8 * Dense.REFUSED,
        written="preactivation" if kept else None,
    )


def _sizes(given: Mapping[str, Any]) -> tuple[int, int, int, np.dtype] | None:
    """Rows, inputs and outputs of a layer, and the dtype of all its operands if they have one in common that needs no
    conversion."""
    arrays = [value for value in given.values() if isinstance(value, np.ndarray)]
    (n, k), dtype = given["weight"].shape, given["weight"].dtype
    if dtype not in PLAIN or any(array.dtype is not dtype for array in arrays):
        return None
    return math.prod(given["x"].shape[:-1]), k, n, dtype


def _steps(shapes: Sequence[tuple[int, ...]], weight: np.ndarray, place: int = 1) -> Any:
    """What NumPy tells a loop of C-ordered matrices and vectors, but for the weight, at that place: how far it is from
    one to the next, of which there is none, and from row to row and column to column."""
    size = weight.itemsize
    inside = [[*[shape[-1] * size] * (len(shape) - 1), size] for shape in shapes]
    inside[place] = list(weight.strides)
    return words([*[0] * len(shapes), *chain(*inside)])


def backward(
    grad: np.ndarray, x: np.ndarray, weight: np.ndarray, z: np.ndarray, entry: Activation, *out: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    layer = _backward_layer(entry, weight.dtype.char)
    gradients: tuple[np.ndarray, np.ndarray, np.ndarray]
    gradients = layer.call(max(x.nbytes, weight.nbytes), grad, x, weight, z, *out)
    return gradients


def backward_work(given: Mapping[str, Any], entry: Activation) -> Work | None:
    """The same of the gradients."""
    sizes = _sizes(given)
    if sizes is None:
        return None
    m, k, n, dtype = sizes
    results = given["x"].shape, (n, k), (n,)
    names = ["grad", "x", "weight", "preactivation"]
    data = address(np.asarray(_backward_layer(entry, dtype.char).record))
    return Work(
        _loops(dtype.char)["backward"],
        [*map(Operand, names), *(Operand("out", which=i) for i in range(len(results)))],
        words([1, m, n, k]),
        _steps([(m, n), (m, k), (n, k), (m, n), (m, k), *results[1:]], given["weight"], len(names) - 2),
        data,
        results[0],
        dtype,
        refused=data + 8 * Dense.REFUSED,
        others=results[1:],
    )


class _Layer(NamedTuple):
    """A generalized ufunc, and the record that its loop is called with."""

    ufunc: np.ufunc
    record: memoryview

    def call(self, size: int, *operands: Any, **keywords: Any) -> Any:
        """Results, of so many bytes if they are to be made."""
        before = self.record[Dense.REFUSED]
        results = from_kept(size, self.ufunc, *operands, **keywords)
        if self.record[Dense.REFUSED] != before:  # ours, or that of a thread which computes at the same time
            raise MemoryError("there is no memory for what a dense layer computes with")
        return results


@cache
def _forward_layer(entry: Activation, kind: str, biased: bool, kept: bool) -> _Layer:
    """A layer with that activation, with or without a bias and a second result, as a generalized ufunc."""
    signature = f"(m,k),(n,k){',(n)' * biased}->(m,n){',(m,n)' * kept}"
    record = _record(kind, BIASED=biased, KEPT=kept)
    if kept or not is_identity(entry):  # with two results, the identity copies one to the other
        record[[Dense.LOOP, Dense.LOOP_DATA]] = loop_of(ufunc_of(entry, "value", "numba"), np.dtype(kind))
    return _Layer(make_generalized("dense", signature, np.dtype(kind), _loops(kind)["forward"], record), record.data)


@cache
def _backward_layer(entry: Activation, kind: str) -> _Layer:
    record = _record(kind, DRIVE=threads.driver())
    if not is_identity(entry):
        record[[Dense.LOOP, Dense.LOOP_DATA]] = loop_of(ufunc_of(entry, "backward", "numba"), np.dtype(kind))
    signature = "(m,n),(m,k),(n,k),(m,n)->(m,k),(n,k),(n)"
    ufunc = make_generalized("dense_backward", signature, np.dtype(kind), _loops(kind)["backward"], record)
    return _Layer(ufunc, record.data)


@cache
def _loops(kind: str) -> dict[str, int]:
    """Addresses of the compiled loops for a dtype's letter."""
    from fastact.runtime import compiler

    dtype = np.dtype(kind)
    return compiler.compiled("fastact.layers.loops", dtype.name, blocking(dtype.itemsize))


@once
def _shared(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """What all layers of a dtype have in common: a product without operands, and a one."""
    return matmul.new_record(np.dtype(kind).name), np.ones(1, kind)


def _record(kind: str, **slots: int) -> np.ndarray:
    record = np.zeros(Dense.SIZE, np.int64)
    product, one = map(address, _shared(kind))
    name = np.dtype(kind).name
    multiply = matmul.compiled(name)[f"multiply_{name}"]
    for slot, value in dict(PRODUCT=product, ONE=one, MULTIPLY=multiply, POOL=address(threads.pool()), **slots).items():
        record[getattr(Dense, slot)] = value
    return record


@cache
def ufunc_of(entry: Activation, kind: str, backend: str) -> np.ufunc:
    """The activation as a ufunc without parameters."""
    if not entry.parameters and not entry.options:
        ufunc: Any = entry.callable(kind, backend)
        return ufunc
    definition = entry.definition(kind, fixed=True)
    return make_ufunc(definition._replace(results=definition.results[:1]), backend)

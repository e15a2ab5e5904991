"""Calls of dense layers that take no step in Python."""

from __future__ import annotations

import numpy as np
import pytest

import fastact
from tests.conftest import compiled_only, needs_built_in_functions
from tests.ufuncs.direct_calls import (
    ForwardedError,
    by_python,
    check,
)

pytestmark = [compiled_only, needs_built_in_functions]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", ["identity", "relu", "gelu"])
def test_dense(dtype: str, activation: str, without_python: None) -> None:
    rng = np.random.default_rng(0)
    for rows, inputs, outputs in ((1, 64, 32), (5, 3, 1), (40, 30, 30), (200, 130, 70)):
        arrays, others = (
            [rng.normal(size=shape).astype(dtype) for shape in ((rows, inputs), (outputs, inputs), (outputs,))]
            for _ in range(2)
        )
        for count in (3, 2):
            check("dense", arrays[:count], others[:count], {"activation": activation}, in_place=False)
    x, weight = np.eye(4, dtype=dtype), rng.normal(size=(4, 4)).astype(dtype)
    by_python("dense", x, weight, None, activation)
    expected = fastact.dense(x, weight, None, activation)
    assert fastact.dense(x, weight, None, activation, out=x) is x
    assert x.tobytes() == expected.tobytes()


def dense_operands(shape: tuple[int, ...], outputs: int, dtype: str, seed: int) -> dict[str, np.ndarray]:
    """What a layer and its backward pass are given, by name."""
    rng = np.random.default_rng(seed)
    shapes = {"x": shape, "weight": (outputs, shape[-1]), "bias": (outputs,), "grad": (*shape[:-1], outputs)}
    arrays = {name: rng.normal(size=shape).astype(dtype) for name, shape in shapes.items()}
    return arrays | {"preactivation": rng.normal(size=shapes["grad"]).astype(dtype)}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", ["identity", "gelu"])
@pytest.mark.parametrize("shape", [(1, 64), (64,), (5, 3), (2, 3, 20), (130, 70)], ids=str)
def test_dense_with_its_preactivation(
    shape: tuple[int, ...], activation: str, dtype: str, without_python: None
) -> None:
    arrays, others = (dense_operands(shape, 40, dtype, seed) for seed in (0, 1))
    names = ["x", "weight", "bias"]
    z, out = np.empty_like(arrays["grad"]), np.empty_like(arrays["grad"])
    with pytest.raises(ForwardedError):
        fastact.dense(*(arrays[n] for n in names), activation, preactivation=z)
    by_python("dense", *(arrays[n] for n in names), activation, preactivation=z)
    expected = by_python("dense", *(others[n] for n in names), activation, preactivation=z)
    expected_z = z.tobytes()
    for keywords in ({}, {"out": out}, {"out": out}):
        z[...] = 9
        y = fastact.dense(*(others[n] for n in names), activation, preactivation=z, **keywords)
        assert y.shape == expected.shape
        assert y.tobytes() == expected.tobytes()
        assert z.tobytes() == expected_z
        assert y is out or not keywords


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rows", [1, 20, 70])
def test_a_weight_that_lies_by_columns(rows: int, dtype: str, without_python: None) -> None:
    """Known apart from one that lies by rows; other operands must do so."""
    arrays, others = (dense_operands((rows, 30), 40, dtype, seed) for seed in (0, 1))
    for name, names in (("dense", ["x", "weight", "bias"]), ("dense_backward", ["grad", "x", "weight", "grad"])):
        function, column = getattr(fastact, name), names.index("weight")
        by_rows, by_columns = [others[n] for n in names], [others[n] for n in names]
        by_columns[column] = np.asfortranarray(others["weight"])
        for given in (by_rows, by_columns):
            with pytest.raises(ForwardedError):
                function(*given)
            by_python(name, *[np.asfortranarray(arrays[n]) if a.flags.fnc else arrays[n] for n, a in zip(names, given)])
        for given in (by_columns, by_rows, by_columns):
            found, expected = function(*given), by_python(name, *given)
            for ours, theirs in zip(
                *((r,) if isinstance(r, np.ndarray) else r for r in (found, expected)), strict=True
            ):
                assert ours.flags.c_contiguous
                assert ours.tobytes() == theirs.tobytes()
        if rows > 1:
            all_by_columns = [np.asfortranarray(a) for a in by_rows]
            by_python(name, *all_by_columns)
            with pytest.raises(ForwardedError):
                function(*all_by_columns)


def test_preactivations_that_are_left_to_python(without_python: None) -> None:
    """What cannot be written, or lies where something else does."""
    x, weight, bias, memory = np.ones((4, 4)), np.ones((4, 4)), np.ones(4), np.zeros(40)
    z, over = memory[:16].reshape(4, 4), memory[8:24].reshape(4, 4)
    by_python("dense", x, weight, bias, preactivation=z)
    fastact.dense(x, weight, bias, preactivation=z)
    read_only = np.zeros((4, 4))
    read_only.flags.writeable = False
    for given, keywords in (
        ((x, weight, bias), {"preactivation": read_only}),
        ((x, weight, bias), {"preactivation": x}),
        ((x, weight, bias), {"preactivation": weight}),
        ((over, weight, bias), {"preactivation": z}),
        ((x, over, bias), {"preactivation": z}),
        ((x, weight, memory[2:6]), {"preactivation": z}),
        ((x, weight, bias), {"preactivation": z, "out": z}),
        ((x, weight, bias), {"preactivation": z, "out": over}),
        ((x, weight, bias), {"preactivation": z.T}),
        ((x, weight, bias), {"preactivation": z.astype("f")}),
        ((x, weight, bias), {"preactivation": memory[:16]}),
        ((x, weight, bias), {"preactivation": [[0.0] * 4] * 4}),
        ((x, weight, bias), {"preactivation": z, "out": 3}),
    ):
        with pytest.raises(ForwardedError):
            fastact.dense(*given, **keywords)
    assert fastact.dense(x, weight, bias, preactivation=z, out=x) is x
    assert np.all(x == 5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", ["identity", "gelu"])
@pytest.mark.parametrize("shape", [(1, 64), (64,), (5, 3), (2, 3, 20), (130, 70)], ids=str)
def test_dense_backward(shape: tuple[int, ...], activation: str, dtype: str, without_python: None) -> None:
    names = ["grad", "x", "weight", "preactivation"]
    arrays, others = ([made[n] for n in names] for made in (dense_operands(shape, 40, dtype, s) for s in (0, 1)))
    with pytest.raises(ForwardedError):
        fastact.dense_backward(*arrays, activation)
    by_python("dense_backward", *arrays, activation)
    expected = by_python("dense_backward", *others, activation)
    for _ in range(2):
        found = fastact.dense_backward(*others, activation)
        assert type(found) is tuple
        for ours, theirs in zip(found, expected, strict=True):
            assert type(ours) is np.ndarray
            assert (ours.shape, ours.dtype, ours.flags.owndata) == (theirs.shape, theirs.dtype, True)
            assert ours.tobytes() == theirs.tobytes()


def test_gradients_that_are_left_to_python(without_python: None) -> None:
    arrays = [np.ones(shape) for shape in ((4, 5), (4, 3), (5, 3), (4, 5))]
    by_python("dense_backward", *arrays)
    fastact.dense_backward(*arrays)
    whole = [a.astype(int) for a in arrays]
    by_python("dense_backward", *whole)
    for given in (whole, [a.astype("f") for a in arrays], [np.asfortranarray(a) for a in arrays], arrays[:3]):
        with pytest.raises(ForwardedError):
            fastact.dense_backward(*given)
    with pytest.raises(ForwardedError):
        fastact.dense_backward(*arrays, out=None)
    with pytest.raises(ForwardedError):
        fastact.dense_backward(*arrays, "identity", None)
    large = [np.ones(shape) for shape in ((2, 400), (2, 500), (400, 500), (2, 400))]  # whose memory is kept
    by_python("dense_backward", *large)
    with pytest.raises(ForwardedError):
        fastact.dense_backward(*large)


def test_a_name_that_means_another_activation(without_python: None) -> None:
    x, weight = np.ones((2, 3)), np.ones((4, 3))
    by_python("dense", x, weight, None, "relu")
    fastact.dense(x, weight, None, "relu")
    fastact.activation(lambda x: 2 * x, name="doubled_for_dense", register=True)
    with pytest.raises(ForwardedError):
        fastact.dense(x, weight, None, "relu")

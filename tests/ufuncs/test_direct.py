"""Calls that take no step in Python: only those that may, with the same results."""

from __future__ import annotations

import inspect
import math
import pickle
import sys
import tracemalloc
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import fastact
from fastact.names import functions
from fastact.simd.known import Direct
from fastact.ufuncs import direct
from tests.conftest import compiled_only, needs_built_in_functions, needs_posix
from tests.processes import PRELUDE, run
from tests.threads import at_once

pytestmark = [compiled_only, needs_built_in_functions]

ROWS = ["softmax", "softmin", "log_softmax", "sparsemax", "entmax15"]
GATES = ["glu", "reglu", "geglu", "swiglu"]
LOSSES = ["mse_loss", "l1_loss", "huber_loss", "binary_cross_entropy", "kl_div", "poisson_nll_loss", "hinge_loss"]
NAMES = [name + suffix for name in ROWS + GATES + LOSSES for suffix in ("", "_backward")]
LABELS = [name + suffix for name in ("cross_entropy", "nll_loss") for suffix in ("", "_backward")]
WITH_ARRAYS = ["binary_cross_entropy_with_logits", "gaussian_nll_loss"]
OTHERS = [
    *("dense", "dense_backward", *LABELS),
    *(name + suffix for name in WITH_ARRAYS for suffix in ("", "_backward")),
]


class ForwardedError(Exception):
    """A call has reached Python."""


@pytest.fixture
def without_python() -> Iterator[None]:
    """Whatever is left to Python raises ForwardedError."""

    def forward(*arguments: Any, **keywords: Any) -> None:
        raise ForwardedError

    before = {}
    for name in NAMES + OTHERS:
        getattr(fastact, name)
        record = direct._calls[name].record
        before[name] = int(record[Direct.FUNCTION])
        record[Direct.FUNCTION] = id(forward)
    direct.forget()
    yield
    for name, function in before.items():
        direct._calls[name].record[Direct.FUNCTION] = function


def operands(name: str, shape: tuple[int, ...], dtype: Any, seed: int = 0) -> list[np.ndarray]:
    """What a function of rows, a gate or a loss is given for x, or pred, of that shape."""
    rng = np.random.default_rng(seed)
    x, other = rng.uniform(0, 1, shape).astype(dtype), rng.uniform(0, 1, shape).astype(dtype)
    family = name.removesuffix("_backward")
    if family in LOSSES:
        return [x, other]
    if not name.endswith("backward"):
        return [x]
    return [np.ascontiguousarray(other[..., : shape[-1] // 2]) if family in GATES else other, x]


def by_python(name: str, *arguments: Any, **keywords: Any) -> Any:
    """The function's result as it comes through Python, which notes the call."""
    return functions()[name]("numba", *arguments, **keywords)


def check(name: str, arrays: list[Any], others: list[Any], keywords: dict[str, Any], in_place: bool = True) -> None:
    """Python is asked once; then come the same bits without it, for other numbers too."""
    function = getattr(fastact, name)
    with pytest.raises(ForwardedError):
        function(*arrays, **keywords)
    by_python(name, *arrays, **keywords)
    expected = by_python(name, *others, **keywords)
    results = [function(*others, **keywords), function(*others, **keywords, out=None)]
    assert all(type(result) is type(expected) and result.dtype == expected.dtype for result in results)
    assert all(result.tobytes() == expected.tobytes() for result in results)
    if isinstance(expected, np.ndarray):
        out = np.empty_like(expected)
        assert all(result.flags.owndata for result in results)
        assert function(*others, **keywords, out=out) is out
        assert out.tobytes() == expected.tobytes()
        last = others[-1] if name.removesuffix("_backward") not in LOSSES else others[0]
        if in_place and last.shape == expected.shape:
            assert function(*others, out=last, **keywords) is last
            assert last.tobytes() == expected.tobytes()


@pytest.mark.parametrize(("name", "dtype"), [(name, "float32") for name in ROWS] + [("softmax", "float16")])
@pytest.mark.parametrize("suffix", ["", "_backward"])
def test_rows(name: str, suffix: str, dtype: str, without_python: None) -> None:
    for shape, axis in (((7,), -1), ((5, 100), -1), ((5, 100), 0), ((3, 4, 50), 1), ((2, 1, 3, 1, 2, 20), 5)):
        check(name + suffix, *(operands(name + suffix, shape, dtype, seed) for seed in (0, 1)), {"axis": axis})


@pytest.mark.parametrize("name", GATES)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_gates(name: str, dtype: str, without_python: None) -> None:
    for shape in ((8,), (2,), (1000,), (5, 100), (3, 4, 50), (300, 30), (2, 60_000)):
        if dtype != "float16" or shape[-1] > 6 or len(shape) == 1:
            check(name, *(operands(name, shape, dtype, seed) for seed in (0, 1)), {})
            both = [operands(f"{name}_backward", shape, dtype, seed) for seed in (0, 1)]
            check(f"{name}_backward", *both, {})
    x = [operands(name, (6, 20, 8), dtype, seed) for seed in (0, 1)]
    for axis in (0, 1, -2):
        check(name, *([np.copy(a) for a in arrays] for arrays in x), {"axis": axis})


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_losses(name: str, dtype: str, without_python: None) -> None:
    for shape in ((1,), (40,), (3, 700), (2, 3, 4, 5), (120_001,)):
        for reduction in ("mean", "sum", "none"):
            for suffix in ("", "_backward"):
                arrays = [operands(name, shape, dtype, seed) for seed in (0, 1)]
                check(name + suffix, *arrays, {"reduction": reduction})


def test_numbers_and_options_of_losses(without_python: None) -> None:
    arrays = [operands("huber_loss", (50,), "float32", seed) for seed in (0, 1)]
    for delta in (0.25, 1):
        check("huber_loss", *arrays, {"delta": delta, "reduction": "none"}, in_place=False)
    for _ in range(2):
        with pytest.warns(RuntimeWarning, match="overflow"):  # NumPy's, of every such call
            by_python("huber_loss", *arrays[0], "none", 1e60)
        with pytest.raises(ForwardedError):
            fastact.huber_loss(*arrays[0], "none", 1e60)
    whole = np.arange(6), np.arange(6, 0, -1)
    for reduction in ("none", "mean"):
        by_python("mse_loss", *whole, reduction)
        with pytest.raises(ForwardedError):
            fastact.mse_loss(*whole, reduction)
    check("kl_div", *arrays, {"reduction": "batchmean"})
    for suffix in ("", "_backward"):
        check("kl_div" + suffix, *arrays, {"log_target": True})
        check("poisson_nll_loss" + suffix, *arrays, {"log_input": False, "full": True, "reduction": "none"})


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("suffix", ["", "_backward"])
def test_weights_of_losses(suffix: str, dtype: str, without_python: None) -> None:
    """As many as there are terms, or fewer, which are broadcast."""
    for shape in ((40,), (3, 700), (32, 10)):
        rng = np.random.default_rng(2)
        for reduction in ("mean", "none"):
            for of_weight in {shape, shape[-1:], (*shape[:-1], 1)}:
                weight, pos_weight = (rng.uniform(0, 2, size).astype(dtype) for size in (of_weight, shape[-1:]))
                for name, given in (
                    ("binary_cross_entropy_with_logits", {"weight": weight}),
                    ("binary_cross_entropy_with_logits", {"weight": weight, "pos_weight": pos_weight}),
                    ("binary_cross_entropy", {"weight": weight}),
                ):
                    arrays = [operands("mse_loss", shape, dtype, seed) for seed in (0, 1)]
                    check(name + suffix, *arrays, {"reduction": reduction, **given})


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_array_that_must_be_given(dtype: str, without_python: None) -> None:
    for shape in ((40,), (3, 700)):
        arrays, others = (operands("mse_loss", shape, dtype, seed) for seed in (0, 1))
        for var in (others[0] + 1, others[0][..., :1] + 1):
            for keywords in ({"reduction": "mean"}, {"reduction": "none", "full": True}):
                check("gaussian_nll_loss", [*arrays, var], [*others, var], keywords)
        var = others[0] + 1
        by_python("gaussian_nll_loss_backward", *arrays, var)
        expected = by_python("gaussian_nll_loss_backward", *others, var)
        found = fastact.gaussian_nll_loss_backward(*others, var)
        assert type(found) is tuple
        assert [a.tobytes() for a in found] == [a.tobytes() for a in expected]


def test_weights_that_are_left_to_python(without_python: None) -> None:
    pred, target = operands("mse_loss", (6, 4), "float32")
    for suffix in ("", "_backward"):
        name = "binary_cross_entropy" + suffix
        function = getattr(fastact, name)
        by_python(name, pred, target, weight=pred)
        function(pred, target, weight=pred)
        for weight in (2.0, np.float32(2), pred.astype(float), pred.T.copy().T, pred[0].tolist(), np.array(2, "f")):
            by_python(name, pred, target, weight=weight)
            with pytest.raises(ForwardedError):
                function(pred, target, weight=weight)
    outs = np.empty_like(pred), np.empty_like(pred)
    by_python("gaussian_nll_loss_backward", pred, target, pred, out=outs)
    for out in (outs, outs[0]):
        with pytest.raises(ForwardedError):
            fastact.gaussian_nll_loss_backward(pred, target, pred, out=out)
    by_python("gaussian_nll_loss_backward", pred, target, pred[0])  # whose gradient is a sum
    with pytest.raises(ForwardedError):
        fastact.gaussian_nll_loss_backward(pred, target, pred[0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums_are_rounded_once(dtype: str) -> None:
    """Terms of all magnitudes and both signs in several partial sums, which cancel: what math.fsum returns."""
    rng = np.random.default_rng(0)
    for size in (1, 2, 50, 40_000, 300_000):
        for spread in (1, 20):
            pred, target = rng.normal(size=(2, size)) * 10.0 ** rng.integers(-spread, spread + 1, (2, size))
            pred, target = (np.concatenate([a, -a[::-1]]).astype(dtype) for a in (pred, target))
            with np.errstate(all="ignore"):
                expected = by_python("poisson_nll_loss", -abs(pred), target, "sum")
                found = fastact.poisson_nll_loss(-abs(pred), target, "sum")
            assert found.tobytes() == expected.tobytes()


def test_what_is_not_finite_is_left_to_python(without_python: None) -> None:
    pred, target = operands("mse_loss", (40,), np.float32)
    by_python("mse_loss", pred, target)
    fastact.mse_loss(pred, target)
    for value in (np.nan, np.inf, 1e30):
        pred[3] = value
        with pytest.raises(ForwardedError):
            fastact.mse_loss(pred, target)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
def test_labels(name: str, dtype: str, without_python: None) -> None:
    rng = np.random.default_rng(0)
    for shape, axis in (
        ((1, 2), None),
        ((8, 10), None),
        ((300, 20), -1),
        ((2, 7), 0),
        ((5, 3, 40), None),
        ((2000, 3), 1),
    ):
        rows = np.empty(shape)[0].shape if axis == 0 else shape[:1] + shape[2:]
        classes = shape[0 if axis == 0 else 1]
        for reduction in ("mean", "sum", "none"):
            arrays, others = ([rng.normal(size=shape).astype(dtype), rng.integers(0, classes, rows)] for _ in range(2))
            check(name, arrays, others, {"reduction": reduction, "axis": axis}, in_place=False)
            check(f"{name}_backward", arrays, others, {"reduction": reduction, "axis": axis}, in_place=False)
            result = by_python(f"{name}_backward", *others, reduction, axis=axis)
            assert getattr(fastact, f"{name}_backward")(*others, reduction, axis=axis, out=others[0]) is others[0]
            assert others[0].tobytes() == result.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", LABELS)
def test_weights_of_classes(name: str, dtype: str, without_python: None) -> None:
    """Among them 0, with which even what is infinite counts for nothing."""
    rng, function = np.random.default_rng(0), getattr(fastact, name)
    for shape, axis in (((1, 2), None), ((300, 20), -1), ((2, 7), 0), ((5, 3, 40), None), ((2000, 3), 1)):
        rows = shape[1:] if axis == 0 else shape[:1] + shape[2:]
        classes = shape[0 if axis == 0 else 1]
        for reduction in ("mean", "sum", "none"):
            arrays, others = ([rng.normal(size=shape).astype(dtype), rng.integers(0, classes, rows)] for _ in range(2))
            weight = rng.uniform(0, 2, classes).astype(dtype)
            weight[0] = 0
            others[1].flat[-1] = 1
            keywords = {"reduction": reduction, "axis": axis, "weight": weight}
            check(name, arrays, others, keywords, in_place=False)
            result = by_python(name, *others, **keywords)
            if name.endswith("backward"):
                assert function(*others, **keywords, out=others[0]) is others[0]
                assert others[0].tobytes() == result.tobytes()
    pred, labels, weight = np.zeros((3, 2), dtype), np.array([0, 1, 1]), np.array([0, 2], dtype)
    pred[0, 0] = -np.inf
    for reduction in ("mean", "none"):
        expected = by_python(name, pred, labels, reduction, weight=weight)
        assert np.all(np.isfinite(expected))
        assert function(pred, labels, reduction, weight=weight).tobytes() == expected.tobytes()


@pytest.mark.parametrize("name", LABELS)
def test_weights_that_the_gradient_goes_over(name: str, without_python: None) -> None:
    weight, pred, labels = np.array([0.5, 0.0, 3.0]), np.array([[1.0, 2.0, 3.0]]), np.array([2])
    expected = by_python(name, pred, labels, weight=weight)
    result = by_python(name, pred, labels, "sum", weight=weight)
    if name.endswith("backward"):
        out = weight.reshape(1, 3)
        assert getattr(fastact, name)(pred, labels, weight=weight, out=out) is out
        assert out.tobytes() == expected.tobytes()
        weight[:] = 0.5, 0, 3
        getattr(fastact, name)(pred, labels, "sum", weight=weight, out=out)
        assert out.tobytes() == result.tobytes()


@pytest.mark.parametrize("name", ["cross_entropy_backward", "nll_loss_backward"])
def test_labels_that_the_gradient_would_go_over(name: str, without_python: None) -> None:
    """Of one class, in the memory of its logits."""
    pred = np.zeros((3, 1))
    labels = pred.view(np.int64)[:, 0]
    by_python(name, pred.copy(), labels.copy())
    with pytest.raises(ForwardedError):
        getattr(fastact, name)(np.ones((3, 1)), labels, out=pred)


@pytest.mark.parametrize("name", LABELS)
def test_weights_of_nothing(name: str) -> None:
    """The mean of what all weighs nothing is NaN, and its gradient 0."""
    pred, labels, weight = np.ones((3, 2)), np.array([0, 0, 0]), np.array([0.0, 1.0])
    for _ in range(2):
        result = getattr(fastact, name)(pred, labels, weight=weight)
        assert np.all(result == 0) if name.endswith("backward") else np.isnan(result)


@pytest.mark.parametrize("name", ["cross_entropy", "cross_entropy_backward"])
def test_what_cross_entropy_leaves_to_python(name: str, without_python: None) -> None:
    pred, labels = np.random.default_rng(0).normal(size=(6, 4)), np.arange(6) % 4
    function = getattr(fastact, name)
    by_python(name, pred, labels)
    function(pred, labels)
    for label in (-1, 4, -100, np.iinfo(np.int64).max):
        strange = labels.copy()
        strange[2] = label
        for out in [None, pred] if name.endswith("backward") else [None]:
            before = pred.copy()
            with pytest.raises(ForwardedError):
                function(pred, strange, out=out)
            assert np.array_equal(pred, before)
    for keywords in ({"label_smoothing": 0.1}, {"ignore_index": 2}, {"weight": np.ones(4, "f")}, {"weight": [1.0] * 4}):
        by_python(name, pred, labels, **keywords)
        with pytest.raises(ForwardedError):
            function(pred, labels, **keywords)
    whole, foreign = pred.astype(int), pred.astype(">f8")
    with_labels = [(array, labels) for array in (whole, foreign, pred.astype(np.float16), np.asfortranarray(pred))]
    for arrays in (
        *with_labels, (pred, labels.astype(np.int32)), (pred, np.eye(4)[labels]), (pred[0], labels[:1].reshape(()))
    ):  # fmt: skip
        by_python(name, *arrays)
        with pytest.raises(ForwardedError):
            function(*arrays)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_many_rows_are_added_up_as_numpy_adds(dtype: str) -> None:
    rng = np.random.default_rng(0)
    for rows in (*range(1, 20), 127, 128, 129, 136, 137, 255, 1000, 4097, 50_001):
        pred, labels = (rng.normal(size=(rows, 3)) * 30).astype(dtype), rng.integers(0, 3, rows)
        expected = by_python("cross_entropy", pred, labels, "sum")
        assert fastact.cross_entropy(pred, labels, "sum").tobytes() == expected.tobytes()


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


@pytest.mark.parametrize("name", NAMES)
def test_what_is_left_to_python(name: str, without_python: None) -> None:
    function = getattr(fastact, name)
    arrays = operands(name, (6, 20), np.float32)
    loss = name.removesuffix("_backward") in LOSSES
    arrays = [a.copy() for a in arrays]
    keywords: dict[str, Any] = {"reduction": "none"} if loss else {}
    by_python(name, *arrays, **keywords)
    shape = function(*arrays, **keywords).shape  # known
    read_only, memory = np.empty(shape, np.float32), np.empty(121 + 119, np.float32)
    read_only.flags.writeable = False
    overlapping = [memory[: a.size].reshape(a.shape) for a in arrays]
    bytes_ = np.empty(4 * arrays[0].size + 1, np.uint8)[1:].view(np.float32).reshape(arrays[0].shape)
    for given, more in (
        (arrays, {"reduction": "sums"} if loss else {"axis": 0}),
        (arrays, {"reduction": "".join(["no", "ne"])} if loss else {"axis": np.int64(-1)}),
        (arrays, {"unknown": 1}),
        (arrays, {"out": read_only}),
        (arrays, {"out": np.empty(shape)}),
        (arrays, {"out": np.empty(shape[::-1], np.float32)}),
        (arrays, {"out": np.empty(shape[::-1], np.float32).T}),
        (arrays, {"out": np.ma.empty(shape, np.float32)}),
        (arrays, {"out": 3}),
        (overlapping, {"out": memory[19 : 19 + math.prod(shape)].reshape(shape)}),
        ([bytes_, *arrays[1:]], {}),
        ([a.astype(float) for a in arrays], {}),
        ([a.astype(">f4") for a in arrays], {}),
        ([a[:, ::2] for a in arrays], {}),
        ([a.T for a in arrays], {}),
        ([np.ma.array(a) for a in arrays], {}),
        ([a.tolist() for a in arrays], {}),
        ([], {}),
        ([*arrays, "none" if loss else -1, 0, 0, 0], {}),
    ):
        with pytest.raises(ForwardedError):
            function(*given, **{**keywords, **more})


def test_the_other_backend_is_not_noted(without_python: None) -> None:
    x, y = np.ones((4, 6)), np.zeros((4, 6))
    for name, arrays in (("softmax", [x]), ("glu", [x]), ("glu_backward", [x[:, :3].copy(), x]), ("mse_loss", [x, y])):
        getattr(fastact.fallback, name)(*arrays)
        with pytest.raises(ForwardedError):
            getattr(fastact, name)(*arrays)


def test_a_large_result_goes_into_memory_that_is_kept(without_python: None) -> None:
    x = np.zeros((600, 1000), np.float32)
    by_python("softmax", x)
    with pytest.raises(ForwardedError):
        fastact.softmax(x)
    fastact.softmax(x, out=x)


def test_more_shapes_than_are_kept() -> None:
    arrays = [operands("softmax", (5, n), np.float32)[0] for n in range(1, 3 * Direct.NUMBER)]
    expected = [by_python("softmax", x) for x in arrays]
    for _ in range(2):
        assert all(np.array_equal(fastact.softmax(x), y) for x, y in zip(arrays, expected))


@pytest.mark.parametrize(
    "name", ["softmax", "glu", "glu_backward", "mse_loss", "mse_loss_backward", "dense", "dense_backward"]
)
def test_no_memory_is_kept(name: str) -> None:
    shapes = {"dense": [(20, 10), (7, 10)], "dense_backward": [(20, 7), (20, 10), (7, 10), (20, 7)]}.get(name)
    arrays = [np.ones(shape, np.float32) for shape in shapes or ()] or operands(name, (20, 10), np.float32)
    function = getattr(fastact, name)
    function(*arrays)
    function(*arrays)
    watched = [*arrays, arrays[0].dtype, None, -1, "mean", "identity"]
    tracemalloc.start()
    try:
        counts, memory = [sys.getrefcount(thing) for thing in watched], tracemalloc.get_traced_memory()[0]
        for _ in range(100_000):
            function(*arrays)
        grown = tracemalloc.get_traced_memory()[0] - memory
    finally:
        tracemalloc.stop()
    assert max(abs(sys.getrefcount(thing) - count) for thing, count in zip(watched, counts)) < 100
    assert grown < 20_000


def test_no_array_lives_longer() -> None:
    x = np.zeros((5, 40))
    fastact.glu(x)
    fastact.mse_loss(x, x)
    fastact.dense(x, x)
    fastact.dense(x, x, preactivation=np.zeros((5, 5)))
    fastact.dense_backward(np.zeros((5, 5)), x, x, np.zeros((5, 5)))
    reference = weakref.ref(x)
    del x
    assert reference() is None


def test_a_call_forgotten_while_it_computes() -> None:
    x = operands("glu", (400, 500), np.float32)[0]
    expected, wrong = by_python("glu", x), []

    def run() -> None:
        for i in range(100):
            if i % 5 == 0:
                direct.forget()
            if not np.array_equal(fastact.glu(x), expected):
                wrong.append(i)

    at_once(8, run)
    assert not wrong


def test_the_number_of_threads_may_change() -> None:
    pred, target = operands("mse_loss", (200_000,), np.float32)
    before = fastact.get_num_threads()
    try:
        results = set()
        for threads in (1, 2, 4, 1):
            fastact.set_num_threads(threads)
            results |= {fastact.mse_loss(pred, target).tobytes() for _ in range(3)}
    finally:
        fastact.set_num_threads(before)
    assert len(results) == 1


def test_no_reference_is_lost_or_kept() -> None:
    x, out = np.zeros((5, 40)), np.zeros((5, 40))
    fastact.softmax(x, out=out)
    before = sys.getrefcount(x), sys.getrefcount(out), sys.getrefcount(x.dtype), sys.getrefcount(None)
    for _ in range(1000):
        fastact.softmax(x, out=out)
        fastact.softmax(x, out=None)
    after = sys.getrefcount(x), sys.getrefcount(out), sys.getrefcount(x.dtype), sys.getrefcount(None)
    assert max(abs(a - b) for a, b in zip(after, before)) < 100
    assert sys.getrefcount(fastact.softmax(x)) == sys.getrefcount(np.exp(x))


def test_many_python_threads() -> None:
    arrays = [operands("softmax", (n, 300), np.float32)[0] for n in range(1, 5)]
    expected = [by_python("softmax", x) for x in arrays]
    wrong: list[int] = []

    def run() -> None:
        for i in range(400):
            x, y = arrays[i % 4], expected[i % 4]
            if not np.array_equal(fastact.softmax(x), y):
                wrong.append(i)

    at_once(16, run)
    assert not wrong


@needs_posix
def test_in_a_forked_child() -> None:
    """In a process of its own: what other tests have imported may have threads that do not survive it."""
    code = """
x, weight = np.random.default_rng(0).standard_normal((100, 1000), np.float32), np.ones((30, 1000), np.float32)
def results():
    return [fastact.softmax(x), fastact.glu(x), np.array(fastact.mse_loss(x, x + 1)), fastact.dense(x, weight)]
before = results()
assert in_child(lambda: all(map(np.array_equal, results(), before)))
"""
    result = run(PRELUDE + code)
    assert result.returncode == 0, result.stderr


def test_it_looks_like_the_function_it_stands_for() -> None:
    assert str(inspect.signature(fastact.softmax)) == "(x, axis=-1, *, out=None, where=None, dtype=None)"
    assert "Probabilities" in (fastact.softmax.__doc__ or "")
    assert pickle.loads(pickle.dumps(fastact.softmax)) is fastact.softmax

"""Calls of losses that take no step in Python."""

from __future__ import annotations

import numpy as np
import pytest

import fastact
from tests.conftest import compiled_only, needs_built_in_functions
from tests.ufuncs.direct_calls import (
    LABELS,
    LOSSES,
    ForwardedError,
    by_python,
    check,
    operands,
)

pytestmark = [compiled_only, needs_built_in_functions]


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
    wide = [a.astype(float) for a in (pred, target)]
    for name, keywords in (
        ("binary_cross_entropy", {"weight": 2.0}),
        ("binary_cross_entropy_backward", {"weight": 2.0}),
        ("gaussian_nll_loss", {"var": 2.0}),
        ("gaussian_nll_loss_backward", {"var": 2.0}),
    ):
        for reduction in ("mean", "none"):
            by_python(name, *wide, reduction=reduction, **keywords)
            with pytest.raises(ForwardedError):
                getattr(fastact, name)(*wide, reduction=reduction, **keywords)
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

"""Losses of labels with weights of classes, along any axis, and in other forms: against torch to 1e-12."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.conftest import offered

SHAPES = [(5,), (7, 5), (3, 4, 6), (2, 60), (2, 5, 3, 2)]
REDUCTIONS = ("mean", "sum", "none")

#: All that a label's loss comes in.
NAMES = ("cross_entropy", "nll_loss", "softmax_focal_loss")


def sample(shape: tuple[int, ...], ignored: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits, labels of which the first is ignored, and weights of classes of which the first is 0."""
    rng = np.random.default_rng(3)
    axis = min(1, len(shape) - 1)
    labels = np.asarray(rng.integers(0, shape[axis], shape[:axis] + shape[axis + 1 :]))
    if ignored and labels.ndim:
        labels.flat[0] = -100
    weights = rng.uniform(0.1, 2, shape[axis])
    weights[0] = 0
    return rng.standard_normal(shape) * 3, labels, weights


def same(ours: Any, theirs: Any) -> bool:
    return np.allclose(ours, theirs.detach().numpy(), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("kind", ["labels", "probabilities"])
def test_weighted_cross_entropy(
    shape: tuple[int, ...], reduction: str, smoothing: float, kind: str, backend: str
) -> None:
    torch = pytest.importorskip("torch")
    x, target, weights = sample(shape)
    if kind == "probabilities":
        axis = min(1, len(shape) - 1)
        drawn = np.random.default_rng(4).dirichlet(np.ones(shape[axis]), target.shape)
        target = np.moveaxis(drawn, -1, axis)
    leaf, options = torch.tensor(x, requires_grad=True), {"reduction": reduction, "label_smoothing": smoothing}
    expected = torch.nn.functional.cross_entropy(leaf, torch.tensor(target), weight=torch.tensor(weights), **options)
    expected.sum().backward()
    assert same(offered("cross_entropy", backend)(x, target, weight=weights, **options), expected)
    assert same(offered("cross_entropy_backward", backend)(x, target, weight=weights, **options), leaf.grad)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
def test_nll_loss(shape: tuple[int, ...], reduction: str, weighted: bool, backend: str) -> None:
    torch = pytest.importorskip("torch")
    x, labels, weights = sample(shape)
    y = offered("log_softmax", backend)(x, min(1, len(shape) - 1))
    leaf, options = torch.tensor(y, requires_grad=True), {"weight": weights} if weighted else {}
    given = {name: torch.tensor(array) for name, array in options.items()}
    expected = torch.nn.functional.nll_loss(leaf, torch.tensor(labels), reduction=reduction, **given)
    expected.sum().backward()
    assert same(offered("nll_loss", backend)(y, labels, reduction, **options), expected)
    assert same(offered("nll_loss_backward", backend)(y, labels, reduction, **options), leaf.grad)
    composed = offered("cross_entropy", backend)(x, labels, reduction, **options)
    assert np.allclose(offered("nll_loss", backend)(y, labels, reduction, **options), composed, rtol=1e-13)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 3.0])
def test_softmax_focal_loss(shape: tuple[int, ...], reduction: str, gamma: float, backend: str) -> None:
    torch = pytest.importorskip("torch")
    x, labels, weights = sample(shape, ignored=False)
    leaf, there = torch.tensor(x, requires_grad=True), torch.tensor(labels)
    entropy = torch.nn.functional.cross_entropy(leaf, there, reduction="none")
    weight = torch.tensor(weights[labels])
    expected = weight * (1 - torch.exp(-entropy)) ** gamma * entropy
    if reduction != "none":
        expected = expected.sum() / (weight.sum() if reduction == "mean" and weight.sum() else 1)
    expected.sum().backward()
    arguments = (x, labels, reduction, gamma)
    if weights[labels].any():
        assert same(offered("softmax_focal_loss", backend)(*arguments, weight=weights), expected)
    assert same(offered("softmax_focal_loss_backward", backend)(*arguments, weight=weights), leaf.grad)
    plain = offered("softmax_focal_loss", backend)(x, labels, reduction, 0.0)
    assert np.allclose(plain, offered("cross_entropy", backend)(x, labels, reduction), rtol=1e-14)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
def test_classes_along_any_axis(name: str, axis: int, backend: str) -> None:
    x = np.random.default_rng(5).standard_normal((4, 5, 6))
    labels = np.random.default_rng(6).integers(0, x.shape[axis], np.moveaxis(x, axis, 1)[:, 0].shape)
    weights = np.arange(1.0, x.shape[axis] + 1)
    moved = np.ascontiguousarray(np.moveaxis(x, axis, 1))
    value, slope = offered(name, backend), offered(f"{name}_backward", backend)
    expected, dx = value(moved, labels, "none", weight=weights), slope(moved, labels, weight=weights)
    assert np.allclose(value(x, labels, "none", weight=weights, axis=axis), expected, rtol=1e-13)
    assert np.allclose(slope(x, labels, weight=weights, axis=axis), np.moveaxis(dx, 1, axis), rtol=1e-13, atol=1e-16)


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint16, np.int64, np.float32])
def test_one_hot_targets(dtype: Any, backend: str) -> None:
    x, labels, weights = sample((7, 5), ignored=False)
    rows = np.eye(5)[labels].astype(dtype)
    for options in ({}, {"weight": weights}):
        value, slope = offered("cross_entropy", backend), offered("cross_entropy_backward", backend)
        assert np.allclose(value(x, rows, "none", **options), value(x, labels, "none", **options), rtol=1e-14)
        expected = slope(x, labels, "sum", **options)
        assert np.allclose(slope(x, rows, "sum", **options), expected, rtol=1e-12, atol=1e-15)
    with pytest.raises(ValueError, match="one-hot rows, they must be 0 or 1"):
        offered("cross_entropy", backend)(x, 2 * np.eye(7, 5, dtype=int))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_out(name: str, dtype: str, backend: str) -> None:
    x, labels, _ = sample((3, 4, 6))
    x = x.astype(dtype)
    value, slope, out = offered(name, backend), offered(f"{name}_backward", backend), np.empty((3, 6), dtype)
    assert value(x, labels, "none", out=out) is out
    assert np.array_equal(out, value(x, labels, "none"))
    expected = slope(x, labels)
    assert expected.dtype == dtype
    for target in (np.empty_like(x), np.asfortranarray(x), x.copy(), np.empty((3, 8, 6), dtype)[:, ::2]):
        assert slope(x, labels, out=target) is target
        assert np.array_equal(target, expected)
    in_place = x.copy()
    assert np.array_equal(slope(in_place, labels, out=in_place), expected)
    for reduction in ("mean", "sum"):
        with pytest.raises(ValueError, match="out with reduction='none' only"):
            value(x, labels, reduction, out=out)


@pytest.mark.parametrize("name", NAMES)
def test_edges(name: str, backend: str) -> None:
    """One class, nothing, all ignored, all weights 0, a label that weighs nothing where its logit is impossible."""
    value, slope = offered(name, backend), offered(f"{name}_backward", backend)
    one = np.zeros((3, 1)), np.zeros(3, int)
    assert value(*one) == 0
    assert (slope(*one) == (-1 / 3 if name == "nll_loss" else 0)).all()
    x, labels = np.array([[0.0, -np.inf], [-1.0, -2.0]]), np.array([1, 0])
    assert np.isnan(value(x, np.array([-100, -100])))
    assert value(x, np.array([-100, -100]), "sum") == 0
    assert (slope(x, np.array([-100, -100])) == 0).all()
    assert np.isnan(value(x[:0], labels[:0]))
    assert slope(x[:0], labels[:0]).shape == (0, 2)
    assert value(x, labels, "none")[0] == np.inf
    weights = np.array([1.0, 0.0])
    assert np.isfinite(value(x, labels, weight=weights))
    assert (slope(x, labels, weight=weights)[0] == 0).all()
    assert np.isnan(value(x, labels, weight=np.zeros(2)))
    assert (slope(x, labels, weight=np.zeros(2)) == 0).all()
    certain = np.array([[np.inf, 0.0]]) if name == "nll_loss" else np.array([[0.0, -np.inf]])
    assert value(certain, np.array([0]), "sum") == (-np.inf if name == "nll_loss" else 0)


def test_focal_gradient_of_certain_rows(backend: str) -> None:
    x = np.array([[0.0, -np.inf], [0.0, -np.inf]])
    for gamma in (0.0, 0.5, 1.0, 2.0):
        slope = offered("softmax_focal_loss_backward", backend)(x, np.array([0, 1]), "sum", gamma)
        assert slope.tolist() == [[0, 0], [1, -1]]


def test_what_is_refused(backend: str) -> None:
    x, labels, out = np.zeros((2, 3)), np.array([0, 1]), np.full((2, 3), 7.0)
    refused: list[tuple[type[Exception], str, dict[str, Any]]] = [
        (ValueError, r"weight must have shape \(3,\), one for each class, not \(2,\)", {"weight": np.ones(2)}),
        (TypeError, "weight must be real numbers", {"weight": np.ones(3, complex)}),
        (ValueError, "axis 2 is out of bounds", {"axis": 2}),
        (TypeError, "axis must be an integer", {"axis": 0.5}),
        (TypeError, "axis must be an integer or None", {"axis": (0, 1)}),
    ]
    for error, message, options in refused:
        for name in NAMES:
            for suffix, target in (("", {}), ("_backward", {"out": out})):
                with pytest.raises(error, match=message):
                    offered(name + suffix, backend)(x, labels, **options, **target)
    for name in NAMES[1:]:
        with pytest.raises(ValueError, match="target must be integer labels of shape"):
            offered(name, backend)(x, np.zeros((2, 3)))
    for gamma, error in ((-1.0, ValueError), (np.nan, ValueError), ("2", TypeError)):
        with pytest.raises(error, match="gamma must be"):
            offered("softmax_focal_loss", backend)(x, labels, gamma=gamma)
    assert (out == 7).all()

"""cross_entropy and its gradient against mpmath and torch."""

from __future__ import annotations

from typing import Any

import mpmath as mp
import numpy as np
import pytest

import fastact
from tests.conftest import offered


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_value_against_mpmath(dtype: type, backend: str) -> None:
    rng = np.random.default_rng(1)
    for classes in (2, 10, 300):
        x = rng.uniform(-40, 40, (6, classes)).astype(dtype)
        labels = rng.integers(0, classes, 6)
        labels[0] = x[0].argmax()  # right with great confidence: the loss is tiny, and still right
        losses = offered("cross_entropy", backend)(x, labels, "none")
        assert losses.dtype == dtype
        for row, label, loss in zip(x, labels, losses):
            with mp.workdps(60):
                values = [mp.mpf(float(v)) for v in row]
                truth = float(mp.log1p(mp.fsum(mp.exp(v - values[label]) for i, v in enumerate(values) if i != label)))
            assert abs(loss - truth) <= 4 * np.finfo(dtype).eps * truth
        mean = offered("cross_entropy", backend)(x, labels)
        assert mean == pytest.approx(losses.astype(float).mean(), rel=2 * float(np.finfo(dtype).eps))


@pytest.mark.parametrize("shape", [(5,), (7, 5), (3, 4, 6), (2, 60), (2, 100, 3, 2)])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("kind", ["labels", "ignored", "probabilities"])
def test_as_torch(shape: tuple[int, ...], reduction: str, smoothing: float, kind: str, backend: str) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(2)
    x = rng.standard_normal(shape) * 3
    axis = min(1, len(shape) - 1)
    batch = shape[:axis] + shape[axis + 1 :]
    if kind == "probabilities":
        target: Any = rng.dirichlet(np.ones(shape[axis]), batch)
        target = np.moveaxis(target, -1, axis)
    else:
        target = np.asarray(rng.integers(0, shape[axis], batch))
        if kind == "ignored" and batch:
            target.flat[0] = -100
    given = torch.tensor(x, requires_grad=True)
    truth = torch.nn.functional.cross_entropy(
        given, torch.tensor(target), reduction=reduction, label_smoothing=smoothing
    )
    truth.sum().backward()
    options = {"reduction": reduction, "label_smoothing": smoothing}
    assert np.allclose(offered("cross_entropy", backend)(x, target, **options), truth.detach(), rtol=1e-12, atol=1e-14)
    dx = offered("cross_entropy_backward", backend)(x, target, **options)
    assert np.allclose(dx, given.grad, rtol=1e-11, atol=1e-15)
    out = np.asfortranarray(x)
    assert offered("cross_entropy_backward", backend)(out, target, **options, out=out) is out
    assert np.allclose(out, dx, rtol=1e-12, atol=1e-16)


def test_a_class_can_be_ignored(backend: str) -> None:
    """As padding is, whose label is often 0."""
    x, labels = np.array([[3.0, 1.0], [2.0, 3.0], [0.0, 9.0]]), np.array([0, 1, 0])
    function, gradient = offered("cross_entropy", backend), offered("cross_entropy_backward", backend)
    assert np.array_equal(function(x, labels, "none", ignore_index=0) == 0, [True, False, True])
    assert function(x, labels, ignore_index=0) == pytest.approx(np.log1p(np.exp(-1.0)), rel=1e-14)
    share = 1 / (1 + np.exp(1.0))
    assert np.allclose(gradient(x, labels, ignore_index=0), [[0, 0], [share, -share], [0, 0]], rtol=1e-14, atol=0)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_gradient_of_a_confident_row(dtype: type, backend: str) -> None:
    x = np.array([[0.0, 9.0]], dtype)
    dx = offered("cross_entropy_backward", backend)(x, np.array([1]))
    assert dx.dtype == dtype
    truth = 1 / (1 + np.exp(9.0))
    assert np.allclose(dx.astype(float), [[truth, -truth]], rtol=4 * float(np.finfo(dtype).eps), atol=0)


def test_infinite_logits(backend: str) -> None:
    x = np.array([[0.0, -np.inf], [1.0, 1.0]])
    losses = offered("cross_entropy", backend)(x, np.array([1, 0]), reduction="none")
    assert losses[0] == np.inf
    assert losses[1] == pytest.approx(np.log(2))


def test_losses_that_float16_does_not_hold(backend: str) -> None:
    x = np.array([[60000.0, -60000.0]], np.float16)
    for reduction in ("none", "sum", "mean"):
        assert offered("cross_entropy", backend)(x, np.array([1]), reduction) == np.inf  # and no warning


def test_an_ignored_row_may_hold_anything(backend: str) -> None:
    x, labels = np.array([[np.nan, np.inf], [1.0, 1.0]]), np.array([-100, 0])
    assert offered("cross_entropy", backend)(x, labels) == pytest.approx(np.log(2))
    assert np.array_equal(offered("cross_entropy_backward", backend)(x, labels), [[0, 0], [-0.5, 0.5]])


def test_of_nothing(backend: str) -> None:
    function = offered("cross_entropy", backend)
    assert np.isnan(function(np.zeros((0, 3)), np.zeros(0, int)))
    assert function(np.zeros((0, 3)), np.zeros(0, int), "sum") == 0
    assert np.isnan(function(np.zeros((2, 3)), np.array([-100, -100])))
    assert offered("cross_entropy_backward", backend)(np.zeros((0, 3)), np.zeros(0, int)).shape == (0, 3)


def test_what_is_refused_before_anything_is_written(backend: str) -> None:
    x, out = np.zeros((2, 3)), np.full((2, 3), 7.0)
    cases: list[tuple[tuple[Any, ...], dict[str, Any], str]] = [
        ((x, np.array([0, 3])), {}, "from 0 to 2"),
        ((x, np.array([0, -1])), {}, "one is -1"),
        ((x, np.array([0, 1, 2])), {}, "labels must have shape"),
        ((x, np.zeros((2, 2))), {}, "probabilities of shape"),
        ((x, np.array([0, 1]), "average"), {}, "mean, sum, none"),
        ((x, np.array([0, 1])), {"label_smoothing": 2.0}, "from 0 to 1"),
        ((np.float64(1.0), np.array(0)), {}, "axis of classes"),
    ]
    for arguments, options, message in cases:
        for name in ("cross_entropy", "cross_entropy_backward"):
            extra = {"out": out} if name.endswith("backward") else {}
            with pytest.raises(ValueError, match=message):
                offered(name, backend)(*arguments, **options, **extra)
    with pytest.raises(TypeError, match="real numbers"):
        fastact.cross_entropy(x.astype(complex), np.array([0, 1]))
    for name, wrong in (("label_smoothing", "0.1"), ("ignore_index", 1.5), ("ignore_index", None)):
        with pytest.raises(TypeError, match=f"{name} must be a"):
            offered("cross_entropy", backend)(x, np.array([0, 1]), **{name: wrong})
    with pytest.raises(ValueError, match="mean, sum, none"):
        offered("cross_entropy", backend)(x, np.array([0, 1]), np.array(["mean", "sum"]))
    assert (out == 7).all()

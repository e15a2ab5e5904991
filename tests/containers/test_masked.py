"""Masked arrays: what is masked does not count, and stays masked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fastact.catalogue import ACTIVATIONS
from fastact.names import functions
from tests.conftest import callable_of, offered
from tests.containers.reference import same_masked

WILD = 1e9  # behind a mask

RNG = np.random.default_rng(5)
X = RNG.standard_normal((4, 6))
MASK = np.array([[0, 1, 0, 0, 0, 0], [1, 0, 0, 1, 1, 0], [0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1]], bool)
LABELS = np.array([0, 5, 3, 2])


def masked(values: np.ndarray = X, mask: np.ndarray = MASK) -> Any:
    return np.ma.array(np.where(mask, WILD, values).astype(values.dtype), mask=mask)


def of_rest(function: Callable[..., Any], *arrays: np.ndarray, mask: np.ndarray = MASK, **keywords: Any) -> Any:
    """Row by row, of what is not masked alone."""
    expected = np.zeros(mask.shape)
    for i, kept in enumerate(~mask):
        if kept.any():
            expected[i, kept] = function(*(array[i, kept] for array in arrays), **keywords)
    return np.ma.array(expected, mask=mask)


@pytest.mark.parametrize("name", ["softmax", "softmin", "log_softmax", "sparsemax", "entmax15", "hardmax"])
def test_rows(name: str, backend: str) -> None:
    function = offered(name, backend)
    same_masked(function(masked()), of_rest(function, X))
    same_masked(function(masked().T, axis=0).T, of_rest(function, X))


@pytest.mark.parametrize(
    "name", ["softmax_backward", "softmin_backward", "log_softmax_backward", "sparsemax_backward", "entmax15_backward"]
)
def test_gradients_of_rows(name: str, backend: str) -> None:
    function, grad = offered(name, backend), X[::-1].copy()
    y = offered(name.removesuffix("_backward"), backend)(masked())
    plain = np.ma.getdata(y)
    with np.errstate(all="ignore"):
        same_masked(function(grad, y), of_rest(function, grad, plain))
        same_masked(function(masked(grad), plain), of_rest(function, grad, plain))


def test_rows_as_the_issue_has_them(backend: str) -> None:
    x = np.ma.array([1, 1e9, 1], mask=[0, 1, 0])
    same_masked(offered("softmax", backend)(x), np.ma.array([0.5, 0, 0.5], mask=x.mask))
    assert offered("logsumexp", backend)(x) == pytest.approx(1 + np.log(2))


def test_where_and_a_mask(backend: str) -> None:
    where = np.arange(6) != 2
    same_masked(
        offered("softmax", backend)(masked(), where=where),
        np.ma.array(np.ma.getdata(offered("softmax", backend)(masked(mask=MASK | ~where))), mask=MASK),
    )


def test_results_in_out(backend: str) -> None:
    function = offered("softmax", backend)
    for out in (np.empty(X.shape), np.ma.array(np.empty(X.shape), mask=~MASK)):
        assert function(masked(), out=out) is out
        assert np.allclose(np.ma.getdata(out)[:3], np.ma.getdata(function(masked()))[:3])
    assert np.array_equal(out.mask, MASK)


@pytest.mark.parametrize("name", ["logsumexp", "logmeanexp"])
@pytest.mark.parametrize("keepdims", [False, True])
def test_sums(name: str, keepdims: bool, backend: str) -> None:
    function = offered(name, backend)
    result = function(masked(), axis=1, keepdims=keepdims)
    expected = [float(function(row[kept])) for row, kept in zip(X[:3], ~MASK[:3])]
    same_masked(result.ravel(), np.ma.array([*expected, 0], mask=[0, 0, 0, 1]))
    assert result.shape == ((4, 1) if keepdims else (4,))
    assert function(masked()) == pytest.approx(float(function(X[~MASK])))
    assert function(masked()[3]) is np.ma.masked


def test_sums_with_factors(backend: str) -> None:
    function, factors = offered("logsumexp", backend), np.ma.array(X[::-1], mask=MASK[::-1])
    kept = ~(MASK | MASK[::-1])
    ours = function(masked(), b=factors, return_sign=True)
    theirs = function(X[kept], b=X[::-1][kept], return_sign=True)
    assert np.allclose(ours, theirs, rtol=1e-14)


@pytest.mark.parametrize("name", ["glu", "reglu", "geglu", "swiglu"])
def test_gates(name: str, backend: str) -> None:
    function, backward = offered(name, backend), offered(f"{name}_backward", backend)
    half = MASK[:, :3] | MASK[:, 3:]
    same_masked(function(masked()), np.ma.array(function(X), mask=half))
    same_masked(function(masked()[:, :3], gate=masked()[:, 3:]), np.ma.array(function(X), mask=half))
    grad, both = X[:, :3] + 1, np.hstack([half, half])
    same_masked(backward(grad, masked()), np.ma.array(backward(grad, X), mask=both))
    pair = backward(grad, masked()[:, :3], gate=masked()[:, 3:])
    for ours, theirs in zip(pair, np.hsplit(np.asarray(backward(grad, X)), 2)):
        same_masked(ours, np.ma.array(theirs, mask=half))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", ["mse_loss", "huber_loss", "binary_cross_entropy_with_logits"])
def test_losses(name: str, reduction: str, backend: str) -> None:
    function, backward, target = offered(name, backend), offered(f"{name}_backward", backend), abs(X[::-1]) / 4
    ours, kept = function(masked(), target, reduction), ~MASK
    if reduction == "none":
        same_masked(ours, np.ma.array(function(X, target, "none"), mask=MASK))
    else:
        assert ours == pytest.approx(function(X[kept], target[kept], reduction), rel=1e-15)
        assert function(X, masked(target), reduction) == pytest.approx(ours, rel=1e-15)
    slopes = np.zeros(X.shape)
    slopes[kept] = backward(X[kept], target[kept], reduction)
    same_masked(backward(masked(), target, reduction), np.ma.array(slopes, mask=MASK))


def test_losses_that_broadcast(backend: str) -> None:
    """What is masked in an array of weights, of variances or of fewer elements counts for nothing as well."""
    kept, row = ~MASK, np.ma.array(X[0] + 3, mask=[0, 1, 0, 0, 0, 0])
    mse, weighted = offered("mse_loss", backend), offered("binary_cross_entropy_with_logits", backend)
    assert mse(X, row) == pytest.approx(mse(np.delete(X, 1, 1), np.delete(X[0] + 3, 1)))
    slopes = offered("mse_loss_backward", backend)(row, masked(), "sum")
    column = [2 * np.sum((X[0, i] + 3 - X[:, i])[kept[:, i]]) for i in range(6)]
    same_masked(slopes, np.ma.array(column, mask=row.mask))
    assert weighted(X, X > 0, weight=np.ma.array(abs(X), mask=MASK)) == pytest.approx(
        weighted(X[kept], (X > 0)[kept], weight=abs(X)[kept])
    )
    for name, results in (("gaussian_nll_loss", 1), ("gaussian_nll_loss_backward", 2)):
        function = offered(name, backend)
        ours, theirs = function(masked(), X * 0, abs(X) + 1), function(X[kept], 0 * X[kept], abs(X[kept]) + 1)
        for mine, other in zip(ours, theirs) if results > 1 else [(ours, theirs)]:
            assert np.allclose(np.ma.compressed(mine), other)


def test_batchmean(backend: str) -> None:
    function, target = offered("kl_div", backend), abs(X)
    kept = ~MASK
    assert function(masked(), target, "batchmean") == pytest.approx(function(X[kept], target[kept], "sum") / 4)
    slopes = offered("kl_div_backward", backend)(masked(), target, "batchmean")
    assert np.allclose(slopes.compressed(), -target[kept] / 4)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", ["cross_entropy", "softmax_focal_loss", "nll_loss"])
def test_losses_of_rows(name: str, reduction: str, backend: str) -> None:
    """A masked class cannot be; a row with a masked label, or with a label of such a class, is ignored."""
    function, backward = offered(name, backend), offered(f"{name}_backward", backend)
    labels = np.ma.array(LABELS, mask=[0, 0, 1, 0])
    impossible = np.where(MASK, -np.inf, X)
    ignored = np.array([False, False, True, True])
    plain = np.where(ignored, -100, LABELS)
    ours = function(masked(), labels, reduction)
    if reduction == "none":
        same_masked(ours, np.ma.array(function(impossible, plain, "none"), mask=ignored))
    else:
        assert ours == function(impossible, plain, reduction)
    expected = np.ma.array(backward(impossible, plain, reduction), mask=MASK | ignored[:, None])
    same_masked(backward(masked(), labels, reduction), expected)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy_of_probabilities(reduction: str, backend: str) -> None:
    function, backward = offered("cross_entropy", backend), offered("cross_entropy_backward", backend)
    target = np.abs(X[::-1])
    pred, p = np.where(MASK, -np.inf, X)[:3], np.where(MASK, 0, target)[:3]
    ours, theirs = function(masked(), target, reduction), function(pred, p, reduction)
    if reduction == "none":
        same_masked(ours, np.ma.array([*theirs, 0], mask=[0, 0, 0, 1]))
    else:
        assert ours == pytest.approx(theirs)
    slopes = backward(masked(), target, reduction)
    same_masked(slopes[:3], np.ma.array(backward(pred, p, reduction), mask=MASK[:3]))
    assert slopes.mask[3].all()


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_dice_loss(reduction: str, backend: str) -> None:
    function, backward = offered("dice_loss", backend), offered("dice_loss_backward", backend)
    pred, target = 1 / (1 + np.exp(-X)), X > 0
    rows = [function(pred[i, kept], target[i, kept], smooth=0.5) for i, kept in enumerate(~MASK[:3])]
    ours = function(masked(pred), target, reduction, smooth=0.5)
    if reduction == "none":
        same_masked(ours, np.ma.array([*rows, 0], mask=[0, 0, 0, 1]))
    else:
        assert ours == pytest.approx(np.sum(rows) / (3 if reduction == "mean" else 1))
    count = 3 if reduction == "mean" else 1
    slopes = backward(masked(pred), target, reduction, smooth=0.5)
    expected = of_rest(offered("dice_loss_backward", backend), pred, target, smooth=0.5) / count
    same_masked(slopes, expected)


@pytest.mark.parametrize("name", [n for n in functions() if n.startswith(("dense", "layer_norm", "rms_norm"))])
def test_refused_where_all_depends_on_it(name: str, backend: str) -> None:
    with pytest.raises(TypeError, match=f"{name} takes no masked arrays, because all .* fill them first"):
        offered(name, backend)(*[np.ma.array(X[:, :4], mask=MASK[:, :4])] * (4 if name == "dense_backward" else 2))


def test_smoothing_over_masked_classes(backend: str) -> None:
    with pytest.raises(ValueError, match="none may be masked"):
        offered("cross_entropy", backend)(masked(), LABELS, label_smoothing=0.1)


@pytest.mark.parametrize("name", ["sigmoid", "leaky_relu"])
@pytest.mark.parametrize("kind", ["value", "derivative", "backward", "with_derivative"])
def test_elementwise(name: str, kind: str, backend: str) -> None:
    function = callable_of(ACTIVATIONS[name], kind, backend)
    given = (X, masked()) if kind == "backward" else (masked(),)
    plain = (X, X) if kind == "backward" else (X,)
    for parameters in ((), (0.3,)) if name == "leaky_relu" else ((),):
        ours, theirs = function(*given, *parameters), function(*plain, *parameters)
        for mine, other in zip(ours, theirs) if kind == "with_derivative" else [(ours, theirs)]:
            same_masked(mine, np.ma.array(other, mask=MASK))


def test_gradients_of_learned_parameters(backend: str) -> None:
    """They are sums, to which nothing that is masked contributes."""
    function = callable_of(ACTIVATIONS["prelu"], "backward", backend)
    kept = np.where(MASK, 0, X)
    for weight in (0.25, np.linspace(0.1, 0.6, 6), np.linspace(0.1, 0.4, 4)[:, None]):
        dx, dweight = function(X + 1, masked(-abs(X)), weight)
        same_masked(dx, np.ma.array((X + 1) * weight, mask=MASK))
        full = -abs(kept) * (X + 1)
        axis = {(): None, (6,): 0, (4, 1): 1}[np.shape(weight)]
        assert np.allclose(dweight, full.sum(axis=axis, keepdims=np.ndim(weight) == 2))
        assert np.shape(dweight) == np.shape(weight)

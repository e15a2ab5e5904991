"""Losses where a probability is zero, a logarithm infinite, or there is nothing to lose."""

from __future__ import annotations

import numpy as np
import pytest

from tests.conftest import offered

DTYPES = ["float16", "float32", "float64"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("smoothing", [0.0, 1.0])
def test_an_impossible_class_costs_nothing_where_it_is_not_wanted(dtype: str, smoothing: float, backend: str) -> None:
    loss = offered("cross_entropy", backend)
    logits = np.array([[-np.inf, 0, 1], [2, -np.inf, -np.inf]], dtype)
    labels, probabilities = np.array([2, 0]), np.array([[0, 0, 1], [1, 0, 0]], dtype)
    exact = [np.log1p(np.exp(-1.0)), 0.0]
    for target in (labels, probabilities):
        values = loss(logits, target, "none", label_smoothing=smoothing)
        assert np.allclose(values, np.inf if smoothing else exact, rtol=2e-3, atol=0)
    wrong = loss(logits, np.array([0, 1]), "none", label_smoothing=smoothing)
    assert (wrong == np.inf).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradients_where_a_class_is_impossible(dtype: str, backend: str) -> None:
    logits, target = np.array([[-np.inf, 0]], dtype), np.array([[0, 1]], dtype)
    for wanted in (target, np.array([1])):
        assert (offered("cross_entropy_backward", backend)(logits, wanted) == 0).all()


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_ignored_rows_may_hold_anything(smoothing: float, backend: str) -> None:
    logits = np.array([[np.nan, 1.0], [-np.inf, -np.inf], [0.0, 0.0]])
    labels = np.array([-100, -100, 1])
    value = offered("cross_entropy", backend)(logits, labels, label_smoothing=smoothing)
    assert value == pytest.approx(np.log(2), rel=1e-15)
    gradient = offered("cross_entropy_backward", backend)(logits, labels, label_smoothing=smoothing)
    assert (gradient[:2] == 0).all()
    assert np.allclose(gradient[2], [0.5 - smoothing / 2, smoothing / 2 - 0.5])


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_without_classes_there_is_no_loss(reduction: str, backend: str) -> None:
    for name in ("cross_entropy", "cross_entropy_backward"):
        for target in (np.zeros((3, 0)), np.zeros(3, int)):
            with pytest.raises(ValueError, match="at least one class"):
                offered(name, backend)(np.zeros((3, 0)), target, reduction)


def test_of_no_rows(backend: str) -> None:
    logits, labels = np.zeros((0, 4)), np.zeros(0, int)
    assert np.isnan(offered("cross_entropy", backend)(logits, labels))
    assert offered("cross_entropy", backend)(logits, labels, "sum") == 0
    assert offered("cross_entropy_backward", backend)(logits, labels).shape == (0, 4)


@pytest.mark.parametrize("dtype", DTYPES)
def test_certain_logits(dtype: str, backend: str) -> None:
    loss = offered("binary_cross_entropy_with_logits", backend)
    logits, target = np.array([np.inf, -np.inf, np.inf, -np.inf], dtype), np.array([1, 0, 0, 1], dtype)
    assert loss(logits, target, "none").tolist() == [0, 0, np.inf, np.inf]
    slope = offered("binary_cross_entropy_with_logits_backward", backend)
    assert slope(logits, target, "sum").tolist() == [0, 0, 1, -1]


@pytest.mark.parametrize("dtype", DTYPES)
def test_value_and_gradient_agree_on_what_is_a_probability(dtype: str, backend: str) -> None:
    pred = np.array([-np.inf, -1, -1e-7, np.nan, 1.01, 3, np.inf], dtype)
    for target in (0.0, 0.5, 1.0):
        wanted = np.full_like(pred, target)
        assert np.isnan(offered("binary_cross_entropy", backend)(pred, wanted, "none")).all()
        assert np.isnan(offered("binary_cross_entropy_backward", backend)(pred, wanted, "sum")).all()
    certain, wanted = np.array([0, 0, 1, 1], dtype), np.array([0, 1, 0, 1], dtype)
    with np.errstate(over="ignore"):
        expected = np.array([0, -1e12, 1e12, 0]).astype(dtype)
    assert np.allclose(offered("binary_cross_entropy_backward", backend)(certain, wanted, "sum"), expected, rtol=1e-6)

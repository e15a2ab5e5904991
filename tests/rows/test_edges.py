"""Functions along an axis where rows are degenerate: no axis, one element, infinities, NaN, extreme temperatures."""

from __future__ import annotations

import numpy as np
import pytest

from tests.conftest import offered

DTYPES = ["float16", "float32", "float64"]

#: What each makes of a row with one finite element.
ALONE = {"softmax": 1.0, "softmin": 1.0, "log_softmax": 0.0, "sparsemax": 1.0, "hardmax": 1.0, "gumbel_softmax": 1.0}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ALONE)
def test_without_an_axis_every_element_is_a_row(name: str, dtype: str, backend: str) -> None:
    function, x = offered(name, backend), np.linspace(-9, 9, 24).astype(dtype).reshape(2, 3, 4)
    for given in (x, x.T, x[:, ::-1], x[:, :, ::2], x[:0]):
        y = function(given, axis=())
        assert y.shape == given.shape
        assert y.dtype == dtype
        assert (abs(y - ALONE[name]) <= np.finfo(dtype).eps).all()
    assert abs(function(x[0, 0, 0], axis=()) - ALONE[name]) <= np.finfo(dtype).eps


@pytest.mark.parametrize("name", sorted(ALONE.keys() - {"gumbel_softmax"}))
def test_without_an_axis_results_go_where_they_are_wanted(name: str, backend: str) -> None:
    function, x = offered(name, backend), np.ones((3, 4), np.float32)
    for out in (np.empty_like(x), np.empty((4, 3), np.float32).T, np.empty((3, 4)), x):
        assert function(x, axis=(), out=out) is out
        assert (abs(out - ALONE[name]) <= np.finfo(np.float32).eps).all()
    with pytest.raises(ValueError, match="shape"):
        function(x, axis=(), out=np.empty((4, 3), np.float32))


def test_gradients_without_an_axis(backend: str) -> None:
    grad, y = np.random.default_rng(0).standard_normal((2, 5, 3))
    assert (offered("softmax_backward", backend)(grad, np.ones_like(y), axis=()) == 0).all()
    assert (offered("log_softmax_backward", backend)(grad, np.zeros_like(y), axis=()) == 0).all()
    assert np.allclose(offered("softmax_backward", backend)(grad, y, axis=()), y * (grad - grad * y))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ALONE)
def test_infinities_and_nan(name: str, dtype: str, backend: str) -> None:
    rows = np.array([[np.nan, 3, 3], [3, np.nan, 1], [1, 2, np.nan], [np.inf, np.nan, 0]], dtype)
    function = offered(name, backend)
    assert np.isnan(function(rows)).all()
    assert np.isnan(function(rows.T, axis=0)).all()
    assert np.isnan(function(np.array([np.nan], dtype))).all()
    assert function(np.empty((3, 0), dtype)).shape == (3, 0)
    if name in ("softmax", "log_softmax"):
        for row in ([np.inf, 0, 0], [np.inf, np.inf, 1], [-np.inf, -np.inf, -np.inf]):
            assert np.isnan(function(np.array(row, dtype))).all()
    if name in ("softmax", "log_softmax", "hardmax"):
        expected = {"softmax": [0, 1, 0], "log_softmax": [-np.inf, 0, -np.inf], "hardmax": [0, 1, 0]}[name]
        assert (function(np.array([-np.inf, 5, -np.inf], dtype)) == expected).all()


def test_hardmax_of_infinities(backend: str) -> None:
    hardmax = offered("hardmax", backend)
    assert hardmax(np.array([[1, np.inf, np.inf], [-np.inf] * 3])).tolist() == [[0, 1, 0], [1, 0, 0]]


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tau", [5e-324, 1e-308, 1e-300, 1e-45, 1e-38, 1e-5, 1e-4, 1.0, 1e5, 1e300, np.inf])
def test_gumbel_softmax_at_any_temperature(tau: float, dtype: str, hard: bool, backend: str) -> None:
    """Towards 0 draws become the one-hot vectors of the largest, towards infinity even shares."""
    logits = np.random.default_rng(0).standard_normal((500, 100)).astype(dtype)
    draw = offered("gumbel_softmax", backend)
    y = draw(logits, tau, hard, rng=1)
    assert y.dtype == dtype
    assert np.allclose(y.sum(axis=1, dtype=float), 1, atol=2e-2)
    if hard or tau <= 1e-38:
        assert (y == draw(logits, hard=True, rng=1)).all()
    if tau >= 1e300 and not hard:
        assert (y == np.dtype(dtype).type(0.01)).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_gumbel_softmax_keeps_what_cannot_be_drawn(dtype: str, backend: str) -> None:
    logits = np.array([[0, -np.inf, 0], [-np.inf, 1, -np.inf]], dtype)
    for tau in (1e-300, 1e-5, 1.0, 100.0):
        y = offered("gumbel_softmax", backend)(logits, tau, rng=0)
        assert (y[logits == -np.inf] == 0).all()
        assert y[1, 1] == 1


def test_gumbel_softmax_is_softmax_of_the_same_draw(backend: str) -> None:
    logits = np.random.default_rng(2).standard_normal((50, 7))
    noise = -np.log(np.random.default_rng(3).standard_exponential(logits.shape))
    for tau in (0.3, 1.0, 4.0):
        z = (logits + noise) / tau
        expected = np.exp(z - z.max(axis=1, keepdims=True))
        expected /= expected.sum(axis=1, keepdims=True)
        assert np.allclose(offered("gumbel_softmax", backend)(logits, tau, rng=3), expected, rtol=1e-13, atol=0)

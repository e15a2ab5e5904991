"""Functions with true zeros, and gradients of the softmax family, against torch's arithmetic and autograd."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.conftest import offered

SHAPES = [(5,), (3, 9), (6, 50), (4, 700), (3, 40, 17), (2, 3000)]
TOLERANCE = {"float64": 1e-13, "float32": 2e-6, "float16": 2e-3}


def sorted_entmax15(torch: Any, x: Any) -> Any:
    """Along the last axis, as its authors have it: by sorting, and so that autograd goes through."""
    z = (x - x.max(-1, keepdim=True).values) / 2
    falling = z.sort(-1, descending=True).values
    count = torch.arange(1, x.shape[-1] + 1, dtype=x.dtype)
    mean, square = falling.cumsum(-1) / count, (falling**2).cumsum(-1) / count
    threshold = mean - torch.sqrt(torch.clamp((1 - count * (square - mean**2)) / count, min=0))
    support = (threshold <= falling).sum(-1, keepdim=True)
    return torch.clamp(z - threshold.gather(-1, support - 1), min=0) ** 2


def sorted_sparsemax(torch: Any, x: Any) -> Any:
    falling = x.sort(-1, descending=True).values
    excess = (falling.cumsum(-1) - 1) / torch.arange(1, x.shape[-1] + 1, dtype=x.dtype)
    support = (falling > excess).sum(-1, keepdim=True)
    return torch.clamp(x - excess.gather(-1, support - 1), min=0)


EXACT: dict[str, Any] = {
    "entmax15": sorted_entmax15,
    "sparsemax": sorted_sparsemax,
    "softmin": lambda torch, x: torch.softmax(-x, -1),
    "softmax": lambda torch, x: torch.softmax(x, -1),
}


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", SHAPES)
def test_values_and_gradients(name: str, dtype: str, shape: tuple[int, ...], backend: str) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(2)
    x, grad = rng.normal(0, 2, shape).astype(dtype), rng.normal(0, 1, shape).astype(dtype)
    leaf = torch.tensor(x.astype(float), requires_grad=True)
    # a sum of squared differences cancels where the threshold is found by sorting
    tolerance = TOLERANCE[dtype] * (1 if name != "entmax15" else 20)
    y = offered(name, backend)(x)
    expected = EXACT[name](torch, leaf)
    expected.backward(torch.tensor(grad.astype(float)))
    assert y.dtype == dtype
    assert np.allclose(y, expected.detach(), rtol=0, atol=tolerance)
    if dtype == "float64":  # an element next to the threshold may come out on its other side
        dx = offered(f"{name}_backward", backend)(grad, expected.detach().numpy())
        assert np.allclose(dx, leaf.grad, rtol=1e-11, atol=1e-12)
    dx = offered(f"{name}_backward", backend)(grad, y)
    wide = offered(f"{name}_backward", "fallback")(grad.astype(float), y.astype(float))
    assert dx.dtype == dtype
    assert np.allclose(dx, wide, rtol=0, atol=2 * TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("length", [1, 2, 10, 1000, 300_000])
def test_entmax15_adds_up_to_one(length: int, dtype: str, backend: str) -> None:
    x = np.random.default_rng(3).normal(0, 1, (3, length)).astype(dtype)
    y = offered("entmax15", backend)(x)
    assert np.allclose(y.sum(axis=-1, dtype=float), 1, atol=50 * np.finfo(dtype).eps)
    assert (y >= 0).all()
    equal = offered("entmax15", backend)(np.zeros((2, length), dtype))
    assert np.allclose(equal.astype(float), 1 / length, rtol=4 * np.finfo(dtype).eps, atol=1e-7)


@pytest.mark.parametrize("name", ["sparsemax", "entmax15"])
def test_special_rows(name: str, backend: str) -> None:
    inf, nan = np.inf, np.nan
    x = np.array([[0, nan, 1], [0, -inf, 0], [inf, 0, 0], [-inf, -inf, -inf], [1e300, 0, -1e300]])
    y = offered(name, backend)(x)
    assert np.isnan(y[[0, 3]]).all()
    assert np.allclose(y[1], [0.5, 0, 0.5], rtol=1e-15, atol=0)
    assert np.isnan(y[2]).any()
    assert y[4].tolist() == [1, 0, 0]
    grad, y = np.array([[1.0, inf, 0], [1, 1, 1]]), np.array([[0.25, 0, 0.25], [nan] * 3])
    slope = offered(f"{name}_backward", backend)(grad, y)
    assert slope[0].tolist() == ([0.5, 0, -0.5] if name == "sparsemax" else [0.25, 0, -0.25])
    assert np.isnan(slope[1]).all()


@pytest.mark.parametrize("name", ["softmin", "sparsemax", "entmax15"])
def test_gradients_along_axes(name: str, backend: str) -> None:
    rng, function = np.random.default_rng(4), offered(f"{name}_backward", backend)
    x, grad = rng.normal(0, 1, (4, 5, 6)), rng.normal(0, 1, (4, 5, 6))
    for axis in (0, 1, -1, (0, 2), None):
        y = offered(name, backend)(x, axis=axis)
        dx = function(grad, y, axis=axis)
        h = 1e-6 * rng.normal(0, 1, x.shape)
        rise = (grad * (offered(name, backend)(x + h, axis=axis) - offered(name, backend)(x - h, axis=axis))).sum()
        assert rise == pytest.approx(2 * (dx * h).sum(), rel=1e-5)
        in_place = grad.copy()
        assert function(in_place, y, axis=axis, out=in_place) is in_place
        assert np.allclose(in_place, dx, rtol=1e-14)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "softmin"])
def test_dtype(name: str, backend: str) -> None:
    """x is converted first, as torch has it."""
    function, x = offered(name, backend), np.random.default_rng(5).normal(0, 3, (4, 9)).astype(np.float16)
    for dtype in ("float16", "float32", np.float64):
        result = function(x, dtype=dtype)
        assert result.dtype == dtype
        assert np.array_equal(result, function(x.astype(dtype)))
    assert function(np.arange(4), dtype=np.float32).dtype == np.float32
    beyond = function(np.array([-1e300, 0]), dtype="float32")
    assert np.array_equal(beyond, function(np.float32([-np.inf, 0])), equal_nan=True)
    for wrong in (int, "complex128", np.longdouble):
        if np.dtype(wrong) != np.float64:
            with pytest.raises(TypeError, match="dtype must be float16, float32 or float64, not"):
                function(x, dtype=wrong)

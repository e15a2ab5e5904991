"""layer_norm and rms_norm against torch, values and gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.conftest import offered

SHAPES = [(5,), (3, 9), (40, 20), (6, 50), (3, 700), (2, 40, 17), (2, 3000), (1, 300_000)]
NAMES = ["layer_norm", "rms_norm"]
TOLERANCE = {"float64": 1e-12, "float32": 2e-5, "float16": 6e-3}


def sample(shape: tuple[int, ...], dtype: str) -> list[np.ndarray]:
    """x, a gradient, a weight and a bias."""
    rng = np.random.default_rng(1)
    sizes = (shape, shape, shape[-1:], shape[-1:])
    return [rng.normal(m, s, n).astype(dtype) for m, s, n in zip((3, 0, 1, 0), (2, 1, 0.3, 1), sizes)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("affine", [False, True])
def test_as_torch(name: str, dtype: str, shape: tuple[int, ...], affine: bool, backend: str) -> None:
    torch = pytest.importorskip("torch")
    x, grad, weight, bias = sample(shape, dtype)
    leaves = [torch.tensor(a.astype(float), requires_grad=True) for a in (x, weight, bias)]
    given = [weight, bias] if name == "layer_norm" else [weight]
    there = leaves[1 : 1 + len(given)] if affine else []
    expected = getattr(torch.nn.functional, name)(leaves[0], shape[-1:], *there, eps=1e-5)
    expected.backward(torch.tensor(grad.astype(float)))
    y = offered(name, backend)(x, *(given if affine else []), eps=1e-5)
    assert y.dtype == dtype
    tolerance = TOLERANCE[dtype]
    assert np.allclose(y, expected.detach(), rtol=tolerance, atol=tolerance)
    gradients = offered(f"{name}_backward", backend)(grad, x, *([weight] if affine else []), eps=1e-5)
    if not affine:
        assert np.allclose(gradients, leaves[0].grad, rtol=tolerance, atol=tolerance)
        return
    assert len(gradients) == 1 + len(given)
    for ours, leaf in zip(gradients, leaves):
        assert ours.dtype == dtype
        assert np.allclose(ours, leaf.grad, rtol=tolerance, atol=10 * tolerance)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("axis", [0, 1, -1, (0, 2), (1, 2), None, ()])
def test_axes_and_layouts(name: str, axis: Any, backend: str) -> None:
    x = np.random.default_rng(2).normal(1, 2, (4, 5, 6))
    axes = tuple(range(3)) if axis is None else axis if isinstance(axis, tuple) else (axis % 3,)
    mean = x.mean(axes, keepdims=True) if name == "layer_norm" and axes else x if name == "layer_norm" else 0
    square = ((x - mean) ** 2).mean(axes, keepdims=True) if axes else (x - mean) ** 2
    expected = (x - mean) / np.sqrt(square + 0.1)
    function = offered(name, backend)
    weight = np.random.default_rng(3).normal(1, 0.1, tuple(x.shape[i] for i in axes))
    kept = weight.reshape([n if i in axes else 1 for i, n in enumerate(x.shape)])
    for view in (x, np.asfortranarray(x), np.repeat(x, 2, axis=1)[:, ::2], x[::-1][::-1]):
        assert np.allclose(function(view, axis=axis, eps=0.1), expected, rtol=1e-13, atol=1e-14)
        assert np.allclose(function(view, weight, axis=axis, eps=0.1), expected * kept, rtol=1e-13, atol=1e-14)
        out = np.empty_like(view)
        assert function(view, axis=axis, eps=0.1, out=out) is out
        assert np.allclose(out, expected, rtol=1e-13, atol=1e-14)
        in_place = view.copy(order="K")
        assert function(in_place, axis=axis, eps=0.1, out=in_place) is in_place
        assert np.allclose(in_place, expected, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("name", NAMES)
def test_gradient_is_the_slope(name: str, backend: str) -> None:
    rng = np.random.default_rng(4)
    x, grad, h = (rng.normal(0, 1, (3, 4, 5)) for _ in range(3))
    weight = rng.normal(1, 0.2, (3, 5))
    value, slope = offered(name, backend), offered(f"{name}_backward", backend)
    for axis, given in ((1, ()), ((0, 2), (weight,))):
        made = slope(grad, x, *given, axis=axis)
        dx = made[0] if given else made
        moved = [value(x + sign * 1e-6 * h, *given, axis=axis) for sign in (1, -1)]
        assert (grad * (moved[0] - moved[1])).sum() == pytest.approx(2e-6 * (dx * h).sum(), rel=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_a_mean_that_dwarfs_the_rest(name: str, backend: str) -> None:
    """Deviations of a float32 row are taken from a mean that is more than a float32."""
    x = (10_000 + np.random.default_rng(5).normal(0, 1, (4, 1000))).astype(np.float32)
    wide = offered(name, backend)(x.astype(float))
    result = offered(name, backend)(x, eps=1e-5 if name == "layer_norm" else 1e-7)
    assert np.allclose(result, wide, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_edges(name: str, backend: str) -> None:
    value, slope = offered(name, backend), offered(f"{name}_backward", backend)
    assert value(np.zeros((0, 3))).shape == (0, 3)
    assert value(np.zeros((3, 0))).shape == (3, 0)
    assert slope(np.zeros((0, 3)), np.zeros((0, 3))).shape == (0, 3)
    assert value(np.zeros((2, 3)), eps=1e-5).tolist() == [[0, 0, 0]] * 2
    assert value(2.0) == (0 if name == "layer_norm" else pytest.approx(1, rel=1e-12))
    assert np.isnan(value(np.array([np.nan, 1.0]))).all()
    assert value(np.arange(6).reshape(2, 3)).dtype == np.float64
    out = np.full((2, 3), 7.0)
    x = np.ones((2, 3))
    refused: list[tuple[type[Exception], str, dict[str, Any]]] = [
        (ValueError, r"weight must have shape \(3,\), as x along the axes, not \(2,\)", {"weight": np.ones(2)}),
        (ValueError, "eps must be at least 0, not -1", {"eps": -1}),
        (TypeError, "eps must be a number, not str", {"eps": "1"}),
        (ValueError, "out of bounds", {"axis": 2}),
        (TypeError, "weight must be real numbers", {"weight": np.ones(3, complex)}),
    ]
    for error, message, options in refused:
        with pytest.raises(error, match=message):
            value(x, out=out, **options)
        with pytest.raises(error, match=message):
            slope(x, x, out=out, **options)
    with pytest.raises(ValueError, match="they must be equal"):
        slope(x, x[:1], out=out)
    assert (out == 7).all()

"""The dice loss, against torch's arithmetic and where there is nothing to overlap."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.conftest import offered


@pytest.mark.parametrize("shape", [(), (6,), (4, 5), (2, 3, 4, 5)])
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 1), ()])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smooth", [0.0, 1.0, 1e-5])
def test_as_torch(shape: tuple[int, ...], axis: Any, reduction: str, smooth: float, backend: str) -> None:
    torch = pytest.importorskip("torch")
    if axis == (0, 1) and len(shape) < 2:
        axis = (0,)
    rng = np.random.default_rng(1)
    p, t = np.asarray(rng.random(shape)), np.asarray(rng.random(shape))
    usual = tuple(range(min(1, len(shape) - 1), len(shape))) if shape else ()
    axes = usual if axis is None else axis if isinstance(axis, tuple) else (axis,)
    axes = axes if shape else ()
    leaf, there = torch.tensor(p, requires_grad=True), torch.tensor(t)
    common, sizes = leaf * there, leaf + there
    if axes:
        common, sizes = common.sum(axes), sizes.sum(axes)
    expected = 1 - (2 * common + smooth) / (sizes + smooth)
    expected = {"mean": expected.mean(), "sum": expected.sum(), "none": expected}[reduction]
    expected.sum().backward()
    options = {"reduction": reduction, "smooth": smooth, "axis": axis}
    result, slope = (
        offered("dice_loss", backend)(p, t, **options),
        offered("dice_loss_backward", backend)(p, t, **options),
    )
    assert np.allclose(result, expected.detach(), rtol=1e-12, atol=1e-14)
    assert np.shape(slope) == shape
    assert np.allclose(slope, leaf.grad, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_masks(dtype: str, backend: str) -> None:
    p = np.array([[1, 0, 1], [0, 0, 0]], dtype)
    mask = np.array([[True, False, False], [False, False, False]])
    losses = offered("dice_loss", backend)(p, mask, "none", smooth=0)
    assert losses.dtype == dtype
    assert np.allclose(losses, [1 / 3, 0], rtol=1e-3)
    slope = offered("dice_loss_backward", backend)(p, mask, smooth=0)
    assert slope.dtype == dtype
    assert (slope[1] == 0).all()
    out = np.empty(2, dtype)
    assert offered("dice_loss", backend)(p, mask, "none", 0.0, out=out) is out
    assert np.array_equal(out, losses)
    in_place = p.copy()
    assert np.array_equal(offered("dice_loss_backward", backend)(in_place, mask, smooth=0, out=in_place), slope)


def test_of_nothing(backend: str) -> None:
    nothing = np.zeros((0, 3))
    assert np.isnan(offered("dice_loss", backend)(nothing, nothing))
    assert offered("dice_loss", backend)(nothing, nothing, "sum") == 0
    assert offered("dice_loss_backward", backend)(nothing, nothing).shape == (0, 3)
    assert offered("dice_loss", backend)(nothing.T, nothing.T, "none").tolist() == [0, 0, 0]


def test_what_is_refused(backend: str) -> None:
    x, out = np.full((2, 3), 0.5), np.full((2, 3), 7.0)
    refused: list[tuple[type[Exception], str, tuple[Any, ...], dict[str, Any]]] = [
        (ValueError, "they must be equal", (x, x[:1]), {}),
        (ValueError, "mean, sum, none", (x, x, "average"), {}),
        (ValueError, "smooth must be at least 0, not -1", (x, x), {"smooth": -1}),
        (TypeError, "smooth must be a number, not str", (x, x), {"smooth": "1"}),
        (ValueError, "out of bounds", (x, x), {"axis": 2}),
        (TypeError, "target must be real numbers", (x, x + 1j), {}),
    ]
    for error, message, arguments, options in refused:
        for suffix, target in (("", {}), ("_backward", {"out": out})):
            with pytest.raises(error, match=message):
                offered(f"dice_loss{suffix}", backend)(*arguments, **options, **target)
    with pytest.raises(ValueError, match="reduction='none' only"):
        offered("dice_loss", backend)(x, x, out=out)
    assert (out == 7).all()

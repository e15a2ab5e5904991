"""Options, numbers and arrays of losses beside pred and target: against torch, and where nothing is to be counted."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from fastact.losses.catalogue import LOSSES
from tests.conftest import offered
from tests.losses.torch_losses import of_torch
from tests.reference import drawn_from

WHETHER = (False, True)

#: Options of each loss that are not the default.
OPTIONS: dict[str, list[dict[str, Any]]] = {
    "smooth_l1_loss": [{"beta": beta} for beta in (0.0, 0.25, 1.0, 3.0)],
    "huber_loss": [{"delta": delta} for delta in (0.25, 3.0)],
    "poisson_nll_loss": [{"log_input": a, "full": b} for a, b in product(WHETHER, WHETHER)]
    + [{"log_input": False, "eps": eps} for eps in (1e-3, 0.5)],
    "gaussian_nll_loss": [{"full": full, "eps": eps} for full, eps in product(WHETHER, (1e-6, 1.0))],
    "kl_div": [{"log_target": a, "reduction": b} for a, b in product(WHETHER, ("mean", "batchmean"))],
    "sigmoid_focal_loss": [{"alpha": a, "gamma": b} for a, b in product((-1, 0.0, 0.7, 1.0), (0.0, 1.0, 3.0))],
}

#: Arrays that may be given beside pred and target.
ARRAYS = [(loss.name, name) for loss in LOSSES.values() for name, default in loss.arrays.items() if default is None]

REDUCTIONS = ("mean", "sum", "none")


def sample(name: str, options: dict[str, Any]) -> list[np.ndarray]:
    """Predictions, targets, and what else must be given, for 6 times 5 elements; targets with whole numbers in them."""
    rng, loss = np.random.default_rng(5), LOSSES[name]
    others = [loss.about[array] for array, default in loss.arrays.items() if default is not None]
    made = [drawn_from(domain, rng, (6, 5), 3.0) for domain in (loss.pred, loss.target, *others)]
    if np.isfinite(loss.target.low):
        made[1][:2] = np.round(made[1][:2])
    if options.get("log_target"):
        made[1] = np.log(np.maximum(made[1], 1e-9))
    if options.get("log_input") is False:
        made[0] = abs(made[0])
    return made


def check_as_torch(name: str, arrays: list[np.ndarray], options: dict[str, Any], backend: str) -> None:
    """Value and gradients, to 1e-12."""
    torch = pytest.importorskip("torch")
    leaves = [torch.tensor(array, requires_grad=True) for array in arrays]
    tensors = {k: torch.tensor(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    expected = of_torch(name)(*leaves, **tensors)
    expected.sum().backward()
    result = offered(name, backend)(*arrays, **options)
    slopes = offered(f"{name}_backward", backend)(*arrays, **options)
    assert np.allclose(result, expected.detach().numpy(), rtol=1e-12, atol=1e-13)
    for by, slope in zip(LOSSES[name].learned, slopes if isinstance(slopes, tuple) else (slopes,)):
        grad = leaves[{"pred": 0, "var": 2}[by]].grad.numpy()
        assert np.allclose(slope, grad, rtol=1e-12, atol=1e-13), by


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(("name", "options"), [(name, o) for name, several in OPTIONS.items() for o in several])
def test_options_as_torch(name: str, options: dict[str, Any], reduction: str, backend: str) -> None:
    check_as_torch(name, sample(name, options), {"reduction": reduction} | options, backend)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", [(6, 5), (5,), (6, 1)])
@pytest.mark.parametrize(("name", "array"), ARRAYS)
def test_arrays_as_torch(name: str, array: str, shape: tuple[int, ...], reduction: str, backend: str) -> None:
    weights = np.random.default_rng(6).uniform(0, 3, shape)
    weights.flat[0] = 0
    check_as_torch(name, sample(name, {}), {"reduction": reduction, array: weights}, backend)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_both_weights_as_torch(reduction: str, backend: str) -> None:
    name = "binary_cross_entropy_with_logits"
    options = {"weight": np.arange(5.0), "pos_weight": np.arange(5.0)[::-1] / 2, "reduction": reduction}
    check_as_torch(name, sample(name, {}), options, backend)


@pytest.mark.parametrize(("name", "array"), ARRAYS)
def test_a_weight_of_one_changes_nothing(name: str, array: str, backend: str) -> None:
    pred, target = (a.astype(np.float32) for a in sample(name, {}))
    for suffix in ("", "_backward"):
        function = offered(name + suffix, backend)
        weighted = function(pred, target, "none", **{array: np.ones((), np.float32)})
        assert np.allclose(weighted, function(pred, target, "none"), rtol=1e-6, atol=1e-7)


def test_a_weight_of_zero_takes_anything_out(backend: str) -> None:
    """A mask: what is not counted may be infinite or NaN."""
    pred, target = np.array([np.inf, np.nan, 0.0]), np.array([0.0, np.nan, 1.0])
    mask = np.array([False, False, True])
    name = "binary_cross_entropy_with_logits"
    assert offered(name, backend)(pred, target, "sum", weight=mask) == pytest.approx(np.log(2), rel=1e-15)
    assert offered(f"{name}_backward", backend)(pred, target, "sum", weight=mask).tolist() == [0, 0, -0.5]
    assert offered("binary_cross_entropy", backend)(pred, target, "none", weight=0 * mask).tolist() == [0, 0, 0]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_certain_logits(dtype: str, backend: str) -> None:
    """Infinite logits cost nothing where they are right, and everything where they are wrong; no NaN."""
    logits, target = np.array([np.inf, -np.inf, np.inf, -np.inf], dtype), np.array([1, 0, 0, 1], dtype)
    name = "binary_cross_entropy_with_logits"
    for weight in (0, 0.5, 2):
        given: Any = {"pos_weight": np.asarray(weight, dtype)}
        costs = [0, 0, np.inf, np.inf if weight else 0]
        assert offered(name, backend)(logits, target, "none", **given).tolist() == costs
        assert offered(f"{name}_backward", backend)(logits, target, "sum", **given).tolist() == [0, 0, 1, -weight]
    for gamma in (0.0, 0.5, 2.0):
        focal = offered("sigmoid_focal_loss", backend)(logits, target, "none", alpha=-1, gamma=gamma)
        slope = offered("sigmoid_focal_loss_backward", backend)(logits, target, "sum", alpha=-1, gamma=gamma)
        assert focal.tolist() == [0, 0, np.inf, np.inf]
        assert slope.tolist() == [0, 0, 1, -1]


def test_impossible_events_that_do_not_happen(backend: str) -> None:
    pred, target = np.array([-np.inf, -np.inf, -1.0]), np.array([0.0, 0.5, 0.0])
    assert offered("kl_div", backend)(pred, target, "none").tolist() == [0, np.inf, 0]
    with np.errstate(divide="ignore"):
        logarithms = np.log(target)
    assert offered("kl_div", backend)(pred, logarithms, "none", log_target=True).tolist() == [0, np.inf, 0]
    assert offered("poisson_nll_loss", backend)(pred[:2], target[:2], "none").tolist() == [0, np.inf]
    for suffix, expected in (("", [0, np.inf]), ("_backward", [1, -np.inf])):
        function = offered(f"poisson_nll_loss{suffix}", backend)
        assert function(np.zeros(2), target[:2], "none", False, eps=0).tolist() == expected


def test_batchmean_of_anything(backend: str) -> None:
    value, slope = offered("kl_div", backend), offered("kl_div_backward", backend)
    pred, target = np.full((4, 3), -1.0), np.full((4, 3), 0.5)
    assert value(pred, target, "batchmean") == pytest.approx(value(pred, target, "sum") / 4, rel=1e-15)
    assert slope(pred, target, "batchmean").tolist() == [[-0.125] * 3] * 4
    assert value(-1.0, 0.5, "batchmean") == value(-1.0, 0.5, "sum")
    assert np.isnan(value(pred[:0], target[:0], "batchmean"))
    assert slope(pred[:0], target[:0], "batchmean").shape == (0, 3)
    with pytest.raises(ValueError, match="mean, sum, none, not 'batchmean'"):
        offered("mse_loss", backend)(pred, target, "batchmean")


def test_gradients_of_mean_and_variance(backend: str) -> None:
    """Each is summed to the shape of its own array, and goes where it is to go."""
    function, rng = offered("gaussian_nll_loss_backward", backend), np.random.default_rng(8)
    pred, target, var = rng.normal(size=(4, 3)), rng.normal(size=(4, 3)), rng.uniform(1, 2, 3)
    dpred, dvar = function(pred, target, var)
    assert (dpred.shape, dvar.shape) == ((4, 3), (3,))
    full = function(pred, target, np.broadcast_to(var, (4, 3)))
    assert np.allclose(dvar, full[1].sum(axis=0), rtol=1e-14)
    outs = np.empty((4, 3)), np.empty(3)
    results = function(pred, target, var, out=outs)
    assert results[0] is outs[0]
    assert results[1] is outs[1]
    assert np.array_equal(outs[0], dpred)
    for wrong in (outs[0], outs[:1], [*outs]):
        with pytest.raises(TypeError, match="out must be a tuple of arrays, one for each of pred, var"):
            function(pred, target, var, out=wrong)
    assert np.isnan(offered("gaussian_nll_loss", backend)(pred, target, -var, "none")).all()


def test_what_is_refused(backend: str) -> None:
    x = np.full((2, 3), 0.5)
    out = np.full((2, 3), 7.0)
    refused: list[tuple[type[Exception], str, str, dict[str, Any]]] = [
        (ValueError, "beta must be at least 0, not -1", "smooth_l1_loss", {"beta": -1}),
        (ValueError, "gamma must be at least 0", "sigmoid_focal_loss", {"gamma": np.nan}),
        (ValueError, "at most 1, not 2", "sigmoid_focal_loss", {"alpha": 2}),
        (TypeError, "log_target must be True or False, not 'no'", "kl_div", {"log_target": "no"}),
        (TypeError, "weight must be real numbers", "binary_cross_entropy", {"weight": x + 1j}),
        (ValueError, r"cannot broadcast weight of shape \(2,\) to", "binary_cross_entropy", {"weight": x[:, 0]}),
        (ValueError, r"pos_weight of shape \(5, 2, 3\) to terms of shape \(2, 3\)",
         "binary_cross_entropy_with_logits", {"pos_weight": np.ones((5, 2, 3))}),
    ]  # fmt: skip
    for error, message, name, options in refused:
        for suffix, target in (("", {}), ("_backward", {"out": out})):
            with pytest.raises(error, match=message):
                offered(name + suffix, backend)(x, x, **options, **target)
    with pytest.raises(TypeError, match="var must be an array of real numbers, not None"):
        offered("gaussian_nll_loss", backend)(x, x, None)
    assert (out == 7).all()

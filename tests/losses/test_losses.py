"""Losses: values, gradients and sums against exact ones and torch's, and what happens to odd arguments."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import mpmath as mp
import numpy as np
import pytest

import fastact
from fastact.losses.catalogue import LOSSES
from tests.conftest import offered
from tests.losses.torch_losses import of_torch
from tests.reference import LOSS_TERMS, beside, drawn_from, moved, ulp_distance

NAMES = list(LOSS_TERMS)

Call = Callable[..., Any]


def exact(name: str, p: float, t: float) -> Any:
    """A term, in as many digits as are set."""
    return LOSS_TERMS[name](mp.mpf(float(p)), mp.mpf(float(t)))


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def value(name: str, backend: str) -> Call:
    function = offered(name, backend)
    return lambda pred, target, *more, **options: function(pred, target, *beside(name), *more, **options)


@pytest.fixture
def gradient(name: str, backend: str) -> Call:
    """With respect to pred, where there is another one."""
    function, several = offered(f"{name}_backward", backend), len(LOSSES[name].learned) > 1

    def first(pred: Any, target: Any, *more: Any, out: Any = None, **options: Any) -> Any:
        outs = (out, np.empty(())) if several and out is not None else out
        result = function(pred, target, *beside(name), *more, out=outs, **options)
        return result[0] if several else result

    return first


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    before = fastact.get_num_threads()
    yield fastact.set_num_threads
    fastact.set_num_threads(before)


def sample(name: str, *shape: int, dtype: Any = np.float32) -> tuple[np.ndarray, np.ndarray]:
    """Predictions that make sense to the loss, and targets from 0 to 1, or what is possible, both ends included."""
    rng, loss = np.random.default_rng(11), LOSSES[name]
    low, high = (loss.target.low, loss.target.high) if np.isfinite(loss.target.low) else (0, 1)
    margin = (high - low) / 2
    target = np.clip(rng.uniform(low - margin, high + margin, shape), low, high)
    return drawn_from(loss.pred, rng, shape).astype(dtype), target.astype(dtype)


# -- single terms ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_terms(name: str, value: Call, dtype: type) -> None:
    pred, target = sample(name, 100, dtype=dtype)
    if name == "binary_cross_entropy_with_logits":  # both tails
        pred[:8], target[:8] = [-80, -30, 30, 80, -700, 700, -1e-30, 0], [0, 0, 1, 1, 0, 1, 0, 1]
    if name == "binary_cross_entropy":
        pred[:8], target[:8] = [0, 1, 0, 1, 1e-30, 1e-30, 0, 1], [0, 0, 1, 1, 0, 1, 0.5, 0.5]
    result = value(pred, target, "none")
    assert result.dtype == dtype
    with mp.workdps(400):
        for p, t, r in zip(pred, target, result):
            truth = exact(name, p, t)
            if ulp_distance(r, truth) > 4:
                size = moved(LOSS_TERMS[name], mp.mpf(float(p)), mp.mpf(float(t)))
                assert abs(float(r) - truth) <= 4 * np.finfo(dtype).eps * size, (p, t)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_as_torch(name: str, value: Call, gradient: Call, reduction: str, dtype: str) -> None:
    torch = pytest.importorskip("torch")
    pred, target = sample(name, 7, 33, dtype=dtype)
    pred[0, :4], target[0, :4] = [0, 1, 0, 1], [0, 1, 1, 0]  # kinks, and probabilities that are certain
    pred[1, :2], target[1, :2] = 0.25, [0.25, 0.75]
    leaf = torch.tensor(pred.astype(float), requires_grad=True)
    others = [torch.full_like(leaf, number) for number in beside(name)]
    expected = of_torch(name)(leaf, torch.tensor(target.astype(float)), *others, reduction=reduction)
    expected.sum().backward()
    known, limit = expected.detach().numpy(), leaf.grad.numpy()
    if dtype == "float16":
        known, limit = (np.where(abs(a) > 65504, np.copysign(np.inf, a), a) for a in (known, limit))
    tolerance = {"float64": 1e-13, "float32": 1e-6, "float16": 1e-3}[dtype]
    result, slope = value(pred, target, reduction), gradient(pred, target, reduction)
    assert result.dtype == slope.dtype == dtype
    assert np.allclose(result, known, rtol=tolerance, atol=tolerance)
    tolerance = 1e-8 if name == "binary_cross_entropy" and dtype == "float64" else tolerance  # its 1e-12 is a float32
    assert np.allclose(slope, limit, rtol=tolerance, atol=tolerance * (1 if reduction != "mean" else 1 / 100))


def test_gradient_is_the_slope(name: str, value: Call, gradient: Call) -> None:
    pred, target = sample(name, 50, dtype=np.float64)
    inside = (abs(pred - target) > 1e-3) & (abs(abs(pred - target) - 1) > 1e-3) & (abs(pred - 0.5) < 0.49)
    pred, target = pred[inside], target[inside]
    slopes = (value(pred + 1e-6, target, "none") - value(pred - 1e-6, target, "none")) / 2e-6
    assert np.allclose(gradient(pred, target, "sum"), slopes, rtol=1e-6)
    assert np.allclose(gradient(pred, target), slopes / pred.size, rtol=1e-6)


def test_logits_in_the_tails(backend: str) -> None:
    """Neither the loss nor its gradient may vanish before exp does."""
    loss = offered("binary_cross_entropy_with_logits", backend)
    slope = offered("binary_cross_entropy_with_logits_backward", backend)
    x = np.array([40.0, 100.0, 700.0])
    assert np.allclose(loss(x, 1.0, "none"), np.exp(-x), rtol=1e-14, atol=0)
    assert np.allclose(slope(x, 1.0, "sum"), -np.exp(-x), rtol=1e-14, atol=0)
    assert np.allclose(slope(-x, 0.0, "sum"), np.exp(-x), rtol=1e-14, atol=0)
    assert np.array_equal(loss(np.array([np.inf, -np.inf, np.inf, -np.inf]), np.array([1.0, 0, 0, 1]), "none"),
                          [0, 0, np.inf, np.inf])  # fmt: skip


@pytest.mark.parametrize("delta", [0.5, 1.0, 3.25])
def test_delta(backend: str, delta: float) -> None:
    huber, slope = offered("huber_loss", backend), offered("huber_loss_backward", backend)
    d = np.linspace(-5, 5, 81)
    expected = np.where(abs(d) < delta, d * d / 2, delta * (abs(d) - delta / 2))
    assert np.allclose(huber(d, 0.0, "none", delta), expected, rtol=1e-14)
    assert np.isclose(huber(d, np.zeros(81), delta=delta), expected.mean(), rtol=1e-14)
    assert np.array_equal(slope(d, 0.0, "sum", delta=delta), np.clip(d, -delta, delta))
    for wrong in (0, -1.0, math.nan):
        with pytest.raises(ValueError, match="delta must be positive"):
            huber(d, 0.0, delta=wrong)
    for strange in ("1", None, [1.0], np.ones(1), 1j):
        for function in (huber, slope):
            with pytest.raises(TypeError, match=f"delta must be a number, not {type(strange).__name__}"):
                function(d, 0.0, "none", strange)


# -- sums -----------------------------------------------------------------------------------------


def test_sums_round_once(name: str, value: Call) -> None:
    """Many equal terms whose float32 roundings would all point the same way, beside a few huge ones."""
    pred, target = np.full(300_000, 0.3, np.float32), np.full(300_000, 0.1, np.float32)
    if np.isinf(LOSSES[name].pred.high):
        pred[::50_000] = 3e4
    with mp.workdps(40):
        few = int((pred != np.float32(0.3)).sum())
        truth = exact(name, pred[1], target[1]) * (pred.size - few) + exact(name, pred[0], target[1]) * few
        assert abs(float(value(pred, target)) / float(truth / pred.size) - 1) < 1e-7
        assert abs(float(value(pred, target, "sum")) / float(truth) - 1) < 1e-7


def test_float64_sums_are_compensated(backend: str) -> None:
    rng = np.random.default_rng(4)
    pred = rng.standard_normal(200_001) * 10.0 ** rng.integers(-3, 4, 200_001)
    for loss, terms in (("l1_loss", abs(pred)), ("mse_loss", pred * pred)):
        total = offered(loss, backend)(pred, np.zeros_like(pred), "sum")
        assert abs(total - math.fsum(terms)) <= 2 * np.spacing(total)


def test_same_bits_for_any_number_of_threads(
    name: str, value: Call, gradient: Call, threads: Callable[[int], None]
) -> None:
    for shape in ((1_000_003,), (301, 1003), (70_000, 3)):
        pred, target = sample(name, *shape, dtype=np.float64)
        found = set()
        for n in (1, 2, 7):
            threads(n)
            results = [value(pred, target), value(pred[:, ::2] if pred.ndim > 1 else pred[::2], 0.25)]
            found.add(b"".join(r.tobytes() for r in results) + gradient(pred, target).tobytes())
        assert len(found) == 1


def test_infinities_and_nan(backend: str) -> None:
    mse = offered("mse_loss", backend)
    x = np.zeros(40_000)
    for i in (0, 39_999):
        for bad, expected in ((np.inf, np.inf), (-np.inf, np.inf), (np.nan, np.nan), (1e200, np.inf)):
            y = x.copy()
            y[i] = bad
            assert np.array_equal(mse(y, x), expected, equal_nan=True)
            assert np.array_equal(mse(y, x, "sum"), expected, equal_nan=True)
    assert mse(np.full(9, 1e18, np.float32), np.zeros(9, np.float32), "sum") == np.float32(9e36)
    assert mse(np.full(9, 1e19, np.float32), np.zeros(9, np.float32), "sum") == np.inf
    assert mse(np.full(9, 250, np.float16), np.zeros(9, np.float16), "mean") == 62500


# -- shapes, layouts, dtypes ----------------------------------------------------------------------


def test_layouts(name: str, value: Call, gradient: Call) -> None:
    pred, target = sample(name, 40, 60, 70, dtype=np.float64)
    cases = [
        (pred[::2], target[::2]),
        (pred[:, ::-3], target[:, ::3]),
        (pred.T, target.T),
        (pred.transpose(1, 0, 2)[..., ::2], target.transpose(1, 0, 2)[..., ::2]),
        (np.asfortranarray(pred), target),
        (pred, target[0]),
        (pred[:, :1], target[:, 0]),
        (pred[..., :2], target[:1, :, :2]),
        (pred.reshape(8, 5, 6, 10, 7, 10)[::2, ::2, ::2, ::2, ::2, ::2], 0.5),
        (pred[0, 0, 0], target[0, 0]),
        (pred.astype(np.float32), target),
        (pred.astype(">f8"), target),
    ]
    for p, t in cases:
        p, t = np.broadcast_arrays(p, t)
        terms = value(p.copy(), t.copy(), "none")
        assert terms.shape == p.shape
        assert np.isclose(value(p, t), math.fsum(terms.ravel()) / terms.size, rtol=1e-13)
        assert np.isclose(value(p, t, "sum"), math.fsum(terms.ravel()), rtol=1e-13)
        assert np.array_equal(gradient(p, t), gradient(p.copy(), t.copy()))


def test_gradient_of_what_is_broadcast(gradient: Call, name: str) -> None:
    pred, target = sample(name, 5, 4, dtype=np.float64)
    for p in (pred[0], pred[:, :1], pred[0, 0]):
        full = gradient(np.broadcast_to(p, (5, 4)).copy(), target)
        axes = {(4,): (0,), (5, 1): (1,), (): (0, 1)}[p.shape]
        result = gradient(p, target)
        assert np.shape(result) == p.shape
        assert np.allclose(result, full.sum(axes).reshape(p.shape), rtol=1e-13)
    assert np.array_equal(gradient(pred[0], target[:0]), np.zeros(4))  # a sum over nothing


def test_dtypes(value: Call, gradient: Call) -> None:
    pred, target = np.array([1, 0, 1]), np.array([True, False, True])
    for reduction in ("mean", "sum", "none"):
        assert value(pred, target, reduction).dtype == np.float64
        assert gradient(pred, target, reduction).dtype == np.float64
        assert value([0.5, 0.25], [0, 1], reduction).dtype == np.float64
        assert value(np.float32([0.5, 0.25]), 1.0, reduction).dtype == np.float32
        assert value(np.float32([0.5, 0.25]), np.array([0.5, 1]), reduction).dtype == np.float64
    assert type(value(np.float32(0.5), np.float32(1))) is np.float32
    assert np.isclose(value(pred, target), value(pred.astype(float), target.astype(float)))


def test_empty(value: Call, gradient: Call) -> None:
    nothing = np.empty((0, 3), np.float32)
    assert np.isnan(value(nothing, nothing))
    assert value(nothing, nothing, "sum") == 0
    assert value(nothing, nothing, "none").shape == (0, 3)
    assert gradient(nothing, nothing).shape == (0, 3)


def test_out(value: Call, gradient: Call, name: str) -> None:
    pred, target = sample(name, 33, 5)
    out = np.empty_like(pred)
    assert value(pred, target, "none", out=out) is out
    assert np.array_equal(out, value(pred, target, "none"))
    expected = gradient(pred, target)
    assert np.array_equal(gradient(pred, target, out=out), expected)
    in_place = pred.copy()
    gradient(in_place, target, out=in_place)
    assert np.array_equal(in_place, expected)
    one = np.empty(5, np.float32)
    assert gradient(pred[0], target, out=one) is one


def test_errors_come_before_anything_is_written(value: Call, gradient: Call) -> None:
    x, out = np.ones((2, 3), np.float32), np.full((2, 3), 7, np.float32)
    for error, call in [
        (ValueError, lambda: value(x, x, "average")),
        (ValueError, lambda: gradient(x, x, None, out=out)),
        (ValueError, lambda: value(x, x[:, :2], "none", out=out)),
        (ValueError, lambda: gradient(x, x[:, :2], out=out)),
        (ValueError, lambda: value(x[:1], x[:1], "none", out=out)),
        (ValueError, lambda: gradient(x[:1], x[:1], out=out)),
        (ValueError, lambda: gradient(x[:1], x, out=out)),
        (ValueError, lambda: value(x, x, out=out)),
        (TypeError, lambda: value(x.astype(complex), x)),
        (TypeError, lambda: gradient(x, x.astype(object), out=out)),
        (TypeError, lambda: value("a", x)),
        (TypeError, lambda: value(x, np.zeros(3, "M8[s]"))),
        (TypeError, lambda: value(x, x, "none", out=[1])),
        (TypeError, lambda: gradient(x, x, out=out.astype(int))),
    ]:
        with pytest.raises(error):
            call()
    assert (out == 7).all()
    with pytest.raises(ValueError, match="mean, sum, none"):
        value(x, x, "average")


# -- one neuron that learns -----------------------------------------------------------------------


@pytest.mark.parametrize("pair", ["sigmoid", "tanh", "relu"])
def test_thirty_steps_of_one_neuron(pair: str) -> None:
    """Input and target 1, weight -2, learning rate 0.1: loss and weight at every step.

    The cross entropy of a sigmoid falls steadily; half the squared error of a tanh starts where its slope is almost
    nothing; a relu that starts below zero never learns.
    """
    halved = 1.0 if pair == "sigmoid" else 0.5
    loss = fastact.binary_cross_entropy if pair == "sigmoid" else fastact.mse_loss
    slope = fastact.binary_cross_entropy_backward if pair == "sigmoid" else fastact.mse_loss_backward
    weight = expected_weight = -2.0
    losses = []
    for _ in range(30):
        if pair == "sigmoid":
            a = 1 / (1 + math.exp(-expected_weight))
            expected_loss, expected_slope = -math.log(a), a - 1
        elif pair == "tanh":
            a = math.tanh(expected_weight)
            expected_loss, expected_slope = (a - 1) ** 2 / 2, (a - 1) * (1 - a * a)
        else:
            expected_loss, expected_slope = 0.5, 0.0
        y = getattr(fastact, pair)(weight)
        losses.append(halved * loss(y, 1.0))
        assert math.isclose(losses[-1], expected_loss, rel_tol=1e-12)
        weight -= 0.1 * getattr(fastact, f"{pair}_backward")(halved * slope(y, 1.0), weight)
        expected_weight -= 0.1 * expected_slope
        assert math.isclose(weight, expected_weight, rel_tol=1e-12)
    assert losses[-1] < losses[0] or pair == "relu"
    assert (weight == -2.0) == (pair == "relu")

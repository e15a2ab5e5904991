"""The softmax family against mpmath, SciPy and torch, over shapes, axes, strides and what can be given wrongly."""

from __future__ import annotations

from typing import Any

import mpmath as mp
import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st

import fastact
from tests.conftest import needs_wide_longdouble, offered
from tests.reference import ulp_distance


def exact(row: np.ndarray) -> tuple[list[Any], list[Any], Any]:
    """softmax, log_softmax and logsumexp of a row, in 60 digits."""
    with mp.workdps(60):
        values = [mp.mpf(float(v)) for v in row]
        maximum = max(values)
        if maximum == -mp.inf:
            return [], [], -mp.inf
        total = mp.fsum(mp.exp(v - maximum) for v in values)
        # log1p of the others, so that 60 digits suffice for a dominating entry as well
        others = total - values.count(maximum)
        log = mp.log1p(others + values.count(maximum) - 1)
        return [mp.exp(v - maximum) / total for v in values], [v - maximum - log for v in values], maximum + log


def spread_rows(dtype: type) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    rows = [rng.uniform(-80, 80, n) for n in (2, 3, 10, 47, 48, 63, 64, 65, 100, 129, 1000)]
    rows += [np.full(7, 1e30), np.full(70, -1e30), np.array([0.0, 50.0]), np.array([30.0, *rng.uniform(-60, 0, 99)])]
    rows += [np.array([1.0, -np.inf, 2.0, -np.inf]), np.r_[rng.standard_normal(80), -np.inf], np.array([5.0])]
    rows += [np.array([8191.0, 8192.5, 8193.0, 8190.0]), np.array([-9000.0, -9001.5, -20000.0]), np.zeros(100)]
    rows += [rng.standard_normal(300), np.array([100.0, 0.0, -3.5, 99.5] * 20)]
    return [row.astype(dtype) for row in rows]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_within_four_ulp(dtype: type, backend: str) -> None:
    softmax, log_softmax = offered("softmax", backend), offered("log_softmax", backend)
    for row in spread_rows(dtype):
        share, log, _ = exact(row)
        for columns in (False, True):  # a row among others, and a column among others
            x = np.stack([row, row[::-1], row]) if not columns else np.stack([row, row[::-1], row], axis=1)
            axis = 0 if columns else 1
            for function, truth in ((softmax, share), (log_softmax, log)):
                result = np.take(function(x, axis=axis), 0, axis=1 - axis)
                worst = max(ulp_distance(a, t) for a, t in zip(result, truth))
                assert worst <= 4, (function, row[:4], columns, worst)


@needs_wide_longdouble
def test_softmin_within_four_ulp_on_many_rows(backend: str) -> None:
    """A sum that is rounded once: with each halving of its lanes rounded, it was 4.2 ulp."""
    for seed in range(6):
        x = np.random.default_rng(seed).normal(0, 5, (300, 1000))
        truth = np.exp(x.min(axis=1, keepdims=True) - x.astype(np.longdouble))
        truth /= truth.sum(axis=1, keepdims=True)
        error = np.abs(offered("softmin", backend)(x) - truth) / np.spacing(truth.astype(float))
        assert error.max() <= 4


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_dominating_entry_keeps_its_relative_accuracy(dtype: type, backend: str) -> None:
    x = np.array([0.0, 50.0, 3.0, -7.0], dtype)
    result = offered("log_softmax", backend)(x)
    assert result[1] < 0  # where SciPy, torch and jax return 0
    assert ulp_distance(result[1], exact(x)[1][1]) <= 4


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_add_up_to_one(dtype: type, backend: str) -> None:
    x = np.random.default_rng(2).normal(0, 10, (50, 200)).astype(dtype)
    sums = offered("softmax", backend)(x).astype(np.longdouble).sum(axis=1)
    assert np.abs(sums - 1).max() <= 2 * np.finfo(dtype).eps


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("axis", [None, 0, 1, (0, 1)])
def test_logsumexp(dtype: type, axis: Any, backend: str) -> None:
    x = np.random.default_rng(3).normal(3, 9, (6, 90)).astype(dtype)
    result = offered("logsumexp", backend)(x, axis=axis)
    groups = [x.ravel()] if axis in (None, (0, 1)) else (list(x) if axis == 1 else list(x.T))
    for value, group in zip(np.ravel(result), groups):
        assert ulp_distance(value, exact(group)[2]) <= 4
    assert offered("logsumexp", backend)(x, axis=axis, keepdims=True).ndim == 2


def test_one_long_row(backend: str) -> None:
    x = np.random.default_rng(4).normal(0, 5, 300_001)
    truth = x.astype(np.longdouble) - x.max()
    truth = np.exp(truth) / np.exp(truth).sum()
    for dtype in (np.float32, np.float64):
        rounded = x.astype(dtype).astype(np.longdouble)
        truth = np.exp(rounded - rounded.max())
        truth /= truth.sum()
        result = offered("softmax", backend)(x.astype(dtype))
        assert (np.abs(result - truth) / np.spacing(truth.astype(dtype))).max() <= 4
        log = offered("log_softmax", backend)(x.astype(dtype))
        assert np.abs(log - np.log(truth)).max() <= 4 * np.spacing(np.abs(log).max())
        assert abs(offered("logsumexp", backend)(x.astype(dtype)) - scipy.special.logsumexp(rounded)) < 1e-6


LONG_CASES = [((70_001,), 0), ((3, 70_001), 1), ((5000, 70), 0), ((2, 3000, 65), 1), ((40_000, 14), 0)]


@pytest.mark.parametrize(("shape", "axis"), LONG_CASES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_that_are_cut(shape: tuple[int, ...], axis: int, dtype: type, backend: str) -> None:
    x = np.random.default_rng(4).normal(0, 5, shape).astype(dtype)
    wide = x.astype(np.longdouble)
    difference = wide - wide.max(axis=axis, keepdims=True)
    total = np.exp(difference).sum(axis=axis, keepdims=True)
    for name, truth in (("softmax", np.exp(difference) / total), ("log_softmax", difference - np.log(total))):
        for view in (x, np.asfortranarray(x)):
            result = offered(name, backend)(view, axis=axis)
            assert (np.abs(result - truth) / np.spacing(np.abs(truth).astype(dtype))).max() <= 4
    sums = (np.log(total) + wide.max(axis=axis, keepdims=True)).reshape(np.delete(shape, axis))
    error = np.abs(offered("logsumexp", backend)(x, axis=axis) - sums)
    assert (error / np.spacing(np.abs(sums).astype(dtype))).max() <= 4
    half = np.zeros_like(x)
    offered("softmax", backend)(x, axis=axis, out=half)
    assert np.array_equal(half, offered("softmax", backend)(x, axis=axis))


@pytest.mark.parametrize(("shape", "axis"), LONG_CASES)
def test_special_entries_of_rows_that_are_cut(shape: tuple[int, ...], axis: int, backend: str) -> None:
    """A stretch of minus infinity, which fills parts, is nothing; NaN counts even where all else is minus infinity."""
    x = np.zeros(shape, np.float32)
    along: Any = np.moveaxis(x, axis, 0)
    half = shape[axis] // 2
    along[:half] = -np.inf
    share, log = offered("softmax", backend)(x, axis=axis), offered("log_softmax", backend)(x, axis=axis)
    assert np.allclose(np.moveaxis(share, axis, 0)[half:], 1 / (shape[axis] - half), rtol=1e-6)
    assert not np.moveaxis(share, axis, 0)[:half].any()
    assert np.isneginf(np.moveaxis(log, axis, 0)[:half]).all()
    assert np.allclose(offered("logsumexp", backend)(x, axis=axis), np.log(shape[axis] - half), rtol=1e-6)
    along[3] = np.nan
    assert np.isnan(offered("softmax", backend)(x, axis=axis)).all()
    assert np.isnan(offered("logsumexp", backend)(x, axis=axis)).all()
    along[:] = -np.inf
    assert np.isnan(offered("softmax", backend)(x, axis=axis)).all()
    assert np.isneginf(offered("logsumexp", backend)(x, axis=axis)).all()


@pytest.mark.parametrize(("shape", "axis"), LONG_CASES)
def test_a_dominating_entry_of_rows_that_are_cut(shape: tuple[int, ...], axis: int, backend: str) -> None:
    x = np.zeros(shape)
    along: Any = np.moveaxis(x, axis, 0)
    along[-9] = 50.0
    result = np.moveaxis(offered("log_softmax", backend)(x, axis=axis), axis, 0)[-9]
    assert np.allclose(result, -np.log1p((shape[axis] - 1) * np.exp(-50.0)), rtol=1e-14, atol=0)


def test_float16_is_the_rounded_float32_result(backend: str) -> None:
    x = np.random.default_rng(4).normal(0, 5, (40, 70)).astype(np.float16)
    for name in ("softmax", "log_softmax"):
        result = offered(name, backend)(x)
        wide = offered(name, backend)(x.astype(np.float64))
        assert result.dtype == np.float16
        assert (np.abs(result - wide) <= 0.51 * np.spacing(np.abs(wide).astype(np.float16))).all()


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "softmin", "sparsemax", "hardmax"])
def test_layouts_agree(name: str, backend: str) -> None:
    function = offered(name, backend)
    base = np.random.default_rng(1).standard_normal((5, 12, 66)).astype(np.float32)
    for axis in (0, 1, 2, -2, (0, 1), (0, 2), (1, 2), None):
        expected = function(np.ascontiguousarray(base), axis=axis)
        views = [
            np.asfortranarray(base),
            np.repeat(base, 2, axis=2)[:, :, ::2],
            base[::-1][::-1],
            base.transpose(2, 0, 1),
        ]
        for view in views[:3]:
            assert np.allclose(function(view, axis=axis), expected, rtol=1e-6, atol=0), (axis, view.strides)
            out = np.empty_like(view)
            assert function(view, axis=axis, out=out) is out
            assert np.array_equal(out, function(view, axis=axis))
            in_place = view.copy()
            function(in_place, axis=axis, out=in_place)
            assert np.allclose(in_place, expected, rtol=1e-6, atol=0)
    moved = function(views[3], axis=2)
    assert np.allclose(moved, function(base, axis=1).transpose(2, 0, 1), rtol=1e-6, atol=0)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "sparsemax", "hardmax"])
def test_nothing_stays_masked_in_out(name: str, backend: str) -> None:
    """As NumPy's ufuncs have it: results are whole, whatever was masked where they go."""
    x = np.random.default_rng(1).standard_normal((4, 3))
    for hard in (False, True):
        for view, axis in ((x, -1), (x.T, 0), (x[::2], 1)):
            out = np.ma.array(np.empty(view.shape), mask=np.eye(*view.shape), hard_mask=hard)
            likewise = np.ma.array(np.empty(view.shape), mask=np.eye(*view.shape), hard_mask=hard)
            assert offered(name, backend)(view, axis=axis, out=out) is out
            assert np.exp(view, out=likewise) is likewise
            assert not np.ma.getmaskarray(likewise).any()
            assert not np.ma.getmaskarray(out).any()
            assert np.array_equal(out.data, offered(name, backend)(view, axis=axis))


def test_overlapping_output(backend: str) -> None:
    memory = np.random.default_rng(1).standard_normal(1001)
    expected = fastact.softmax(memory[:1000].copy())
    offered("softmax", backend)(memory[:1000], out=memory[1:])
    assert np.allclose(memory[1:], expected, rtol=1e-14)


@settings(max_examples=60)
@given(st.lists(st.integers(0, 9), min_size=0, max_size=4), st.data())
def test_any_shape_like_scipy(shape: list[int], data: Any) -> None:
    x = np.random.default_rng(0).standard_normal(shape)
    axis = data.draw(st.none() | st.integers(-len(shape), len(shape) - 1)) if shape else None
    if x.size == 0:
        assert fastact.softmax(x, axis=axis).shape == x.shape
        return
    for ours, theirs in ((fastact.softmax, scipy.special.softmax), (fastact.log_softmax, scipy.special.log_softmax)):
        assert np.allclose(ours(x, axis=axis), theirs(x, axis=axis), rtol=1e-13, atol=1e-13)


@pytest.mark.filterwarnings("error")
def test_special_rows(backend: str) -> None:
    softmax, log_softmax = offered("softmax", backend), offered("log_softmax", backend)
    for dtype in (np.float16, np.float32, np.float64):
        for width in (3, 100):
            x = np.zeros((5, width), dtype)
            x[0] = -np.inf  # all of it: NaN, as torch has it
            x[1, 1] = np.nan
            x[2, 2] = np.inf
            x[3, 1:] = -np.inf
            result, log = softmax(x), log_softmax(x)
            assert np.isnan(result[0]).all()
            assert np.isnan(result[1]).all()
            assert np.isnan(result[2]).all()
            assert np.isnan(log[:3]).all()
            assert np.array_equal(result[3], [1] + [0] * (width - 1))
            assert np.array_equal(log[3], [0] + [-np.inf] * (width - 1))
            assert np.allclose(result[4].astype(float), 1 / width, rtol=1e-3)
            sums = offered("logsumexp", backend)(x, axis=1)
            assert sums[0] == -np.inf
            assert np.isnan(sums[1])
            assert sums[2] == np.inf


def test_where(backend: str) -> None:
    x = np.array([[1.0, 2.0, 3.0], [5.0, 1.0, 1.0]])
    mask = np.array([True, True, False])
    result = offered("softmax", backend)(x, where=mask)
    assert np.array_equal(result[:, 2], [0, 0])
    assert np.allclose(result[:, :2], scipy.special.softmax(x[:, :2], axis=1))
    total = offered("logsumexp", backend)(x, axis=1, where=mask)
    assert np.allclose(total, scipy.special.logsumexp(x[:, :2], axis=1))
    with pytest.raises(TypeError, match="truth values"):
        fastact.softmax(x, where=[1, 0, 1])
    for shape in ((2, 2), (3, 2, 3)):
        with pytest.raises(ValueError, match=r"where of shape \(.*\) does not broadcast to x, of shape \(2, 3\)"):
            fastact.softmax(x, where=np.ones(shape, bool))


def test_threads_change_no_bit() -> None:
    rng = np.random.default_rng(3)
    arrays = [
        rng.standard_normal(shape).astype(np.float32) for shape in ((3000, 100), (700_001,), (9, 200_000), (5000, 70))
    ]
    before = fastact.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 7):
            fastact.set_num_threads(threads)
            results.append([fastact.softmax(x) for x in arrays] + [fastact.log_softmax(x, axis=0) for x in arrays])
    finally:
        fastact.set_num_threads(before)
    for other in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(results[0], other))


def test_sparsemax_against_a_bisection(backend: str) -> None:
    rng = np.random.default_rng(8)
    for shape in ((4, 7), (4, 300), (2, 5, 3)):
        x = rng.standard_normal(shape) * rng.choice([0.01, 1, 100])
        result = offered("sparsemax", backend)(x)
        low, high = x.min(axis=-1, keepdims=True) - 1, x.max(axis=-1, keepdims=True)
        for _ in range(200):
            middle = (low + high) / 2
            above = np.maximum(x - middle, 0).sum(axis=-1, keepdims=True) > 1
            low, high = np.where(above, middle, low), np.where(above, high, middle)
        assert np.allclose(result, np.maximum(x - low, 0), rtol=1e-12, atol=1e-13)
    for length in (2, 20, 100, 1000):
        row = rng.standard_normal(length)
        row[length // 2] = np.nan
        for x, axis in ((row, 0), (np.stack([row, row]), 1), (np.stack([row, row], axis=1), 0)):
            assert np.isnan(offered("sparsemax", backend)(x, axis=axis)).all()
    assert np.array_equal(offered("sparsemax", backend)(np.array([1.0, -np.inf])), [1, 0])


def test_hardmax_takes_the_first(backend: str) -> None:
    x = np.array([[1, 3, 3], [2, 0, 1]])
    assert np.array_equal(offered("hardmax", backend)(x), [[0, 1, 0], [1, 0, 0]])
    assert np.array_equal(offered("hardmax", backend)(x, axis=0), [[0, 1, 1], [1, 0, 0]])


def test_gumbel_softmax_follows_the_distribution(backend: str) -> None:
    probabilities = np.array([0.1, 0.2, 0.7])
    logits = np.broadcast_to(np.log(probabilities), (40_000, 3))
    drawn = offered("gumbel_softmax", backend)(logits, hard=True, rng=1).mean(axis=0)
    assert np.abs(drawn - probabilities).max() < 4 * np.sqrt(0.25 / 40_000)
    soft = offered("gumbel_softmax", backend)(logits.astype(np.float32), tau=0.5, rng=1)
    assert soft.dtype == np.float32
    assert np.allclose(soft.sum(axis=1), 1, atol=1e-6)
    with pytest.raises(ValueError, match="tau must be positive"):
        fastact.gumbel_softmax([1.0], tau=0.0)
    with pytest.raises(TypeError, match="tau must be a number"):
        fastact.gumbel_softmax([1.0], tau="warm")


def test_nothing_warns_of_overflow(backend: str) -> None:
    out = np.zeros(2, np.float16)
    assert np.array_equal(offered("log_softmax", backend)([0.0, 1e6], out=out), [-np.inf, 0])
    drawn = offered("gumbel_softmax", backend)(np.array([60000, -60000], np.float16), tau=0.5, hard=True, rng=0)
    assert np.array_equal(drawn, [1, 0])
    assert offered("gumbel_softmax", backend)(np.ones(2, np.float32), tau=1e-300, rng=0).shape == (2,)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize(
    ("shape", "axis"), [((7, 5), 1), ((7, 5), 0), ((3, 200), 1), ((2, 60, 3), 1), ((20_000,), 0), ((3000, 70), 0)]
)
def test_gradients(name: str, shape: tuple[int, ...], axis: int, backend: str) -> None:
    rng = np.random.default_rng(6)
    x, grad, direction = (rng.standard_normal(shape) for _ in range(3))
    function = offered(name, backend)
    dx = offered(f"{name}_backward", backend)(grad, function(x, axis=axis), axis=axis)
    step = 1e-6 * direction
    difference = (function(x + step, axis=axis) - function(x - step, axis=axis)) / 2
    assert np.isclose((dx * step).sum(), (grad * difference).sum(), rtol=1e-6, atol=1e-14)
    torch = pytest.importorskip("torch")
    given_x = torch.tensor(x, requires_grad=True)
    getattr(torch, name)(given_x, axis).backward(torch.tensor(grad))
    assert np.allclose(dx, given_x.grad.numpy(), rtol=1e-12, atol=1e-13)
    single = offered(f"{name}_backward", backend)(grad.astype("f"), function(x.astype("f"), axis=axis), axis=axis)
    assert np.allclose(single, given_x.grad.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("length", [1, 2, 20, 500, 100_000])
@pytest.mark.parametrize("others", [[], [np.inf], [-np.inf]])
def test_logsumexp_of_nan_and_infinity(length: int, others: list[float], backend: str) -> None:
    function = offered("logsumexp", backend)
    row = np.full(length, np.nan, np.float32)
    row[1 : 1 + len(others)] = others[: length - 1]
    assert np.isnan(function(row))
    assert np.isnan(function(row[::-1].copy()))
    assert np.isnan(function(np.stack([row, row], axis=1), axis=0)).all()


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "softmin", "sparsemax", "hardmax", "logsumexp"])
def test_what_is_refused(name: str, backend: str) -> None:
    function = offered(name, backend)
    for bad in (
        np.zeros(3, complex),
        np.array(["a"]),
        np.array([None]),
        np.zeros(3, "M8[s]"),
    ):
        with pytest.raises(TypeError, match="real numbers"):
            function(bad)
    with pytest.raises(ValueError, match="out of bounds"):
        function(np.zeros(3), axis=1)
    with pytest.raises(ValueError, match="twice"):
        function(np.zeros((3, 3)), axis=(0, -2))
    with pytest.raises(TypeError, match="axis must be"):
        function(np.zeros(3), axis="0")
    if name == "logsumexp":
        return
    out = np.full(4, 7.0)
    with pytest.raises(ValueError, match="shape"):
        function(np.zeros(3), out=out)
    with pytest.raises(TypeError, match="cannot be stored"):
        function(np.zeros(4), out=np.zeros(4, int))
    assert np.array_equal(out, np.full(4, 7.0))
    with pytest.raises(ValueError, match="shape"):
        fastact.softmax_backward(np.zeros(3), np.zeros(4))


def test_probabilities_of_the_tutorial(backend: str) -> None:
    """Three classes with logits 2, 1, 0.1: computed here by hand, in 30 digits."""
    with mp.workdps(30):
        terms = [mp.exp(mp.mpf(v)) for v in ("2", "1", "0.1")]
        truth = [float(t / mp.fsum(terms)) for t in terms]
    assert np.allclose(offered("softmax", backend)([2.0, 1.0, 0.1]), truth, rtol=1e-15)

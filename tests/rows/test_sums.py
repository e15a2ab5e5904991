"""Sums of exponentials with factors, their signs and their means, against SciPy and mpmath."""

from __future__ import annotations

from typing import Any

import mpmath as mp
import numpy as np
import pytest

from tests.conftest import offered

special = pytest.importorskip("scipy.special")


@pytest.mark.parametrize("axis", [None, 0, 1, (0, 2), -1])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("signed", [False, True])
def test_as_scipy(axis: Any, keepdims: bool, signed: bool, backend: str) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(0, 20, (3, 4, 5))
    for b in (None, rng.uniform(0, 2, (3, 4, 5)), rng.normal(0, 1, (4, 1)), rng.integers(-1, 2, 5), 2.0, -1.0):
        ours = offered("logsumexp", backend)(x, axis, keepdims, b=b, return_sign=signed)
        theirs = special.logsumexp(x, axis, b, keepdims, return_sign=signed)
        for ours_, theirs_ in zip(ours, theirs) if signed else [(ours, theirs)]:
            assert np.shape(ours_) == np.shape(theirs_)
            assert np.allclose(ours_, theirs_, rtol=1e-12, atol=1e-14, equal_nan=True), b


def test_special_values(backend: str) -> None:
    function, inf, nan = offered("logsumexp", backend), np.inf, np.nan
    cases: list[tuple[list[float], Any, float, float]] = [
        ([1.0, 1.0], [1, -1], -inf, 0),
        ([inf, 0.0], [0, 1], 0, 1),
        ([inf, 0.0], [1, 1], inf, 1),
        ([inf, 0.0], [-1, 1], inf, -1),
        ([inf, inf], [1, -1], nan, nan),
        ([-inf, -inf], [1, 1], -inf, 0),
        ([nan, 0.0], [0, 1], 0, 1),
        ([nan, 0.0], [1, 1], nan, nan),
        ([0.0, 0.0], [0, 0], -inf, 0),
        ([-inf, -inf], None, -inf, 0),
        ([0.0, -800.0], None, 0, 1),
    ]
    for x, b, logarithm, sign in cases:
        results = function(np.array(x), b=None if b is None else np.array(b), return_sign=True)
        assert np.array_equal(results, [logarithm, sign], equal_nan=True), (x, b)
    assert np.isnan(function(np.array([0.0, 0.0]), b=np.array([1.0, -2.0])))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_factors_against_mpmath(dtype: type, backend: str) -> None:
    """Where the largest term's logarithm is next to 0, and the rest is tiny."""
    rng = np.random.default_rng(2)
    for _ in range(30):
        x, b = rng.uniform(-40, 0, 9).astype(dtype), rng.uniform(-2, 2, 9).astype(dtype)
        x[0], b[0] = 0, 1
        x[1:] -= 5
        result, sign = offered("logsumexp", backend)(x, b=b, return_sign=True)
        with mp.workdps(50):
            total = mp.fsum(mp.mpf(float(v)) * mp.exp(mp.mpf(float(u))) for u, v in zip(x, b))
            truth = float(mp.log(abs(total)))
        assert result.dtype == dtype
        assert sign == np.sign(float(total))
        assert abs(result - truth) <= 4 * np.finfo(dtype).eps * abs(truth)


def test_out(backend: str) -> None:
    x = np.random.default_rng(3).normal(0, 1, (3, 4)).astype(np.float32)
    for name in ("logsumexp", "logmeanexp"):
        function = offered(name, backend)
        for keepdims, shape in ((False, (3,)), (True, (3, 1))):
            out = np.empty(shape, np.float32)
            assert function(x, 1, keepdims, out=out) is out
            assert np.array_equal(out, function(x, 1, keepdims))
        untouched = np.full(4, 7.0)
        for error, wrong in ((ValueError, untouched), (TypeError, np.zeros(3, int)), (TypeError, [0, 0, 0])):
            with pytest.raises(error, match="out"):
                function(x, 1, out=wrong)
        assert (untouched == 7).all()
    out = np.empty(3, np.float32)
    logarithms, signs = offered("logsumexp", backend)(x, 1, b=-1, return_sign=True, out=out)
    assert logarithms is out
    assert (signs == -1).all()
    with pytest.raises(ValueError, match=r"x of shape \(3, 4\) and b of shape \(3,\) do not broadcast"):
        offered("logsumexp", backend)(x, b=np.ones(3))


@pytest.mark.parametrize("axis", [None, 0, 1, (0, 1), ()])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_logmeanexp(axis: Any, dtype: type, backend: str) -> None:
    x = np.random.default_rng(4).normal(0, 3, (6, 7)).astype(dtype)
    mask = np.random.default_rng(5).random((6, 7)) < 0.7
    mask[2] = False
    for where in (None, mask):
        counted = np.ones((6, 7), bool) if where is None else where
        with np.errstate(all="ignore"):
            axes = axis if axis != () else ()
            total = np.where(counted, np.exp(x.astype(float)), 0).sum(axis=axes)
            expected = np.log(total / counted.sum(axis=axes))
        result = offered("logmeanexp", backend)(x, axis, where=where)
        assert result.dtype == dtype
        tolerance = 8 * float(np.finfo(dtype).eps)
        assert np.allclose(result, expected, rtol=tolerance, atol=tolerance, equal_nan=True)
    assert np.isnan(offered("logmeanexp", backend)(np.zeros((0, 3)), axis=0)).all()
    assert offered("logmeanexp", backend)(np.full(1000, -3.0)) == -3
    assert offered("logmeanexp", backend)(np.array([np.inf, 0])) == np.inf

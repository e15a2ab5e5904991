"""Every value and derivative against mpmath, over the whole range of its dtype."""

from __future__ import annotations

from functools import cache
from typing import Any

import mpmath as mp
import numpy as np
import pytest

from benchmarks import wide
from benchmarks.accuracy import roots
from benchmarks.errors import ROOT_DISTANCE, ROOT_ERROR, ROOT_ERROR_WIDE
from fastact.catalogue import ACTIVATIONS, Activation
from tests.conftest import callable_of, needs_wide_longdouble, parameters
from tests.reference import every_exponent, exact, ulp_distance

#: Where most functions bend, where exp overflows, vanishes or becomes subnormal, and where exhaustive runs found
#: the largest errors.
CRITICAL = [
    0.3,
    0.75,
    0.99,
    1.01,
    1.3,
    2.99,
    3.01,
    6.5,
    9.0,
    10.5,
    13.9,
    14.4,
    17.4,
    25.0,
    36.9,
    38.3,
    87.358749,
    88.5,
    89.1,
    101.0,
    103.5,
]
CRITICAL += [
    1.0352786e-4,
    1.494363e-4,
    0.010836164,
    0.013020613,
    0.1731838,
    3.2386221e38,
    0.45388541,
    0.54706806,
    0.64250553,
    0.80580086,
    1.0395275,
    4.2132764,
    5.1378489,
    6.1905589,
    7.1292691,
    8.6792021,
]
# Near these, float64 was off by 4.4 ulp in gelu, 4.1 in gelu_tanh's derivative, and without tables 2.1 in tanhshrink's.
CRITICAL += [31.54223186486345, 17.292979067345087, 0.16691846656027692]
CRITICAL += [350.3, 372.0, 709.5, 710.1, 744.0, 745.3]


def points(dtype: type) -> np.ndarray:
    rng = np.random.default_rng(7)
    spread = rng.uniform(-12, 12, 60)
    around = np.concatenate([np.array(CRITICAL), -np.array(CRITICAL), spread])
    return np.concatenate([every_exponent(dtype)[:: 2 if dtype is np.float32 else 12], around.astype(dtype)])


@cache
def truths(name: str, kind: str, dtype: type) -> list[Any]:
    """The exact values at these points, with parameters as the dtype rounds them."""
    entry = ACTIVATIONS[name]
    given = {parameter: float(dtype(value)) for parameter, value in parameters(entry).items()}
    return [exact(entry, x, kind, **given) for x in points(dtype)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["value", "derivative"])
def test_within_bound(entry: Activation, kind: str, dtype: type, backend: str) -> None:
    x = points(dtype)
    given = parameters(entry)
    results = callable_of(entry, kind, backend)(x, **{name: dtype(value) for name, value in given.items()})
    worst = (0.0, 0.0, 0.0, "")
    zeros = roots(entry, given) if kind == "derivative" else np.empty(0)
    allowed = ROOT_ERROR if dtype is np.float32 else ROOT_ERROR_WIDE
    for value, result, truth in zip(x, results, truths(entry.name, kind, dtype)):
        if np.any(abs(value - zeros) < ROOT_DISTANCE) and abs(float(result) - truth) <= allowed:
            continue
        worst = max(worst, (ulp_distance(result, truth), float(value), float(result), str(truth)[:20]))
    bound = entry.ulp if backend == "compiled" else 4.0  # NumPy alone has no fused multiply-add
    assert worst[0] <= bound, f"{worst[0]:.3g} ulp at {worst[1]!r}: {worst[2]!r} instead of {worst[3]}"


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_limits(entry: Activation, dtype: type, backend: str) -> None:
    """Infinities give the limit of the formula, NaN gives NaN, and nothing warns (warnings are errors here)."""
    value = callable_of(entry, "value", backend)
    slope = callable_of(entry, "derivative", backend)
    given = parameters(entry)
    far = dtype(np.finfo(dtype).max)
    for x, large in ((dtype(np.inf), far), (dtype(-np.inf), -far)):
        limit, near = value(x, **given), value(large, **given)
        vanishing = 2 * np.finfo(dtype).tiny  # 1 / x has not quite arrived where x is largest
        assert (
            limit == near or abs(limit - near) <= vanishing or (np.isinf(limit) and abs(near) > abs(float(far)) / 200)
        )
        limit, near = slope(x, **given), slope(large, **given)
        assert limit == near or abs(limit - near) <= vanishing
    assert np.isnan(value(dtype(np.nan), **given))
    assert np.isnan(slope(dtype(np.nan), **given))


@pytest.mark.either_backend
@needs_wide_longdouble
@pytest.mark.parametrize("kind", ["value", "derivative"])
def test_the_wide_reference_is_exact_enough(entry: Activation, kind: str) -> None:
    """A million points are compared with it by benchmarks.accuracy, so it must be right to a fraction of an ulp."""
    x = points(np.float64)[::7]
    results = wide.exact_enough(entry, kind, x, **parameters(entry))
    # selu's product of two constants and hardsigmoid's sixth are rounded to float64 in their formulas
    bound = 0.6 if entry.name in ("selu", "hardsigmoid") else 0.02
    for value, result, truth in zip(x, results, truths(entry.name, kind, np.float64)[::7]):
        with mp.workdps(50):
            if not np.isfinite(result) or abs(truth) < 1e-307 or abs(truth) > 1e308:
                continue
            high = float(result)
            error = abs(mp.mpf(high) + mp.mpf(float(result - np.longdouble(high))) - truth)
            assert error <= bound * abs(truth) * 2.0**-53 or (kind == "derivative" and error < bound * 2.3e-16), float(
                value
            )

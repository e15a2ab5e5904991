"""Gates over the whole range of both halves: huge and infinite factors, and gates that are open by next to nothing."""

from __future__ import annotations

from typing import Any

import mpmath as mp
import numpy as np
import pytest

from fastact.rows.gates import GATES
from tests.conftest import offered
from tests.reference import GATE_FACTORS, ulp_distance

INF = np.inf

#: Derivatives of what gates multiply by, and where they cross zero.
SLOPES: dict[str, Any] = {
    "glu": lambda b: mp.exp(-abs(b)) / (1 + mp.exp(-abs(b))) ** 2,
    "reglu": lambda b: mp.mpf(1 if b > 0 else 0),
    "geglu": lambda b: mp.erfc(-b / mp.sqrt(2)) / 2 + b * mp.npdf(b),
    "swiglu": lambda b: GATE_FACTORS["glu"](b) + b * mp.exp(-abs(b)) / (1 + mp.exp(-abs(b))) ** 2,
}
ROOTS = {"geglu": -0.7517915, "swiglu": -1.2784645}

#: As the activations', and two roundings for the product of a gradient and a factor.
BOUNDS, SLOPE_BOUNDS = (
    {"glu": 2.5, "reglu": 0.5, "geglu": 4.0, "swiglu": 2.5},
    {"glu": 4, "reglu": 1, "geglu": 6, "swiglu": 6},
)

#: In NumPy, exponentials below 1e-308 are squares of others, or their squares.
SQUARED = 2

#: Below this nothing is left, whatever it is multiplied by.
DEEPEST = {"glu": (200, 1460), "reglu": (200, 1460), "geglu": (19.9, 54), "swiglu": (200, 1470)}


def halves(name: str, dtype: Any, count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Factors of every size, with gates from wide open to all but shut."""
    rng, kind = np.random.default_rng(7), np.finfo(dtype)
    size = rng.integers(int(kind.minexp) - int(kind.nmant), int(kind.maxexp), count)
    size[::4] = rng.integers(int(kind.maxexp) - 40, int(kind.maxexp), count // 4)
    a = np.ldexp(1 + rng.random(count), size) * rng.choice([-1, 1], count)
    b = np.ldexp(1 + rng.random(count), rng.integers(-40, 7, count)) * rng.choice([-1, 1], count)
    deep = -rng.random(count) * DEEPEST[name][dtype == np.float64]
    with np.errstate(under="ignore"):
        return a.astype(dtype), np.where(rng.random(count) < 0.7, deep, b).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", GATES)
def test_values_over_every_exponent(name: str, dtype: type, backend: str) -> None:
    a, b = halves(name, dtype)
    y = offered(name, backend)(np.concatenate([a, b]))
    more = SQUARED if backend == "fallback" else 0
    with mp.workdps(60):
        for i in range(a.size):
            exact = mp.mpf(float(a[i])) * GATE_FACTORS[name](mp.mpf(float(b[i])))
            assert ulp_distance(y[i], exact) <= BOUNDS[name] + more, (a[i], b[i], y[i])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", GATES)
def test_gradients_over_every_exponent(name: str, dtype: type, backend: str) -> None:
    a, b = halves(name, dtype)
    grad = np.random.default_rng(8).standard_normal(a.size).astype(dtype)
    da, db = offered(f"{name}_backward", backend)(grad, np.concatenate([a, b])).reshape(2, -1)
    with mp.workdps(60):
        for i in range(a.size):
            g, factor, x = (mp.mpf(float(v)) for v in (grad[i], a[i], b[i]))
            assert ulp_distance(da[i], g * GATE_FACTORS[name](x)) <= BOUNDS[name], (grad[i], b[i])
            if abs(float(x) - ROOTS.get(name, INF)) > 0.1:
                assert ulp_distance(db[i], g * factor * SLOPES[name](x)) <= SLOPE_BOUNDS[name], (grad[i], a[i], b[i])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(
    ("name", "b", "sign"),
    [
        *[("glu", b, 1) for b in (INF, 1000, 1, 0, -1, -1000)],
        *[(name, b, 1) for name in ("reglu", "geglu", "swiglu") for b in (INF, 1000, 1e-3)],
        *[(name, b, -1) for name in ("geglu", "swiglu") for b in (-1e-3, -1, -60, -1000)],
        *[(name, -INF, 0) for name in GATES],
        *[(name, 0, 0) for name in ("reglu", "geglu", "swiglu")],
        ("reglu", -1, 0),
    ],
)
def test_an_infinite_factor(name: str, b: float, sign: int, dtype: type, backend: str) -> None:
    """Times what is merely small it is infinite; times zero, and the limit zero, it is NaN."""
    expected = np.array([INF, -INF]) * sign if sign else np.full(2, np.nan)
    gate, gradient = offered(name, backend), offered(f"{name}_backward", backend)
    assert np.array_equal(gate(np.array([INF, -INF, b, b], dtype)), expected, equal_nan=True)
    from_grad = gradient(np.array([INF, -INF], dtype), np.array([1, 1, b, b], dtype))
    assert np.array_equal(from_grad[:2], expected, equal_nan=True)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(
    ("name", "b", "slope"),
    [
        *[("glu", b, 1) for b in (500, 0, -1, -500)],
        *[(name, b, 1) for name in ("geglu", "swiglu") for b in (INF, 0, -0.5)],
        *[(name, b, -1) for name in ("geglu", "swiglu") for b in (-2, -100, -500)],
        *[(name, -INF, 0) for name in GATES if name != "reglu"],
        ("reglu", 1, 1),
    ],
)
def test_the_gradient_of_an_infinite_factor(name: str, b: float, slope: int, dtype: type, backend: str) -> None:
    gradient = offered(f"{name}_backward", backend)
    expected = INF * slope if slope else np.nan
    for grad, a in ((1, INF), (INF, 1), (INF, INF), (-1, -INF)):
        found = gradient(np.array([grad], dtype), np.array([a, b], dtype))[1]
        assert found == expected or (np.isnan(found) and np.isnan(expected)), (grad, a)


def test_a_shut_gate_of_lines_passes_no_gradient_on(backend: str) -> None:
    """As relu's own, and torch's threshold_backward."""
    for dtype in (np.float16, np.float32, np.float64):
        for grad, a in ((INF, 1), (1, INF), (-INF, -INF), (np.nan, 1)):
            da, db = offered("reglu_backward", backend)(np.array([grad], dtype), np.array([a, -5], dtype))
            assert db == 0
            assert np.isnan(da) == (not np.isfinite(grad))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("name", GATES)
def test_nan_in_either_half(name: str, dtype: type, backend: str) -> None:
    x = np.array([[np.nan, 1], [1, np.nan], [np.nan, -INF], [INF, np.nan], [np.nan, np.nan]], dtype)
    assert np.isnan(offered(name, backend)(x)).all()
    assert np.isnan(offered(f"{name}_backward", backend)(np.ones((5, 1), dtype), x)[[1, 3, 4]]).all()


def test_what_was_reported(backend: str) -> None:
    glu, geglu, swiglu = (offered(name, backend) for name in ("glu", "geglu", "swiglu"))
    assert geglu([1e300, -50.0])[0] == pytest.approx(-5.402989728e-244, rel=1e-9)
    with mp.workdps(60):
        exact = mp.mpf(10) ** 300 * GATE_FACTORS["swiglu"](mp.mpf(-1008.65))
        assert ulp_distance(swiglu([1e300, -1008.65])[0], exact * (mp.mpf(1e300) / mp.mpf(10) ** 300)) <= 2.5
    assert glu(np.float32([1.84e37, -180.945]))[0] == np.float32(4.802e-42)

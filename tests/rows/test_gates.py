"""Gates: values and gradients against exact ones and torch's, and what happens to odd arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest

import fastact
from fastact.rows.gates import GATES
from tests.conftest import offered
from tests.reference import GATE_FACTORS, ulp_distance

Gate = Callable[..., Any]


@pytest.fixture(params=list(GATES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def gate(name: str, backend: str) -> Gate:
    return offered(name, backend)


def sample(*shape: int, dtype: Any = np.float32) -> np.ndarray:
    return (np.random.default_rng(5).standard_normal(shape) * 4).astype(dtype)


def parts(name: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The gate of two halves that lie apart."""
    return np.asarray(a * getattr(fastact, GATES[name].activation)(b.astype(np.float64)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_in_both_tails(name: str, gate: Gate, dtype: type) -> None:
    """The factor is as large as the activation is small: rounded by itself, f(b) would have lost its bits."""
    b = np.concatenate([np.linspace(-13, 13, 27), [-14.5, -37.5] if name == "geglu" else [-87.5, -101, -120]])
    a = np.where(np.arange(b.size) % 2, 3e37, -1.25)
    x = np.concatenate([a, b]).astype(dtype)
    result = gate(x)
    with mp.workdps(100):
        for i in range(b.size):
            exact = mp.mpf(float(x[i])) * GATE_FACTORS[name](mp.mpf(float(x[b.size + i])))
            assert ulp_distance(result[i], exact) <= 5, (x[i], x[b.size + i])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_finite_limits_do_not_overflow(name: str, gate: Gate, dtype: type) -> None:
    largest = np.finfo(dtype).max
    x = np.array([[largest, -5.0], [largest, -60.0], [largest, 0.5], [largest / 2, 1.0]], dtype)
    assert np.isfinite(gate(x)).all()
    assert np.array_equal(gate(np.array([np.inf, 0.5, -np.inf, 0.5, np.nan, 2, 1, np.nan])[[0, 2, 4, 6, 1, 3, 5, 7]]),
                          [np.inf, -np.inf, np.nan, np.nan], equal_nan=True)  # fmt: skip


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_gradients_as_torchs(name: str, gradient: Gate, dtype: str) -> None:
    torch = pytest.importorskip("torch")
    activation = {"sigmoid": torch.sigmoid}.get(GATES[name].activation) or getattr(
        torch.nn.functional, GATES[name].activation
    )
    x, grad = sample(7, 30, dtype=dtype), sample(7, 15, dtype=dtype)
    x[0, 15:18] = 0  # the kink
    leaf = torch.tensor(x.astype(float), requires_grad=True)
    a, b = leaf.chunk(2, -1)
    (a * activation(b)).backward(torch.tensor(grad.astype(float)))
    result = gradient(grad, x)
    tolerance = {"float64": 1e-13, "float32": 2e-6, "float16": 1e-3}[dtype]
    assert result.dtype == dtype
    assert np.allclose(result, leaf.grad.numpy(), rtol=tolerance, atol=tolerance / 4)


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
@pytest.mark.parametrize("order", ["C", "F"])
def test_axes_and_layouts(name: str, gate: Gate, gradient: Gate, axis: int, order: str) -> None:
    for shape in ((4, 6, 10), (40, 36, 130)):
        x = np.asarray(sample(*shape), order=order)  # type: ignore[call-overload]
        a, b = np.split(x, 2, axis)
        assert np.allclose(gate(x, axis), parts(name, a, b), rtol=1e-6, atol=1e-37)
        strided = np.repeat(x, 2, axis=1)[:, ::-2]
        assert gate(strided, axis).tobytes() == gate(np.ascontiguousarray(strided), axis).tobytes()
        dx = gradient(np.ones_like(a), x, axis)
        slope = getattr(fastact, f"{GATES[name].activation}_derivative")(b)
        expected = np.concatenate([getattr(fastact, GATES[name].activation)(b), a * slope], axis)
        assert np.allclose(dx, expected, rtol=2e-6, atol=1e-7)


def test_out_and_overlap(gate: Gate, gradient: Gate) -> None:
    for shape in ((3, 8), (1000, 64)):
        x, half = sample(*shape), (shape[0], shape[1] // 2)
        expected, grad = gate(x), sample(*half)
        out = np.zeros(half, np.float32)
        assert gate(x, out=out) is out
        assert np.array_equal(out, expected)
        assert np.array_equal(gate(x.copy()), expected)
        inside = x.copy()
        assert np.array_equal(gate(inside, out=inside[:, half[1] :]), expected)
        shifted = x.copy()
        assert np.array_equal(gate(shifted, out=shifted[:, 1 : half[1] + 1]), expected)
        dx = gradient(grad, x)
        in_place = x.copy()
        assert np.array_equal(gradient(grad, in_place, out=in_place), dx)
        overlapping = x.copy()
        assert np.array_equal(
            gradient(overlapping[:, : half[1]], overlapping, out=overlapping), gradient(x[:, : half[1]], x)
        )


def test_nothing_stays_masked_in_out(gate: Gate, gradient: Gate) -> None:
    x = sample(4, 6)
    for function, given in ((gate, (x,)), (gradient, (sample(4, 3), x))):
        expected = function(*given)
        out = np.ma.array(np.zeros_like(expected), mask=True)
        assert function(*given, out=out) is out
        assert not np.ma.getmaskarray(out).any()
        assert np.array_equal(out.data, expected)


def test_dtypes(gate: Gate, gradient: Gate) -> None:
    x = np.array([[3, 2, 1, -1]])
    assert gate(x).dtype == gate(x > 1).dtype == gate([[3, 2, 1, -1]]).dtype == np.float64
    assert np.array_equal(gate(x), gate(x.astype(float)))
    half = gate(x.astype(np.float16))
    assert half.dtype == np.float16
    assert np.allclose(half, gate(x.astype(float)), rtol=1e-3)
    assert np.array_equal(gate(x.astype(">f4")), gate(x.astype("f4")))
    assert gradient(np.ones((1, 2)), x.astype(np.float32)).dtype == np.float64
    assert gradient(1.0, x.astype(np.float32)).dtype == np.float32
    wide = np.empty((1, 2))
    assert np.array_equal(gate(x.astype(np.float32), out=wide), gate(x.astype(np.float32)))


def test_empty(gate: Gate, gradient: Gate) -> None:
    assert gate(np.empty((0, 4))).shape == (0, 2)
    assert gate(np.empty((4, 0))).shape == (4, 0)
    assert gradient(np.empty((0, 2)), np.empty((0, 4))).shape == (0, 4)


def test_errors_come_before_anything_is_written(gate: Gate, gradient: Gate) -> None:
    x, out, dx = sample(4, 6), np.full((4, 3), 7.0), np.full((4, 6), 7.0)
    for error, call in [
        (ValueError, lambda: gate(sample(4, 5), out=out)),
        (ValueError, lambda: gate(x, 2, out=out)),
        (ValueError, lambda: gate(np.float32(1), out=out)),
        (ValueError, lambda: gate(x, out=dx)),
        (ValueError, lambda: gate(x[:1], out=out)),
        (TypeError, lambda: gate(x.astype(complex), out=out)),
        (TypeError, lambda: gate(x.astype(object), out=out)),
        (TypeError, lambda: gate(np.array([["a", "b"]]))),
        (TypeError, lambda: gate(x, out=out.astype(int))),
        (ValueError, lambda: gradient(sample(4, 6), x, out=dx)),
        (ValueError, lambda: gradient(sample(4, 3), sample(4, 5), out=dx)),
        (TypeError, lambda: gradient(1j, x, out=dx)),
        (TypeError, lambda: gate(x, out=[1])),
    ]:
        with pytest.raises(error):
            call()
    assert (out == 7).all()
    assert (dx == 7).all()
    with pytest.raises(ValueError, match="whose size must be even; it is 5"):
        gate(sample(4, 5))
    with pytest.raises(TypeError, match="grad must be real numbers, not datetime64"):
        gradient(np.zeros(3, "M8[s]"), x)
    for axis in (1.0, None, True, "0", (0,)):
        with pytest.raises(TypeError, match="axis must be an integer, not "):
            gate(x, axis)
    for axis in (2, -3, 1 << 70):
        with pytest.raises(ValueError, match=f"axis {axis} is out of bounds for an array of 2 dimensions"):
            gradient(sample(4, 3), x, axis)


def test_gradients_given_as_lists_and_integers(gradient: Gate) -> None:
    """Like arrays of them; a single number of Python's takes the type of x."""
    x = sample(2, 4)
    for given in ([[1, 2], [3, 4]], ((1.0, 2.0), (3.0, 4.0)), [1, 2], np.int8(2)):
        found = gradient(given, x)
        assert found.dtype == np.result_type(np.asarray(given), x)
        assert np.array_equal(found, gradient(np.asarray(given), x))
    assert gradient(2, x).dtype == x.dtype


def test_same_bits_for_any_number_of_threads(gate: Gate, gradient: Gate) -> None:
    before = fastact.get_num_threads()
    for shape in ((20_000, 32), (500, 1000), (3, 200_002)):
        x = sample(*shape)
        found = set()
        for threads in (1, 2, 7):
            fastact.set_num_threads(threads)
            found.add(gate(x).tobytes() + gradient(np.float32(1.5), x).tobytes())
        assert len(found) == 1
    fastact.set_num_threads(before)


@pytest.mark.parametrize("name", list(GATES))
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_two_arrays(name: str, dtype: str, backend: str) -> None:
    """Halves that come apart, as in networks with a matrix for each."""
    a, b, grad = (np.random.default_rng(i).normal(0, 3, (7, 33)).astype(dtype) for i in range(3))
    value, slope = offered(name, backend), offered(f"{name}_backward", backend)
    joined = np.concatenate([a, b], axis=1)
    y, dx = value(joined), slope(grad, joined)
    assert np.array_equal(value(a, gate=b), y)
    da, db = slope(grad, a, gate=b)
    assert np.array_equal(np.concatenate([da, db], axis=1), dx)
    out, outs = np.empty_like(y), (np.empty_like(a), np.empty_like(b))
    assert value(a, gate=b, out=out) is out
    assert np.array_equal(out, y)
    results = slope(grad, a, gate=b, out=outs)
    assert results[0] is outs[0]
    assert results[1] is outs[1]
    assert np.array_equal(outs[1], db)
    assert value(a[0, 0], gate=b[0, 0]) == y[0, 0]


@pytest.mark.parametrize("name", list(GATES))
def test_two_arrays_that_do_not_fit(name: str, backend: str) -> None:
    value, slope = offered(name, backend), offered(f"{name}_backward", backend)
    x, out = np.ones((2, 3)), np.full((2, 3), 7.0)
    refused: list[tuple[type[Exception], str, Any]] = [
        (ValueError, "x and gate of one shape", lambda: value(x, gate=x[:1], out=out)),
        (TypeError, "gate must be real numbers", lambda: value(x, gate=x + 1j, out=out)),
        (ValueError, "out must have shape", lambda: value(x[:1], gate=x[:1], out=out)),
        (ValueError, "grad of shape", lambda: slope(np.ones((5, 3)), x, gate=x, out=(out, out.copy()))),
        (TypeError, "out must be a pair", lambda: slope(x, x, gate=x, out=out)),
    ]
    for error, message, call in refused:
        with pytest.raises(error, match=message):
            call()
    assert (out == 7).all()

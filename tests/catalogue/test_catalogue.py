"""What single activations promise beyond what all of them do."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest

import fastact
from fastact.catalogue import ACTIVATIONS, Activation, piecewise
from fastact.formulas.nodes import topological
from tests.conftest import callable_of, parameters

#: Derivatives at kinks as torch 2.13's autograd returns them: input, derivative. Computed there, written here.
TORCH_AT_KINKS = {
    "relu": [(0.0, 0.0)],
    "relu6": [(0.0, 0.0), (6.0, 0.0)],
    "leaky_relu": [(0.0, 0.01)],
    "prelu": [(0.0, 0.25)],
    "hardtanh": [(-1.0, 0.0), (1.0, 0.0)],
    "hardsigmoid": [(-3.0, 0.0), (3.0, 0.0)],
    "hardswish": [(-3.0, 0.0), (3.0, 1.0)],
    "hardshrink": [(-0.5, 0.0), (0.5, 0.0)],
    "softshrink": [(-0.5, 0.0), (0.5, 0.0)],
    "threshold": [(0.25, 0.0)],
    "elu": [(0.0, 1.0)],
    "celu": [(0.0, 1.0)],
    "selu": [(0.0, 1.7580993408473766)],
    "rrelu": [(0.0, (1 / 8 + 1 / 3) / 2)],
}

#: What autograd passes an infinite gradient through without making NaN of it where the function is flat.
TORCH_FLAT = ["relu", "relu6", "hardtanh", "hardsigmoid", "hardshrink", "softshrink", "threshold"]

ARGUMENTS = {"prelu": [0.25], "threshold": [0.25, -1.0]}


@pytest.mark.parametrize("name", TORCH_AT_KINKS)
def test_derivative_at_kinks(name: str, backend: str) -> None:
    slope = callable_of(ACTIVATIONS[name], "derivative", backend)
    for x, expected in TORCH_AT_KINKS[name]:
        assert slope(x, *ARGUMENTS.get(name, [])) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("name", TORCH_AT_KINKS)
def test_kinks_against_torch(name: str) -> None:
    torch = pytest.importorskip("torch")
    function = getattr(torch.nn.functional, name)
    for x, expected in TORCH_AT_KINKS[name]:
        given = torch.tensor([x], dtype=torch.float64, requires_grad=True)
        parameters = [torch.tensor(p, dtype=torch.float64) if name == "prelu" else p for p in ARGUMENTS.get(name, [])]
        function(given, *parameters).sum().backward()
        assert float(given.grad) == pytest.approx(expected, rel=1e-15)


#: What a formula's words are to Python's floats; of two zeros, the larger is the second.
FLOATING: dict[str, Any] = {
    name: getattr(math, name) for name in ("exp", "expm1", "log", "sqrt", "tanh", "cosh", "erf", "pi")
}
FLOATING |= {"maximum": lambda a, b: a if a > b else b, "minimum": lambda a, b: a if a < b else b}
FLOATING |= {"where": lambda c, a, b: a if c else b, "logaddexp": np.logaddexp}


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_zero_has_the_sign_that_the_formula_gives_it(entry: Activation, dtype: str, backend: str) -> None:
    given = parameters(entry)
    formula = re.sub(r"\(exp\(([^()]*)\) - 1\)", r"expm1(\1)", entry.formula)
    for x in (0.0, -0.0):
        expected = x if entry.name == "tanhshrink" else eval(formula, FLOATING | given | {"x": x})  # an odd function
        if expected == 0:
            for count in (1, 7, 300):
                y = callable_of(entry, "value", backend)(np.full(count, x, dtype), **given)
                assert np.array_equal(y, np.full(count, expected)), (x, count)
                assert np.array_equal(np.signbit(y), np.full(count, np.signbit(expected))), (x, count)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("gradient", [np.inf, -np.inf, np.nan])
def test_flat_pieces_pass_no_gradient_on(gradient: float, dtype: str, backend: str) -> None:
    for entry in ACTIVATIONS.values():
        given = parameters(entry)
        x = np.array([-3e4, -5, -0.25, 0, 0.25, 5, 3e4], dtype)
        slope = callable_of(entry, "derivative", backend)(x, **given)
        if entry.__module__ != piecewise.__name__:
            continue
        result = callable_of(entry, "backward", backend)(np.full(x.size, gradient, dtype), x, **given)
        dx = result[0] if entry.learned else result
        with np.errstate(invalid="ignore"):
            expected = np.where(slope == 0, 0, slope * gradient)
        np.testing.assert_array_equal(dx, expected, err_msg=entry.name)


@pytest.mark.parametrize("name", TORCH_FLAT)
def test_flat_pieces_against_torch(name: str, backend: str) -> None:
    torch = pytest.importorskip("torch")
    x = np.array([-7, -0.25, 0.25, 7])
    backward = callable_of(ACTIVATIONS[name], "backward", backend)
    for gradient in (np.inf, -np.inf):
        given = torch.tensor(x, requires_grad=True)
        getattr(torch.nn.functional, name)(given, *ARGUMENTS.get(name, [])).backward(
            torch.full((4,), gradient, dtype=given.dtype)
        )
        np.testing.assert_array_equal(backward(np.full(4, gradient), x, *ARGUMENTS.get(name, [])), given.grad.numpy())


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", ["leaky_relu", "elu", "threshold", "swish"])
def test_a_number_beyond_the_dtype_is_infinite_without_a_warning(name: str, dtype: str, backend: str) -> None:
    entry = ACTIVATIONS[name]
    x = np.array([-1, 1], dtype)
    for number in (1e300, -1e300, 1e30):
        for kind in ("value", "derivative", "backward", "with_derivative"):
            function = callable_of(entry, kind, backend)
            arrays = (x, x) if kind == "backward" else (x,)
            with np.errstate(over="ignore"):
                nearest = x.dtype.type(number)
            for result, expected in zip(
                np.atleast_2d(function(*arrays, *[number] * len(entry.parameters))),
                np.atleast_2d(function(*arrays, *[nearest] * len(entry.parameters))),
            ):
                assert result.dtype == x.dtype
                np.testing.assert_array_equal(result, expected)


def test_where_other_libraries_lose_everything() -> None:
    """exp(-100) is subnormal in float32, and 1 - sigmoid(40) is 0; the results, by mpmath, are neither."""
    assert fastact.silu(np.float32(-100)) == np.float32(-3.72007597602e-42)
    assert float(fastact.sigmoid_derivative(np.float32(40))) == pytest.approx(4.24835425529e-18, rel=2e-7)
    assert float(fastact.gelu(np.float32(-13))) == pytest.approx(-7.95231371941e-38, rel=4e-7)
    assert fastact.gelu(np.float32(1.7e38)) == np.float32(1.7e38)


def test_rrelu() -> None:
    x = np.linspace(-3, 3, 1001, dtype=np.float32)
    middle = np.float32((1 / 8 + 1 / 3) / 2)
    assert np.allclose(fastact.rrelu(x), np.where(x > 0, x, x * middle), rtol=1e-6)
    drawn = fastact.rrelu(x, training=True, rng=3)
    assert drawn.dtype == np.float32
    slopes = drawn[x < 0] / x[x < 0]
    assert np.all((slopes > 0.1249) & (slopes < 0.3334))
    assert np.std(slopes) > 0.04
    assert np.array_equal(drawn, fastact.rrelu(x, training=True, rng=np.random.default_rng(3)))
    assert np.allclose(fastact.rrelu_derivative(x, training=True, rng=3)[x < 0], slopes, rtol=1e-6)
    value, slope = fastact.rrelu_with_derivative(x, 0.2, 0.2, training=True)
    assert np.allclose(value, fastact.leaky_relu(x, 0.2))
    assert np.allclose(slope, fastact.leaky_relu_derivative(x, 0.2))
    assert not np.array_equal(fastact.rrelu(x, training=True), fastact.rrelu(x, training=True))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_swish_far_out(dtype: str, backend: str) -> None:
    """Where beta * x is beyond what exp can take, and where it is no number."""
    swish = callable_of(ACTIVATIONS["swish"], "value", backend)
    number = np.dtype(dtype).type
    far = np.array([np.inf, -np.inf, np.finfo(dtype).max, np.finfo(dtype).min], dtype)
    for beta in (number(2), number(4e4), number(np.inf)):
        np.testing.assert_array_equal(swish(far, beta), np.maximum(far, 0))
        np.testing.assert_array_equal(swish(far, -beta), np.minimum(far, 0))
    assert np.isnan(swish(np.append(far, number(1)), number(np.nan))).all()
    assert np.isnan(swish(number(0), number(np.inf)))


def test_softplus_with_a_threshold(backend: str) -> None:
    """As torch has it, value and gradient; x itself where even the product is beyond."""
    torch = pytest.importorskip("torch")
    entry, x = ACTIVATIONS["softplus"], np.linspace(-30, 30, 121)
    value, backward = (callable_of(entry, kind, backend) for kind in ("value", "backward"))
    for beta, threshold in ((1.0, 20.0), (2.0, 3.0), (0.5, 0.0), (1.0, -5.0)):
        leaf = torch.tensor(x, requires_grad=True)
        expected = torch.nn.functional.softplus(leaf, beta, threshold)
        expected.sum().backward()
        assert np.allclose(value(x, beta, threshold), expected.detach(), rtol=1e-12, atol=1e-15)
        assert np.allclose(backward(np.ones(121), x, beta, threshold=threshold), leaf.grad, rtol=1e-12, atol=1e-15)
    assert np.isnan(value(x, threshold=np.nan)).all()
    assert np.array_equal(value(np.array([np.inf, -np.inf]), 1.0, 20.0), [np.inf, 0])


def test_no_more_is_computed_for_a_threshold_that_is_infinite() -> None:
    entry = ACTIVATIONS["softplus"]
    for kind in ("value", "derivative", "backward", "with_derivative"):
        assert "threshold" not in entry.definition(kind, fixed=True).source("float32")
        results = entry.definition(kind, fixed=True).results_for("float64")
        assert not any(
            node.operation in ("greater", "not_equal") and "inf" in repr(node) for node in topological(*results)
        )


def test_defaults_are_the_same_bits_as_given_explicitly() -> None:
    x = np.linspace(-5, 5, 501)
    for entry in ACTIVATIONS.values():
        if not all(isinstance(default, float) for default in entry.parameters.values()):
            continue
        for dtype in (np.float16, np.float32, np.float64):
            values = x.astype(dtype)
            explicit = [float(str(default)) for default in entry.parameters.values()]
            assert np.array_equal(entry.value(values), entry.value(values, *explicit)), (entry.name, dtype)

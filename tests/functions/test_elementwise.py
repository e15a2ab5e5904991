"""Expressions of several arrays: values, derivatives by each, and what is refused."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import fastact
from tests.conftest import BACKENDS

#: numexpr's examples, and more.
EXPRESSIONS: list[Any] = [
    lambda a, b: 2 * a + 3 * b,
    lambda a, b: np.sin(a) ** 2 + np.cos(b) ** 2,
    lambda a, b: np.where(a > b, a, b),
    lambda a: np.exp(-a * a / 2) / np.sqrt(6.28),
    lambda a, b, c: (a - b) / np.hypot(b, c) + np.logaddexp(a, c),
    lambda a, b, c, d, e, f: a * b + c * np.tanh(d) - np.exp(e - f),
]

KINDS = ["numpy" if backend == "fallback" else "numba" for backend in BACKENDS]


def arrays(count: int, dtype: Any = float) -> list[Any]:
    rng = np.random.default_rng(count)
    shapes = [(3, 500), (500,), (3, 1), (), (3, 500), (1, 500)]
    return [np.asarray(rng.normal(size=shape), dtype) for shape in shapes[:count]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("backend", KINDS)
@pytest.mark.parametrize("expression", EXPRESSIONS, ids=range(len(EXPRESSIONS)))
def test_values_are_numpys(expression: Any, backend: str, dtype: Any) -> None:
    made = fastact.elementwise(expression)
    given = arrays(len(made.arguments), dtype)
    result = made.ufunc(backend=backend)(*given)
    expected = expression(*(array.astype(float) for array in given))
    assert result.dtype == dtype
    assert np.allclose(
        result, expected, rtol=1e-6 if dtype is np.float32 else 1e-13, atol=1e-6 if dtype is np.float32 else 1e-14
    )
    assert isinstance(made.value, np.ufunc)


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=range(len(EXPRESSIONS)))
def test_derivatives_by_each_argument(expression: Any) -> None:
    made = fastact.elementwise(expression)
    given = arrays(len(made.arguments))
    derivatives = made.derivatives(*given)
    gradients = made.backward(2.0, *given)
    for i, (derivative, gradient) in enumerate(zip(derivatives, gradients)):
        above, below = ([*given[:i], given[i] + step, *given[i + 1 :]] for step in (1e-6, -1e-6))
        expected = (expression(*above) - expression(*below)) / 2e-6
        assert np.allclose(derivative, expected, atol=1e-6)
        assert np.shape(gradient) == given[i].shape
        assert np.allclose(np.sum(gradient), 2 * derivative.sum())


def test_it_is_called_like_a_ufunc_and_may_stand_in_formulas() -> None:
    blend = fastact.elementwise(lambda a, b: a * np.exp(b))
    out = np.empty(4, np.float32)
    assert blend(np.ones(4, np.float32), np.float32(0), out=out, where=np.ones(4, bool)) is out
    assert out.tolist() == [1] * 4
    inside = fastact.activation(lambda x: blend(x, 2 * x))
    assert np.allclose(inside.derivative(0.5), np.exp(1) * 2)
    assert blend.formula == "a * exp(b)"
    assert "lambda" in repr(blend) or repr(blend) == "<elementwise formula(a, b): a * exp(b)>"
    assert "def formula_kernel(a_, b_):" in blend.source()


def test_other_processes_are_sent_what_it_consists_of() -> None:
    blend = fastact.elementwise(lambda a, b: fastact.gelu(a) + b)
    given = arrays(2)
    for thing in (blend, blend.value):
        for other in (pickle.loads(pickle.dumps(thing)), copy.deepcopy(thing)):
            assert np.array_equal(other(*given), blend(*given))


def test_refusals() -> None:
    for function, message in (
        (lambda: 1, "1 to 6 arrays"),
        (lambda a, b, c, d, e, f, g: a, "1 to 6 arrays; <lambda> has 7"),
        (lambda a, b=1: a, "no defaults"),
        (lambda *a: a, "by position"),
        (lambda grad: grad, "cannot be called grad"),
        (lambda a, b: (a, b), "one thing"),
        (lambda a, b: a if a > b else b, "where(condition, a, b)"),
        (np.exp, "def or lambda"),
    ):
        with pytest.raises(TypeError) as caught:
            fastact.elementwise(function)
        assert message in str(caught.value)

"""Activations of one's own: a name that everything knows, formulas to read, derivatives by parameters, and types."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastact
from fastact.catalogue import ACTIVATIONS, Activation
from fastact.functions.parameters import sample_parameters as parameters
from tests.conftest import callable_of

X = np.array([-3.3, -1.7, -0.6, -0.11, 0.2, 0.9, 2.4, 4.1])


@pytest.fixture
def bent() -> Any:
    """A registered activation."""

    @fastact.activation(name="bent_line", aliases=("bent",), register=True)
    def _anything(x: Any, slope: Any = 1.0) -> Any:
        return x + slope * (np.sqrt(x * x + 1) - 1) / 2

    return _anything


def test_a_registered_name_is_known_everywhere(bent: Activation, tmp_path: Path) -> None:
    assert ACTIVATIONS["bent"] is ACTIVATIONS["bent_line"] is fastact.get("BentLine") is bent
    assert fastact.dense(np.ones((1, 2)), np.ones((1, 2)), activation="bent_line") == bent(2.0)
    network = fastact.MLP([2, 3, 1], activation="bent", epochs=1)
    network.fit(np.ones((4, 2)), np.ones(4)).save(tmp_path / "network.npz")
    read = fastact.MLP.load(tmp_path / "network.npz")
    assert np.array_equal(read.predict(np.ones((1, 2))), network.predict(np.ones((1, 2))))
    assert not hasattr(fastact, "bent_line")  # which would be the catalogue's
    assert pickle.loads(pickle.dumps(bent.value)) is bent.value


def test_the_later_one_of_a_name_is_known_and_no_name_of_others_is_taken(bent: Activation) -> None:
    later = fastact.activation(name="bent_line", register=True)(lambda x: x * x)
    assert fastact.get("bent_line") is later
    with pytest.raises(ValueError, match="no activation is called 'bent'"):
        fastact.get("bent")
    for name in ("relu", "ReLU", "hard_tanh"):
        with pytest.raises(ValueError, match="cannot be registered"):
            fastact.activation(name=name, register=True)(lambda x: x)
    with pytest.raises(ValueError, match="name of <activation bent_line"):
        fastact.activation(name="other", aliases=("bent_line",), register=True)(lambda x: x)
    assert "other" not in ACTIVATIONS
    for name in ("a b", "1x", "if"):
        with pytest.raises(ValueError, match="Python could have"):
            fastact.activation(name=name)(lambda x: x)
    with pytest.raises(TypeError, match="a name is a string"):
        fastact.activation(name=3)(lambda x: x)  # type: ignore[call-overload]


def test_a_derivative_that_is_given_wins(backend: str) -> None:
    entry = fastact.activation(derivative=lambda x, a: 7 * a + x)(lambda x, a=2.0: a * np.log(1 + np.exp(x)))
    value, slope = callable_of(entry, "with_derivative", backend)(np.array([-800.0, 800.0]))
    assert value.tolist() == [0.0, 1600.0]  # the value is looked after all the same
    assert slope.tolist() == [14 - 800.0, 14 + 800.0]


TEXTS = {
    "sigmoid": ("1 / (1 + exp(-x))", "sigmoid(x) * sigmoid(-x)"),
    "silu": ("x / (1 + exp(-x))", "sigmoid(x) + x * (sigmoid(x) * sigmoid(-x))"),
    "tanh": ("tanh(x)", "1 / (cosh(x) * cosh(x))"),
    "elu": ("where(x > 0, x, alpha * (exp(x) - 1))", "where(x > 0, 1, alpha * exp(x))"),
}


@pytest.mark.parametrize("name", list(TEXTS))
def test_formulas_as_text(name: str) -> None:
    assert (ACTIVATIONS[name].formula, ACTIVATIONS[name].derivative_formula) == TEXTS[name]


def test_formulas_of_all_say_what_is_computed(entry: Activation) -> None:
    from fastact.formulas.fallback import numpy_function
    from fastact.formulas.latex import from_text

    names = list(entry.parameters)
    text = numpy_function("text", ["x", *names], (from_text(entry.derivative_formula, names),))
    given = parameters(entry)
    expected = entry.callable("derivative", "numpy")(X, **given)
    assert np.allclose(text(X, *given.values()), expected, rtol=1e-4, atol=1e-6)  # of six digits


def test_formulas_as_latex(bent: Activation) -> None:
    latex = bent._repr_latex_()
    assert latex.startswith(r"$$\begin{aligned} \operatorname{bent\_line}(x, \mathrm{slope}) &= x + \frac{")
    assert r"\sqrt{{x}^{2} + 1}".replace("{x}", "x") in latex
    assert latex.count("{") == latex.count("}")
    assert r"\begin{cases} x & \text{if } x > 0 \\" in ACTIVATIONS["elu"]._repr_latex_()
    assert r"\alpha" in ACTIVATIONS["elu"]._repr_latex_()


def numerically(function: Any, at: float) -> Any:
    return (function(at + 1e-6) - function(at - 1e-6)) / 2e-6


def test_derivatives_by_every_parameter(entry: Activation) -> None:
    given = parameters(entry)
    found = entry.parameter_derivatives(X, **given)
    assert len(found) == len(given)
    for name, derivative in zip(given, found):
        expected = numerically(lambda value, name=name: entry(X, **given | {name: value}), given[name])
        assert np.allclose(derivative, expected, rtol=1e-5, atol=1e-7), name


def test_backward_by_every_parameter_is_summed_to_its_shape(backend: str) -> None:
    bent = fastact.activation(lambda x, a=2.0, b=1.0: np.tanh(a * x) + b * x * x)
    rng = np.random.default_rng(0)
    grad, x, a = rng.normal(size=(4, 3)), rng.normal(size=(4, 3)), rng.normal(size=3)
    backward = callable_of(bent, "backward", backend)
    dx, da, db = backward(grad, x, a, b=0.5, parameters=True)
    assert np.array_equal(dx, backward(grad, x, a, b=0.5, parameters=False))
    assert np.allclose(da, (grad * x / np.cosh(a * x) ** 2).sum(axis=0))
    assert np.allclose(db, (grad * x * x).sum())
    assert (da.shape, np.shape(db)) == ((3,), ())
    dx, dweight = fastact.prelu_backward(grad, x, a, parameters=True)
    assert np.allclose(dweight, fastact.prelu_backward(grad, x, a)[1])
    assert np.allclose(fastact.elu_backward(grad, x, parameters=True)[1], (grad * np.minimum(np.expm1(x), 0)).sum())


def test_second_derivatives(entry: Activation, backend: str) -> None:
    given = parameters(entry)
    smooth = callable_of(entry, "derivative", backend)
    expected = (smooth(X + 1e-6, **given) - smooth(X - 1e-6, **given)) / 2e-6
    found = callable_of(entry, "second_derivative", backend)(X, **given)
    assert np.allclose(found, expected, rtol=1e-5, atol=1e-7)

"""Functions that stand in for ufuncs where NumPy cannot be asked to make one, as in PyPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastact
from fastact.catalogue import ACTIVATIONS
from fastact.formulas.fallback import numpy_function
from fastact.ufuncs.plain import PlainFunction
from tests.processes import run

#: So few elements at a time that a handful takes several turns.
BLOCK = 4


def plain(name: str, kind: str = "value") -> PlainFunction:
    definition = ACTIVATIONS[name].definition(kind)
    return PlainFunction(definition, numpy_function(name, definition.inputs, definition.results), BLOCK)


def ufunc(name: str, kind: str = "value") -> np.ufunc:
    return ACTIVATIONS[name].ufunc(kind, "numpy")


X = np.linspace(-4, 4, 30).reshape(5, 6)

#: Calls, given a function of one operand.
CALLS: list[Callable[[Any], Any]] = [
    lambda f: f(X),
    lambda f: f(X.T),
    lambda f: f(X[::2, ::-1]),
    lambda f: f(X.astype(np.float32)),
    lambda f: f(X.astype(np.float16)),
    lambda f: f(X.astype(">f4")),
    lambda f: f(np.arange(5, dtype=np.int8)),
    lambda f: f(np.array([0, 2**64 - 1], np.uint64)),
    lambda f: f(np.array([True, False])),
    lambda f: f([1.0, 2.0]),
    lambda f: f(1),
    lambda f: f(np.float32(1)),
    lambda f: f(np.zeros((0, 3))),
    lambda f: f(X, dtype=np.float32, casting="unsafe"),
    lambda f: f(X, X + 0),
    lambda f: f(X, out=np.zeros((2, 5, 6))),
    lambda f: f(X, out=(np.zeros(X.shape, np.float32),)),
    lambda f: f(X, out=np.full(X.shape, 9.0), where=X > 0),
    lambda f: f(X, out=np.full(X.shape, 9, np.float32), where=X[0] > 0),
    lambda f: (lambda y: f(y[:-1], out=y[1:]))(X.ravel().copy()),
]


@pytest.mark.parametrize("call", CALLS, ids=range(len(CALLS)))
@pytest.mark.parametrize("name", ["sigmoid", "relu", "gelu"])
def test_the_same_as_a_ufunc(name: str, call: Callable[[Any], Any]) -> None:
    found, expected = call(plain(name)), call(ufunc(name))
    assert type(found) is type(expected)
    assert (found.dtype, found.shape, found.strides) == (expected.dtype, expected.shape, expected.strides)
    assert found.tobytes() == expected.tobytes()


def test_several_operands_and_results() -> None:
    slope = np.linspace(0.1, 0.5, 5)[:, None]
    for kind, operands in {"with_derivative": (X, slope), "backward": (X[::-1], X, slope)}.items():
        for found, expected in zip(plain("prelu", kind)(*operands), ufunc("prelu", kind)(*operands)):
            np.testing.assert_array_equal(found, expected)
    y, z = np.empty_like(X), np.empty_like(X)
    assert plain("sigmoid", "with_derivative")(X, out=(y, z))[1] is z
    np.testing.assert_array_equal(y, ufunc("sigmoid")(X))


#: Calls that are refused, and what is said of them.
REFUSED: dict[str, Callable[[Any], Any]] = {
    "not supported for complex128": lambda f: f(1j),
    "not supported for <U1": lambda f: f("a"),
    "not supported for int32": lambda f: f(1.0, dtype=np.int32),
    "takes 1 to 2 operands, not 0": lambda f: f(),
    "takes 1 to 2 operands, not 3": lambda f: f(1.0, X, X),
    "has 1 results, and out has 2": lambda f: f(X, out=(X, X)),
    "out must be an array, not list": lambda f: f(X, out=[1.0]),
    "could not be cast": lambda f: f(X, out=np.zeros(X.shape, int)),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_is_refused(message: str) -> None:
    with pytest.raises(TypeError, match=message):
        REFUSED[message](plain("sigmoid"))


def test_where_ctypes_does_not_lead_to_python() -> None:
    """As in PyPy, where there is no Numba either."""
    code = """
import ctypes, pickle, sys, numpy as np
del ctypes.pythonapi
sys.modules["numba"] = None
import fastact
x = np.linspace(-9, 9, 143)
assert type(fastact.sigmoid).__name__ == "PlainFunction"
assert np.allclose(fastact.sigmoid(x), 1 / (1 + np.exp(-x)))
assert fastact.elu(x, alpha=2.0).shape == fastact.softmax(x).shape == x.shape
assert fastact.glu(x[1:]).shape == (71,)
assert pickle.loads(pickle.dumps(fastact.sigmoid)) is fastact.sigmoid
assert fastact.prelu_backward(x, x, 0.5)[1].shape == ()
assert fastact.mse_loss(x, x) == 0
network = fastact.MLP([1, 3, 1], activation="gelu", epochs=2, random_state=0).fit(x[:, None], x)
assert np.isfinite(network.loss_curve_).all()
own = fastact.activation(lambda x: x + (np.sqrt(x * x + 1) - 1) / 2)
assert own(0.0) == 0
print(fastact.backend())
"""
    done = run(code, FASTACT_BACKEND="auto")
    assert done.stdout == "numpy\n", done.stderr
    assert "because numba is not installed" in done.stderr


def test_here_they_are_not_needed() -> None:
    assert isinstance(fastact.fallback.sigmoid, np.ufunc)

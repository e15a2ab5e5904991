"""Dense layers: values against NumPy, gradients against torch, and everything that can be given wrongly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastact
from fastact.catalogue import Activation
from tests.conftest import callable_of, offered
from tests.samples import named
from tests.threads import at_once


@pytest.fixture
def dense(backend: str) -> Callable[..., Any]:
    return offered("dense", backend)


@pytest.fixture
def dense_backward(backend: str) -> Callable[..., Any]:
    return offered("dense_backward", backend)


def operands(*shape: int, n_out: int = 5, dtype: Any = "float64") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(list(shape))
    made = rng.standard_normal(shape), rng.standard_normal((n_out, shape[-1])), rng.standard_normal(n_out)
    return tuple((3 * array).astype(dtype) for array in made)  # type: ignore[return-value]


# -- values ---------------------------------------------------------------------------------------

SHAPES = [(7, 4), (4,), (2, 3, 4), (2, 1, 3, 4), (33, 70), (1, 1), (130, 64)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_matches_numpy(dense: Callable[..., Any], shape: tuple[int, ...], dtype: str) -> None:
    for n_out in (1, 5, 64, 100):
        x, weight, bias = operands(*shape, n_out=n_out, dtype=dtype)
        for given in (None, bias):
            expected = x.astype(np.longdouble) @ weight.T.astype(np.longdouble) + (0 if given is None else given)
            size = np.abs(x) @ np.abs(weight.T) + np.abs(bias)
            y = dense(x, weight, given)
            assert (y.shape, y.dtype) == ((*shape[:-1], n_out), np.dtype(dtype))
            assert np.all(np.abs(y - expected) <= (shape[-1] + 2) * np.finfo(dtype).eps * size)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_activation(usual: Activation, backend: str, dense: Callable[..., Any], dtype: str) -> None:
    """The same bits as the activation gives for the same preactivation."""
    for rows, n_out in ((3, 5), (40, 70), (90, 64)):
        x, weight, bias = operands(rows, 6, n_out=n_out, dtype=dtype)
        z, y = np.empty((rows, n_out), dtype), np.empty((rows, n_out), dtype)
        assert dense(x, weight, bias, usual.name, out=y, preactivation=z) is y
        assert y.tobytes() == callable_of(usual, "value", backend)(z).tobytes()
        assert dense(x, weight, bias, usual).tobytes() == y.tobytes()
        assert z.tobytes() == dense(x, weight, bias).tobytes()


def test_own_activation(dense: Callable[..., Any], dense_backward: Callable[..., Any]) -> None:
    @fastact.activation
    def bent(x: Any, slope: float = 2.0) -> Any:
        return x + slope * (np.sqrt(x * x + 1) - 1) / 2

    x, weight, bias = operands(9, 4)
    z = np.empty((9, 5))
    y = dense(x, weight, bias, bent, preactivation=z)
    np.testing.assert_allclose(y, z + np.sqrt(z * z + 1) - 1, rtol=1e-14)
    _, _, dbias = dense_backward(np.ones_like(z), x, weight, z, bent)
    np.testing.assert_allclose(dbias, (1 + z / np.sqrt(z * z + 1)).sum(axis=0), rtol=1e-13)


def test_own_activation_of_a_name_that_there_is(dense: Callable[..., Any], dense_backward: Callable[..., Any]) -> None:
    identity = named("identity")
    x, weight, bias = operands(9, 4)
    z = np.empty((9, 5))
    np.testing.assert_array_equal(dense(x, weight, bias, identity, preactivation=z), 2 * z)
    np.testing.assert_array_equal(dense(x, weight, bias, identity), 2 * z)
    assert dense_backward(np.ones_like(z), x, weight, z, identity)[2].tolist() == [18] * 5


def as_kind(array: np.ndarray, kind: str) -> np.ndarray:
    """In that dtype; what a negative number is as an unsigned one, each machine says otherwise."""
    return (abs(array) if kind.startswith("u") else array).astype(kind)


def test_dtypes(dense: Callable[..., Any], dense_backward: Callable[..., Any]) -> None:
    kinds = ["float16", "float32", "float64", "int8", "int64", "uint64", "bool", ">f4"]
    for left in kinds:
        for right in kinds:
            x, weight, bias = operands(6, 4)
            x, weight, bias = as_kind(x, left), as_kind(weight, right), as_kind(bias, right)
            common = np.result_type(x, weight)
            y = dense(x, weight, bias, "tanh")
            assert y.dtype == (common if common.kind == "f" else np.float64)
            wide = np.tanh(x.astype(float) @ weight.T.astype(float) + bias)
            np.testing.assert_allclose(y, wide, rtol=0, atol=20 * np.finfo(y.dtype).eps + 1e-6 * (y.dtype != float))
            gradients = dense_backward(y, x, weight, y, "relu")
            floating = [a.dtype.newbyteorder("=") if a.dtype.kind == "f" else np.dtype(float) for a in (x, weight)]
            assert [g.dtype for g in gradients] == [*floating, floating[1]]


@pytest.mark.parametrize("shape", [(0, 4), (3, 0), (0, 0), (0,), (2, 0, 4), (1, 1)], ids=str)
@pytest.mark.parametrize("n_out", [0, 1, 5])
def test_nothing_and_one(
    dense: Callable[..., Any], dense_backward: Callable[..., Any], shape: tuple[int, ...], n_out: int
) -> None:
    x, weight, bias = operands(*shape, n_out=n_out)
    z = np.full((*shape[:-1], n_out), 9.0)
    y = dense(x, weight, bias, "silu", preactivation=z)
    np.testing.assert_allclose(z, x @ weight.T + bias, rtol=1e-14)
    np.testing.assert_allclose(y, z / (1 + np.exp(-z)), rtol=1e-14)
    dx, dweight, dbias = dense_backward(np.ones_like(z), x, weight, z, "identity")
    flat = x.reshape(int(np.prod(shape[:-1])), shape[-1])
    np.testing.assert_allclose(dx, np.ones_like(z) @ weight, rtol=1e-14)
    np.testing.assert_allclose(dweight, np.ones((len(flat), n_out)).T @ flat, rtol=1e-14)
    np.testing.assert_allclose(dbias, np.full(n_out, float(len(flat))), rtol=1e-14)


def test_lists_and_numbers(dense: Callable[..., Any]) -> None:
    assert dense([[1, 2], [3, 4]], [[1, -1]], [0.5]).tolist() == [[-0.5], [-0.5]]
    assert dense([1, 2], [[1, 1]]).tolist() == [3.0]


# -- out and preactivation ------------------------------------------------------------------------


def test_out_may_overlap_the_operands(dense: Callable[..., Any]) -> None:
    for shape in ((4, 4), (60, 60)):
        x, weight, bias = operands(*shape, n_out=shape[-1])
        expected = dense(x, weight, bias, "relu")
        for position in (0, 1):
            given = [x.copy(), weight.copy()]
            dense(*given, bias, "relu", out=given[position])
            assert given[position].tobytes() == expected.tobytes()
        memory = np.empty(x.size + 3)
        shifted = memory[:-3].reshape(shape)
        shifted[...] = x
        result = dense(shifted, weight, bias, "relu", out=memory[3:].reshape(shape))
        assert result.tobytes() == expected.tobytes()


def test_results_may_overlap_the_bias(dense: Callable[..., Any]) -> None:
    """Both the value and the preactivation, which compiled code then computes elsewhere first."""
    for rows, n in ((4, 4), (60, 60)):
        x, weight, bias = operands(rows, n, n_out=n)
        z = np.empty((rows, n))
        expected = dense(x, weight, bias, "relu", preactivation=z)
        for row in (0, rows - 1):
            memory, other = np.empty((2, rows, n)), np.empty((rows, n))
            memory[:, row] = bias
            assert dense(x, weight, memory[0, row], "relu", out=memory[0]).tobytes() == expected.tobytes()
            y = dense(x, weight, memory[1, row], "relu", out=other, preactivation=memory[1])
            assert y.tobytes() == expected.tobytes()
            assert memory[1].tobytes() == z.tobytes()


def test_preactivation_may_overlap_the_operands(dense: Callable[..., Any]) -> None:
    x, weight, bias = operands(60, 60, n_out=60)
    expected = dense(x, weight, bias)
    y = dense(x, weight, bias, "relu", preactivation=x)
    assert x.tobytes() == expected.tobytes()
    assert y.tobytes() == np.maximum(expected, 0).tobytes()


def test_targets_of_any_layout(dense: Callable[..., Any]) -> None:
    x, weight, bias = operands(8, 3)
    expected = dense(x, weight, bias, "relu")
    targets = [
        np.empty((5, 8)).T,
        np.empty((16, 10))[::2, ::2],
        np.empty((8, 9))[:, 2:7],
        np.empty((8, 5))[::-1],
        np.empty((8, 5), "float32"),
        np.empty((8, 5), ">f8"),
        np.empty((8, 5), "complex128"),
    ]
    for out in targets:
        z = np.empty_like(out)
        assert dense(x, weight, bias, "relu", out=out, preactivation=z) is out
        np.testing.assert_allclose(out, expected, rtol=1e-6)
        np.testing.assert_allclose(np.maximum(z.real, 0), expected, rtol=1e-6)


def test_strides_of_operands(dense: Callable[..., Any], dense_backward: Callable[..., Any]) -> None:
    x, weight, bias = operands(12, 7)
    grad = np.random.default_rng(1).standard_normal((12, 5))
    expected = [dense(x, weight, bias), *dense_backward(grad, x, weight, grad, "relu")]
    views = [
        lambda a: np.asfortranarray(a),
        lambda a: a[::-1].copy()[::-1],
        lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
        lambda a: np.repeat(a, 3, axis=0)[::3],
    ]
    for view in views:
        vx, vw, vb, vg = map(view, (x, weight, bias, grad))
        found = [dense(vx, vw, vb), *dense_backward(vg, vx, vw, vg, "relu")]
        for one, other in zip(found, expected):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


# -- gradients ------------------------------------------------------------------------------------


def torch_function(torch: Any, name: str) -> Callable[..., Any] | None:
    """The function of that name, but for where torch's own gradient is not that of its formula to the last digits."""
    if name == "softplus":  # linear above a threshold
        return lambda z: torch.nn.functional.softplus(z, threshold=1000)
    if name == "hardsigmoid":  # its gradient is 1/6 in float32
        return lambda z: torch.clamp(z + 3, 0, 6) / 6
    function: Callable[..., Any] | None = getattr(torch.nn.functional, name, None)
    return None if name == "rrelu" else function


def test_gradients_match_torch(
    usual: Activation, dense: Callable[..., Any], dense_backward: Callable[..., Any]
) -> None:
    """torch's autograd through the product, and the activation's own derivative (tested elsewhere) at z."""
    torch = pytest.importorskip("torch")
    for shape, n_out in (((9, 4), 5), ((2, 3, 7), 70), ((300, 65), 40)):
        x, weight, bias = operands(*shape, n_out=n_out)
        z = np.empty((*shape[:-1], n_out))
        dense(x, weight, bias, usual, preactivation=z)
        grad = np.random.default_rng(3).standard_normal(z.shape)
        tensors = [torch.from_numpy(a).requires_grad_() for a in (x, weight, bias)]
        linear = torch.nn.functional.linear(*tensors)
        named = torch_function(torch, usual.name)
        if named:
            named(linear).backward(torch.from_numpy(grad))
        else:
            linear.backward(torch.from_numpy(grad * usual.derivative(z)))
        for ours, theirs in zip(dense_backward(grad, x, weight, z, usual), tensors):
            theirs = theirs.grad.numpy()
            np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12 * np.abs(theirs).max())


@pytest.mark.parametrize("name", ["tanh", "gelu", "softplus", "silu", "identity"])
def test_gradients_match_differences(name: str, dense: Callable[..., Any], dense_backward: Callable[..., Any]) -> None:
    x, weight, bias = operands(4, 3)
    z = np.empty((4, 5))
    dense(x, weight, bias, name, preactivation=z)
    grad = np.random.default_rng(4).standard_normal(z.shape)
    step = 1e-6
    for which, gradient in enumerate(dense_backward(grad, x, weight, z, name)):
        given = [x, weight, bias]
        for place in np.ndindex(gradient.shape):
            around = []
            for sign in (1, -1):
                moved = given[which].copy()
                moved[place] += sign * step
                around.append(np.sum(grad * dense(*given[:which], moved, *given[which + 1 :], name)))
            assert (around[0] - around[1]) / (2 * step) == pytest.approx(gradient[place], rel=1e-6, abs=1e-7)


def test_gradients_of_many_rows(dense_backward: Callable[..., Any]) -> None:
    """More than one block of rows, summed."""
    x, weight, _ = operands(40_000, 3, n_out=40)
    grad = np.random.default_rng(5).standard_normal((40_000, 40))
    dx, dweight, dbias = dense_backward(grad, x, weight, grad, "relu")
    dz = np.where(grad > 0, grad, 0)
    np.testing.assert_allclose(dx, dz @ weight, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(dweight, dz.T @ x, rtol=1e-10, atol=1e-9)
    np.testing.assert_allclose(dbias, dz.sum(axis=0), rtol=1e-12)


# -- mistakes -------------------------------------------------------------------------------------

X, WEIGHT, BIAS = np.ones((3, 4)), np.ones((5, 4)), np.ones(5)

MISTAKES: dict[str, tuple[type[Exception], str, tuple[Any, ...], dict[str, Any]]] = {
    "x of another length": (ValueError, r"x must have shape \(\.\.\., 4\)", (np.ones((3, 5)), WEIGHT), {}),
    "x without a dimension": (ValueError, r"x must have shape", (1.0, WEIGHT), {}),
    "weight of one dimension": (ValueError, r"weight must have shape \(n_out, n_in\)", (X, np.ones(4)), {}),
    "weight of three": (ValueError, r"weight must have shape", (X, np.ones((1, 5, 4))), {}),
    "bias of another length": (ValueError, r"bias must have shape \(5,\)", (X, WEIGHT, np.ones(4)), {}),
    "bias as a column": (ValueError, r"bias must have shape \(5,\)", (X, WEIGHT, np.ones((5, 1))), {}),
    "a number as bias": (ValueError, r"bias must have shape \(5,\)", (X, WEIGHT, 1.0), {}),
    "complex x": (TypeError, "x must be real numbers", (X.astype(complex), WEIGHT), {}),
    "text": (TypeError, "weight must be real numbers", (X, WEIGHT.astype(str)), {}),
    "objects": (TypeError, "bias must be real numbers", (X, WEIGHT, BIAS.astype(object)), {}),
    "dates": (TypeError, "x must be real numbers", (X.astype("M8[s]"), WEIGHT), {}),
    "an unknown activation": (ValueError, "no activation is called 'rellu'", (X, WEIGHT, BIAS, "rellu"), {}),
    "a function as activation": (TypeError, "activation must be a name", (X, WEIGHT, BIAS, np.tanh), {}),
    "a list as activation": (TypeError, "activation must be a name", (X, WEIGHT, BIAS, ["relu"]), {}),
    "an activation with a weight": (
        ValueError,
        "prelu cannot be.*weight has no default",
        (X, WEIGHT, BIAS, "prelu"),
        {},
    ),
    "out of another shape": (ValueError, r"out must have shape \(3, 5\)", (X, WEIGHT), {"out": np.full((5, 3), 7.0)}),
    "out of integers": (TypeError, "out is of int64", (X, WEIGHT), {"out": np.full((3, 5), 7)}),
    "out that is a list": (TypeError, "out must be an array", (X, WEIGHT), {"out": [[7.0] * 5] * 3}),
    "preactivation of another shape": (
        ValueError,
        r"preactivation must have shape",
        (X, WEIGHT),
        {"out": np.full((3, 5), 7.0), "preactivation": np.full(5, 7.0)},
    ),
    "read-only out": (ValueError, "out is read-only", (X, WEIGHT), {"out": np.broadcast_to(7.0, (3, 5))}),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes(dense: Callable[..., Any], case: str) -> None:
    error, message, given, keywords = MISTAKES[case]
    with pytest.raises(error, match=message):
        dense(*given, **keywords)
    assert all(np.all(np.asarray(target) == 7) for target in keywords.values()), "written before the error"


def test_results_that_overlap(dense: Callable[..., Any]) -> None:
    memory = np.full((4, 5), 7.0)
    with pytest.raises(ValueError, match="overlap"):
        dense(X, WEIGHT, out=memory[1:], preactivation=memory[:-1])
    assert np.all(memory == 7)


@pytest.mark.parametrize("position", range(4))
def test_mistakes_of_backward(dense_backward: Callable[..., Any], position: int) -> None:
    names = ("grad", "x", "weight", "preactivation")
    right = [np.ones((3, 5)), X, WEIGHT, np.ones((3, 5))]
    wrong = list(right)
    wrong[position] = np.ones((3, 6))
    with pytest.raises(ValueError, match="must have shape"):
        dense_backward(*wrong)
    wrong[position] = right[position] * 1j
    with pytest.raises(TypeError, match=f"{names[position]} must be real numbers"):
        dense_backward(*wrong)


# -- threads --------------------------------------------------------------------------------------


def test_two_python_threads_at_once(dense: Callable[..., Any], dense_backward: Callable[..., Any]) -> None:
    x, weight, bias = operands(150, 90, n_out=80)
    z = np.empty((150, 80))
    expected = dense(x, weight, bias, "gelu", preactivation=z), *dense_backward(z, x, weight, z, "gelu")
    wrong: list[str] = []

    def many_times() -> None:
        for _ in range(30):
            found = dense(x, weight, bias, "gelu"), *dense_backward(z, x, weight, z, "gelu")
            wrong.extend("different" for a, b in zip(found, expected) if a.tobytes() != b.tobytes())

    at_once(2, many_times)
    assert not wrong

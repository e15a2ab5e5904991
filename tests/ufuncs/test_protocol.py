"""Every callable behaves as ``np.exp`` does: NumPy's protocol, over every registered name and kind."""

from __future__ import annotations

import copy
import pickle
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import fastact
from fastact.catalogue import ACTIVATIONS, Activation
from fastact.functions.registry import KINDS
from tests.conftest import callable_of, compiled_only, needs_built_in_functions, parameters

Call = Callable[..., tuple[Any, ...]]


@pytest.fixture
def call(entry: Activation, kind: str, backend: str) -> Call:
    """The callable with its parameters bound, gradient first if it takes one, results always a tuple."""
    function, given_parameters = callable_of(entry, kind, backend), parameters(entry)

    def run(x: Any, grad: Any = 1.5, **keywords: Any) -> tuple[Any, ...]:
        arguments = (grad, x) if kind == "backward" else (x,)
        if isinstance(keywords.get("out"), list):  # one array per output
            keywords["out"] = tuple(keywords["out"])
        result = function(*arguments, **given_parameters, **keywords)
        if kind == "backward" and entry.learned:
            return result[:1]  # the second is summed to the parameter's shape
        return result if isinstance(result, tuple) else (result,)

    run.outputs = 2 if kind == "with_derivative" or (kind == "backward" and entry.learned) else 1  # type: ignore[attr-defined]
    return run


def outputs_like(call: Call, x: np.ndarray, **keywords: Any) -> list[np.ndarray]:
    return [np.empty_like(x, **keywords) for _ in range(call.outputs)]  # type: ignore[attr-defined]


def sample(size: int = 203, dtype: Any = np.float32) -> np.ndarray:
    return (np.random.default_rng(3).standard_normal(size) * 4).astype(dtype)


def same_bits(a: Any, b: Any) -> bool:
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def all_same(results: tuple[Any, ...], expected: Any) -> bool:
    return all(same_bits(r, e) for r, e in zip(results, expected, strict=True))


def test_layouts_give_the_same_bits(call: Call) -> None:
    x = sample(240)
    expected = call(x)
    assert all_same(call(x[::-1]), [e[::-1] for e in expected])
    assert all_same(call(x[1::3]), [e[1::3] for e in expected])
    grid = x.reshape(12, 20)
    assert all_same(call(grid.T), [e.reshape(12, 20).T for e in expected])
    assert all_same(call(np.asfortranarray(grid)), [e.reshape(12, 20) for e in expected])
    assert all_same(call(grid[::2, 1:7]), [e.reshape(12, 20)[::2, 1:7] for e in expected])
    unaligned = np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(np.float32)
    assert all_same(call(unaligned), expected)
    assert all_same(call(x.astype(">f4")), expected)
    assert all(r.flags.f_contiguous for r in call(np.asfortranarray(grid)))
    assert all(r.flags.c_contiguous for r in call(np.asfortranarray(grid), order="C"))


def test_out_where_and_in_place(call: Call) -> None:
    x = sample()
    expected = call(x)
    out = outputs_like(call, x)
    results = call(x, out=out)
    assert all(r is o for r, o in zip(results, out, strict=False))
    assert all_same(results, expected)
    mask = x > 0.5
    out = [np.full_like(x, 77) for _ in out]
    for result, whole in zip(call(x, out=out, where=mask), expected, strict=True):
        assert same_bits(result, np.where(mask, whole, np.float32(77)))
    spaced = [np.zeros(2 * x.size, np.float32)[::2] for _ in out]
    assert all_same(call(x, out=spaced), expected)
    in_place = x.copy()
    call(in_place, out=[in_place, *outputs_like(call, x)[1:]])
    assert same_bits(in_place, expected[0])
    shifted = x.copy()
    call(shifted[:-1], out=[shifted[1:], *outputs_like(call, x[1:])[1:]])
    assert same_bits(shifted[1:], expected[0][:-1])


def test_refusals_touch_nothing(call: Call) -> None:
    x = sample()
    frozen = outputs_like(call, x)
    for array in frozen:
        array.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        call(x, out=frozen)
    for wrong in (np.zeros(x.size, np.int32), np.zeros(x.size + 1, np.float32)):
        out = [wrong.copy() for _ in frozen]
        with pytest.raises((TypeError, ValueError)):
            call(x, out=out)
        assert all(same_bits(o, wrong) for o in out)
    x.flags.writeable = False
    call(x)


def test_dtypes(call: Call) -> None:
    small = np.array([-3, 0, 1, 2, 7])
    for dtype in (np.int8, np.int16, np.int32, np.int64, np.longlong):
        assert all_same(call(small.astype(dtype), np.int8(2)), call(small.astype(float), 2.0))
    for dtype in (np.bool_, np.uint8, np.uint16, np.uint64):
        assert all_same(call(abs(small).astype(dtype), np.uint8(2)), call(abs(small).astype(dtype).astype(float), 2.0))
    for dtype in (np.float16, np.float32, np.float64):
        assert all(r.dtype == dtype for r in call(small.astype(dtype)))
    x = sample()
    assert all_same(call(x, dtype=np.float64), call(x.astype(float)))
    assert all_same(call([1.0, -2.0]), call(np.array([1.0, -2.0])))
    for refused in (
        np.ones(3, complex),
        np.array([1.0, None]),
        np.array(["1"]),
        np.ones(3, "M8[s]"),
        np.ones(3, "m8[s]"),
    ):
        with pytest.raises(TypeError):
            call(refused)


def test_scalars_and_empty(call: Call) -> None:
    whole = call(np.array([0.5], np.float32))
    for x in (np.float32(0.5), np.array(0.5, np.float32)):
        results = call(x)
        assert all(isinstance(r, np.float32) for r in results)
        assert all_same(results, [w[0] for w in whole])
    assert all(isinstance(r, float) for r in call(0.5))
    assert all(r.shape == (0, 3) for r in call(np.empty((0, 3), np.float32)))


def test_blocks_of_a_cast(call: Call) -> None:
    """NumPy casts through a buffer of 8192 elements; the pieces must fit together."""
    x = sample(20_001)
    assert all_same(call(x.astype(">f4")), call(x))


FLOATS = st.sampled_from([np.float16, np.float32, np.float64])


@settings(max_examples=40)
@given(
    x=hnp.arrays(st.sampled_from([np.float16, np.float32, np.float64]), hnp.array_shapes(min_side=0), fill=st.nothing())
)
@pytest.mark.parametrize("name", ["sigmoid", "gelu", "leaky_relu"])
def test_any_array(name: str, x: np.ndarray) -> None:
    """Whatever the shape and the values: one result per element, each the same as on its own."""
    value = ACTIVATIONS[name].value
    result = np.asarray(value(x))
    assert result.shape == x.shape
    assert result.dtype == x.dtype
    alone = np.array([value(element) for element in x.flat], x.dtype).reshape(x.shape)
    assert np.array_equal(result, alone, equal_nan=True)


def test_pair_and_backward_match_the_single_ones(entry: Activation, backend: str) -> None:
    x, grad = sample(), sample(203)[::-1].copy()
    given_parameters = parameters(entry)
    single = [callable_of(entry, kind, backend)(x, **given_parameters) for kind in ("value", "derivative")]
    assert all_same(callable_of(entry, "with_derivative", backend)(x, **given_parameters), single)
    backward = callable_of(entry, "backward", backend)(grad, x, **given_parameters)
    if entry.learned:
        backward = backward[0]
    if backend == "compiled":
        assert same_bits(backward, np.where(single[1] == 0, 0, grad * single[1]))
    else:  # in float64 to the end
        assert np.allclose(backward, grad * single[1], rtol=2e-7, atol=0)


@pytest.mark.parametrize("name", [name for name, entry in ACTIVATIONS.items() if entry.parameters])
def test_broadcasting_parameters(name: str, backend: str) -> None:
    entry = ACTIVATIONS[name]
    given_parameters = parameters(entry)
    value = callable_of(entry, "value", backend)
    x = sample(60).reshape(10, 6)
    for parameter, default in given_parameters.items():
        per_channel = (default + np.arange(6) / 8).astype(np.float32)
        others = {n: v for n, v in given_parameters.items() if n != parameter}
        together = value(x, **{parameter: per_channel}, **others)
        assert together.dtype == np.float32
        for i, one in enumerate(per_channel):
            assert same_bits(together[:, i], value(x[:, i], **{parameter: one}, **others))
        assert value(x, **{parameter: default}, **others).dtype == np.float32  # a Python number has no dtype to impose


def test_parameter_free_names_are_ufuncs() -> None:
    for name, (entry, _) in ACTIVATIONS.public_names().items():
        for function in (getattr(fastact, name), getattr(fastact.fallback, name)):
            if entry.parameters or entry.options:
                assert callable(function)
                assert function.__name__ in name or entry.name in function.__name__
            else:
                assert isinstance(function, np.ufunc)
    assert isinstance(fastact.sigmoid, np.ufunc)
    assert fastact.expit is fastact.sigmoid


def test_documented_with_a_true_signature() -> None:
    import inspect

    for name in ("leaky_relu", "leaky_relu_backward", "gelu"):
        assert "Parameters" in getattr(fastact, name).__doc__
    assert str(inspect.signature(fastact.leaky_relu)) == "(x, negative_slope=0.01, **keywords)"
    assert str(inspect.signature(fastact.prelu_backward)) == "(grad, x, weight, **keywords)"
    assert "1 / (1 + exp(-x))" in fastact.sigmoid.__doc__


def test_a_signature_that_cannot_be_written_down() -> None:
    import inspect

    @fastact.activation
    def bounded(x, top=np.inf):
        return np.minimum(x, top)

    assert inspect.signature(bounded.value).parameters["top"].default == np.inf
    assert bounded(3.0) == 3.0
    assert bounded(3.0, top=2.0) == 2.0


@compiled_only
@needs_built_in_functions
def test_defaults_do_not_pass_through_python() -> None:
    """A Python function in between costs more than half as much as the ufunc."""
    x, out, frames = sample(1), np.empty(1, np.float32), []
    calls = [
        lambda: fastact.leaky_relu(x),
        lambda: fastact.leaky_relu(x, out=out),
        lambda: fastact.gelu_backward(x, x, out=out),
        lambda: fastact.elu_with_derivative(x),
        lambda: fastact.rrelu(x),
        lambda: fastact.softplus(x),  # whose threshold is infinite
    ]
    for call in calls:
        call()
    sys.setprofile(lambda frame, event, argument: frames.append(frame.f_code) if event == "call" else None)
    try:
        for call in calls:
            call()
    finally:
        sys.setprofile(None)
    assert frames == [call.__code__ for call in calls]


def test_every_form_of_a_call_gives_the_same() -> None:
    x, grad, y = sample(20), sample(20)[::-1].copy(), np.empty(20, np.float32)
    expected = fastact.leaky_relu(x, np.float32(0.01))
    assert same_bits(fastact.leaky_relu(x), expected)
    assert same_bits(fastact.leaky_relu(x=x), expected)
    assert same_bits(fastact.leaky_relu(x, 0.01), expected)
    assert same_bits(fastact.leaky_relu(*[x], **{"negative_slope": 0.01}), expected)
    assert fastact.leaky_relu(x, out=y) is y
    assert same_bits(y, expected)
    assert fastact.leaky_relu(x, **{"".join(["o", "ut"]): y}) is y  # a name that is not the one in source code
    assert fastact.leaky_relu(x, dtype=np.float64).dtype == np.float64
    assert same_bits(fastact.leaky_relu_backward(grad, x), fastact.leaky_relu_backward(grad, x, 0.01))
    assert same_bits(fastact.leaky_relu_backward(grad, x=x), fastact.leaky_relu_backward(grad, x, 0.01))
    pair = np.empty(20, np.float32), np.empty(20, np.float32)
    assert fastact.leaky_relu_with_derivative(x, out=pair)[1] is pair[1]
    for wrong in ((), (x, 1, 2, 3)):
        with pytest.raises(TypeError, match=r"leaky_relu\(\)"):
            fastact.leaky_relu(*wrong)
    with pytest.raises(TypeError, match="outt"):
        fastact.leaky_relu(x, outt=y)
    with pytest.raises(TypeError, match="not supported"):
        fastact.leaky_relu("text")


def test_pickle() -> None:
    for name in ("sigmoid", "gelu_tanh_derivative", "leaky_relu", "prelu_backward"):
        function = getattr(fastact, name)
        assert pickle.loads(pickle.dumps(function)) is function
        assert copy.deepcopy(function) is function


@pytest.mark.skipif(not hasattr(np.exp, "__module__"), reason="this machine has a NumPy whose ufuncs say nothing")
def test_functions_say_where_they_are_found() -> None:
    for name in fastact.ACTIVATIONS.public_names():
        home = "fastact" if fastact.backend() == "numba" else "fastact.fallback"
        assert getattr(fastact, name).__module__ == home
        assert getattr(fastact.fallback, name).__module__ == "fastact.fallback"


def test_joblib_tells_functions_apart() -> None:
    joblib = pytest.importorskip("joblib")
    names = ("sigmoid", "gelu", "gelu_backward", "leaky_relu", "prelu")
    assert len({joblib.hash(getattr(fastact, name)) for name in names}) == len(names)


def test_ufunc_methods() -> None:
    x = sample(5)
    counted = x.copy()
    fastact.relu.at(counted, [0, 1])
    assert same_bits(counted[:2], fastact.relu(x[:2]))
    assert fastact.sigmoid_backward.outer(x, x).shape == (5, 5)


def test_dask() -> None:
    array = pytest.importorskip("dask.array")
    x = sample(10_000)
    lazy = array.from_array(x, chunks=1000)
    assert same_bits(fastact.sigmoid(lazy).compute(), fastact.sigmoid(x))
    assert same_bits(fastact.leaky_relu(lazy, 0.1).compute(), fastact.leaky_relu(x, 0.1))
    assert same_bits(fastact.gelu_backward(lazy, lazy).compute(), fastact.gelu_backward(x, x))


def test_no_such_option_or_name() -> None:
    with pytest.raises(ValueError, match="approximate must be one of none, tanh, True, False, not 'erf'"):
        fastact.gelu(1.0, approximate="erf")
    for wrong in (np.zeros(1), np.zeros(2), None):
        with pytest.raises(TypeError, match=f"approximate must be .*, not {type(wrong).__name__}"):
            fastact.gelu(np.ones(2), wrong)
    assert fastact.gelu(1.0, approximate="tanh") == fastact.gelu_tanh(1.0)
    with pytest.raises(AttributeError, match="has no attribute 'sigmoidd'"):
        _ = fastact.sigmoidd
    with pytest.raises(KeyError, match="no activation is called 'sigmoidd'"):
        ACTIVATIONS["sigmoidd"]


def test_prelu_backward_sums_over_what_was_broadcast() -> None:
    grad, x = sample(60).reshape(10, 6), sample(60)[::-1].reshape(10, 6)
    weight = np.linspace(0.1, 0.6, 6, dtype=np.float32)
    dx, dweight = fastact.prelu_backward(grad, x, weight)
    assert np.array_equal(dx, np.where(x > 0, grad, grad * weight))
    assert dweight.shape == weight.shape
    assert np.allclose(dweight, (grad * np.where(x > 0, 0, x)).sum(0), rtol=1e-5)
    _, dscalar = fastact.prelu_backward(grad, x, 0.25)
    assert np.ndim(dscalar) == 0
    _, dcolumn = fastact.prelu_backward(grad, x, np.full((10, 1), 0.25, np.float32))
    assert dcolumn.shape == (10, 1)


@pytest.mark.parametrize("out", [np.ones(3), np.ones(1), [np.ones(3), None], (np.ones(3),), (np.ones(4), None)])
def test_prelu_backward_refuses_what_out_cannot_be(out: Any, backend: str) -> None:
    """Like a ufunc with two results."""
    with pytest.raises((TypeError, ValueError), match=r"'out' |broadcast"):
        callable_of(ACTIVATIONS["prelu"], "backward", backend)(np.ones(3), np.ones(3), 0.25, out=out)


@pytest.mark.parametrize("weight", [0.25, np.full(1, 0.25), np.full((2, 1), 0.25, np.float32)])
def test_prelu_backward_of_infinities(weight: Any, backend: str) -> None:
    """They cancel, without a warning."""
    grad, x = np.array([[np.inf, -np.inf], [np.inf, 1.0]], np.float16), np.full((2, 2), -1, np.float16)
    _, dweight = callable_of(ACTIVATIONS["prelu"], "backward", backend)(grad, x, weight)
    expected = [[np.nan], [-np.inf]] if np.shape(weight) == (2, 1) else np.nan
    assert np.array_equal(dweight, np.broadcast_to(expected, np.shape(weight)), equal_nan=True)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_prelu_backward_sums_in_the_same_pass(dtype: type) -> None:
    """A number, and channels long enough for a sum each: against the gradients written out and summed exactly."""
    x = sample(3 * 4 * 150 * 80).reshape(3, 4, 150, 80).astype(dtype)
    grad = x[::-1].copy() - dtype(0.5)
    terms = grad.astype(float) * np.minimum(x, 0).astype(float)
    for weight in (0.25, dtype(0.25), np.full(1, 0.25, dtype), np.linspace(0.1, 0.4, 4, dtype=dtype)[:, None, None]):
        expected = np.where(x > 0, grad, grad * np.asarray(weight, dtype))
        kept = np.shape(weight)[:1] == (4,)
        sums = terms.sum(axis=(0, 2, 3)) if kept else terms.sum()
        results = []
        for threads in (1, 2, 7):
            fastact.set_num_threads(threads)
            dx, dweight = fastact.prelu_backward(grad, x, weight)
            out = np.empty_like(x)
            assert fastact.prelu_backward(grad, x, weight, out=(out, None))[0] is out
            assert np.array_equal(dx, expected)
            assert np.array_equal(out, expected)
            assert np.shape(dweight) == np.shape(weight)
            assert dweight.dtype == dtype
            results.append(dweight.tobytes())
        assert len(set(results)) == 1
        with np.errstate(over="ignore"):
            truth = sums.astype(dtype).reshape(np.shape(weight))
        assert np.allclose(dweight, truth, rtol=2 * np.finfo(dtype).eps)
        in_place = grad.copy()
        fastact.prelu_backward(in_place, x, weight, out=(in_place, None))
        assert np.array_equal(in_place, expected)
        strided = fastact.prelu_backward(grad[..., ::-2], x[..., ::-2], weight)
        assert np.array_equal(strided[0], expected[..., ::-2])


def test_every_kind_is_public() -> None:
    names = ACTIVATIONS.public_names()
    assert all(name + suffix in names for name in ACTIVATIONS for suffix in KINDS)
    assert set(names) <= set(fastact.__all__)
    assert set(names) <= set(dir(fastact))


@pytest.mark.parametrize("shape", [(1000, 320), (40, 16, 512), (320_000,), (16, 20_000)])
def test_large_arrays_with_broadcast_parameters(shape: tuple[int, ...]) -> None:
    """The nested loops, against NumPy's own iteration over the same ufunc in small pieces."""
    x = sample(int(np.prod(shape))).reshape(shape)
    weights = [np.linspace(0, 1, shape[-1], dtype=np.float32), np.float32(0.3), 0.3]
    if len(shape) > 1:
        weights += [np.linspace(0, 1, n, dtype=np.float32).reshape(-1, *[1] * (x.ndim - 1)) for n in shape[:1]]
    if len(shape) == 3:
        weights.append(np.linspace(0, 1, shape[1], dtype=np.float32)[:, None])
    for weight in weights:
        expected = np.where(x > 0, x, x * np.asarray(weight, np.float32))
        assert same_bits(fastact.prelu(x, weight), expected)
        out = np.empty_like(x)
        assert fastact.prelu(x, weight, out=out) is out
        assert same_bits(out, expected)
        in_place = x.copy()
        fastact.prelu(in_place, weight, out=in_place)
        assert same_bits(in_place, expected)


def test_large_arrays_that_numpy_must_see_to() -> None:
    x, weight = sample(250_000).reshape(500, 500), np.linspace(0, 1, 500, dtype=np.float32)
    expected = np.where(x > 0, x, x * weight)
    assert np.allclose(fastact.prelu(x, weight.astype(float)), expected)
    assert fastact.prelu(x, weight.astype(float)).dtype == np.float64
    everywhere = np.ones((500, 1), bool)
    assert same_bits(fastact.prelu(x, weight, where=everywhere, out=np.empty_like(x)), expected)
    overlapping = np.concatenate([weight, x.ravel()])
    view = overlapping[500:].reshape(500, 500)
    assert same_bits(fastact.prelu(view, overlapping[:500], out=overlapping[:250_000].reshape(500, 500)), expected)
    with pytest.raises(ValueError, match="broadcast"):
        fastact.prelu(x, weight[:-1])
    assert fastact.prelu(x, np.ones((2, 1, 500), np.float32)).shape == (2, 500, 500)

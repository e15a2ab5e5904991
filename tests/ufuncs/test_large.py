"""Calls of large arrays, whose results go into kept memory: they must differ in nothing else."""

from __future__ import annotations

import functools
import gc
import sys
from typing import Any

import numpy as np
import pytest
from numpy._core.multiarray import get_handler_name

import fastact
from fastact.simd.layout import Kept
from fastact.ufuncs.shortcut import has_vectorcall
from tests.conftest import compiled_only
from tests.processes import run

LARGE = Kept.LARGE // 4 * 2  # float32's

pytestmark = pytest.mark.skipif(not has_vectorcall(), reason="this machine's Python is older than 3.11")


def sample(size: int = LARGE, dtype: Any = np.float32) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 3, size).astype(dtype)


CALLS = {
    "sigmoid": (fastact.sigmoid, 1),
    "derivative": (fastact.gelu_derivative, 1),
    "backward": (fastact.silu_backward, 2),
    "parameter": (lambda x, out=None: fastact.elu(x, 0.5, out=out) if out is not None else fastact.elu(x, 0.5), 1),
    "defaults": (fastact.elu, 1),
    "two results": (fastact.silu_with_derivative, 1),
}


@compiled_only
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("name", CALLS)
def test_results_are_kept_and_own_their_data(name: str, dtype: Any) -> None:
    function, inputs = CALLS[name]
    operands = [sample(2 * LARGE, dtype)] * inputs
    results = function(*operands)
    for result in results if isinstance(results, tuple) else (results,):
        assert get_handler_name(result) == "fastact"
        assert result.flags.owndata
        assert result.base is None
    assert get_handler_name() == "default_allocator"
    out = tuple(np.empty_like(operands[0]) for _ in results) if isinstance(results, tuple) else np.empty_like(results)
    assert np.array_equal(function(*operands, out=out), results)


@compiled_only
@pytest.mark.parametrize("shape", [(LARGE,), (4, LARGE // 4), (LARGE // 8, 2, 4), (1, 1, LARGE)])
def test_shapes_and_layouts(shape: tuple[int, ...]) -> None:
    x = sample().reshape(shape)
    for array in (x, x.T, x[..., ::-1], np.asfortranarray(x)):
        result = fastact.sigmoid(array)
        assert get_handler_name(result) == "fastact"
        assert result.shape == array.shape
        assert np.array_equal(result, fastact.sigmoid(array, out=np.empty(array.shape, np.float32)))


@compiled_only
def test_who_else_is_asked() -> None:
    x = sample()
    ways: list[Any] = [
        functools.partial(fastact.sigmoid, x), lambda: next(map(fastact.sigmoid, [x])),
        lambda: fastact.sigmoid.__call__(x), lambda: fastact.sigmoid(*[x]),
        lambda: fastact.sigmoid(x, out=None), lambda: fastact.sigmoid(x, casting="same_kind"),
        lambda: fastact.sigmoid(x, dtype=np.float32, out=None, order="C"), lambda: fastact.elu(x, out=None),
        lambda: fastact.sigmoid(x, **{"".join(["o", "ut"]): None}),
    ]  # fmt: skip
    for way in ways:
        assert get_handler_name(way()) == "fastact"
        assert np.array_equal(way(), fastact.sigmoid(x) if way is not ways[-2] else fastact.elu(x))
    out, by_name = np.empty_like(x), "".join(["o", "ut"])  # not the object that is in source code
    assert fastact.sigmoid(x, out) is fastact.sigmoid(x, out=out) is fastact.sigmoid(x, **{by_name: out}) is out
    assert fastact.sigmoid(x, **{by_name: (out,)}) is fastact.sigmoid(x, out=out, casting="same_kind") is out
    half = np.arange(x.size) % 2 == 0
    assert np.array_equal(fastact.sigmoid(x, where=half)[half], out[half])
    assert type(fastact.sigmoid(np.ma.array(x))) is np.ma.MaskedArray
    assert get_handler_name(fastact.sigmoid(x[:10])) == "default_allocator"
    assert get_handler_name(np.exp(x)) == "default_allocator"


@compiled_only
@pytest.mark.parametrize(
    "call",
    [
        lambda x: fastact.sigmoid(x.astype(complex)),
        lambda x: fastact.sigmoid(x.astype(str)),
        lambda x: fastact.sigmoid(),
        lambda x: fastact.sigmoid(x, x, x),
        lambda x: fastact.silu_backward(x, x[:3]),
        lambda x: fastact.sigmoid(x, wrong=1),
        lambda x: fastact.sigmoid(x, out=None, wrong=1),
        lambda x: fastact.sigmoid(x, casting="never"),
        lambda x: fastact.sigmoid(x, **{f"keyword{i}": i for i in range(40)}),
    ],
    ids=["complex", "strings", "none", "three", "shapes", "keyword", "out and keyword", "casting", "many keywords"],
)
def test_errors_are_numpys(call: Any) -> None:
    with pytest.raises((TypeError, ValueError)) as large:
        call(sample())
    with pytest.raises((TypeError, ValueError)) as small:
        call(sample(100))
    assert type(large.value) is type(small.value)
    assert str(large.value).replace(f"({LARGE},)", "(100,)") == str(small.value)
    assert get_handler_name() == "default_allocator"


@compiled_only
def test_nothing_is_held() -> None:
    x = sample()
    fastact.sigmoid(x)
    gc.collect()
    before = sys.getrefcount(x), sys.getrefcount(fastact.sigmoid)
    for _ in range(50):
        fastact.sigmoid(x)
        fastact.sigmoid(x, out=None, casting="same_kind")
        with pytest.raises(ValueError, match="broadcast"):
            fastact.silu_backward(x, x[:3])
    assert (sys.getrefcount(x), sys.getrefcount(fastact.sigmoid)) == before


@compiled_only
def test_where_nothing_is_kept() -> None:
    code = (
        "import numpy as np, fastact; from numpy._core.multiarray import get_handler_name; "
        f"print(get_handler_name(fastact.sigmoid(np.zeros({LARGE}))))"
    )
    assert run(code).stdout.split() == ["fastact"]
    assert run(code, FASTACT_KEPT_MEMORY="0").stdout.split() == ["default_allocator"]

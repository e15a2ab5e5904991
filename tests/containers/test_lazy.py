"""Dask: nothing is computed before it is asked for, whatever the chunks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
import pytest

import fastact
from tests.conftest import BACKENDS, offered
from tests.containers.cells import CASES, LABELS, WEIGHT, Case, X
from tests.processes import finish, run, start

#: What can be put together from parts of rows.
BY_PARTS = ["softmax", "softmin", "log_softmax", "logsumexp", "logmeanexp"]
GRADIENTS = ["softmax_backward", "softmin_backward", "log_softmax_backward"]


@pytest.fixture
def never() -> Any:
    """Whatever is computed in there fails."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("this was computed")

    return dask.config.set(scheduler=refuse)


def chunked(array: np.ndarray, rows: Any = 3, columns: Any = 4) -> Any:
    return da.from_array(array, chunks=(rows, columns)[: array.ndim])


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.family}-{case}")
def test_nothing_is_computed(case: Case, backend: str, never: Any) -> None:
    home = fastact.fallback if backend == "fallback" else fastact
    with never:
        results = case.call(home, lambda array: chunked(array, columns=-1))
    expected = case.call(home)
    several = isinstance(expected, tuple)
    for ours, theirs in zip(results, expected) if several else [(results, expected)]:
        assert isinstance(ours, da.Array)
        assert ours.shape == np.shape(theirs)
        assert ours.dtype == np.asarray(theirs).dtype
        if case.name not in ("gumbel_softmax", "rrelu"):
            assert np.allclose(ours.compute(scheduler="sync"), theirs, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("axis", [0, 1, (0, 1)])
@pytest.mark.parametrize("name", BY_PARTS)
def test_rows_in_parts(name: str, axis: Any, dtype: type, backend: str, never: Any) -> None:
    x = (X * 100).astype(dtype)
    x[0, 0], x[1, :] = -np.inf, -np.inf
    function = offered(name, backend)
    with never:
        lazy = function(chunked(x), axis=axis)
    ours, theirs = lazy.compute(scheduler="sync"), function(x, axis=axis)
    assert ours.dtype == dtype
    tiny = 2 * np.finfo(dtype).smallest_subnormal
    assert np.allclose(ours, theirs, rtol=4 * np.finfo(dtype).eps, atol=tiny, equal_nan=True)


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_of_rows_in_parts(name: str, backend: str) -> None:
    y = offered(name.removesuffix("_backward"), backend)(X)
    ours = offered(name, backend)(chunked(X + 1), chunked(y)).compute(scheduler="sync")
    assert np.allclose(ours, offered(name, backend)(X + 1, y), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite(special: float, backend: str) -> None:
    x = X.copy()
    x[0, 1] = x[2, 5] = special
    for name in BY_PARTS:
        function = offered(name, backend)
        ours = function(chunked(x), axis=1).compute(scheduler="sync")
        assert np.allclose(ours, function(x, axis=1), rtol=1e-13, equal_nan=True), name


def test_a_dominating_entry_keeps_its_accuracy(backend: str) -> None:
    x = np.array([[0.0, 0, 0, 0, 0, 50]])
    ours = offered("log_softmax", backend)(chunked(x)).compute(scheduler="sync")
    assert ours[0, 5] == pytest.approx(offered("log_softmax", backend)(x)[0, 5], rel=1e-14)


def test_sums_with_options(backend: str) -> None:
    function, lazy, where = offered("logsumexp", backend), chunked(X), X > 0
    assert np.allclose(function(lazy, 1, True, where=where), function(X, 1, True, where=where))
    assert np.allclose(function(lazy, b=chunked(X[::-1]), return_sign=True), function(X, b=X[::-1], return_sign=True))
    assert np.allclose(function(lazy, 1, b=-1.0), np.nan, equal_nan=True)
    mean = offered("logmeanexp", backend)
    assert np.allclose(mean(lazy, 1, where=chunked(where)), mean(X, 1, where=where), equal_nan=True)
    softmax = offered("softmax", backend)
    assert np.allclose(softmax(lazy, where=where), softmax(X, where=where), equal_nan=True)
    assert softmax(lazy, dtype=np.float32).compute().dtype == np.float32


@pytest.mark.parametrize("name", ["sparsemax", "entmax15", "hardmax", "layer_norm", "rms_norm", "nll_loss", "dense"])
def test_what_needs_whole_rows(name: str, backend: str) -> None:
    others = {"nll_loss": (LABELS,), "dense": (WEIGHT,)}.get(name, ())
    argument = "pred" if name == "nll_loss" else "x"
    with pytest.raises(ValueError, match=rf"{name} needs its rows whole: {argument}.rechunk\({{1: -1}}\)"):
        offered(name, backend)(chunked(X), *others)


OPTIONS = [
    {},
    {"label_smoothing": 0.1},
    {"weight": np.array([1.0, 0, 2, 1, 1, 3])},
    {"weight": np.array([1.0, 0.5, 2, 1, 1, 3]), "label_smoothing": 0.2, "ignore_index": 5},
]


@pytest.mark.parametrize("columns", [-1, 4])
@pytest.mark.parametrize("options", OPTIONS, ids=range(len(OPTIONS)))
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("suffix", ["", "_backward"])
def test_cross_entropy(suffix: str, reduction: str, options: Any, columns: int, backend: str, never: Any) -> None:
    function = offered(f"cross_entropy{suffix}", backend)
    for target in (LABELS, abs(X)):
        if target is not LABELS and reduction == "mean" and "weight" in options:
            continue
        with never:
            lazy = function(chunked(X, columns=columns), chunked(target, columns=columns), reduction, **options)
        theirs = function(X, target, reduction, **options)
        assert np.allclose(lazy.compute(scheduler="sync"), theirs, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("columns", [-1, 4])
def test_targets_that_do_not_fit(columns: int, backend: str) -> None:
    for target in (LABELS[:3], LABELS / 2):
        with pytest.raises(ValueError, match=r"target must be integer labels of shape .* or probabilities of shape"):
            offered("cross_entropy", backend)(chunked(X, columns=columns), target)


def test_losses_that_broadcast(backend: str) -> None:
    mse, slope = offered("mse_loss", backend), offered("mse_loss_backward", backend)
    assert np.allclose(mse(chunked(X), chunked(X[0])), mse(X, X[0]))
    assert np.allclose(mse(chunked(X), 0.5), mse(X, 0.5))
    assert np.allclose(slope(chunked(X[0]), chunked(X)), slope(X[0], X))
    half = (X * 300).astype(np.float16)
    assert mse(chunked(half), np.float16(0)).compute() == mse(half, np.float16(0))
    entropy, logits = offered("cross_entropy", backend), (X * 9000).astype(np.float16)
    assert entropy(chunked(logits, 1, -1), chunked(LABELS, 1), "sum").compute() == entropy(logits, LABELS, "sum")
    kl = offered("kl_div", backend)
    assert np.allclose(kl(chunked(X), chunked(abs(X)), "batchmean"), kl(X, abs(X), "batchmean"))
    dice = offered("dice_loss", backend)
    assert np.allclose(dice(chunked(abs(X), columns=-1), X > 0, axis=1), dice(abs(X), X > 0, axis=1))


def test_several_axes_and_dimensions(backend: str) -> None:
    x = np.random.default_rng(0).standard_normal((3, 4, 6))
    lazy = da.from_array(x, chunks=(2, 4, 6))
    for name in ("softmax", "sparsemax", "layer_norm"):
        function = offered(name, backend)
        assert np.allclose(function(lazy, axis=(1, 2)), function(x, axis=(1, 2))), name
    weight = x[0]
    ours = offered("layer_norm_backward", backend)(lazy, lazy + 1, weight, (1, 2))
    for mine, other in zip(ours, offered("layer_norm_backward", backend)(x, x + 1, weight, (1, 2))):
        assert np.allclose(mine, other)
    dense = offered("dense", backend)
    assert np.allclose(dense(lazy, WEIGHT, activation="relu"), dense(x, WEIGHT, activation="relu"))


def test_drawn_at_random(backend: str) -> None:
    """Each chunk has numbers of its own, and the same seed the same ones."""
    gumbel = offered("gumbel_softmax", backend)
    zeros = da.zeros((4, 6), chunks=(1, -1))
    drawn = gumbel(zeros, rng=3).compute()
    assert np.allclose(drawn.sum(axis=1), 1)
    assert len(np.unique(drawn[:, 0])) == 4
    assert np.array_equal(drawn, gumbel(zeros, rng=3).compute())
    assert set(np.unique(gumbel(zeros, hard=True, rng=3).compute())) == {0, 1}


PROGRAM = """
import dask, dask.array as da, numpy as np, fastact
from tests.containers.cells import CASES

@fastact.activation
def bent(x, slope=0.5):
    return x + slope * np.tanh(x)

def lazy(array):
    return da.from_array(array, chunks=(2, -1)[: array.ndim])

if __name__ == "__main__":
    x = np.linspace(-3, 3, 10)
    ours, theirs = [], []
    for case in CASES:
        if "rng" not in case.rest:
            ours.append(case.call(fastact, lazy))
            theirs.append(case.call(fastact))
    ours += [bent.with_derivative(lazy(x)), bent.with_derivative(lazy(x), 0.25), fastact.softmax(da.from_array(x, 3))]
    theirs += [bent.with_derivative(x), bent.with_derivative(x, 0.25), fastact.softmax(x)]
    ours.append(fastact.dense(lazy(x[:, None]), np.ones((1, 1)), activation=bent))
    theirs.append(fastact.dense(x[:, None], np.ones((1, 1)), activation=bent))
    for mine, other in zip(dask.compute(*ours, scheduler="processes", num_workers=1), theirs):
        for one, two in zip(mine, other) if isinstance(other, tuple) else [(mine, other)]:
            assert np.allclose(one, two, rtol=1e-12, atol=1e-14)
    print(len(ours))
"""


@pytest.mark.parametrize("name", ["numpy" if backend == "fallback" else "numba" for backend in BACKENDS])
def test_in_other_processes(name: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    finished = finish(start(str(program), FASTACT_BACKEND=name))
    assert (finished.stdout, finished.stderr) == (f"{len(CASES) + 2}\n", "")


def test_dask_imported_later() -> None:
    """Dask is told of ufuncs with two results when it is imported, if they were there before."""
    code = """
import sys, numpy as np, fastact
fastact.silu_with_derivative(np.ones(2))
assert "dask" not in sys.modules
import dask.array as da
x = np.linspace(-3, 3, 10)
pair = fastact.silu_with_derivative(da.from_array(x, chunks=3))
assert all(isinstance(array, da.Array) for array in pair)
assert all(np.array_equal(a, b) for a, b in zip(pair, fastact.silu_with_derivative(x)))
assert not [finder for finder in sys.meta_path if "dask" in getattr(finder, "name", "")]
assert not hasattr(da.ufunc, "nothing_of_ours")
print("done")
"""
    assert run(code).stdout == "done\n"


def test_activations_of_one_name() -> None:
    """Dask knows ufuncs with two results by their names: it must not take one for another."""

    def steep(slope: float) -> Any:
        @fastact.activation
        def ambiguous(x: Any) -> Any:
            return x * slope

        return ambiguous.with_derivative

    first = steep(2.0)
    assert [array.compute().tolist() for array in first(da.ones(2))] == [[2, 2], [2, 2]]
    second = steep(3.0)
    with pytest.raises(TypeError, match="ambiguous_with_derivative belongs to several activations"):
        second(da.ones(2))


def test_no_target(backend: str) -> None:
    with pytest.raises(TypeError, match="nothing can be put into out"):
        offered("softmax", backend)(chunked(X), out=np.empty(X.shape))


def test_within_other_containers(backend: str, never: Any) -> None:
    """Labels around lazy arrays, and masks and narrow numbers within their chunks."""
    import ml_dtypes
    import xarray as xr

    softmax = offered("softmax", backend)
    labelled = xr.DataArray(chunked(X), dims=("i", "j"))
    with never:
        result = softmax(labelled, axis="j")
    assert isinstance(result.data, da.Array)
    assert np.allclose(result, softmax(X))
    masked = np.ma.array(X, mask=X > 1)
    ours = softmax(da.from_array(masked, chunks=(2, -1), asarray=False)).compute()
    assert np.array_equal(ours.mask, masked.mask)
    assert np.allclose(ours, softmax(masked))
    narrow = X.astype(ml_dtypes.bfloat16)
    assert np.array_equal(softmax(chunked(narrow, columns=-1)).compute(), softmax(narrow))

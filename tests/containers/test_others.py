"""Arrays of other libraries, files and subclasses: what np.exp gives back for them, so do all functions."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy import units as u

import fastact
from fastact.catalogue import ACTIVATIONS
from fastact.containers.recognition import ORDER
from tests.conftest import callable_of, offered
from tests.containers.cells import CASES, LABELS, WEIGHT, Case, X
from tests.processes import run

FUNCTIONS = ["softmax", "swiglu", "layer_norm", "mse_loss", "cross_entropy", "dense"]


def results(name: str, backend: str, x: Any) -> Any:
    others: dict[str, tuple[Any, ...]] = {
        "mse_loss": (X, "none"),
        "cross_entropy": (LABELS, "none"),
        "dense": (WEIGHT,),
    }
    return offered(name, backend)(x, *others.get(name, ()))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_tensors(name: str, backend: str) -> None:
    torch = pytest.importorskip("torch")
    result = results(name, backend, torch.from_numpy(X))
    assert isinstance(result, torch.Tensor)
    assert np.array_equal(result.numpy(), results(name, backend, X))
    with pytest.raises(RuntimeError, match="requires grad"):  # as np.exp says
        results(name, backend, torch.from_numpy(X).requires_grad_())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_files(name: str, backend: str, tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    np.save(tmp_path / "x.npy", X)
    stored = zarr.open_array(str(tmp_path / "x.zarr"), mode="w", shape=X.shape, dtype=X.dtype)
    stored[...] = X
    for file in (np.load(tmp_path / "x.npy", mmap_mode="r"), stored):
        result = results(name, backend, file)
        assert type(result) is type(np.exp(file)) is np.ndarray
        assert np.array_equal(result, results(name, backend, X))
    sigmoid = callable_of(ACTIVATIONS["sigmoid"], "value", backend)
    assert np.array_equal(sigmoid(stored), sigmoid(X))


class Metres(np.ndarray):
    """An array with a unit, as astropy has them: it refuses what has none."""

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **keywords: Any) -> Any:
        raise TypeError("metres have no exponential")


def test_units_are_not_lost(backend: str) -> None:
    for name, others in (("softmax", ()), ("mse_loss", (X,)), ("cross_entropy", (LABELS,))):
        with pytest.raises(TypeError, match="metres have no exponential"):
            offered(name, backend)(X.view(Metres), *others)


def test_quantities_with_a_dimension_are_refused(backend: str) -> None:
    for name, others in (("softmax", ()), ("mse_loss", (X,)), ("cross_entropy", (LABELS,))):
        with pytest.raises(u.UnitTypeError, match=f"{name} takes quantities without a dimension"):
            offered(name, backend)(X * u.m, *others)
    with pytest.raises(u.UnitTypeError, match="sigmoid takes quantities without a dimension"):
        callable_of(ACTIVATIONS["sigmoid"], "value", backend)(X * u.deg)


def test_quantities_in_formulas_of_ones_own(backend: str) -> None:
    """Made after astropy has been imported; what has a dimension but for its size, metres per kilometre, has none."""
    snake = fastact.activation(lambda x, a=1.0: x + np.sin(a * x) ** 2 / a)
    result = callable_of(snake, "value", backend)(X * (u.m / u.km), 2.0 * u.one)
    assert result.unit == u.one
    assert np.allclose(result.value, snake(X / 1000, 2.0), rtol=1e-13)
    assert result.dtype == float
    narrow = u.Quantity(X, u.one, dtype=np.float32)
    assert callable_of(ACTIVATIONS["sigmoid"], "value", backend)(narrow).dtype == np.float32
    assert offered("softmax", backend)(narrow).dtype == np.float32


def test_quantities_to_write_to(backend: str) -> None:
    x, out = X * u.percent, np.zeros(X.shape) * u.one
    assert offered("softmax", backend)(x, out=out) is out
    assert np.allclose(out.value, offered("softmax", backend)(X / 100), rtol=1e-14)
    array = np.zeros(X.shape)
    assert offered("softmax", backend)(x, out=array) is array
    pair = np.zeros(X.shape) * u.one, np.zeros(X.shape)
    assert offered("swiglu_backward", backend)(x, x, gate=x, out=pair) is pair
    assert pair[0].value.any()
    with pytest.raises(u.UnitTypeError, match="out must be a quantity without a unit, not in %"):
        offered("softmax", backend)(x, out=x)


def test_astropy_imported_later() -> None:
    code = "fastact.sigmoid; import astropy.units as u; print(fastact.sigmoid(0 * u.one), fastact.tanh(0 * u.one))"
    assert run(f"import fastact; {code}").stdout.split() == ["0.5", "0.0"]


def test_variables_of_datasets(backend: str) -> None:
    import xarray as xr

    x = xr.Dataset({"a": (("i", "j"), X), "b": (("j",), X[0])})
    result = offered("softmax", backend)(x, axis="j")
    assert np.allclose(result["b"], offered("softmax", backend)(X[0]))
    assert np.allclose(result["a"], offered("softmax", backend)(X))
    with pytest.raises(ValueError, match=r"target has the variables \['a'\], not \['a', 'b'\]"):
        offered("mse_loss", backend)(x, x[["a"]])
    with pytest.raises(TypeError, match="nothing can be put into out"):
        offered("softmax", backend)(x, out=X)
    with pytest.raises(TypeError, match="needs its weights as DataArrays"):
        offered("layer_norm_backward", backend)(x[["a"]], x[["a"]], X[0])


def frame_of(array: np.ndarray) -> Any:
    """A Dask DataFrame in two partitions, or a Series."""
    import dask.dataframe as dd
    import pandas as pd

    return dd.from_pandas((pd.DataFrame if array.ndim > 1 else pd.Series)(array), npartitions=2)


#: What takes rows one by one, and gives one result. Of elementwise functions, Dask says the same of np.modf.
OF_PARTITIONS = [
    "sigmoid", "leaky_relu", "gelu_backward", "softmax", "log_softmax", "sparsemax", "hardmax", "softmax_backward",
    "logsumexp", "layer_norm", "swiglu", "swiglu_backward", "dense",
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.family}-{case}")
def test_dask_frames(case: Case, backend: str) -> None:
    dd = pytest.importorskip("dask.dataframe", exc_type=ImportError)
    home = fastact.fallback if backend == "fallback" else fastact
    if case.name not in OF_PARTITIONS or "gate" in case.rest:
        with pytest.raises(TypeError, match=r"NotImplemented|works by rows|a number for every row"):
            case.call(home, frame_of)
        return
    import dask

    with dask.config.set(scheduler=never):
        result = case.call(home, frame_of)
    assert isinstance(result, dd.Series if case.name == "logsumexp" else dd.DataFrame)
    assert np.allclose(result.compute(scheduler="sync"), case.call(home), rtol=1e-12, atol=1e-14)


def never(*_: Any, **__: Any) -> None:
    raise AssertionError("this was computed")


def test_columns_of_dask_frames(backend: str) -> None:
    pytest.importorskip("dask.dataframe", exc_type=ImportError)
    with pytest.raises(TypeError, match=r"softmax of a Dask DataFrame works by rows.* x.to_dask_array"):
        offered("softmax", backend)(frame_of(X), axis=0)
    array = frame_of(X).to_dask_array(lengths=True)
    assert np.allclose(
        offered("softmax", backend)(array, axis=0).compute(scheduler="sync"), offered("softmax", backend)(X, axis=0)
    )


#: In a process of its own: jax has threads, and warns whoever forks.
JAX = """
import fastact, jax.numpy as jnp, numpy as np
from tests.containers.cells import CASES
for backend, home in (("compiled", fastact), ("fallback", fastact.fallback)):
    for case in CASES:
        results, expected = case.call(home, jnp.asarray), case.call(home)
        several = isinstance(expected, tuple)
        for ours, theirs in zip(results, expected) if several else [(results, expected)]:
            same = type(ours) is type(theirs) and ours.dtype == theirs.dtype and np.allclose(ours, theirs, rtol=1e-13)
            print(backend, f"{case.family}-{case}", bool(same), sep="|")
print(type(np.exp(jnp.ones(2))).__name__)
"""


@functools.cache
def given_back_for_jax() -> list[list[str]]:
    finished = run(JAX, JAX_ENABLE_X64="1", JAX_PLATFORMS="cpu")
    assert finished.returncode == 0, finished.stderr
    return [line.split("|") for line in finished.stdout.splitlines()]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.family}-{case}")
def test_jax(case: Case, backend: str) -> None:
    if importlib.util.find_spec("jax") is None:
        pytest.skip("could not import 'jax'")
    *rows, (exponential,) = given_back_for_jax()
    assert exponential == "ndarray"
    same = [row[2] for row in rows if row[:2] == [backend, f"{case.family}-{case}"]]
    assert same
    assert set(same) == {"True"}


def test_matrices(backend: str) -> None:
    x = X.view(np.matrix)
    assert type(offered("softmax", backend)(x)) is np.matrix
    assert type(offered("logsumexp", backend)(x, axis=1)) is np.ndarray
    assert offered("logsumexp", backend)(x, axis=1).shape == (4,)


def test_scalars_and_lists(backend: str) -> None:
    assert type(offered("softmax", backend)(np.float32(3))) is np.float32
    assert type(offered("softmax", backend)([1, 2])) is np.ndarray


def test_nothing_is_imported() -> None:
    """Plain arrays need none of the libraries that others come from, nor what takes those apart."""
    code = """
import sys, numpy as np, fastact
x = np.ones((2, 4))
fastact.softmax(x), fastact.glu(x), fastact.mse_loss(x, x), fastact.cross_entropy(x, [0, 1]), fastact.dense(x, x)
fastact.softmax([1.0]), fastact.softmax(2.0), fastact.gelu_with_derivative(x)
others = {"pandas", "xarray", "polars", "dask", "torch", "zarr", "astropy"}
print(*sorted({m.split(".")[0] for m in sys.modules} & others))
print(*sorted(m for m in sys.modules if m.startswith("fastact.containers.")))
"""
    handlers = {f"fastact.containers.{name}" for name in ORDER}
    found = set(run(code).stdout.split())
    assert "fastact.containers.recognition" in found
    assert all(name.startswith("fastact.containers.") for name in found - handlers)
    assert not found & handlers

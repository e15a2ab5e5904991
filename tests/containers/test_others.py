"""Arrays of other libraries, files and subclasses: what np.exp gives back for them, so do all functions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastact.catalogue import ACTIVATIONS
from fastact.containers.recognition import ORDER
from tests.conftest import callable_of, offered
from tests.containers.cells import LABELS, WEIGHT, X
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
    with pytest.raises(TypeError, match="metres have no exponential"):
        offered("softmax", backend)(X.view(Metres))


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
print(*sorted({m.split(".")[0] for m in sys.modules} & {"pandas", "xarray", "polars", "dask", "torch", "zarr"}))
print(*sorted(m for m in sys.modules if m.startswith("fastact.containers.")))
"""
    handlers = {f"fastact.containers.{name}" for name in ORDER}
    found = set(run(code).stdout.split())
    assert "fastact.containers.recognition" in found
    assert all(name.startswith("fastact.containers.") for name in found - handlers)
    assert not found & handlers

"""The table of containers and families of functions: what is called, and what each container must keep."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

__all__ = ["CASES", "CONTAINERS", "Case", "Container"]

RNG = np.random.default_rng(11)
X, GRAD, WEIGHT, BIAS = (RNG.standard_normal(shape) for shape in ((4, 6), (4, 6), (5, 6), (5,)))
LABELS = np.array([0, 5, 2, 2])


class Case(NamedTuple):
    """A call: the arrays are put into a container, the rest is not."""

    family: str
    name: str
    arrays: tuple[np.ndarray, ...]
    rest: dict[str, Any] = {}  # noqa: RUF012  never changed

    def __str__(self) -> str:
        return "-".join([self.name, *(str(v) for k, v in self.rest.items() if k in ("axis", "reduction", "training"))])

    def call(self, home: Any, wrap: Callable[[np.ndarray], Any] = lambda array: array) -> Any:
        return getattr(home, self.name)(*map(wrap, self.arrays), **self.rest)

    def in_dtype(self, dtype: Any) -> Case:
        """The same with all arrays of numbers in another dtype."""

        def changed(value: Any) -> Any:
            return value.astype(dtype) if isinstance(value, np.ndarray) and value.dtype.kind in "fV" else value

        rest = {name: changed(value) for name, value in self.rest.items()}
        return self._replace(arrays=tuple(map(changed, self.arrays)), rest=rest)

    def row(self) -> Case:
        """The same of one row."""
        rest = {
            name: value[0] if name in ("gate", "var", "preactivation") else value for name, value in self.rest.items()
        }
        return self._replace(arrays=tuple(array[0] for array in self.arrays), rest=rest)


def _cases() -> Iterator[Case]:
    yield Case("elementwise", "sigmoid", (X,))
    yield Case("elementwise", "silu_with_derivative", (X,))
    yield Case("parameterised", "leaky_relu", (X,), {"negative_slope": 0.1})
    yield Case("parameterised", "elu_with_derivative", (X,), {"alpha": 0.5})
    yield Case("parameterised", "rrelu", (X,), {"training": True, "rng": 3})
    yield Case("backward", "gelu_backward", (GRAD, X))
    yield Case("backward", "prelu_backward", (GRAD, X), {"weight": 0.25})
    for name in ("softmax", "log_softmax", "sparsemax", "hardmax"):
        yield Case("rows", name, (X,))
    yield Case("rows", "softmax_backward", (GRAD, X))
    yield Case("rows", "logsumexp", (X,), {"axis": -1})
    yield Case("rows", "gumbel_softmax", (X,), {"rng": 3})
    yield Case("rows", "layer_norm", (X,))
    yield Case("rows", "layer_norm_backward", (GRAD, X), {"weight": X[0]})
    yield Case("gates", "swiglu", (X,))
    yield Case("gates", "swiglu_backward", (GRAD[:, :3], X))
    yield Case(
        "gates",
        "swiglu_backward",
        (
            GRAD,
            X,
        ),
        {"gate": X + 1},
    )
    for reduction in ("mean", "none"):
        yield Case("losses", "mse_loss", (X, GRAD), {"reduction": reduction})
        yield Case("losses", "dice_loss", (abs(X), abs(GRAD)), {"reduction": reduction})
        yield Case("losses", "cross_entropy", (X, LABELS), {"reduction": reduction})
        yield Case("losses", "cross_entropy_backward", (X, LABELS), {"reduction": reduction})
    yield Case("losses", "huber_loss_backward", (X, GRAD))
    yield Case("losses", "gaussian_nll_loss_backward", (X, GRAD), {"var": abs(X) + 1})
    yield Case("dense", "dense", (X,), {"weight": WEIGHT, "bias": BIAS, "activation": "gelu"})
    yield Case(
        "dense", "dense_backward", (GRAD[:, :5], X), {"weight": WEIGHT, "preactivation": X[:, :5], "activation": "silu"}
    )


CASES = list(_cases())


class Container(NamedTuple):
    """How arrays get in and out, what results are, and what else must hold of a result of the shape of an operand."""

    wrap: Callable[[np.ndarray], Any]
    kind: type
    values: Callable[[Any], np.ndarray] = np.asarray
    kept: Callable[[Any, Any], bool] = lambda result, given: True
    refused: tuple[str, ...] = ()  # names of functions, with reason in the table of fastact/docs/guides/containers.md
    rows: bool = False  # has one dimension alone


def _frame(array: np.ndarray) -> Any:
    import pandas as pd

    index = [f"r{i}" for i in range(len(array))]
    if array.ndim == 1:
        return pd.Series(array, index, name="column")
    return pd.DataFrame(array, index, [f"c{i}" for i in range(array.shape[1])])


def _frame_kept(result: Any, given: Any) -> bool:
    return all(ours.equals(theirs) for ours, theirs in zip(result.axes, given.axes))


def _labelled(array: np.ndarray) -> Any:
    import xarray as xr

    coords = {dim: np.arange(size) * 10 for dim, size in zip("ij", array.shape)}
    return xr.DataArray(array, coords, tuple(coords), "named", {"unit": "1"})


def _labelled_kept(result: Any, given: Any) -> bool:
    same = result.dims == given.dims and result.name == given.name and result.attrs == given.attrs
    return bool(same and all(result.coords[dim].equals(given.coords[dim]) for dim in given.dims))


def _polars(array: np.ndarray) -> Any:
    import polars as pl

    return pl.Series("named", array) if array.ndim else array


def _masked(array: np.ndarray) -> Any:
    return np.ma.array(array, mask=False)


def _lazy(array: np.ndarray) -> Any:
    import dask.array as da

    return da.from_array(array, chunks=(2, -1) if array.ndim > 1 else 2)


def _quantity(array: np.ndarray) -> Any:
    """In percent, which must not count as ones; labels have no unit."""
    from astropy.units import Quantity

    return Quantity(array * 100, "%") if array.dtype.kind == "f" else array


def _dataset(array: np.ndarray) -> Any:
    """A Dataset of two variables."""
    import xarray as xr

    labelled = _labelled(array)
    return xr.Dataset({"one": labelled, "two": labelled.copy(data=array[::-1])}, attrs={"unit": "1"})


def _dataset_values(result: Any) -> np.ndarray:
    assert list(result.data_vars) == ["one", "two"]
    return np.asarray(result["one"])


def _dataset_kept(result: Any, given: Any) -> bool:
    same = result.attrs == given.attrs and result["two"].dims == given["two"].dims
    return bool(same and all(result.coords[dim].equals(given.coords[dim]) for dim in given["one"].dims))


class Marked(np.ndarray):
    """A subclass."""


def _containers() -> Iterator[tuple[str, Container]]:
    import dask.array as da
    import pandas as pd
    import polars as pl
    import xarray as xr
    from astropy.units import Quantity

    norms = ("layer_norm", "layer_norm_backward")
    yield "masked", Container(_masked, np.ma.MaskedArray, refused=(*norms, "dense", "dense_backward"))
    yield "DataFrame", Container(_frame, (pd.DataFrame, pd.Series), kept=_frame_kept)  # type: ignore[arg-type]
    yield "DataArray", Container(_labelled, xr.DataArray, kept=_labelled_kept)
    pairs = ("silu_with_derivative", "elu_with_derivative", "prelu_backward")
    without_labels = ("prelu_backward", "layer_norm_backward", "dense_backward")
    yield "Dataset", Container(_dataset, xr.Dataset, _dataset_values, _dataset_kept, without_labels)
    yield "polars", Container(_polars, pl.Series, refused=pairs, rows=True)
    yield "matrix", Container(lambda a: a.view(np.matrix) if a.ndim > 1 else a, np.matrix)
    yield "subclass", Container(lambda a: a.view(Marked), Marked)
    yield "quantity", Container(_quantity, Quantity, lambda result: Quantity(result).to_value(""))
    yield "Dask", Container(_lazy, da.Array)
    yield "list", Container(np.ndarray.tolist, np.ndarray)


CONTAINERS = dict(_containers())

"""What is particular to xarray, pandas and polars: names of axes, orders of labels, what is missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import xarray as xr

from fastact.catalogue import ACTIVATIONS
from tests.conftest import callable_of, offered
from tests.containers.cells import BIAS, LABELS, WEIGHT, X
from tests.containers.reference import same_masked

FRAME = pd.DataFrame(X, list("abcd"), list("uvwxyz"))
ARRAY = xr.DataArray(
    X, {"i": list("abcd"), "j": list("uvwxyz"), "other": ("i", [1, 2, 3, 4])}, ("i", "j"), "logits", {"unit": "nat"}
)


def test_axis_by_name(backend: str) -> None:
    softmax, logsumexp = offered("softmax", backend), offered("logsumexp", backend)
    assert softmax(ARRAY, axis="i").equals(softmax(ARRAY, axis=0))
    assert softmax(ARRAY, axis=("j", "i")).equals(softmax(ARRAY, axis=None))
    assert offered("glu", backend)(ARRAY, axis="i").equals(offered("glu", backend)(ARRAY, axis=0))
    total = logsumexp(ARRAY, axis="j")
    assert total.dims == ("i",)
    assert set(total.coords) == {"i", "other"}
    assert (total.name, total.attrs) == ("logits", {"unit": "nat"})
    assert float(logsumexp(ARRAY)) == float(logsumexp(X))
    with pytest.raises(ValueError, match="axis 'k' is no dimension; there are i, j"):
        softmax(ARRAY, axis="k")


def test_axes_whose_elements_are_others(backend: str) -> None:
    halved = offered("glu", backend)(ARRAY)
    assert halved.dims == ("i", "j")
    assert "j" not in halved.coords
    weight = xr.DataArray(WEIGHT, {"o": np.arange(5)}, ("o", "j"))
    result = offered("dense", backend)(ARRAY, weight, BIAS)
    assert result.dims == ("i", "o")
    assert list(result.coords["o"]) == list(range(5))
    assert np.allclose(result, X @ WEIGHT.T + BIAS)


def test_dimensions_in_another_order(backend: str) -> None:
    mse, slope = offered("mse_loss", backend), offered("mse_loss_backward", backend)
    target = ARRAY.T + 1
    assert float(mse(ARRAY, target)) == pytest.approx(1)
    assert np.allclose(slope(ARRAY, target, "sum"), -2)
    assert np.allclose(slope(ARRAY, ARRAY.sel(j="u", drop=True)), slope(X, X[:, :1]))
    assert offered("cross_entropy", backend)(ARRAY, ARRAY.isel(j=0, drop=True).copy(data=LABELS)).ndim == 0
    with pytest.raises(ValueError, match=r"cannot align|indexes|exact"):
        mse(ARRAY, ARRAY.assign_coords(i=list("abce")))


def test_rows_of_frames_in_another_order(backend: str) -> None:
    mse = offered("mse_loss", backend)
    assert mse(FRAME, FRAME.iloc[::-1, ::-1]) == 0
    labels = pd.Series(LABELS, list("abcd"))
    losses = offered("cross_entropy", backend)(FRAME, labels[::-1], "none")
    assert isinstance(losses, pd.Series)
    assert list(losses.index) == list("abcd")
    assert np.allclose(losses, offered("cross_entropy", backend)(X, LABELS, "none"))
    with pytest.raises(ValueError, match="target has other labels than what it belongs to"):
        mse(FRAME, FRAME.set_axis(list("abce")))


def test_columns_of_frames(backend: str) -> None:
    weight = pd.Series(np.arange(6.0), list("zyxwvu"))
    scaled = offered("layer_norm", backend)(FRAME, weight)
    assert np.allclose(scaled, offered("layer_norm", backend)(X, np.arange(6.0)[::-1]))
    assert list(offered("dense", backend)(FRAME, WEIGHT).columns) == list(range(5))
    total = offered("logsumexp", backend)(FRAME, axis=0)
    assert list(total.index) == list("uvwxyz")


def test_missing_numbers_of_pandas(backend: str) -> None:
    series = pd.Series([1.0, None, 1.0], dtype="Float32", name="s")
    result = offered("softmax", backend)(series)
    assert str(result.dtype) == "Float32"
    assert result.isna().tolist() == [False, True, False]
    assert result.dropna().tolist() == [0.5, 0.5]
    assert offered("logsumexp", backend)(series) == pytest.approx(1 + np.log(2))
    assert offered("softmax", backend)(pd.Series([1, 1], dtype="Int64")).tolist() == [0.5, 0.5]


def test_nulls_of_polars(backend: str) -> None:
    series = pl.Series("s", [1.0, None, 1.0])
    assert offered("softmax", backend)(series).to_list() == [0.5, None, 0.5]
    assert offered("logsumexp", backend)(series) == pytest.approx(1 + np.log(2))
    assert offered("mse_loss", backend)(series, pl.Series([None, 0.0, 3.0])) == 4
    assert offered("mse_loss", backend)(series, series, "none").to_list() == [0, None, 0]
    assert offered("logsumexp", backend)(pl.Series([None, None], dtype=pl.Float64)) is None
    assert offered("softmax", backend)(series.cast(pl.Float32)).dtype == pl.Float32


def test_lazily_labelled_and_masked_within(backend: str) -> None:
    masked = np.ma.array(X, mask=X > 1)
    frame = pd.DataFrame({"a": pd.array([1.0, None]), "b": [1.0, 2.0]})
    same_masked(
        np.ma.array(offered("softmax", backend)(frame).to_numpy(float, na_value=0), mask=[[0, 0], [1, 0]]),
        np.ma.array([[0.5, 0.5], [0, 1]], mask=[[0, 0], [1, 0]]),
    )
    assert offered("mse_loss", backend)(masked, FRAME) == 0


def test_large_parameters(backend: str) -> None:
    """Other libraries' dtypes are no dtypes of NumPy's."""
    for x in (pl.Series([-1.0, 1.0]), pd.Series([-1.0, 1.0], dtype="Float64"), FRAME.iloc[:, 0]):
        result = callable_of(ACTIVATIONS["leaky_relu"], "value", backend)(x, 1e9)
        assert type(result) is type(x)
        values = np.asarray(x, float)
        assert np.allclose(np.asarray(result, float), np.where(values > 0, values, 1e9 * values))


def test_words_for_what_is_refused(backend: str) -> None:
    softmax: Any = offered("softmax", backend)
    with pytest.raises(TypeError, match="x must be real numbers"):
        softmax(pd.Series(["a", "b"], dtype=object))
    with pytest.raises(TypeError, match="x must be real numbers"):
        softmax(ARRAY + 1j)
    with pytest.raises(ValueError, match="axis 2 is out of bounds"):
        softmax(FRAME, axis=2)

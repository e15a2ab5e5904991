"""What functions do to shapes, as they are offered: that decides on the labels of results, and on chunks."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import xarray as xr

from fastact.functions.offered import FUNCTIONS, Family
from fastact.names import functions

FLOATS = np.array([[0.5, 0.25, 0.125, 0.75], [0.1, 0.2, 0.3, 0.4], [0.9, 0.8, 0.7, 0.6]])

#: Of a float argument of shape (3, 4), the result's shape, by family; of a backward, its own.
SHAPES = {
    Family.ALONG: (3, 4),
    Family.NORM: (3, 4),
    Family.SUM: (3,),
    Family.GATE: (3, 2),
    Family.TERMS: (3, 4),
    Family.CLASSES: (3,),
    Family.SETS: (3,),
    Family.DENSE: (3, 3),
}


@pytest.mark.parametrize("name", [name for name in functions() if not name.endswith("_backward")])
def test_family(name: str, backend: str) -> None:
    """The result's shape is the family's, and a DataArray's dimensions are those that are left."""
    function, family = FUNCTIONS.callable(name, "numpy" if backend == "fallback" else "numba"), FUNCTIONS.family(name)
    parameters = inspect.signature(function).parameters
    first = next(iter(parameters))
    assert ("reduction" in parameters) == (family in (Family.TERMS, Family.CLASSES, Family.SETS))
    others = {"target": [0, 1, 1] if family is Family.CLASSES else FLOATS, "weight": FLOATS, "var": FLOATS}
    given = {key: value for key, value in others.items() if key in parameters and _needs(parameters[key])}
    given |= {"reduction": "none"} if "reduction" in parameters else {}
    given |= {"axis": -1} if family is Family.SUM else {}
    assert np.shape(function(FLOATS, **given)) == SHAPES[family]
    labelled = function(**{first: xr.DataArray(FLOATS, {"i": [1, 2, 3]}, ("i", "j"))}, **given)
    assert labelled.dims[0] == "i"
    assert labelled.coords["i"].values.tolist() == [1, 2, 3]


def _needs(parameter: inspect.Parameter) -> bool:
    return parameter.default is parameter.empty


@pytest.mark.parametrize("name", [name for name in functions() if name.endswith("_backward")])
def test_gradients_are_of_the_same_family(name: str) -> None:
    assert FUNCTIONS.family(name) is FUNCTIONS.family(name.removesuffix("_backward"))


def test_every_family_is_that_of_a_function() -> None:
    assert {FUNCTIONS.family(name) for name in functions()} == set(Family) == set(SHAPES)

"""What all of Dask's calls have in common: how chunks reach a function, and which dtype results have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastact.containers.calls import Call
from fastact.containers.recognition import is_bfloat16

__all__ = ["blockwise", "check_whole", "floating", "uniform"]


def blockwise(
    function: Callable[..., Any], signature: str, arrays: Sequence[Any], dtypes: Sequence[np.dtype], axes: Any = None
) -> Any:
    """A function of chunks, by the signature of a generalized ufunc: its letters are axes that are in one chunk. Where
    chunks of several arrays do not meet, they are cut up until they do."""
    import dask.array as da

    core = signature.split("->")[0][1:-1].split("),(")
    counts = [len(letters.split(",")) if letters else 0 for letters in core]
    inner = [range(array.ndim - n, array.ndim) for array, n in zip(arrays, counts)] if axes is None else axes
    pairs: list[Any] = []
    for number, (array, own) in enumerate(zip(arrays, inner)):
        loops = [axis for axis in range(array.ndim) if axis not in own]
        labels = {axis: ("loop", len(loops) - place) for place, axis in enumerate(loops)}
        pairs += [array, [labels.get(axis, ("core", number, axis)) for axis in range(array.ndim)]]
    _, arrays = da.core.unify_chunks(*pairs)
    single = signature.split("->")[1].count("(") == 1
    options = {} if axes is None else {"axes": axes}
    return da.apply_gufunc(function, signature, *arrays, output_dtypes=dtypes[0] if single else list(dtypes), **options)


def uniform(x: Any, lower: Any, upper: Any, rng: Any) -> Any:
    """Numbers at random in the chunks of another array."""
    import dask.array as da

    drawn = da.random.default_rng(rng).uniform(lower, upper, size=x.shape, chunks=x.chunks)
    return drawn.astype(floating(x))


def floating(*arrays: Any) -> np.dtype:
    """The dtype of results: NumPy's promotion, float64 for integers and bools."""
    dtypes = [getattr(array, "dtype", None) for array in arrays]
    dtype = np.result_type(*(array if kind is None else kind for array, kind in zip(arrays, dtypes)))
    return dtype if dtype.kind == "f" or is_bfloat16(dtype) else np.dtype(np.float64)


def check_whole(call: Call, name: str, array: Any, axes: Sequence[int]) -> None:
    """Raise ValueError if a row is cut."""
    cut = [axis for axis in axes if array.numblocks[axis] > 1]
    if cut:
        chunks = ", ".join(f"{axis}: -1" for axis in cut)
        raise ValueError(f"{call.name} needs its rows whole: {name}.rechunk({{{chunks}}}) has each in one chunk")

"""What depends on the type in memory, in Numba's language: how vectors are moved and summed, and the formulas."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from fastact.kernels import lookups
from fastact.kernels.emit import precision_of
from fastact.rows.formulas import sources
from fastact.simd import blocks, lanes, quarters
from fastact.simd.blocks import kernel
from fastact.simd.lanes import compensated_sum_of_lanes, sum_of_lanes, widen
from fastact.simd.quarters import compensated_sum_of_each, sum_of_each
from fastact.simd.vectors import LANES

__all__ = ["words_for"]


def words_for(storage: str) -> SimpleNamespace:
    """The words that functions along an axis are written in, for one type in memory."""
    precision = precision_of(storage)
    words = SimpleNamespace(
        size=np.dtype(storage).itemsize,
        work=precision.size // 8,
        lanes=LANES[precision.name],
        load=getattr(blocks, f"load_{storage}"),
        store=getattr(blocks, f"store_{storage}"),
        stream_whole=getattr(blocks, f"stream_whole_{storage}"),
        load_first=getattr(lanes, f"load_first_{storage}"),
        store_first=getattr(lanes, f"store_first_{storage}"),
        load_bundle=getattr(quarters, f"load_bundle_{storage}"),
        store_bundle=getattr(quarters, f"store_bundle_{storage}"),
        load_work=getattr(blocks, f"load_{precision.name}"),
        store_work=getattr(blocks, f"store_{precision.name}"),
        add=blocks.accumulate if precision.name == "float64" else _add_wide,
        total_of_lanes=compensated_sum_of_lanes if precision.name == "float64" else _total_of_lanes,
        total_of_each=compensated_sum_of_each if precision.name == "float64" else _total_of_each,
    )
    for name, source in sources(precision).items():
        namespace = vars(blocks) | vars(lookups)
        exec(compile(source, f"<fastact {name}>", "exec"), namespace)
        setattr(words, name, namespace[f"{name}_kernel"])
    return words


@kernel
def _add_wide(total, low, v):
    """float32 is summed in float64; four of a row are added up before, which costs less than half."""
    return total + widen(v), low


@kernel
def _total_of_lanes(total, low):
    return sum_of_lanes(total + low)


@kernel
def _total_of_each(total, low):
    return sum_of_each(total + low)

"""What dense layers accept, and what they say of anything else."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from fastact.catalogue import ACTIVATIONS, Activation
from fastact.functions.registry import unknown
from fastact.ufuncs.keywords import REQUIRED
from fastact.ufuncs.operands import check_real, result_dtype

__all__ = [
    "COMPUTED_IN",
    "PLAIN",
    "activation_of",
    "are_matrices",
    "are_plain",
    "common_dtype",
    "forward_shape",
    "is_identity",
]

#: What products of a dtype are computed in, by NumPy's one-letter codes.
COMPUTED_IN: dict[str, np.dtype] = {"e": np.dtype(np.float32), "f": np.dtype(np.float32), "d": np.dtype(np.float64)}

#: The dtypes that need no conversion.
PLAIN = (np.dtype(np.float32), np.dtype(np.float64))


def is_identity(entry: Activation) -> bool:
    """Whether nothing is to be computed; somebody's own activation may have that name too."""
    return entry is ACTIVATIONS["identity"]


def activation_of(activation: Any, learns: bool = False) -> Activation:
    """The activation that was asked for, if a layer can have it; ``learns``: one that trains its parameters."""
    if not isinstance(activation, (str, Activation)):
        raise TypeError(f"activation must be a name or an Activation, not {type(activation).__name__}")
    return _usable(activation, learns, ACTIVATIONS.changes)


@cache
def _usable(activation: str | Activation, learns: bool, changes: int) -> Activation:
    try:
        entry: Activation = ACTIVATIONS[activation] if isinstance(activation, str) else activation
    except KeyError:
        raise ValueError(unknown(activation)) from None
    missing = [name for name, default in entry.parameters.items() if default is REQUIRED]
    if learns:
        missing = [name for name in missing if name not in entry.initial]
    if missing:
        raise ValueError(f"{entry.name} cannot be a layer's activation: {missing[0]} has no default")
    return entry


def are_plain(x: Any, weight: Any, bias: Any, out: Any, preactivation: Any) -> bool:
    """Whether a layer's operands are of the kind that compiled code takes, and results can be written where they are to
    go: what is wrong with them then, NumPy finds. In one expression, because calls would take twice the time."""
    return (
        type(x) is np.ndarray and type(weight) is np.ndarray and (dtype := weight.dtype) in PLAIN and x.dtype is dtype
        and x.ndim == 2 and weight.ndim == 2
        and (bias is None or (type(bias) is np.ndarray and bias.dtype is dtype and bias.ndim == 1))
        and (out is None or (type(out) is np.ndarray and out.dtype is dtype and out.ndim == 2 and out.flags.carray))
        and (preactivation is None or is_second_target(preactivation, dtype, out))
    )  # fmt: skip


def is_second_target(target: Any, dtype: np.dtype, other: np.ndarray | None) -> bool:
    plain = type(target) is np.ndarray and target.dtype is dtype and target.ndim == 2 and target.flags.carray
    return plain and (other is None or not np.may_share_memory(target, other))


def are_matrices(*arrays: Any) -> bool:
    """The same of what the gradients are computed from."""
    dtype = getattr(arrays[0], "dtype", None)
    return dtype in PLAIN and all(type(a) is np.ndarray and a.dtype is dtype and a.ndim == 2 for a in arrays)


def common_dtype(arrays: dict[str, np.ndarray]) -> np.dtype:
    """NumPy's promotion, and float64 for integers."""
    kinds = [array.dtype for array in arrays.values()]
    first = kinds[0]
    if first.char in COMPUTED_IN and first.isnative and all(kind is first for kind in kinds):
        return first  # the usual case, in a tenth of the time
    for name, array in arrays.items():
        check_real(name, array.dtype)
        if array.dtype.itemsize > 8:
            raise TypeError(f"{name} must be numbers of up to 64 bits, not {array.dtype}")
    return result_dtype(*kinds)


def forward_shape(arrays: dict[str, np.ndarray]) -> tuple[int, ...]:
    """The shape of the layer's result."""
    x, weight = arrays["x"], arrays["weight"]
    if weight.ndim != 2:
        raise ValueError(f"weight must have shape (n_out, n_in), not {weight.shape}")
    n_out, n_in = weight.shape
    if x.ndim == 0 or x.shape[-1] != n_in:
        raise ValueError(f"x must have shape (..., {n_in}) for weight of shape {weight.shape}, not {x.shape}")
    if "bias" in arrays and arrays["bias"].shape != (n_out,):
        raise ValueError(
            f"bias must have shape ({n_out},) for weight of shape {weight.shape}, not {arrays['bias'].shape}"
        )
    return (*x.shape[:-1], n_out)

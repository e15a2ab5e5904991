"""What dense layers accept, and what they say of anything else."""

from __future__ import annotations

from functools import cache
from itertools import repeat
from typing import Any

import numpy as np
from numpy import may_share_memory

from fastact.activations import ACTIVATIONS, Activation
from fastact.keywords import REQUIRED

__all__ = ["COMPUTED_IN", "activation_of", "are_plain", "check_target", "common_dtype", "forward_shape"]

#: What products of a dtype are computed in, by NumPy's one-letter codes.
COMPUTED_IN: dict[str, np.dtype] = {"e": np.dtype(np.float32), "f": np.dtype(np.float32), "d": np.dtype(np.float64)}

#: The dtypes that need no conversion.
PLAIN = (np.dtype(np.float32), np.dtype(np.float64))


def activation_of(activation: Any) -> Activation:
    if not isinstance(activation, (str, Activation)):
        raise TypeError(f"activation must be a name or an Activation, not {type(activation).__name__}")
    return _usable(activation)


@cache
def _usable(activation: str | Activation) -> Activation:
    """The activation of that name, if a layer can have it."""
    if isinstance(activation, str):
        try:
            activation = ACTIVATIONS[activation]
        except KeyError:
            raise ValueError(f"no activation is called {activation!r}; there are {', '.join(ACTIVATIONS)}") from None
    missing = [name for name, default in activation.parameters.items() if default is REQUIRED]
    if missing:
        raise ValueError(f"{activation.name} cannot be a layer's activation: {missing[0]} has no default")
    return activation


def is_plain(array: Any, dtype: np.dtype, shape: tuple[int, ...]) -> bool:
    """Whether this is an array of exactly that dtype and shape."""
    return type(array) is np.ndarray and array.dtype is dtype and array.shape == shape


def are_plain(weight: Any, x: Any, bias: Any = None, rows: tuple[Any, ...] = (), targets: tuple[Any, ...] = ()) -> bool:
    """Whether a layer's operands are matrices and a vector of one dtype that is computed in, and fit: nothing to
    convert and nothing to complain of, found out in a fifth of the time that a thorough look takes.

    ``rows`` have the shape of the layer's result, as have ``targets``, which may be None and overlap nothing."""
    if type(weight) is not np.ndarray or type(x) is not np.ndarray or weight.ndim != 2 or x.ndim != 2:
        return False
    dtype, (n_out, n_in) = weight.dtype, weight.shape
    if dtype not in PLAIN or x.dtype is not dtype or x.shape[1] != n_in:
        return False
    if bias is not None and not is_plain(bias, dtype, (n_out,)):
        return False
    shape = len(x), n_out
    for array in rows:
        if not is_plain(array, dtype, shape):
            return False
    before = [x, weight] if bias is None else [x, weight, bias]
    for target in targets:
        if target is not None:
            if not is_plain(target, dtype, shape) or not is_writable(target, before):
                return False
            before.append(target)
    return True


def is_writable(target: np.ndarray, others: list[Any]) -> bool:
    """Whether results can be written there as they are computed, while the others are in use."""
    flags = target.flags
    if not flags.c_contiguous or not flags.writeable:
        return False
    return not any(map(may_share_memory, repeat(target), others))


def common_dtype(arrays: dict[str, np.ndarray]) -> np.dtype:
    """NumPy's promotion, and float64 for integers."""
    kinds = [array.dtype for array in arrays.values()]
    first = kinds[0]
    if first.char in COMPUTED_IN and first.isnative and all(kind is first for kind in kinds):
        return first  # the usual case, in a tenth of the time
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
            raise TypeError(f"{name} must be of real numbers up to float64, not {array.dtype}")
    common = np.result_type(*kinds)
    return common if common.kind == "f" else np.dtype(np.float64)


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


def check_target(name: str, target: Any, shape: tuple[int, ...], result: np.dtype) -> None:
    if target is None:
        return
    if not isinstance(target, np.ndarray):
        raise TypeError(f"{name} must be an array, not {type(target).__name__}")
    if target.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, not {target.shape}")
    if not np.can_cast(result, target.dtype, "same_kind"):
        raise TypeError(f"{name} is of {target.dtype}, which the result's {result} cannot be cast to")
    if not target.flags.writeable:
        raise ValueError(f"{name} is read-only")

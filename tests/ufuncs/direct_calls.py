"""What tests of calls without Python have in common: the functions, what they are given, and what must come of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastact
from fastact.names import functions

ROWS = ["softmax", "softmin", "log_softmax", "sparsemax", "entmax15"]
GATES = ["glu", "reglu", "geglu", "swiglu"]
LOSSES = ["mse_loss", "l1_loss", "huber_loss", "binary_cross_entropy", "kl_div", "poisson_nll_loss", "hinge_loss"]
NAMES = [name + suffix for name in ROWS + GATES + LOSSES for suffix in ("", "_backward")]
LABELS = [name + suffix for name in ("cross_entropy", "nll_loss") for suffix in ("", "_backward")]
WITH_ARRAYS = ["binary_cross_entropy_with_logits", "gaussian_nll_loss"]
OTHERS = ["dense", "dense_backward", *LABELS, *(name + suffix for name in WITH_ARRAYS for suffix in ("", "_backward"))]


class ForwardedError(Exception):
    """A call has reached Python."""


def operands(name: str, shape: tuple[int, ...], dtype: Any, seed: int = 0) -> list[np.ndarray]:
    """What a function of rows, a gate or a loss is given for x, or pred, of that shape."""
    rng = np.random.default_rng(seed)
    x, other = rng.uniform(0, 1, shape).astype(dtype), rng.uniform(0, 1, shape).astype(dtype)
    family = name.removesuffix("_backward")
    if family in LOSSES:
        return [x, other]
    if not name.endswith("backward"):
        return [x]
    return [np.ascontiguousarray(other[..., : shape[-1] // 2]) if family in GATES else other, x]


def by_python(name: str, *arguments: Any, **keywords: Any) -> Any:
    """The function's result as it comes through Python, which notes the call."""
    return functions()[name]("numba", *arguments, **keywords)


def check(name: str, arrays: list[Any], others: list[Any], keywords: dict[str, Any], in_place: bool = True) -> None:
    """Python is asked once; then come the same bits without it, for other numbers too."""
    function = getattr(fastact, name)
    with pytest.raises(ForwardedError):
        function(*arrays, **keywords)
    by_python(name, *arrays, **keywords)
    expected = by_python(name, *others, **keywords)
    results = [function(*others, **keywords), function(*others, **keywords, out=None)]
    assert all(type(result) is type(expected) and result.dtype == expected.dtype for result in results)
    assert all(result.tobytes() == expected.tobytes() for result in results)
    if isinstance(expected, np.ndarray):
        out = np.empty_like(expected)
        assert all(result.flags.owndata for result in results)
        assert function(*others, **keywords, out=out) is out
        assert out.tobytes() == expected.tobytes()
        last = others[-1] if name.removesuffix("_backward") not in LOSSES else others[0]
        if in_place and last.shape == expected.shape:
            assert function(*others, out=last, **keywords) is last
            assert last.tobytes() == expected.tobytes()

"""How far rows, gates and losses are from exact values: the rest of ``python -m benchmarks.accuracy``.

Rows are compared with the textbook's formulas in longdouble, where that is wider than float64; gates and losses with
mpmath. Half of the rows have entries spread over [-80, 80]. Their ``_backward``: benchmarks/accuracy_gradients.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import mpmath as mp
import numpy as np

import fastact
from benchmarks import accuracy_gradients as gradients
from benchmarks import wide
from benchmarks.errors import Errors, ulp_errors
from fastact.losses.catalogue import LOSSES
from fastact.names import functions
from tests.reference import GATE_FACTORS, LOSS_TERMS, beside, drawn_from, moved, ulp_distance

__all__ = ["NAMES", "rows"]

Call = Callable[..., Any]

LENGTHS = (10, 100, 1000, 100_000)

#: Elements of rows, of each length and kind.
MANY = 200_000


# -- rows -----------------------------------------------------------------------------------------


def _log_total(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x without its maximum, and log1p of the exponentials without the maximum's."""
    difference = x - x.max(axis=1, keepdims=True)
    count = (difference == 0).sum(axis=1, keepdims=True)
    others = np.where(difference == 0, 0, np.exp(difference)).sum(axis=1, keepdims=True)
    return difference, np.log1p(others + (count - 1))


def _softmax(x: np.ndarray) -> np.ndarray:
    terms = np.exp(x - x.max(axis=1, keepdims=True))
    return terms / terms.sum(axis=1, keepdims=True)


def _log_softmax(x: np.ndarray) -> np.ndarray:
    difference, log = _log_total(x)
    return difference - log


def _sparsemax(x: np.ndarray) -> np.ndarray:
    falling = -np.sort(-x, axis=1)
    excess = (falling.cumsum(axis=1) - 1) / np.arange(1, x.shape[1] + 1)
    support = (falling > excess).sum(axis=1, keepdims=True)
    return np.maximum(x - np.take_along_axis(excess, support - 1, axis=1), 0)


def _cross_entropy(x: np.ndarray) -> np.ndarray:
    return -_log_softmax(x)[:, 0]


ROWS: dict[str, Call] = {
    "softmax": _softmax,
    "softmin": lambda x: _softmax(-x),
    "log_softmax": _log_softmax,
    "logsumexp": lambda x: x.max(axis=1) + _log_total(x)[1][:, 0],
    "sparsemax": _sparsemax,
    "cross_entropy": _cross_entropy,
}


def _call(name: str, function: Call) -> Call:
    """With the arguments that make it a function of rows; the label of every row is its first entry."""
    if name == "cross_entropy":
        return lambda x: function(x, np.zeros(len(x), int), reduction="none")
    return lambda x: function(x, axis=1)


def _row_errors(name: str, function: Call, dtype: Any) -> Errors:
    errors, rng = Errors(), np.random.default_rng(3)
    for length in LENGTHS:
        shape = (max(1, MANY // length), length)
        for drawn in (rng.uniform(-80, 80, shape), rng.normal(0, 5, shape)):
            x = drawn.astype(dtype)
            result = np.asarray(_call(name, function)(x))
            with np.errstate(all="ignore"):
                truth = ROWS[name](x.astype(np.longdouble))
            where = x if result.shape == x.shape else x[:, 0]
            errors = errors.merged(ulp_errors(result, truth).ravel(), where.ravel())
    return errors


# -- gates and losses -----------------------------------------------------------------------------


def _points(name: str, points: int, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    """Halves of a gate's input, or predictions and targets."""
    rng = np.random.default_rng(4)
    if name in GATE_FACTORS:
        first, second = rng.normal(0, 3, points), rng.uniform(-12, 12, points)
    else:
        first, second = drawn_from(LOSSES[name].pred, rng, points, 16), drawn_from(LOSSES[name].target, rng, points)
    return first.astype(dtype), second.astype(dtype)


def _point_errors(name: str, function: Call, dtype: Any, points: int) -> Errors:
    a, b = _points(name, points, dtype)
    gate = name in GATE_FACTORS
    results = np.asarray(function(np.concatenate([a, b])) if gate else function(a, b, *beside(name), reduction="none"))
    with mp.workdps(60):
        pairs = [(mp.mpf(float(u)), mp.mpf(float(v))) for u, v in zip(a, b)]
        if gate:
            errors = [ulp_distance(r, u * GATE_FACTORS[name](v)) for r, (u, v) in zip(results, pairs)]
        else:
            errors = [_term_error(name, r, u, v) for r, (u, v) in zip(results, pairs)]
    return Errors().merged(np.array(errors), b if gate else a)


def _term_error(name: str, result: Any, p: Any, t: Any) -> float:
    """In ulp; where terms cancel, of what is left of them otherwise."""
    term = LOSS_TERMS[name]
    truth = term(p, t)
    with mp.workdps(60):
        cancelled = abs(float(result) - truth) / (float(np.finfo(type(result)).eps) * (moved(term, p, t) or mp.inf))
    return min(ulp_distance(result, truth), float(cancelled) or np.inf)


# -- the table ------------------------------------------------------------------------------------

NAMES = (*ROWS, *GATE_FACTORS, *LOSS_TERMS, *gradients.NAMES)


def _peers(name: str) -> Iterator[tuple[str, Call]]:
    """The same elsewhere, taking and giving NumPy arrays."""
    if name in ("softmax", "log_softmax", "logsumexp"):
        for module in ("scipy.special", "jax.nn"):
            try:
                function = getattr(import_module(module), name)
            except ImportError:
                continue
            yield module.partition(".")[0], lambda x, axis, f=function: np.asarray(f(x, axis=axis))
    try:
        torch = import_module("torch")
    except ImportError:
        return
    home = torch if name in ("softmax", "log_softmax", "logsumexp") else torch.nn.functional
    if hasattr(home, name):
        function = getattr(home, name)

        def call(*arrays: Any, **keywords: Any) -> Any:
            given = [
                torch.from_numpy(a) if isinstance(a, np.ndarray) else a for a in (*arrays, *keywords.pop("axes", ()))
            ]
            if "axis" in keywords:
                keywords["dim"] = keywords.pop("axis")
            return function(*given, **keywords).numpy()

        yield "torch", call


def rows(name: str, points: int) -> Iterator[tuple[str, Errors]]:
    """What is printed of one function."""
    if (name in ROWS or name in gradients.ROWS) and not wide.available():
        return
    backends = ["numpy"] if fastact.backend() == "numpy" else ["numba", "numpy"]
    for backend in backends:
        for dtype in (np.float64, np.float32, np.float16):
            yield f"{backend} {np.dtype(dtype).name}", _errors(name, functions().callable(name, backend), dtype, points)
    for peer, function in _peers(name):
        yield f"{peer} float32", _errors(name, function, np.float32, points)


def _errors(name: str, function: Call, dtype: Any, points: int) -> Errors:
    if name in gradients.NAMES:
        return gradients.errors(name, function, dtype, points)
    return _row_errors(name, function, dtype) if name in ROWS else _point_errors(name, function, dtype, points)

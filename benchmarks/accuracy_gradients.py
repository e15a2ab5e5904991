"""How far the ``_backward`` of rows, gates and losses are from exact values: part of ``python -m benchmarks.accuracy``.

Most gradients are differences, which have roots: an ulp there is one of the larger of the things that are subtracted
from each other, and of a sum, one of the sum of their magnitudes. Rows and cross entropy are computed in longdouble,
gates and losses by mpmath.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import mpmath as mp
import numpy as np

from benchmarks.errors import Errors
from fastact.losses.catalogue import LOSSES
from tests.reference import GATE_FACTORS, LOSS_TERMS, beside, drawn_from, moved

__all__ = ["NAMES", "errors"]

Call = Callable[..., Any]

LENGTHS = (10, 100, 1000, 100_000)

#: Elements of rows, of each length and kind.
MANY = 200_000


def _softmax_backward(grad: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    terms = grad * y
    size = abs(terms).sum(axis=1, keepdims=True)
    return y * (grad - terms.sum(axis=1, keepdims=True)), y * np.maximum(abs(grad), size)


def _log_softmax_backward(grad: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    share = np.exp(y)
    size = share * abs(grad).sum(axis=1, keepdims=True)
    return grad - share * grad.sum(axis=1, keepdims=True), np.maximum(abs(grad), size)


def _cross_entropy_backward(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels are 0; their entries are minus the sum of the others."""
    terms = np.exp(x - x.max(axis=1, keepdims=True))
    truth = terms / terms.sum(axis=1, keepdims=True)
    truth[:, 0] = -truth[:, 1:].sum(axis=1)
    return truth, np.maximum(abs(truth), np.r_[1.0, np.zeros(x.shape[1] - 1)])


def _of_rows(name: str, function: Call, dtype: Any) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Results, exact ones, what those are measured by, and where."""
    rng = np.random.default_rng(3)
    for length in LENGTHS:
        shape = (max(1, MANY // length), length)
        for drawn in (rng.uniform(-80, 80, shape), rng.normal(0, 5, shape)):
            x, wide = drawn.astype(dtype), np.longdouble
            if name == "cross_entropy_backward":
                result = function(x, np.zeros(len(x), int), reduction="sum")
                yield result, *_cross_entropy_backward(x.astype(wide)), x
                continue
            y = drawn.astype(wide) - drawn.max(axis=1, keepdims=True)
            y -= np.log(np.exp(y).sum(axis=1, keepdims=True))
            plain = name == "softmax_backward"
            grad, y = rng.normal(0, 1, shape).astype(dtype), (np.exp(y) if plain else y).astype(dtype)
            exact = _softmax_backward if plain else _log_softmax_backward
            yield function(grad, y, axis=1), *exact(grad.astype(wide), y.astype(wide)), y


#: A term's slope, and what is subtracted there, where that is simple.
SLOPES: dict[str, Call] = {
    "mse_loss_backward": lambda p, t: (2 * (p - t), 0),
    "l1_loss_backward": lambda p, t: (mp.sign(p - t), 0),
    "huber_loss_backward": lambda p, t: (max(-1, min(1, p - t)), 0),
    "binary_cross_entropy_backward": lambda p, t: ((p - t) / max(p * (1 - p), mp.mpf("1e-12")), 0),
    "binary_cross_entropy_with_logits_backward": lambda p, t: (1 / (1 + mp.exp(-p)) - t, t),
}


def _slope(name: str) -> Call:
    """The same of any loss: the derivative, and what a rounding of pred and target may move it by."""
    if name in SLOPES:
        return SLOPES[name]
    term = LOSS_TERMS[name.removesuffix("_backward")]

    def slope(p: Any, t: Any) -> Any:
        return mp.diff(lambda p: term(p, t), p)

    return lambda p, t: (slope(p, t), moved(slope, p, t))


def _of_points(name: str, function: Call, dtype: Any, points: int) -> Iterator[tuple[np.ndarray, ...]]:
    rng = np.random.default_rng(4)
    gate = name.removesuffix("_backward")  # or a loss
    if gate in GATE_FACTORS:
        grad, a, b = (rng.normal(0, 3, points).astype(dtype) for _ in range(3))
        result = function(grad, np.concatenate([a, b])).reshape(2, points)
        factor = GATE_FACTORS[gate]
        for number, slope in enumerate((lambda a, b: factor(b), lambda a, b: a * mp.diff(factor, b))):
            truth = [g * slope(u, v) for g, u, v in zip(*map(_exactly, (grad, a, b)))]
            # the slope of b * f(b) is f(b) + b * f'(b): of opposite signs where b is negative
            size = [
                abs(g * u * factor(v) / (v if gate != "glu" else 1)) for g, u, v in zip(*map(_exactly, (grad, a, b)))
            ]
            yield result[number], _wide(truth), _wide(size) * (number == 1), b
        return
    loss = LOSSES[gate]
    p, t = drawn_from(loss.pred, rng, points, 16).astype(dtype), drawn_from(loss.target, rng, points).astype(dtype)
    pairs = [_slope(name)(u, v) for u, v in zip(_exactly(p), _exactly(t))]
    result = function(p, t, *beside(gate), reduction="sum")
    result = result[0] if isinstance(result, tuple) else result
    yield result, _wide([pair[0] for pair in pairs]), _wide([pair[1] for pair in pairs]), p


def _exactly(x: np.ndarray) -> list[Any]:
    return [mp.mpf(float(v)) for v in x]


def _wide(values: list[Any]) -> np.ndarray:
    return np.array([np.longdouble(mp.nstr(mp.mpf(v), 25)) for v in values])


ROWS = ("softmax_backward", "log_softmax_backward", "cross_entropy_backward")
NAMES = (*ROWS, *(f"{gate}_backward" for gate in GATE_FACTORS), *(f"{loss}_backward" for loss in LOSSES))


def errors(name: str, function: Call, dtype: Any, points: int) -> Errors:
    found = Errors()
    with mp.workdps(40), np.errstate(all="ignore"):
        cases = _of_rows(name, function, dtype) if name in ROWS else _of_points(name, function, dtype, points)
        for result, truth, size, where in cases:
            largest = np.fmin(np.maximum(abs(truth), abs(size)), np.finfo(dtype).max)
            spacing = np.spacing(largest.astype(dtype))
            found = found.merged((abs(result - truth) / spacing).ravel(), where.ravel())
    return found

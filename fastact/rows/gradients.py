"""Gradients of softmax, softmin and log_softmax with respect to the logits, in Numba's language.

With y the forward's output (X in the record) and grad the gradient with respect to it (OTHER): both need a sum over the
row, of `term`; the rest is the work of `finish`, which is given that sum in two parts.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from fastact.rows.moves import Mode
from fastact.simd.blocks import kernel
from fastact.simd.lanes import spread, widen
from fastact.simd.vectors import ldexp

__all__ = ["gradient"]


def gradient(operation: str, words: SimpleNamespace, mode: Mode) -> SimpleNamespace:
    """What gives rows, whole or in parts, their gradient."""
    term, finish = {
        "softmax_backward": _of_softmax,
        "softmin_backward": _of_softmin,
        "log_softmax_backward": lambda: _of_log_softmax(words),
    }[operation]()
    summed, finish_span = _summed(words, mode, term), _finish_span(words, mode, finish)
    finish_all = mode.past_caches(finish_span)
    store, get, put, load_first = mode.store, mode.get, mode.put, words.load_first

    @kernel
    def apply(context, y, grad, out):
        finish_span(store, y, grad, out, summed(y, grad, out))

    @kernel
    def summary(context, y, grad, result):
        put(result, 1, summed(y, grad, y))

    @kernel
    def complete(context, known, y, grad, out):
        finish_all(context, y, grad, out, get(known, 1, load_first(y[0], 0)))

    return SimpleNamespace(apply=apply, summary=summary, complete=complete)


def _of_softmax() -> tuple[Any, Any]:
    @kernel
    def term(y, grad):
        return y * grad

    @kernel
    def finish(y, grad, high, low):
        return y * ((grad - high) - low)

    return term, finish


def _of_softmin() -> tuple[Any, Any]:
    term, _ = _of_softmax()

    @kernel
    def finish(y, grad, high, low):
        return y * ((high - grad) + low)

    return term, finish


def _of_log_softmax(words: SimpleNamespace) -> tuple[Any, Any]:
    parts = words.parts

    @kernel
    def term(y, grad):
        return grad

    @kernel
    def finish(y, grad, high, low):
        p, k = parts(y, spread(0.0, y))
        return grad - ldexp(p * high, k)

    return term, finish


def _summed(words: SimpleNamespace, mode: Mode, term: Any) -> Any:
    load, positions, prefetch_bundle = mode.load, mode.positions, mode.prefetch_bundle
    fold, across_total, add, load_first = mode.fold, mode.across_total, words.add, words.load_first

    @kernel
    def summed(y, grad, out):
        zero = load_first(y[0], 0)
        total, low = widen(fold(zero)), widen(fold(zero))
        for i in range(positions(y[2])):
            prefetch_bundle(y, i)
            prefetch_bundle(grad, i)
            prefetch_bundle(out, i)
            total, low = add(total, low, fold(term(load(y, i, zero), load(grad, i, zero))))
        return across_total(total, low)

    return summed


def _finish_span(words: SimpleNamespace, mode: Mode, finish: Any) -> Any:
    load, positions, load_first = mode.load, mode.positions, words.load_first
    vector_of, number_of = mode.vector_of, mode.number_of

    @kernel
    def finish_span(store, y, grad, out, total):
        zero = load_first(y[0], 0)
        high = vector_of(total, zero)
        low = vector_of(total - number_of(high), zero)
        for i in range(positions(y[2])):
            store(finish(load(y, i, zero), load(grad, i, zero), high, low), out, i)

    return finish_span

"""Functions along an axis, in Numba's language: each written once, for rows and for panels (fastact.rows.moves).

A row is gone over as often as the mathematics needs, but read from memory and written to it once. One that is
longer than the cache is cut into *parts*: all are summarised first, then finished.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from fastact.rows import tasks
from fastact.rows.moves import Mode, bundles, columns, panels, rows
from fastact.rows.words import words_for
from fastact.runtime.pool import TASK_SIGNATURE
from fastact.simd.blocks import kernel
from fastact.simd.lanes import any_lane, float_at, spread, widen
from fastact.simd.layout import Axis
from fastact.simd.vectors import floor, fma, ldexp, select

__all__ = ["functions"]

INFINITY = np.inf


def functions(operation: str, storage: str) -> dict[str, tuple[Any, Any]]:
    """The compiled tasks of an operation: on rows, on panels, and the two on parts of one long row."""
    words = words_for(storage)
    make = {"softmax_backward": _gradient, "log_softmax_backward": _gradient, "sparsemax": _sparsemax}.get(
        operation, _exponential
    )
    modes = [make(operation, words, mode(words)) for mode in (rows, bundles, panels, columns)]
    if operation == "statistics":
        made = tasks.statistics(words, *modes)
    else:
        made = tasks.transformations(2 if make is _gradient else 1, words, *modes)
    return {name: (TASK_SIGNATURE, task) for name, task in made.items()}


# -- softmax and log_softmax ----------------------------------------------------------------------


def _exponential(operation: str, words: SimpleNamespace, mode: Mode) -> SimpleNamespace:
    load, store, positions = mode.load, mode.store, mode.positions
    prefetch_next, prefetch_ahead = mode.prefetch_next, mode.prefetch_ahead
    fold, across_max, across_sum, across_total = mode.fold, mode.across_max, mode.across_sum, mode.across_total
    number_of, vector_of, few_of, every = mode.number_of, mode.vector_of, mode.few_of, mode.every
    parts, shift_of, log_total, add = words.parts, words.shift, words.log_total, words.add
    load_first, get, put = words.load_first, mode.get, mode.put
    opposite, careful = operation == "softmin", words.work == 8
    set_apart = not opposite and operation != "softmax"  # the logarithm wants the sum without its largest terms

    @kernel
    def load_signed(x, i, lowest):
        """Where there is no element, the lowest."""
        return -load(x, i, -lowest) if opposite else load(x, i, lowest)

    @kernel
    def reference(maximum):
        """What the exponentials of a row are measured by: shift, and p and k of the maximum; p in few lanes."""
        few = few_of(maximum)
        shift = shift_of(few)
        p, k = parts(few, shift)
        return every(shift, maximum), p, every(floor(k), maximum)

    @kernel
    def summarise(x, keep, y, set_apart):
        """A row's maximum, how often it was set apart, and the sum of the other exponentials; these as multiples of
        2**k of the maximum. ``keep(y, i, term)`` is told each vector of terms."""
        zero = load_first(x[0], 0)
        lowest = spread(-INFINITY, zero)
        best = lowest
        for i in range(positions(x[2])):
            v = load_signed(x, i, lowest)
            best = select(v > best, v, best)
        maximum = across_max(best)
        shift, _, k_of_maximum = reference(maximum)
        total, low, number = widen(fold(zero)), widen(fold(zero)), zero
        for i in range(positions(x[2])):
            prefetch_next(x, i)
            prefetch_next(y, i)
            v = load_signed(x, i, lowest)
            p, k = parts(v, shift)
            term = ldexp(p, k - k_of_maximum)
            if set_apart:
                largest = v == maximum
                term = select(largest, zero, term)
                number = select(largest, number + spread(1.0, zero), number)
            keep(y, i, term)
            total, low = add(total, low, fold(term))
        return maximum, across_total(total, low), across_sum(number)

    @kernel
    def no_need(y, i, term):
        pass

    @kernel
    def in_result(y, i, term):
        store(term, y, i)

    @kernel
    def softmax_state(maximum, others, number, scale):
        shift, p, k = reference(maximum)
        total = number * number_of(p) + others
        return shift, k, vector_of(scale / total, maximum)

    @kernel
    def softmax_finish(v, state):
        shift, k_of_maximum, factor = state
        p, k = parts(v, shift)
        return ldexp(p * factor, k - k_of_maximum)

    @kernel
    def log_state(maximum, others, number, scale):
        _, p, _ = reference(maximum)
        few = few_of(maximum)
        log = log_total(vector_of(others / number_of(p), few), vector_of(number, few), few)
        return maximum, every(log, maximum), maximum

    @kernel
    def log_finish(v, state):
        maximum, log, _ = state
        return (v - maximum) - log

    state_of, finish = (softmax_state, softmax_finish) if not set_apart else (log_state, log_finish)

    @kernel
    def finish_span(store, x, other, y, state):
        for i in range(positions(x[2])):
            prefetch_ahead(x, i)
            store(finish(load_signed(x, i, state[2]), state), y, i)

    finish_all = mode.past_caches(finish_span)

    @kernel
    def apply_scaling(context, x, other, y):
        """softmax with one exponential per element: kept where the result will be."""
        maximum, total, _ = summarise(x, in_result, y, False)
        scale = float_at(context, Axis.SCALE)
        factor = vector_of(scale / total, maximum)
        low = vector_of(fma(-(scale / total), total, scale) / total, maximum)
        for i in range(positions(x[2])):
            term = load(y, i, factor)
            # in float64 the sum is no wider than its terms: that the factor is rounded would show
            store(fma(term, factor, term * low) if careful else term * factor, y, i)

    @kernel
    def apply(context, x, other, y):
        maximum, others, number = summarise(x, no_need, y, set_apart)
        finish_span(store, x, other, y, state_of(maximum, others, number, float_at(context, Axis.SCALE)))

    @kernel
    def statistics(context, x, y, other):
        maximum, others, number = summarise(x, no_need, x, True)
        store(maximum, y, 0)
        store(log_state(maximum, others, number, 1.0)[1], other, 0)

    @kernel
    def summary(context, x, other, result):
        """Of a part its maximum, how often that occurs, and the sum of the other exponentials, with p and k of the
        maximum. Next to others, a part of nothing but minus infinity counts for nothing, and only a NaN is one."""
        maximum, others, number = summarise(x, no_need, x, True)
        few = few_of(maximum)
        _, p, k = reference(maximum)
        nothing = few == spread(-INFINITY, few)
        put(result, 0, number_of(maximum))
        put(result, 1, number)
        put(result, 2, others)
        put(result, 3, number_of(select(nothing, spread(1.0, few), p)))
        put(result, 4, number_of(select(nothing, spread(0.0, few), few_of(k))))

    @kernel
    def complete(context, known, x, other, y):
        """A part of a row of which the maximum, the sum as a multiple of its 2**k, and the logarithm are known."""
        zero = load_first(x[0], 0)
        maximum = vector_of(get(known, 0, zero), zero)
        if set_apart:
            state = maximum, vector_of(get(known, 2, zero), zero), maximum
        else:
            shift, _, k = reference(maximum)
            state = shift, k, vector_of(float_at(context, Axis.SCALE) / get(known, 1, zero), maximum)
        finish_all(context, x, other, y, state)

    if not set_apart and words.size == words.work:  # float16 would round the exponentials
        apply = apply_scaling
    return SimpleNamespace(apply=apply, statistics=statistics, summary=summary, complete=complete)


# -- gradients ------------------------------------------------------------------------------------


def _gradient(operation: str, words: SimpleNamespace, mode: Mode) -> SimpleNamespace:
    """With y the forward's output (X in the record) and grad the gradient with respect to it (OTHER)."""
    load, store, positions, prefetch_bundle = mode.load, mode.store, mode.positions, mode.prefetch_bundle
    fold, across_total, vector_of, number_of = mode.fold, mode.across_total, mode.vector_of, mode.number_of
    parts, add, load_first = words.parts, words.add, words.load_first
    get, put = mode.get, mode.put

    @kernel
    def softmax_term(y, grad):
        return y * grad

    @kernel
    def softmax_finish(y, grad, high, low):
        return y * ((grad - high) - low)

    @kernel
    def log_term(y, grad):
        return grad

    @kernel
    def log_finish(y, grad, high, low):
        p, k = parts(y, spread(0.0, y))
        return grad - ldexp(p * high, k)

    plain = operation == "softmax_backward"
    term, finish = (softmax_term, softmax_finish) if plain else (log_term, log_finish)

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

    @kernel
    def finish_span(store, y, grad, out, total):
        zero = load_first(y[0], 0)
        high = vector_of(total, zero)
        low = vector_of(total - number_of(high), zero)
        for i in range(positions(y[2])):
            store(finish(load(y, i, zero), load(grad, i, zero), high, low), out, i)

    finish_all = mode.past_caches(finish_span)

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


# -- sparsemax ------------------------------------------------------------------------------------


def _sparsemax(operation: str, words: SimpleNamespace, mode: Mode) -> SimpleNamespace:
    """The threshold t with sum of max(x - t, 0) = 1, by C. Michelot's method (1986): of the entries above t, the
    mean excess gives the next t, which only rises; it stops when none falls out. A few passes instead of a sort."""
    load, store, positions, fold = mode.load, mode.store, mode.positions, mode.fold
    across_max, across_sum, vector_of = mode.across_max, mode.across_sum, mode.vector_of
    load_first = words.load_first

    @kernel
    def apply(context, x, other, y):
        zero = load_first(x[0], 0)
        lowest, one = spread(-INFINITY, zero), spread(1.0, zero)
        best = lowest
        for i in range(positions(x[2])):
            v = load(x, i, lowest)
            best = select((v > best) | (v != v), v, best)
        broken = across_max(select(best != best, one, zero)) > zero
        maximum = select(broken, spread(np.nan, zero), across_max(best))
        threshold, before, moving = -one, -lowest, True
        while moving:
            total, number = widen(fold(zero)), zero
            for i in range(positions(x[2])):
                excess = load(x, i, lowest) - maximum
                inside = excess > threshold
                total = total + widen(fold(select(inside, excess, zero)))
                number = select(inside, number + one, number)
            number = vector_of(across_sum(number), zero)
            threshold = (vector_of(across_sum(total), zero) - one) / number
            moving = any_lane(number < before)  # and not !=, which rounding could keep up for ever
            before = number
        for i in range(positions(x[2])):
            excess = (load(x, i, lowest) - maximum) - threshold
            store(select(excess < zero, zero, excess), y, i)

    return SimpleNamespace(apply=apply)

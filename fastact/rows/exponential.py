"""softmax, softmin, log_softmax and the statistics of logsumexp, in Numba's language.

Exponentials of a row are summed as multiples of 2**k of its maximum (fastact.rows.formulas). The logarithm wants the
sum without its largest terms, the maximum *set apart*: it has them as their number.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from fastact.rows.moves import Mode
from fastact.simd.blocks import kernel
from fastact.simd.lanes import float_at, spread, widen
from fastact.simd.layout import Axis
from fastact.simd.vectors import floor, fma, ldexp, select

__all__ = ["exponential", "statistics"]

INFINITY = np.inf


def exponential(operation: str, words: SimpleNamespace, mode: Mode) -> SimpleNamespace:
    """What gives rows, whole or in parts, their softmax, softmin or log_softmax."""
    reference = _reference(words, mode)
    summing = _summing(operation == "softmin", words, mode, reference)
    logarithm = operation == "log_softmax"
    result = (_log_softmax if logarithm else _softmax)(words, mode, reference)
    finish_span = _finish_span(mode, summing.load, result.finish)
    if logarithm or words.size != words.work:  # float16 would round the exponentials
        apply = _apply_twice(mode, summing.summarise, logarithm, result.state_of, finish_span)
    else:
        apply = _apply_scaling(words, mode, summing.summarise)
    summary = _summary(mode, summing.summarise, reference)
    return SimpleNamespace(apply=apply, summary=summary, complete=_complete(words, mode, result, finish_span))


def statistics(operation: str, words: SimpleNamespace, mode: Mode) -> SimpleNamespace:
    """What gives rows their maximum, and the logarithm of the sum of exp(x - maximum)."""
    store, reference = mode.store, _reference(words, mode)
    summarise = _summing(False, words, mode, reference).summarise
    state_of = _log_softmax(words, mode, reference).state_of

    @kernel
    def statistics(context, x, y, other):
        maximum, others, number = summarise(x, no_need, x, True)
        store(maximum, y, 0)
        store(state_of(maximum, others, number, 1.0)[1], other, 0)

    return SimpleNamespace(statistics=statistics, summary=_summary(mode, summarise, reference))


# -- sums of exponentials -------------------------------------------------------------------------


def _reference(words: SimpleNamespace, mode: Mode) -> Any:
    parts, shift_of, few_of, every = words.parts, words.shift, mode.few_of, mode.every

    @kernel
    def reference(maximum):
        """What the exponentials of a row are measured by: shift, and p and k of the maximum; p in few lanes."""
        few = few_of(maximum)
        shift = shift_of(few)
        p, k = parts(few, shift)
        return every(shift, maximum), p, every(floor(k), maximum)

    return reference


def _summing(opposite: bool, words: SimpleNamespace, mode: Mode, reference: Any) -> SimpleNamespace:
    """``load`` vectors of a row, or of its opposite, and ``summarise`` them."""
    load, positions, prefetch_next = mode.load, mode.positions, mode.prefetch_next
    fold, across_max, across_sum, across_total = mode.fold, mode.across_max, mode.across_sum, mode.across_total
    parts, add, load_first = words.parts, words.add, words.load_first

    @kernel
    def load_signed(x, i, lowest):
        """Where there is no element, the lowest."""
        return -load(x, i, -lowest) if opposite else load(x, i, lowest)

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

    return SimpleNamespace(load=load_signed, summarise=summarise)


@kernel
def no_need(y, i, term):
    pass


# -- from sums to results -------------------------------------------------------------------------
# `finish` needs three vectors, the state of a row. It follows from the row's summary (`state_of`), or from what is
# known of a row in parts (`known_state`): its maximum, the sum as a multiple of 2**k of that, and the logarithm.


def _softmax(words: SimpleNamespace, mode: Mode, reference: Any) -> SimpleNamespace:
    number_of, vector_of, parts, get = mode.number_of, mode.vector_of, words.parts, mode.get

    @kernel
    def state_of(maximum, others, number, scale):
        shift, p, k = reference(maximum)
        total = number * number_of(p) + others
        return shift, k, vector_of(scale / total, maximum)

    @kernel
    def known_state(context, known, maximum, zero):
        shift, _, k = reference(maximum)
        return shift, k, vector_of(float_at(context, Axis.SCALE) / get(known, 1, zero), maximum)

    @kernel
    def finish(v, state):
        shift, k_of_maximum, factor = state
        p, k = parts(v, shift)
        return ldexp(p * factor, k - k_of_maximum)

    return SimpleNamespace(state_of=state_of, known_state=known_state, finish=finish)


def _log_softmax(words: SimpleNamespace, mode: Mode, reference: Any) -> SimpleNamespace:
    number_of, vector_of, few_of, every = mode.number_of, mode.vector_of, mode.few_of, mode.every
    log_total, get = words.log_total, mode.get

    @kernel
    def state_of(maximum, others, number, scale):
        _, p, _ = reference(maximum)
        few = few_of(maximum)
        log = log_total(vector_of(others / number_of(p), few), vector_of(number, few), few)
        return maximum, every(log, maximum), maximum

    @kernel
    def known_state(context, known, maximum, zero):
        return maximum, vector_of(get(known, 2, zero), zero), maximum

    @kernel
    def finish(v, state):
        maximum, log, _ = state
        return (v - maximum) - log

    return SimpleNamespace(state_of=state_of, known_state=known_state, finish=finish)


def _finish_span(mode: Mode, load: Any, finish: Any) -> Any:
    positions, prefetch_ahead = mode.positions, mode.prefetch_ahead

    @kernel
    def finish_span(store, x, other, y, state):
        for i in range(positions(x[2])):
            prefetch_ahead(x, i)
            store(finish(load(x, i, state[2]), state), y, i)

    return finish_span


# -- whole rows -----------------------------------------------------------------------------------


def _apply_twice(mode: Mode, summarise: Any, set_apart: bool, state_of: Any, finish_span: Any) -> Any:
    """Each exponential, or logarithm of it, is computed when it is summed and again when it is written."""
    store = mode.store

    @kernel
    def apply(context, x, other, y):
        maximum, others, number = summarise(x, no_need, y, set_apart)
        finish_span(store, x, other, y, state_of(maximum, others, number, float_at(context, Axis.SCALE)))

    return apply


def _apply_scaling(words: SimpleNamespace, mode: Mode, summarise: Any) -> Any:
    """softmax with one exponential per element: kept where the result will be."""
    load, store, positions, vector_of = mode.load, mode.store, mode.positions, mode.vector_of
    careful = words.work == 8  # in float64 the sum is no wider than its terms: that the factor is rounded would show

    @kernel
    def keep(y, i, term):
        store(term, y, i)

    @kernel
    def apply(context, x, other, y):
        maximum, total, _ = summarise(x, keep, y, False)
        scale = float_at(context, Axis.SCALE)
        factor = vector_of(scale / total, maximum)
        low = vector_of(fma(-(scale / total), total, scale) / total, maximum)
        for i in range(positions(x[2])):
            term = load(y, i, factor)
            store(fma(term, factor, term * low) if careful else term * factor, y, i)

    return apply


# -- parts of rows --------------------------------------------------------------------------------


def _summary(mode: Mode, summarise: Any, reference: Any) -> Any:
    few_of, number_of, put = mode.few_of, mode.number_of, mode.put

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

    return summary


def _complete(words: SimpleNamespace, mode: Mode, result: SimpleNamespace, finish_span: Any) -> Any:
    load_first, vector_of, get = words.load_first, mode.vector_of, mode.get
    known_state, finish_all = result.known_state, mode.past_caches(finish_span)

    @kernel
    def complete(context, known, x, other, y):
        zero = load_first(x[0], 0)
        maximum = vector_of(get(known, 0, zero), zero)
        finish_all(context, x, other, y, known_state(context, known, maximum, zero))

    return complete

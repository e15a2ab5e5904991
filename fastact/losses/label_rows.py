"""Losses of labels in one call, for :mod:`fastact.ufuncs.direct`: the cross entropy, and that of known logarithms.
Compiled by Numba.

The same steps as in :mod:`fastact.losses.classification` and :mod:`fastact.losses.labels`, where NumPy takes them one
by one, with the same bits.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from fastact.runtime.pool import (
    address_of,
    atomic_add,
    call_loop,
    call_resolve,
    clear_floating_point_flags,
    offset,
    record_at,
    stack_record,
)
from fastact.simd.addresses import memory, scratch
from fastact.simd.blocks import LOOP_SIGNATURE, inline
from fastact.simd.known import Labels
from fastact.simd.layout import Axis

__all__ = ["functions"]

malloc = types.ExternalFunction("malloc", types.intp(types.intp))
free = types.ExternalFunction("free", types.void(types.intp))

AXIS_BYTES = 8 * Axis.SIZE

#: Numbers that NumPy adds up before it adds sums, and room for what waits meanwhile.
PAIRWISE, ROOM = 128, 2048

get_wide, put_wide, _ = memory(ir.DoubleType(), types.float64, 1)


def functions(name: str) -> dict[str, tuple[Any, Any]]:
    """The driver for logits that are ``"float32"`` or ``"float64"``."""
    size, element = {"float32": (4, ir.FloatType()), "float64": (8, ir.DoubleType())}[name]
    number = getattr(types, name)
    get, put, _ = memory(element, number, 1)

    def drive_labels(pointers, sizes, results, data):
        """The losses of rows, or their sum. ``sizes``: Labels, and behind them what there is to know of rows (Axis).
        ``data``: how often it was left to Python."""
        room = losses_of(pointers, sizes, data)
        if room != 0:
            deliver(pointers, sizes, results, room)
            free(room)

    def drive_logarithms(pointers, sizes, results, data):
        """The same of logarithms of probabilities."""
        rows = sizes[Labels.ROWS]
        room = malloc(16 * rows) if are_classes(pointers[1], sizes) else 0
        if room == 0:
            atomic_add(data, 0, 1)
            return
        for row in range(rows):
            put_wide(0.0 - types.float64(get(pointers[0] + own(pointers, sizes, row))), room + 8 * row)
        deliver(pointers, sizes, results, room)
        free(room)

    @inline
    def deliver(pointers, sizes, results, room):
        """The losses of rows, weighted, or their sum."""
        rows = sizes[Labels.ROWS]
        collect_weights(pointers, sizes, room)
        if sizes[Labels.WEIGHTED] != 0:
            for row in range(rows):
                put_wide(times(weight_of(sizes, room, row), get_wide(room + 8 * row)), room + 8 * row)
        if sizes[Labels.SUMMED] != 0:
            results[1] = 0
            total = 0.0 + pairwise_sum(room, rows)
            put_wide(total / sum_of_weights(sizes, room), address_of(results))
        else:
            for row in range(rows):
                put(number(get_wide(room + 8 * row)), pointers[2 + sizes[Labels.WEIGHTED]] + row * size)

    def drive_slopes(pointers, sizes, idle, data):
        """The gradient with respect to logarithms: minus the weight over the divisor at each label, 0 elsewhere."""
        rows, result = sizes[Labels.ROWS], pointers[2 + sizes[Labels.WEIGHTED]]
        room = malloc(16 * rows) if are_classes(pointers[1], sizes) else 0
        if room == 0:
            atomic_add(data, 0, 1)
            return
        collect_weights(pointers, sizes, room)
        divisor = sum_of_weights(sizes, room)
        for i in range(rows * sizes[Labels.CLASSES]):
            put(number(0), result + i * size)
        for row in range(rows):
            slope = get_wide(address_of(offset(sizes, Labels.SCALE)))
            if sizes[Labels.WEIGHTED] != 0:
                slope = weight_of(sizes, room, row) / (divisor if divisor != 0 else 1.0)
            put(number(0.0 - slope), result + own(pointers, sizes, row))
        free(room)
        clear_floating_point_flags()

    def drive_gradient(pointers, sizes, idle, data):
        """The gradient: softmax but for the labels' own logits, where it is expm1 of minus the loss; times the weight
        of the row's label."""
        rows, result = sizes[Labels.ROWS], pointers[2 + sizes[Labels.WEIGHTED]]
        room = losses_of(pointers, sizes, data)
        if room != 0:
            for row in range(rows):
                put_wide(-get_wide(room + 8 * row), room + 8 * row)
            expm1(sizes, room)
            collect_weights(pointers, sizes, room)
            scale = scale_of(sizes, room)
            if described(offset(sizes, Labels.SIZE + Axis.SIZE), sizes, pointers[0], 0, result, scale):
                for row in range(rows):
                    share = get_wide(room + 8 * row) * scale
                    if sizes[Labels.WEIGHTED] != 0:
                        weight = weight_of(sizes, room, row)
                        weigh_row(result, sizes, row, number(weight))
                        share = times(weight, share)
                    put(number(share), result + own(pointers, sizes, row))
            else:
                atomic_add(data, 1 if pointers[0] == result else 0, 1)
            free(room)
            clear_floating_point_flags()

    @inline
    def losses_of(pointers, sizes, data):
        """The address of memory with the loss of each row in float64; 0 if that is left to Python."""
        rows = sizes[Labels.ROWS]
        room = malloc(rows * (8 + 2 * size)) if are_classes(pointers[1], sizes) else 0
        logarithms, maxima = room + 8 * rows, room + (8 + size) * rows
        if room == 0 or not described(offset(sizes, Labels.SIZE), sizes, pointers[0], logarithms, maxima, 1.0):
            atomic_add(data, 0, 1)
            free(room)
            return 0
        for row in range(rows):
            loss = types.float64(get(maxima + row * size)) - types.float64(get(pointers[0] + own(pointers, sizes, row)))
            put_wide(loss + types.float64(get(logarithms + row * size)), room + 8 * row)
        return room

    @inline
    def own(pointers, sizes, row):
        """Where the logit of a row's label is, in bytes."""
        inner = sizes[Labels.INNER]
        return first_of(sizes, row) + record_at(pointers[1])[row] * inner * size

    @inline
    def first_of(sizes, row):
        """Where a row's first logit is."""
        inner = sizes[Labels.INNER]
        return (row // inner * sizes[Labels.CLASSES] * inner + row % inner) * size

    @inline
    def collect_weights(pointers, sizes, room):
        """Put what the labels weigh, if they do, behind the values of rows, before the result overwrites it."""
        if sizes[Labels.WEIGHTED] != 0:
            rows = sizes[Labels.ROWS]
            for row in range(rows):
                weight = get(pointers[2] + record_at(pointers[1])[row] * size)
                put_wide(types.float64(weight), room + 8 * (rows + row))

    @inline
    def weigh_row(result, sizes, row, weight):
        """Times the weight; nothing counts where that is 0, not even what is infinite."""
        first, step = result + first_of(sizes, row), sizes[Labels.INNER] * size
        for column in range(sizes[Labels.CLASSES]):
            place = first + column * step
            put(get(place) * weight if weight != 0 else number(0), place)

    drivers = drive_labels, drive_gradient, drive_logarithms, drive_slopes
    return {driver.__name__: (LOOP_SIGNATURE, driver) for driver in drivers}


@inline
def are_classes(labels, sizes):
    """Whether each label is that of a class."""
    strange = 0
    for row in range(sizes[Labels.ROWS]):
        label = record_at(labels)[row]
        strange |= (label < 0) | (label >= sizes[Labels.CLASSES])
    return strange == 0


@inline
def weight_of(sizes, room, row):
    return get_wide(room + 8 * (sizes[Labels.ROWS] + row))


@inline
def sum_of_weights(sizes, room):
    """What a mean is divided by, if weights say so."""
    rows = sizes[Labels.ROWS]
    return 0.0 + pairwise_sum(room + 8 * rows, rows) if sizes[Labels.MEAN] != 0 else 1.0


@inline
def scale_of(sizes, room):
    """What the gradient is multiplied by."""
    if sizes[Labels.MEAN] == 0:
        return get_wide(address_of(offset(sizes, Labels.SCALE)))
    divisor = sum_of_weights(sizes, room)
    return 1.0 / divisor if divisor != 0 else 1.0


@inline
def times(weight, value):
    """What weighs nothing may be infinite."""
    return weight * value if weight != 0 else 0.0


@inline
def described(record, sizes, x, other, y, scale):
    """Have done along the axis what a record describes but for addresses and the scale; False if there was no memory
    for that."""
    context = record_at(scratch(AXIS_BYTES))
    for i in range(Axis.SIZE):
        context[i] = record[i]
    context[Axis.X], context[Axis.OTHER], context[Axis.Y] = x, other, y
    put_wide(scale, address_of(offset(context, Axis.SCALE)))
    call_resolve(sizes[Labels.DRIVER], context)
    return context[Axis.REFUSED] == 0


@inline
def expm1(sizes, values):
    """NumPy's, in place."""
    pointers, count, steps = stack_record(), stack_record(), stack_record()
    pointers[0], pointers[1], steps[0], steps[1], count[0] = values, values, 8, 8, sizes[Labels.ROWS]
    call_loop(sizes[Labels.EXPM1], pointers, count, steps, record_at(sizes[Labels.EXPM1_DATA]))


@inline
def pairwise_sum(values, count):
    """What NumPy's sum of side by side float64 is, to the bit: of halves, down to few numbers."""
    waiting, sums = record_at(scratch(ROOM)), scratch(ROOM)
    waiting[0], waiting[1], pending, found = 0, count, 1, 0
    while pending > 0:
        pending -= 1
        begin, length = waiting[2 * pending], waiting[2 * pending + 1]
        if length < 0:
            found -= 1
            put_wide(get_wide(sums + 8 * found - 8) + get_wide(sums + 8 * found), sums + 8 * found - 8)
        elif length <= PAIRWISE:
            put_wide(sum_of_few(values + 8 * begin, length), sums + 8 * found)
            found += 1
        else:
            half = length // 2 - length // 2 % 8
            waiting[2 * pending + 1] = -1
            waiting[2 * pending + 2], waiting[2 * pending + 3] = begin + half, length - half
            waiting[2 * pending + 4], waiting[2 * pending + 5] = begin, half
            pending += 3
    return get_wide(sums)


@inline
def sum_of_few(values, count):
    if count < 8:
        total = -0.0
        for i in range(count):
            total += get_wide(values + 8 * i)
        return total
    parts = scratch(64)
    for i in range(8):
        put_wide(get_wide(values + 8 * i), parts + 8 * i)
    whole = count - count % 8
    for i in range(8, whole):
        part = parts + i % 8 * 8
        put_wide(get_wide(part) + get_wide(values + 8 * i), part)
    total = (get_wide(parts) + get_wide(parts + 8)) + (get_wide(parts + 16) + get_wide(parts + 24))
    total += (get_wide(parts + 32) + get_wide(parts + 40)) + (get_wide(parts + 48) + get_wide(parts + 56))
    for i in range(whole, count):
        total += get_wide(values + 8 * i)
    return total

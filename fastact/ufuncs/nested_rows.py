"""The compiled driver of loops over rows, over the pool of :mod:`fastact.runtime.pool`.

A loop is fast on whole vectors; what is left over is gathered element by element. Rows that are shorter than a few
vectors, and no multiple of one, are therefore taken together, as many as fit a corner of the cache; and short rows of
any length, where that takes no copies but of a parameter's.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastact.runtime.drivers import even_grain, finish_streams, note_end_of, open_context, threads_worth
from fastact.runtime.pool import (
    TASK_SIGNATURE,
    address_of,
    call_loop,
    call_resolve,
    call_task,
    clear_floating_point_flags,
    inline,
    record_at,
    share_among,
    stack_record,
)
from fastact.simd.blocks import LOOP_SIGNATURE
from fastact.simd.layout import MAX_OPERANDS, Loop, Pool, Rows, Traffic

#: Bytes of rows that are copied together, of each operand.
CORNER = 4096

#: Elements of a row from which results go past the caches. Each row then begins and ends with ordinary stores, up to
#: where a cache line does. Measured on 1e7 float32: rows of 64 took six times as long so.
LONG_ROW = 512


@intrinsic
def corners(typing_context):
    """The address of room for rows of every operand, on the stack."""

    def generate(context, builder, signature, args):
        with builder.goto_entry_block():
            place = builder.alloca(ir.ArrayType(ir.IntType(8), MAX_OPERANDS * CORNER))
            place.align = 64
        return builder.ptrtoint(place, ir.IntType(64))

    return types.intp(), generate


def _mover(words: int) -> Any:
    @intrinsic
    def move(typing_context, target, source):
        def generate(context, builder, signature, args):
            pointer = ir.VectorType(ir.IntType(64), words).as_pointer()
            target, source = (builder.inttoptr(address, pointer) for address in args)
            builder.store(builder.load(source, align=1), target, align=1)
            return context.get_dummy_value()

        return types.void(target, source), generate

    return move


move_8, move_16, move_32 = _mover(1), _mover(2), _mover(4)


@inline
def copy_row(target, source, size):
    """Copy 8 bytes or more in large pieces, the last of which may overlap the one before."""
    if size >= 32:
        at = 0
        while at < size - 32:
            move_32(target + at, source + at)
            at += 32
        move_32(target + size - 32, source + size - 32)
    elif size >= 16:
        move_16(target, source)
        move_16(target + size - 16, source + size - 16)
    else:
        move_8(target, source)
        move_8(target + size - 8, source + size - 8)


def run_rows(begin, end, context):
    """Some rows of a nest of three loops. ``context``: loop, operands, traffic, then addresses of sizes, steps
    and pointers."""
    operands = context[1]
    sizes, steps, base = record_at(context[3]), record_at(context[4]), record_at(context[5])
    pointers = stack_record()
    for row in range(begin, end):
        middle, outer = row % sizes[1], row // sizes[1]
        for i in range(operands):
            pointers[i] = base[i] + middle * steps[operands + i] + outer * steps[2 * operands + i]
        call_loop(context[0], pointers, sizes, steps, context)
    finish_streams(context)


@inline
def is_whole(sizes, steps, operands, i):
    """Whether an operand's rows follow each other without a gap."""
    row_bytes = sizes[Rows.BYTES]
    return steps[operands + i] == row_bytes and (sizes[2] == 1 or steps[2 * operands + i] == sizes[1] * row_bytes)


@inline
def is_repeated(sizes, steps, operands, i):
    """Whether an operand has one row for all."""
    return steps[operands + i] == 0 and (sizes[2] == 1 or steps[2 * operands + i] == 0)


def run_short_rows(begin, end, context):
    """The same some rows at a time: each operand's elements lie side by side within a row. Rows with gaps between them
    are copied together, and a row that is the same for all is copied as often as it is needed at a time."""
    operands = context[1]
    sizes, steps, base = record_at(context[3]), record_at(context[4]), record_at(context[5])
    row_bytes, inputs, room = sizes[Rows.BYTES], sizes[Rows.INPUTS], corners()
    pointers, size = stack_record(), stack_record()
    group = min(CORNER // row_bytes, end - begin)
    for i in range(operands):
        pointers[i] = room + i * CORNER
        if is_repeated(sizes, steps, operands, i):
            for row in range(group):
                copy_row(pointers[i] + row * row_bytes, base[i], row_bytes)
    start = begin
    while start < end:  # a range with a step would bring Python's exceptions along
        count = min(group, end - start)
        for i in range(operands):
            if is_whole(sizes, steps, operands, i):
                pointers[i] = base[i] + start * row_bytes
            elif i < inputs and not is_repeated(sizes, steps, operands, i):
                move_rows(base[i], pointers[i], start, count, sizes, steps, i, operands, True)
        size[0] = count * sizes[0]
        call_loop(context[0], pointers, size, steps, context)
        for i in range(inputs, operands):
            if not is_whole(sizes, steps, operands, i):
                move_rows(base[i], pointers[i], start, count, sizes, steps, i, operands, False)
        start += count


@inline
def move_rows(base, corner, start, count, sizes, steps, i, operands, inwards):
    """Copy rows of an operand into its corner of the cache, or out of it."""
    row_bytes = sizes[Rows.BYTES]
    middle, outer = start % sizes[1], start // sizes[1]
    for row in range(count):
        there = base + middle * steps[operands + i] + outer * steps[2 * operands + i]
        here = corner + row * row_bytes
        if inwards:
            copy_row(here, there, row_bytes)
        else:
            copy_row(there, here, row_bytes)
        middle += 1
        if middle == sizes[1]:
            middle, outer = 0, outer + 1


def drive_rows(pointers, sizes, steps, data):
    """A ufunc's loop over three nested ranges, innermost first, its rows shared between threads."""
    while data[Loop.FUNCTION] == 0:  # an interrupt can make the callback return before its work is done
        call_resolve(data[Loop.RESOLVE], data)
    context = stack_record()
    pool, rows, together = record_at(data[Loop.POOL]), sizes[1] * sizes[2], sizes[Rows.BYTES] > 0
    operands = data[Loop.OPERANDS]
    whole = together and is_whole(sizes, steps, operands, operands - 1)
    result_bytes = 0 if together and not whole else sizes[0] * rows * steps[operands - 1]
    open_context(context, data, pool, result_bytes)
    if sizes[0] < LONG_ROW:
        context[Loop.TRAFFIC] = min(context[Loop.TRAFFIC], Traffic.FETCHES)
    context[3], context[4], context[5] = address_of(sizes), address_of(steps), address_of(pointers)
    task = pool[Pool.RUN_SHORT_ROWS] if together else pool[Pool.RUN_ROWS]
    threads = threads_worth(pool, data, sizes[0] * rows)
    if threads > 0:
        grain = even_grain(pool, threads, sizes[0] * rows, data[Loop.GRAIN])
        share_among(pool, threads, task, context, rows, max(1, grain // sizes[0]))
    else:
        call_task(task, 0, rows, context)
    note_end_of(pool, data, sizes[0] * rows)
    clear_floating_point_flags()


def functions() -> dict[str, tuple[Any, Any]]:
    return {
        "drive_rows": (LOOP_SIGNATURE, drive_rows),
        "run_rows": (TASK_SIGNATURE, run_rows),
        "run_short_rows": (TASK_SIGNATURE, run_short_rows),
    }

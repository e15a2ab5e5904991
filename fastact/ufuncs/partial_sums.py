"""The compiled driver of loops that sum, over the pool of :mod:`fastact.runtime.pool`.

A sum is made of partial sums, each of about as many elements: one per item of work. They are added up at the
end, by Python, which rounds once.
"""

from __future__ import annotations

from typing import Any

from fastact.runtime.drivers import note_end_of, threads_worth
from fastact.runtime.pool import (
    TASK_SIGNATURE,
    address_of,
    call_loop,
    call_task,
    clear_floating_point_flags,
    offset,
    record_at,
    share_among,
    stack_record,
)
from fastact.simd.blocks import LOOP_SIGNATURE
from fastact.simd.layout import Loop, Pool, Sums


def run_sums(begin, end, context):
    """Some of the partial sums of a nest of three loops.

    ``context``: loop, operands, then addresses of sizes, pointers and partial sums. Where a partial sum begins
    and ends does not depend on threads, so neither does a bit of the result.
    """
    operands = context[1]
    sizes, base, partials = record_at(context[2]), record_at(context[3]), record_at(context[4])
    steps = offset(sizes, Sums.STEPS)
    pieces, group, length = sizes[Sums.PIECES], sizes[Sums.GROUP], sizes[Sums.LENGTH]
    rows = sizes[1] * sizes[2] * pieces
    # Added up here, not among the others: four of those lie in a cache line, and other threads work on three of them.
    pointers, size, own = stack_record(), stack_record(), stack_record()
    pointers[operands] = address_of(own)
    for item in range(begin, end):
        own[0], own[1] = 0, 0
        for i in range(item * group, min(item * group + group, rows)):
            start, row = i % pieces * length, i // pieces
            middle, outer = row % sizes[1], row // sizes[1]
            for operand in range(operands):
                pointers[operand] = (
                    base[operand]
                    + start * steps[operand]
                    + middle * steps[operands + operand]
                    + outer * steps[2 * operands + operand]
                )
            size[0] = min(length, sizes[0] - start)
            call_loop(context[0], pointers, size, steps, context)
        partials[2 * item], partials[2 * item + 1] = own[0], own[1]


def drive_sums(pointers, sizes, partials, data):
    """A loop that sums over three nested ranges, its partial sums shared between threads."""
    context = stack_record()
    context[0], context[1] = data[Loop.FUNCTION], data[Loop.OPERANDS]
    context[2], context[3], context[4] = address_of(sizes), address_of(pointers), address_of(partials)
    pool = record_at(data[Loop.POOL])
    size = sizes[0] * sizes[1] * sizes[2]
    threads = threads_worth(pool, data, size)
    if threads > 0:
        share_among(pool, threads, pool[Pool.RUN_SUMS], context, sizes[Sums.COUNT], 1)
    else:
        call_task(pool[Pool.RUN_SUMS], 0, sizes[Sums.COUNT], context)
    note_end_of(pool, data, size)
    clear_floating_point_flags()


def functions() -> dict[str, tuple[Any, Any]]:
    return {"drive_sums": (LOOP_SIGNATURE, drive_sums), "run_sums": (TASK_SIGNATURE, run_sums)}

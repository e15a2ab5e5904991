"""Matrix products in compiled code: C = A @ B, the bias and the activation applied while results are in the cache.

The order of work is Goto's, with the roles of A and B exchanged so that whole rows of C finish together, which is what
an activation wants to be applied to:

* B is packed into panels, as wide as a tile, that lie in memory in the order in which tiles read them
  (:mod:`.packing`).
* A task takes some rows of C (:mod:`.macrokernel`). A block of panels (``DEPTH`` rows by ``COLUMNS``) stays in the
  core's second-level cache while strips of A, as high as a tile, pass by it; the strip stays in the first-level cache.
* After the last block the strip of C gets its activation (:mod:`.epilogue`).

Every element of C is the sum over k in the order of k, cut at places that depend on K alone, so the
result does not depend on the number of threads. Few rows times a matrix whose rows are contiguous in k, as in
``x @ weight.T``, are dot products (:mod:`.dots`): packing would cost more than it saves.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from numba import types

from fastact.layers.blocking import Blocking
from fastact.layers.copies import copies
from fastact.layers.dots import dot_task
from fastact.layers.macrokernel import multiply_task
from fastact.layers.packing import PAGE, Packing, pack_task, packing, panels, part_of, strip_count
from fastact.runtime.pool import TASK_SIGNATURE, awake_or_soon, call_task, record_at, share_among
from fastact.simd.blocks import Address, inline
from fastact.simd.layout import Gemm, Pool

MULTIPLY_SIGNATURE = types.void(Address)


def functions(name: str, plan: Blocking) -> dict[str, tuple[Any, Any]]:
    """The compiled functions for one element type: the product, and its tasks for threads."""
    shape, copy = packing(name, plan.depth), copies(name)
    panel = panels(shape)
    return {
        f"multiply_{name}": (MULTIPLY_SIGNATURE, _product(plan, shape, copy, panel)),
        "pack": (TASK_SIGNATURE, pack_task(shape, copy, panel)),
        "multiply": (TASK_SIGNATURE, multiply_task(shape, copy, panel)),
        "dot": (TASK_SIGNATURE, dot_task(name, copy)),
    }


def _product(plan: Blocking, shape: Packing, copy: SimpleNamespace, panel: SimpleNamespace) -> Callable[..., None]:
    size, width = shape.size, shape.width
    _, block_columns, pack_depth, dot_rows, direct_rows, few_rows, direct_bytes = plan
    multiply_block = _block(shape, copy, panel)

    def multiply_matrices(record):
        """The whole product, block by block of B."""
        M, N, K = record[Gemm.M], record[Gemm.N], record[Gemm.K]
        if M == 0 or N == 0:
            return
        threads = threads_for(record, size)
        if dot_rows >= M and record[Gemm.A_COLUMN] == size and record[Gemm.B_ROW] == size:
            dot_products(record, threads)
            return
        record[Gemm.DIRECT] = 1 if reads_directly(record) else 0
        column_blocks = (N + block_columns - 1) // block_columns
        depth_blocks = max(1, (K + pack_depth - 1) // pack_depth)
        for column_block in range(column_blocks):
            first, last = part_of(N, column_block, column_blocks)
            first = first // width * width
            last = N if column_block == column_blocks - 1 else last // width * width
            record[Gemm.FIRST_COLUMN], record[Gemm.COLUMNS] = first, last - first
            for depth_block in range(depth_blocks):
                begin, end = part_of(K, depth_block, depth_blocks)
                record[Gemm.FIRST_DEPTH], record[Gemm.DEPTH] = begin, end - begin
                multiply_block(record, threads)

    @inline
    def reads_directly(record):
        """Whether B is read as it lies: if packing it takes longer than it saves. That is so with few rows of A, while
        B stays in the third-level cache and a panel's rows do not all meet in one set of the first-level cache."""
        M, N = record[Gemm.M], record[Gemm.N]
        few = few_rows >= M and record[Gemm.K] * N * size <= direct_bytes and record[Gemm.B_ROW] % PAGE != 0
        return record[Gemm.B_COLUMN] == size and (direct_rows >= M or 2 * width >= N or few)

    return multiply_matrices


def _block(shape: Packing, copy: SimpleNamespace, panel: SimpleNamespace) -> Callable[..., None]:
    size, width, get, put, panel_count = shape.size, shape.width, copy.get, copy.put, panel.count
    depth_blocks = panel.blocks

    @inline
    def multiply_block(record, threads):
        """The product of all rows with one block of B."""
        panels = panel_count(record)
        if record[Gemm.FIRST_DEPTH] == 0:
            start_row(record)
        if record[Gemm.DIRECT] == 0 or record[Gemm.COLUMNS] % width != 0:
            blocks = depth_blocks(record)
            parts = panels * blocks
            record[Gemm.ROW_PARTS] = blocks
            if threads > 1:
                record[Gemm.ROW_PARTS] *= max(1, min(4 * threads // parts, record[Gemm.DEPTH] // blocks // 64))
            packed = panels * record[Gemm.ROW_PARTS]
            share(record, record[Gemm.PACK], packed, 1 if threads > 1 else packed, threads)
        cut(record, threads, panels)
        parts = record[Gemm.ROW_PARTS] * record[Gemm.COLUMN_PARTS]
        share(record, record[Gemm.MULTIPLY], parts, 1 if threads > 1 else parts, threads)

    @inline
    def start_row(record):
        """What the sums of a block of columns start from: the bias, or zeros."""
        for j in range(record[Gemm.COLUMNS]):
            value = get(record[Gemm.BIAS] + (record[Gemm.FIRST_COLUMN] + j) * size) if record[Gemm.BIAS] != 0 else 0
            put(value, record[Gemm.WORKSPACE] + j * size)

    return multiply_block


@inline
def cut(record, threads, panels):
    """Parts of C, of whole strips: a few for each thread, as many for one as for another, and high enough that a
    block of B in a core's cache is used often."""
    strips = strip_count(record)
    wanted = 4 * threads if threads > 1 else 1
    parts = max(min(strips, wanted), (strips + 7) // 8)
    record[Gemm.ROW_PARTS] = (parts + threads - 1) // threads * threads if strips > wanted else parts
    record[Gemm.COLUMN_PARTS] = max(1, min(panels, (wanted + record[Gemm.ROW_PARTS] - 1) // record[Gemm.ROW_PARTS]))


@inline
def dot_products(record, threads):
    """C by dot products, its columns shared."""
    groups = max(1, min(4 * threads if threads > 1 else 1, (record[Gemm.N] + 63) // 64))
    columns = (record[Gemm.N] + groups - 1) // groups
    record[Gemm.COLUMNS] = (columns + 63) // 64 * 64 if groups > 1 else columns
    share(record, record[Gemm.DOT], (record[Gemm.N] + record[Gemm.COLUMNS] - 1) // record[Gemm.COLUMNS], 1, threads)


@inline
def threads_for(record, size):
    """How many threads are worth waking: one for each 10 us, and none for what one thread does while another comes."""
    M, N, K = record[Gemm.M], record[Gemm.N], record[Gemm.K]
    pool = record_at(record[Gemm.POOL])
    # nanoseconds on one core: at 100 float32 multiply-adds each, and 80 bytes each
    work = M * N * K * size // 400 + (M * K + K * N + M * N) * size // 80
    pays = work >= 20_000 or (work >= 6_500 and awake_or_soon(pool, work // 200))
    return min(pool[Pool.THREADS], max(2, work // 10_000)) if pays else 1


@inline
def share(record, task, count, grain, threads):
    """Run a task's parts on so many threads, unless the product is too small to be worth it."""
    pool = record_at(record[Gemm.POOL])
    if count > 1:
        share_among(pool, threads, task, record, count, grain)
    else:
        call_task(task, 0, count, record)

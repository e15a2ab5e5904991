"""The compiled matrix product, held against long doubles: every size around the tiles' edges, every layout."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

import numpy as np
import pytest

import fastact
from fastact.layers import matmul
from fastact.layers.blocking import workspace_bytes
from fastact.simd.layout import Gemm
from tests.conftest import compiled_only, needs_posix
from tests.processes import PRELUDE, run
from tests.threads import at_once

pytestmark = compiled_only

ROWS = (1, 2, 3, 6, 7, 13, 14, 15, 25, 33, 34, 43)
COLUMNS = (1, 2, 7, 8, 10, 15, 16, 17, 31, 32, 33, 64, 65)
DEPTHS = (0, 1, 2, 7, 8, 15, 16, 17, 33, 100)


@pytest.fixture(autouse=True)
def _same_threads_afterwards() -> Iterator[None]:
    before = fastact.get_num_threads()
    yield
    fastact.set_num_threads(before)


def matrix(rows: int, columns: int, dtype: str, layout: str) -> np.ndarray:
    """Normal numbers, laid out in memory as said."""
    rng = np.random.default_rng([rows, columns])
    if layout == "rows":
        return rng.standard_normal((rows, columns)).astype(dtype)
    if layout == "columns":
        return rng.standard_normal((columns, rows)).astype(dtype).T
    if layout == "reversed":
        return rng.standard_normal((rows, columns)).astype(dtype)[::-1, ::-1]
    if layout == "apart":
        return rng.standard_normal((2 * rows, 3 * columns)).astype(dtype)[::2, ::3]
    if layout == "padded":
        return rng.standard_normal((rows, columns + 5)).astype(dtype)[:, 2:-3]
    if layout == "pages":  # rows that begin at the same place of a page, and meet in the same sets of a cache
        whole = (columns * np.dtype(dtype).itemsize // 4096 + 1) * 4096 // np.dtype(dtype).itemsize
        return rng.standard_normal((rows, whole)).astype(dtype)[:, :columns]
    if layout == "unaligned":
        memory = np.zeros(rows * columns * np.dtype(dtype).itemsize + 1, np.uint8)
        unaligned = memory[1:].view(dtype).reshape(rows, columns)
        unaligned[...] = rng.standard_normal((rows, columns))
        return unaligned
    assert layout == "broadcast"
    return np.broadcast_to(rng.standard_normal(columns).astype(dtype), (rows, columns))


def multiply(
    a: np.ndarray, b: np.ndarray, c: np.ndarray, bias: np.ndarray | None = None, accumulate: bool = False
) -> None:
    """``c = a @ b + bias``, or ``c += a @ b``, in a workspace of its own."""
    name, (m, k), n = c.dtype.name, a.shape, b.shape[1]
    workspace = np.empty(workspace_bytes(n, k, c.itemsize), np.uint8)
    record = matmul.new_record(name)
    for slot, value in {
        "A": a.ctypes.data, "A_ROW": a.strides[0], "A_COLUMN": a.strides[1],
        "B": b.ctypes.data, "B_ROW": b.strides[0], "B_COLUMN": b.strides[1],
        "C": c.ctypes.data, "C_ROW": c.strides[0], "M": m, "N": n, "K": k, "ACCUMULATE": accumulate,
        "BIAS": 0 if bias is None else bias.ctypes.data, "WORKSPACE": workspace.ctypes.data,
    }.items():  # fmt: skip
        record[getattr(Gemm, slot)] = value
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(matmul.compiled(name)[f"multiply_{name}"])(record.ctypes.data)


LAYOUTS = ("rows", "columns", "reversed", "apart", "padded", "pages", "unaligned", "broadcast")


def check(a: np.ndarray, b: np.ndarray, bias: np.ndarray | None = None) -> None:
    """Within the bound of a sum of that many products in any order."""
    exact = np.longdouble if a.dtype == np.float64 else np.float64
    (m, k), n = a.shape, b.shape[1]
    reference = a.astype(exact) @ b.astype(exact) + (0 if bias is None else bias)
    size = np.abs(a).astype(exact) @ np.abs(b).astype(exact) + (0 if bias is None else np.abs(bias))
    memory = np.full((m + 2, n + 2), 7, a.dtype)
    c = memory[1:-1, 1:-1]
    multiply(a, b, c, bias)
    assert np.all(np.abs(c - reference) <= (k + 2) * np.finfo(a.dtype).eps * size), (m, n, k)
    edges = memory.copy()
    edges[1:-1, 1:-1] = 7
    assert np.all(edges == 7), "written beside the result"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layouts", [("rows", "rows"), ("rows", "columns"), ("columns", "rows")], ids="-".join)
def test_sizes_around_the_edges_of_tiles(dtype: str, layouts: tuple[str, str]) -> None:
    for m in ROWS:
        for n in COLUMNS:
            for k in DEPTHS:
                bias = matrix(1, n, dtype, "rows")[0] if (m + n + k) % 2 else None
                check(matrix(m, k, dtype, layouts[0]), matrix(k, n, dtype, layouts[1]), bias)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("right", LAYOUTS)
@pytest.mark.parametrize("left", LAYOUTS)
def test_layouts(dtype: str, left: str, right: str) -> None:
    for m, n, k in ((3, 5, 4), (29, 33, 41), (60, 130, 70)):
        check(matrix(m, k, dtype, left), matrix(k, n, dtype, right))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_more_than_one_block(dtype: str) -> None:
    """Deeper, wider and higher than what the caches hold at a time."""
    plan = matmul.blocking(np.dtype(dtype).itemsize)
    check(matrix(40, plan.pack_depth + 3, dtype, "rows"), matrix(plan.pack_depth + 3, 33, dtype, "columns"))
    check(matrix(70, 50, dtype, "rows"), matrix(50, plan.columns + 45, dtype, "rows"))
    check(matrix(3000, 2 * plan.depth + 1, dtype, "columns"), matrix(2 * plan.depth + 1, 40, dtype, "rows"))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("m", "n", "k"), [(2, 9, 40), (50, 40, 30), (40, 600, 900)])
def test_accumulates(dtype: str, m: int, n: int, k: int) -> None:
    a, b = matrix(m, k, dtype, "rows"), matrix(k, n, dtype, "columns")
    c = matrix(m, n, dtype, "rows").copy()
    reference = c + a.astype(np.longdouble) @ b
    multiply(a, b, c, accumulate=True)
    np.testing.assert_allclose(c, reference, rtol=0, atol=k * np.finfo(dtype).eps * 10)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layout", ["rows", "columns"])
def test_same_bits_for_any_number_of_threads(dtype: str, layout: str) -> None:
    for m, n, k in ((1, 700, 300), (20, 300, 500), (33, 300, 500), (300, 70, 900), (700, 700, 10)):
        a, b = matrix(m, k, dtype, "rows"), matrix(k, n, dtype, layout)
        found = set()
        for threads in (1, 2, 3, 16):
            fastact.set_num_threads(threads)
            c = np.empty((m, n), dtype)
            multiply(a, b, c)
            found.add(c.tobytes())
        assert len(found) == 1, (m, n, k)


def test_python_threads_at_once() -> None:
    a, b = matrix(200, 300, "float32", "rows"), matrix(300, 200, "float32", "columns")
    expected = np.empty((200, 200), np.float32)
    multiply(a, b, expected)
    wrong = []

    def many_times() -> None:
        c = np.empty_like(expected)
        for _ in range(200):
            c.fill(0)
            multiply(a, b, c)
            if c.tobytes() != expected.tobytes():
                wrong.append(c.copy())

    at_once(4, many_times)
    assert not wrong


@needs_posix
def test_forked_child() -> None:
    code = """
a, w = np.ones((300, 400)), np.ones((200, 400))
def product(): return bool((fastact.dense(a, w) == 400).all())
assert product()
assert in_child(lambda: product() and in_child(product) and product())
assert product()
"""
    result = run(PRELUDE + code)
    assert result.returncode == 0, result.stderr


def test_nan_and_infinity_stay_in_their_row() -> None:
    a, b = np.ones((30, 40)), np.ones((40, 50))
    a[3, 5], a[7, 7] = np.nan, np.inf
    c = np.empty((30, 50))
    multiply(a, b, c)
    assert np.isnan(c[3]).all()
    assert (c[7] == np.inf).all()
    assert (np.delete(c, [3, 7], axis=0) == 40).all()


@pytest.mark.parametrize("wish", ["jit", "blas"])
def test_environment_chooses_the_library(wish: str) -> None:
    code = "from fastact.layers import matmul; import fastact\n"
    code += "print(matmul.choice()[0], fastact.dense([[2.0]], [[3.0]])[0, 0])"
    result = run(code, FASTACT_MATMUL=wish)
    assert result.stdout == f"{wish} 6.0\n", result.stderr


@pytest.mark.parametrize(
    ("rows", "shape", "here"),
    [(32, (128, 784), True), (128, (128, 784), True), (65536, (64, 64), True), (1024, (512, 784), False)],
    ids=str,
)
def test_gradients_of_large_layers_alone_may_be_left_to_blas(
    rows: int, shape: tuple[int, int], here: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matmul, "always_here", lambda: None)
    weight = np.empty(shape, np.float32)
    assert matmul.multiplies_here(rows, weight)
    assert matmul.multiplies_here(rows, weight, gradients=True) is here


def test_environment_with_an_unknown_library() -> None:
    result = run("import fastact; fastact.dense([[2.0]], [[3.0]])", FASTACT_MATMUL="mkl")
    assert result.stderr.splitlines()[-1].startswith("ValueError: FASTACT_MATMUL must be one of")

"""Where the system refuses memory, compiled code raises MemoryError and goes on."""

from __future__ import annotations

import pytest

from tests.conftest import compiled_only
from tests.processes import run

#: A C library whose malloc refuses memory to compiled code, to any thread of it, while it is told to.
REFUSING = """
import ctypes, numpy as np
import llvmlite.binding as llvm
given = ctypes.CDLL(None).malloc
given.restype, given.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
refusing, refused = [], []
@ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_size_t)
def malloc(size):
    if not refusing:
        return given(size)
    refused.append(size)
llvm.add_symbol("malloc", ctypes.cast(malloc, ctypes.c_void_p).value)
import fastact
def attempt(function):
    refusing.append(True)
    try:
        return function()
    except MemoryError as error:
        return "MemoryError" if refused else error
    finally:
        refusing.clear()
        refused.clear()
"""

LAYERS = """
x = np.random.default_rng(0).standard_normal((200, 200))
weight, grad = x[:150] / 100, np.ones((200, 150))
calls = [
    lambda: fastact.dense(x, weight, activation="tanh"),
    lambda: fastact.dense(x, weight, x[0, :150], "gelu", out=np.empty((200, 150))),
    lambda: fastact.dense_backward(grad, x, weight, grad, "tanh")[1],
    lambda: fastact.dense_backward(grad, x, weight, grad)[0],
]
"""

ROWS = """
x = np.random.default_rng(0).standard_normal((300, 500))
calls = [
    lambda: fastact.softmax(x, axis=0),
    lambda: fastact.softmax_backward(x, x, axis=0),
    lambda: fastact.log_softmax(x[:, ::2]),
    lambda: fastact.logsumexp(x, axis=0),
    lambda: fastact.sparsemax(x, axis=0),
    lambda: fastact.cross_entropy(x[:, ::2], np.zeros(300, int)),
]
"""

#: On the first call, and once it is known. What layers keep is forgotten each time: it would do for all of them.
CHECK = """
from fastact.runtime import threads
from fastact.simd.layout import Pool
for call in calls:
    threads.pool()[Pool.MEMORY] = 0
    print(attempt(call))
    expected = [call() for _ in range(3)][-1]
    threads.pool()[Pool.MEMORY] = 0
    print(attempt(call))
    print(np.array_equal(call(), expected))
"""


@compiled_only
@pytest.mark.parametrize("code", [LAYERS, ROWS], ids=["layers", "rows"])
def test_memory_that_is_refused(code: str) -> None:
    finished = run(REFUSING + code + CHECK, FASTACT_MATMUL="jit")
    assert finished.stderr == ""
    assert finished.stdout.split() == ["MemoryError", "MemoryError", "True"] * code.count("lambda")

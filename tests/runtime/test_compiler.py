"""What is compiled, when, and what that leaves to others."""

from __future__ import annotations

import platform
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import compiled_only, needs_posix
from tests.processes import PRELUDE, interrupted, run, start

pytestmark = compiled_only

FIRST_CALLS = """
import sys, numpy as np, fastact
from pathlib import Path
x = np.linspace(-8, 8, 300_000)
def entries(): return len(list(Path(sys.argv[-1]).glob("*.o")))
out = np.empty_like(x)
def right(): return bool(np.allclose(fastact.sigmoid(x, out=out), 1 / (1 + np.exp(-x)), rtol=1e-12))
"""


@pytest.mark.parametrize(
    ("threads", "more"), [("1", 0), pytest.param("2", 1, marks=needs_posix)], ids=["one_thread", "two_threads"]
)
def test_what_shares_work_is_compiled_when_work_is_first_shared(tmp_path: Path, threads: str, more: int) -> None:
    code = f"{FIRST_CALLS}\nfastact.sigmoid(1.0); before = entries(); assert right(); print(entries() - before)"
    result = run_with(code, tmp_path, FASTACT_NUM_THREADS=threads)
    assert (result.stdout, result.stderr) == (f"{more}\n", "")


def run_with(code: str, folder: Path, **env: str) -> Any:
    return run(code.replace("sys.argv[-1]", repr(str(folder))), FASTACT_CACHE_DIR=str(folder), **env)


#: That no more can be compiled or linked: found out when a large array is the first.
WITHOUT_SHARING = {
    "unavailable": ("UnavailableError('no memory')", "fastact: one thread computes: no memory"),
    "broken": ("TypeError('a fault of ours')", "TypeError: a fault of ours"),
}


@needs_posix
@pytest.mark.parametrize("case", WITHOUT_SHARING)
def test_one_thread_computes_where_nothing_shares(tmp_path: Path, case: str) -> None:
    error, said = WITHOUT_SHARING[case]
    code = f"""{FIRST_CALLS}
from fastact.runtime import compiler
from fastact.runtime.notices import UnavailableError
compiled = compiler.compiled
def refuse(module, *arguments, **options):
    if arguments == ("threads",): raise {error}
    return compiled(module, *arguments, **options)
compiler.compiled = refuse
assert right() and right()
fastact.set_num_threads(3)
assert right()
"""
    result = run_with(code, tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stderr.count(said) == 1


@needs_posix
def test_an_interrupt_while_sharing_is_compiled(tmp_path: Path) -> None:
    """It is raised, once there is a result."""
    code = f"""{PRELUDE}
from fastact.runtime import compiler
fastact.sigmoid(0.0)
out, compile_object = np.zeros_like(x), compiler.compile_object
def compile_slowly(functions):
    compiler.compile_object = compile_object
    print("ready", flush=True)
    sys.stdin.readline()
    return compile_object(functions)
compiler.compile_object = compile_slowly
try:
    fastact.sigmoid(x, out=out)
except KeyboardInterrupt:
    assert np.allclose(out, expected, rtol=1e-12, atol=0) and right()
    print("interrupted")
"""
    result = interrupted(start("-c", code, FASTACT_CACHE_DIR=str(tmp_path)))
    assert (result.stdout, result.stderr) == ("interrupted\n", "")


#: Memory that was freed is used for something else.
REUSED = "import gc; gc.collect(); reused = [bytearray(1000 * i) for _ in range(3) for i in range(100)]"

#: A package that waits for Ctrl-C in the middle of being imported, or the compiler in the middle of linking.
IN_THE_MIDDLE = {
    "importing Numba": """
class Waits:
    def find_spec(self, name, path, target=None):
        if name == "numba.core.typing":
            wait_for_an_interrupt()
sys.meta_path.insert(0, Waits())
""",
    "linking": """
from llvmlite.binding.executionengine import ExecutionEngine
finalize_object = ExecutionEngine.finalize_object
def finalize_late(engine):
    wait_for_an_interrupt()
    finalize_object(engine)
ExecutionEngine.finalize_object = finalize_late
""",
}


@needs_posix
@pytest.mark.parametrize("moment", IN_THE_MIDDLE)
def test_an_interrupt_of_the_very_first_call(tmp_path: Path, moment: str) -> None:
    """It is raised at once, and nothing is left half done: the next call is computed by what compiles."""
    code = f"""{PRELUDE}
waited = []
def wait_for_an_interrupt():
    if not waited:
        waited.append(True)
        print("ready", flush=True)
        sys.stdin.readline()
{IN_THE_MIDDLE[moment]}
try:
    fastact.sigmoid(0.0)
except KeyboardInterrupt:
    print("interrupted", flush=True)
{REUSED}
assert right() and fastact.gelu(1.0) > 0.8 and fastact.backend() == "numba"
"""
    result = interrupted(start("-c", code, FASTACT_CACHE_DIR=str(tmp_path)))
    assert (result.stdout, result.stderr) == ("interrupted\n", "")


def test_what_cannot_be_linked_takes_nothing_along(tmp_path: Path) -> None:
    """An engine that goes frees the machine it was made with, which the next one needs."""
    code = f"""
import numpy as np, fastact
from llvmlite.binding.executionengine import ExecutionEngine
finalize_object = ExecutionEngine.finalize_object
fastact.sigmoid(0.0)
def refuse(engine):
    ExecutionEngine.finalize_object = finalize_object
    raise MemoryError("no memory")
ExecutionEngine.finalize_object = refuse
try:
    fastact.softmax(np.ones(3))
except MemoryError:
    print("refused", flush=True)
{REUSED}
assert abs(fastact.softmax(np.ones(3)).sum() - 1) < 1e-12 and fastact.gelu(1.0) > 0.8
"""
    result = run(code, FASTACT_CACHE_DIR=str(tmp_path))
    assert (result.stdout, result.stderr) == ("refused\n", "")


def test_functions_compiled_here_serve_others() -> None:
    """Somebody's function may call one that was compiled for ours first, and what that calls."""
    import numba

    from fastact.runtime.frontend import llvm_modules

    @numba.njit
    def one_more(i):
        return i + 1

    @numba.njit
    def twice(i):
        return 2 * one_more(i)

    llvm_modules({"ours": (numba.intp(numba.intp), lambda i: twice(i))})
    assert numba.njit(lambda i: twice(i) + 1)(np.int64(3)) == 9


@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="this machine is no x86-64, as that Windows is"
)
def test_what_is_compiled_on_windows_needs_nothing_that_is_not_there(tmp_path: Path) -> None:
    """Threads of POSIX, say, whose names would be linked as address 0."""
    code = "from benchmarks.windows import found_by; print(found_by(['sigmoid', 'softmax'], ['float32']))"
    result = run(code, FASTACT_CACHE_DIR=str(tmp_path))
    assert re.fullmatch(r"\(([5-9]|\d\d), \[\]\)\n", result.stdout), result.stdout + result.stderr

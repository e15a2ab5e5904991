"""Threads, forks, signals and the end of the process: results stay right and nobody waits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import fastact

compiled_only = pytest.mark.skipif(fastact.backend() == "numpy", reason="the NumPy backend has no threads of its own")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")
needs_posix = pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process alone")

SIZES = (1, 63, 64, 65, 99_999, 100_000, 1_000_003)
FUNCTIONS = ("sigmoid", "gelu", "silu_with_derivative", "gelu_backward")

#: A script's start. Handlers are set as in a terminal: a job in the background inherits SIGINT ignored.
PRELUDE = """
import multiprocessing, os, signal, sys, threading, time
import numpy as np
import fastact
signal.signal(signal.SIGINT, signal.default_int_handler)
x = np.linspace(-8, 8, 1_000_000)
expected = 1 / (1 + np.exp(-x))
def right(*ignored):
    return bool(np.allclose(fastact.sigmoid(x), expected, rtol=1e-12, atol=0))
def in_child(task):
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if task() else 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""


def start(*arguments: str, **env: str) -> subprocess.Popen[str]:
    """Another Python, in more threads than there may be cores."""
    environment = os.environ | {"FASTACT_NUM_THREADS": "4"} | env
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, *arguments], env=environment, stdout=pipe, stderr=pipe, text=True)


def finish(process: subprocess.Popen[str], timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Its exit code and output; one that hangs is killed and fails the test."""
    try:
        output, errors = process.communicate(timeout=timeout)
    finally:
        process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def run(code: str, **env: str) -> subprocess.CompletedProcess[str]:
    return finish(start("-c", textwrap.dedent(code), **env))


@pytest.fixture(autouse=True)
def _same_threads_afterwards() -> Iterator[None]:
    before = fastact.get_num_threads()
    yield
    fastact.set_num_threads(before)


def one_argument(name: str) -> Callable[[np.ndarray], Any]:
    """The function of x alone; of a backward, with a gradient that lies in memory as x does."""
    function = getattr(fastact, name)
    return (lambda x: function(x, x)) if name.endswith("_backward") else function


def bits(results: Any) -> bytes:
    return b"".join(result.tobytes() for result in (results if isinstance(results, tuple) else (results,)))


def sample(size: int, dtype: str) -> np.ndarray:
    return np.random.default_rng(size).normal(0, 4, size).astype(dtype)


# -- the same bits --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_same_bits_for_any_number_of_threads(name: str, dtype: str) -> None:
    function = one_argument(name)
    for size in SIZES:
        x = sample(size, dtype)
        found = set()
        for threads in (1, 2, 5):
            fastact.set_num_threads(threads)
            found.add(bits(function(x)))
        assert len(found) == 1, size


def laid_out(x: np.ndarray, offset: int, stride: int) -> np.ndarray:
    """The same numbers elsewhere: ``offset`` bytes into a buffer, ``stride`` elements apart."""
    memory = np.zeros(offset + abs(stride) * x.nbytes, np.uint8)
    view = np.ndarray((x.size * abs(stride),), x.dtype, memory, offset)[::stride]
    view[:] = x
    return view


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_same_bits_for_any_layout(name: str, dtype: str) -> None:
    function = one_argument(name)
    for size in (1, 65, 100_003):
        x = sample(size, dtype)
        expected = bits(function(x))
        for offset, stride in ((8, 1), (24, 1), (72, 1), (3, 1), (0, -1), (0, 2), (8, -3), (1, 5)):
            assert bits(function(laid_out(x, offset, stride))) == expected, (size, offset, stride)


# -- the number of threads ------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 5, np.int64(3)])
def test_number_of_threads_can_be_set(n: int) -> None:
    fastact.set_num_threads(n)
    found = fastact.get_num_threads()
    assert type(found) is int
    assert found == (1 if fastact.backend() == "numpy" else n)


@pytest.mark.parametrize(
    ("n", "error"),
    [(0, ValueError), (-1, ValueError), (2**63, ValueError), (1.5, TypeError), (True, TypeError), ("2", TypeError)],
)
def test_invalid_number_of_threads(n: Any, error: type[Exception]) -> None:
    before = fastact.get_num_threads()
    with pytest.raises(error, match="number of threads"):
        fastact.set_num_threads(n)
    assert fastact.get_num_threads() == before


@compiled_only
@pytest.mark.parametrize("setting", ["1", "3"])
def test_environment_sets_threads(setting: str) -> None:
    assert run("import fastact; print(fastact.get_num_threads())", FASTACT_NUM_THREADS=setting).stdout == f"{setting}\n"


@compiled_only
@pytest.mark.parametrize("setting", ["many", "0", "-2", "1.5", str(10**20)])
def test_environment_with_invalid_threads(setting: str) -> None:
    result = run("import fastact; fastact.relu(1.0)", FASTACT_NUM_THREADS=setting)
    assert result.stderr.splitlines()[-1].startswith("ValueError: FASTACT_NUM_THREADS must be")
    result = finish(start("-m", "fastact", "info", FASTACT_NUM_THREADS=setting))
    assert result.returncode == 2
    assert result.stderr.startswith("fastact: FASTACT_NUM_THREADS must be")
    assert result.stderr.count("\n") == 1


# -- forks ------------------------------------------------------------------------------------------

FORKS = {
    "child": "assert in_child(right)",
    "grandchild": "assert in_child(lambda: right() and in_child(right) and right())",
    "pool": "assert all(multiprocessing.get_context('fork').Pool(3).map(right, range(9)))",
    "from_a_thread_while_another_computes": """
done = threading.Event()
def keep_busy():
    while not done.is_set():
        right()
def fork_often():
    found.extend(in_child(right) for _ in range(5))
busy, found = threading.Thread(target=keep_busy), []
forking = threading.Thread(target=fork_often)
busy.start(); forking.start(); forking.join(); done.set(); busy.join()
assert found == [True] * 5
""",
}


@needs_fork
@pytest.mark.parametrize("case", FORKS)
def test_fork_after_parallel_use(case: str) -> None:
    result = run(f"{PRELUDE}\nassert right()\n{FORKS[case]}\nassert right()")
    assert result.returncode == 0, result.stderr


#: Another thread compiles on a cold cache, for as long as the main thread needs to get in its way.
COMPILING = f"""{PRELUDE}
gelu, softplus = fastact.gelu, fastact.softplus
compiling = threading.Thread(target=gelu, args=(x,))
compiling.start()
time.sleep(0.1)
assert compiling.is_alive()
"""


@compiled_only
@needs_fork
def test_fork_while_another_thread_compiles(tmp_path: Any) -> None:
    """The child must not wait for locks whose owners exist in the parent only."""
    code = f"{COMPILING}\nassert in_child(lambda: softplus(0.0) > 0.69)\ncompiling.join()\nassert right()"
    result = run(code, FASTACT_CACHE_DIR=str(tmp_path))
    assert result.returncode == 0, result.stderr


# -- Python threads -------------------------------------------------------------------------------


def in_threads(count: int, task: Callable[[], bool]) -> list[bool]:
    found: list[bool] = []
    threads = [threading.Thread(target=lambda: found.append(task())) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return found


@pytest.mark.parametrize("meddle", [False, True], ids=["alone", "while_threads_are_set"])
def test_sixteen_python_threads(meddle: bool) -> None:
    x = sample(120_000, "float32")
    expected = bits(fastact.sigmoid(x))
    done = threading.Event()

    def set_threads() -> None:
        while meddle and not done.is_set():
            for n in (1, 5, 2, 3):
                fastact.set_num_threads(n)
                time.sleep(0)

    meddler = threading.Thread(target=set_threads)
    meddler.start()
    found = in_threads(16, lambda: all(bits(fastact.sigmoid(x)) == expected for _ in range(50)))
    done.set()
    meddler.join(60)
    assert found == [True] * 16


# -- the end ----------------------------------------------------------------------------------------

ENDS = {
    "normal": "",
    "sys_exit_in_a_thread": "t = threading.Thread(target=lambda: sys.exit(3 * right())); t.start(); t.join()",
    "daemon_still_computing": "threading.Thread(target=lambda: [right() for _ in iter(int, 1)], daemon=True).start()",
}


@pytest.mark.parametrize("case", ENDS)
def test_exit_is_prompt(case: str) -> None:
    result = run(f"{PRELUDE}\nassert right()\n{ENDS[case]}\nprint(time.time(), flush=True)")
    assert (result.returncode, result.stderr) == (0, "")
    assert time.time() - float(result.stdout) < 5


def interrupted(code: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the code and send it Ctrl-C once it has said that it is ready."""
    process = start("-c", code, **env)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    return finish(process, timeout=15)


LOOP = """
try:
    while True:
        fastact.sigmoid(x)
except KeyboardInterrupt:
    print("interrupted")
"""


@needs_posix
def test_interrupt_of_a_busy_loop() -> None:
    result = interrupted(f"{PRELUDE}\nright()\nprint('ready', flush=True)\n{LOOP}")
    assert (result.returncode, result.stdout, result.stderr) == (0, "interrupted\n", "")


@compiled_only
@needs_posix
def test_interrupt_while_another_thread_compiles(tmp_path: Any) -> None:
    """The main thread waits for the compiler too; a loop without an address must never be jumped to."""
    code = f"{COMPILING}\nprint('ready', flush=True)\ntry:\n    softplus(x)\nexcept KeyboardInterrupt:\n    print('interrupted')"
    result = interrupted(f"{code}\ncompiling.join()\nassert right()", FASTACT_CACHE_DIR=str(tmp_path))
    assert (result.returncode, result.stdout) == (0, "interrupted\n"), result.stderr

"""Threads, forks, signals and the end of the process: results stay right and nobody waits."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import numpy as np
import pytest

import fastact
from fastact.runtime.threads import pool
from fastact.simd.layout import MAX_THREADS, Pool
from tests.conftest import compiled_only, needs_posix
from tests.processes import PATIENCE, PRELUDE, finish, interrupted, run, start


@pytest.fixture(autouse=True)
def _same_threads_afterwards() -> Iterator[None]:
    before = fastact.get_num_threads()
    yield
    fastact.set_num_threads(before)


def bits(results: Any) -> bytes:
    return b"".join(result.tobytes() for result in (results if isinstance(results, tuple) else (results,)))


def sample(size: int, dtype: str) -> np.ndarray:
    return np.random.default_rng(size).normal(0, 4, size).astype(dtype)


def every_function(test: Callable[..., None]) -> Callable[..., None]:
    """Functions of x alone; the gradient of a backward lies in memory as x does."""
    functions = [fastact.sigmoid, fastact.gelu, fastact.silu_with_derivative, lambda x: fastact.gelu_backward(x, x)]
    over = pytest.mark.parametrize("function", functions, ids=["sigmoid", "gelu", "with_derivative", "backward"])
    return over(pytest.mark.parametrize("dtype", ["float32", "float64"])(test))


@every_function
def test_same_bits_for_any_number_of_threads(function: Callable[..., Any], dtype: str) -> None:
    for size in (1, 63, 64, 65, 99_999, 100_000, 1_000_003):
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


@every_function
def test_same_bits_for_any_layout(function: Callable[..., Any], dtype: str) -> None:
    for size in (1, 65, 100_003):
        x = sample(size, dtype)
        expected = bits(function(x))
        for offset, stride in ((8, 1), (24, 1), (72, 1), (3, 1), (0, -1), (0, 2), (8, -3), (1, 5)):
            assert bits(function(laid_out(x, offset, stride))) == expected, (size, offset, stride)


@pytest.mark.parametrize("n", [1, 2, 5, np.int64(3)])
def test_number_of_threads_can_be_set(n: int) -> None:
    fastact.set_num_threads(n)
    assert fastact.get_num_threads() == (1 if fastact.backend() == "numpy" else n)


def test_more_threads_than_any_system_has() -> None:
    fastact.set_num_threads(10**20)
    assert fastact.get_num_threads() >= 1


@compiled_only
def test_one_thread_where_there_are_none_of_posix() -> None:
    """As on Windows: the functions of the pool have no address there, and a call of one would end the process."""
    code = """
import signal
del signal.pthread_sigmask
import numpy as np, fastact
for n in (1, 4, 1000):
    fastact.set_num_threads(n)
    assert fastact.get_num_threads() == 1
x = np.linspace(-8, 8, 3_000_000)
assert np.allclose(fastact.sigmoid(x), 1 / (1 + np.exp(-x)))
print("right")
"""
    assert run(code).stdout == "right\n"


@pytest.mark.parametrize("n", [0, -1, 1.5, True, "2"])
def test_invalid_number_of_threads(n: Any) -> None:
    with pytest.raises(ValueError if type(n) is int else TypeError, match="number of threads"):
        fastact.set_num_threads(n)


@compiled_only
@pytest.mark.parametrize("setting", ["1", "3", str(10**20)])
def test_environment_sets_threads(setting: str) -> None:
    """As many as asked for, or as many as there can be."""
    result = run("import fastact; print(fastact.backend(), fastact.get_num_threads())", FASTACT_NUM_THREADS=setting)
    assert result.stdout == f"numba {min(int(setting), MAX_THREADS)}\n"


@compiled_only
@pytest.mark.parametrize("setting", ["many", "0", "-2", "1.5"])
def test_environment_with_invalid_threads(setting: str) -> None:
    result = run("import fastact; fastact.relu(1.0)", FASTACT_NUM_THREADS=setting)
    assert result.stderr.splitlines()[-1].startswith("ValueError: FASTACT_NUM_THREADS must be")
    result = finish(start("-m", "fastact", "info", FASTACT_NUM_THREADS=setting))
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert result.stderr.startswith("fastact: FASTACT_NUM_THREADS must be")


FORKS = {
    "child": "assert in_child(right)",
    "grandchild": "assert in_child(lambda: right() and in_child(right) and right())",
    "pool": "assert all(multiprocessing.get_context('fork').Pool(3).map(right, range(9)))",
    "from_a_thread_while_another_computes": """
done = threading.Event()
def keep_busy():
    while not done.is_set(): right()
def fork_often(): found.extend(in_child(right) for _ in range(5))
busy, found = threading.Thread(target=keep_busy), []
forking = threading.Thread(target=fork_often)
busy.start(); forking.start(); forking.join(); done.set(); busy.join()
assert found == [True] * 5
""",
}


@needs_posix
@pytest.mark.parametrize("case", FORKS)
def test_fork_after_parallel_use(case: str) -> None:
    result = run(f"{PRELUDE}\nassert right()\n{FORKS[case]}\nassert right()")
    assert result.returncode == 0, result.stderr


#: Another thread compiles on a cold cache, for as long as the main thread needs to get in its way.
COMPILING = f"""{PRELUDE}
assert right()  # after which there is what keeps memory
from fastact.runtime import compiler
gelu, softplus, begun = fastact.gelu, fastact.softplus, threading.Event()
compile_object = compiler.compile_object
def compile_slowly(functions):
    global threads_before
    if not begun.is_set():
        threads_before = threading.active_count()
        begun.set()
        wait_for_main_thread()
    return compile_object(functions)
compiler.compile_object = compile_slowly
compiling = threading.Thread(target=gelu, args=(x,))
def compile_meanwhile():
    compiling.start()
    begun.wait()
"""


@compiled_only
@needs_posix
def test_fork_while_another_thread_compiles(tmp_path: Any) -> None:
    """The child must not wait for locks whose owners exist in the parent only."""
    code = """
forking = threading.Event()
wait_for_main_thread = forking.wait
os.register_at_fork(before=forking.set)
compile_meanwhile()
assert in_child(lambda: softplus(0.0) > 0.69)
compiling.join()
assert right()
"""
    result = run(COMPILING + code, FASTACT_CACHE_DIR=str(tmp_path))
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("meddle", [False, True], ids=["alone", "while_threads_are_set"])
def test_sixteen_python_threads(meddle: bool) -> None:
    x = sample(120_000, "float32")
    expected = bits(fastact.sigmoid(x))
    done = threading.Event()

    def set_threads() -> None:
        while meddle and not done.is_set():
            fastact.set_num_threads(random.randint(1, 5))
            time.sleep(0)

    with ThreadPoolExecutor(17) as pool:
        pool.submit(set_threads)
        tasks = [pool.submit(lambda: [bits(fastact.sigmoid(x)) == expected for _ in range(50)]) for _ in range(16)]
        wait(tasks, timeout=PATIENCE)
        done.set()
    assert [task.result() for task in tasks] == [[True] * 50] * 16


#: Threads that start together, each with one of eight activations.
TOGETHER = """
import threading, numpy as np, fastact, fastact.runtime.threads
from concurrent.futures import ThreadPoolExecutor
names = ["relu", "sigmoid", "tanh", "gelu", "silu", "mish", "softplus", "elu"]
x, weight, together = np.ones((300, 70), np.float32), np.ones((60, 70), np.float32), threading.Barrier(8)
def layer(name): return fastact.dense(x, weight, activation=name)
def pool(name): return fastact.runtime.threads.pool()
def all_at_once(function):
    with ThreadPoolExecutor(8) as threads:
        return list(threads.map(lambda name: together.wait() + 1 and function(name), names))
"""


@compiled_only
@pytest.mark.parametrize(
    "code",
    [
        "all_at_once(layer)\n"
        "elsewhere = [np.full(n, -1) for n in range(64) for _ in range(20)]\n"
        "for name in names: assert (layer(name) == fastact.ACTIVATIONS[name](np.float32(70))).all()",
        "assert len(set(map(id, all_at_once(pool)))) == 1",
    ],
    ids=["layers", "pool"],
)
def test_threads_begin_together(code: str) -> None:
    """What all use is made by one: another's, forgotten, would be memory that compiled code has the address of."""
    result = run(f"{TOGETHER}\n{code}", FASTACT_MATMUL="jit")
    assert result.returncode == 0, result.stderr


ENDS = {
    "normal": "",
    "sys_exit_in_thread": "t = threading.Thread(target=lambda: sys.exit(3 * right())); t.start(); t.join()",
    "daemon_still_computing": "threading.Thread(target=lambda: [right() for _ in iter(int, 1)], daemon=True).start()",
}


@pytest.mark.parametrize("case", ENDS)
def test_exit_waits_for_nothing(case: str) -> None:
    result = run(f"{PRELUDE}\nassert right()\n{ENDS[case]}")
    assert (result.returncode, result.stderr) == (0, "")


#: First calls of a function, or of threads, where no thread can be started for their compiler.
THREADLESS = {
    "no_more_threads": """
def start(thread): raise RuntimeError("can't start new thread")
threading.Thread.start = start
print(softplus(0.0))
""",
    "at_exit": "import atexit\natexit.register(lambda: print(softplus(0.0)))",
    "modules_are_gone": """
class Late:
    def __del__(self, softplus=softplus, print=print): print(softplus(0.0), flush=True)
late = Late()
""",
    "stopped_compiler": """
from fastact.runtime.guard import compiling
other = threading.Thread(target=compiling.acquire)
other.start(); other.join()
class Late:
    def __del__(self, softplus=softplus, print=print): print(softplus(0.0), flush=True)
late = Late()
""",
    "garbage_of_a_compilation": """
from fastact.runtime import compiler
compile_object = compiler.compile_object
def compile_and_collect(functions):
    compiler.compile_object = compile_object
    print(softplus(0.0))
    return compile_object(functions)
compiler.compile_object = compile_and_collect
assert fastact.sigmoid(0.0) == 0.5
""",
    "main_thread_has_ended": """
def wait():
    threading.main_thread().join()
    print(softplus(0.0))
threading.Thread(target=wait).start()
""",
}


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[compiled_only] * ("fastact.runtime" in THREADLESS[case])) for case in THREADLESS]
)
@pytest.mark.parametrize("size", [1, 300_000])
def test_first_call_without_a_thread_for_the_compiler(tmp_path: Any, case: str, size: int) -> None:
    softplus = f"lambda zero, of=fastact.softplus, zeros=np.zeros({size}): float(of(zeros)[-1])"
    code = f"import threading, numpy as np, fastact\nsoftplus = {softplus}\n{THREADLESS[case]}"
    result = run(code, FASTACT_CACHE_DIR=str(tmp_path))
    assert (result.returncode, result.stderr) == (0, "")
    assert abs(float(result.stdout) - 0.6931471805599453) < 1e-15


#: What another interpreter of the same process is to run.
ELSEWHERE = """
import sys, warnings
sys.path[:] = PATH
warnings.simplefilter("ignore")
import fastact
for namespace in fastact, fastact.fallback:
    try: namespace.sigmoid(0.0)
    except ImportError as error: print(error, flush=True)
"""


def test_subinterpreters_are_refused() -> None:
    """What C code calls of Python's runs in the main interpreter, for which another would wait for ever."""
    code = f"""
import sys
try: import _interpreters as interpreters
except ImportError: import _xxsubinterpreters as interpreters
other = interpreters.create("legacy") if sys.version_info >= (3, 13) else interpreters.create()
interpreters.run_string(other, {ELSEWHERE!r}.replace("PATH", repr(sys.path)))
"""
    refusal = "fastact works in Python's main interpreter only, and in threads and processes of it"
    result = run(code)
    assert result.stdout.splitlines() == [refusal] * 2, result.stderr


LOOP = """
try:
    {}
    while True:
        {}(x)
except KeyboardInterrupt:
    print("interrupted")
"""


@needs_posix
def test_interrupt_of_a_busy_loop() -> None:
    say = 'print("ready", flush=True)'
    result = interrupted(start("-c", f"{PRELUDE}\nright(){LOOP.format(say, 'fastact.sigmoid')}"))
    assert (result.returncode, result.stdout, result.stderr) == (0, "interrupted\n", "")


@compiled_only
@needs_posix
def test_interrupt_while_another_thread_compiles(tmp_path: Any) -> None:
    """The main thread waits for the compiler too; a loop without an address must never be jumped to."""
    code = f"""
def wait_for_main_thread():
    while threading.active_count() == threads_before: time.sleep(0.001)
    print("ready", flush=True)
    sys.stdin.readline()
{LOOP.format("compile_meanwhile()", "softplus")}
compiling.join()
assert right()
"""
    result = interrupted(start("-c", COMPILING + code, FASTACT_CACHE_DIR=str(tmp_path)))
    assert (result.returncode, result.stdout) == (0, "interrupted\n"), result.stderr


@compiled_only
@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda x: fastact.gelu(x, out=x), id="elementwise"),
        pytest.param(lambda x: fastact.geglu(x.reshape(-1, 50)), id="in rows"),
        pytest.param(lambda x: fastact.binary_cross_entropy(x, x), id="sum"),
    ],
)
def test_succession_is_counted_from_the_end_of_calls(call: Callable[[np.ndarray], Any]) -> None:
    """A call that takes longer than workers look for work is followed closely all the same."""
    record = pool()
    short, long = np.zeros(50_000, np.float32), np.zeros(5_000_000, np.float32)
    for x in (short, long, short):
        call(x)  # nothing is compiled or loaded from here on
    call(short)
    before = int(record[Pool.LAST_CALL])
    if not before:
        pytest.skip("this machine has no clock that costs nothing to read")
    call(long)
    assert record[Pool.LAST_CALL] - before > 500_000  # cycles of the call itself, however fast the machine

"""Many processes, threads, forks, interrupts and kills, garbage and refusals: nothing may crash, hang or be wrong."""

from __future__ import annotations

import contextlib
import io
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fastact
from fastact.catalogue import ACTIVATIONS
from fastact.commands.parser import main
from tests.conftest import callable_of, compiled_only, needs_posix, parameters
from tests.processes import PRELUDE, finish, run, start

pytestmark = [pytest.mark.stress, compiled_only, needs_posix]

ONE_EACH = """
import numpy as np, fastact
x = np.linspace(-8, 8, 300_000)
assert np.allclose(fastact.sigmoid(x), 1 / (1 + np.exp(-x)), rtol=1e-12)
assert np.allclose(fastact.softmax(x.reshape(300, 1000)).sum(1), 1)
print("right")
"""


def all_right(processes: list[subprocess.Popen[str]]) -> None:
    results = [finish(process) for process in processes]
    assert [(r.returncode, r.stdout, r.stderr) for r in results] == [(0, "right\n", "")] * len(results)


@pytest.mark.parametrize("turn", range(20))
def test_64_processes_on_an_empty_cache(turn: int, tmp_path: Path) -> None:
    all_right([start("-c", ONE_EACH, FASTACT_CACHE_DIR=str(tmp_path), FASTACT_NUM_THREADS="2") for _ in range(64)])


@pytest.mark.parametrize("turn", range(20))
def test_killed_while_compiling(turn: int, tmp_path: Path) -> None:
    victims = [start("-c", ONE_EACH, FASTACT_CACHE_DIR=str(tmp_path)) for _ in range(4)]
    time.sleep(random.Random(turn).uniform(0.2, 3))
    for victim in victims:
        victim.kill()
    for victim in victims:
        finish(victim)
    all_right([start("-c", ONE_EACH, FASTACT_CACHE_DIR=str(tmp_path)) for _ in range(16)])


def test_200_forks_after_use() -> None:
    code = PRELUDE + "\nassert right()\nfor _ in range(200): assert in_child(right)\nassert right()\nprint('right')"
    assert run(code).stdout == "right\n"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_pools_of_processes(method: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import multiprocessing, sys, numpy as np, fastact\n"
        "def work(i):\n"
        "    x = np.linspace(-8, 8, 200_000 + i)\n"
        "    return bool(np.allclose(fastact.sigmoid(x), 1 / (1 + np.exp(-x))))\n"
        "if __name__ == '__main__':\n"
        "    assert work(0)\n"
        "    with multiprocessing.get_context(sys.argv[1]).Pool(8) as pool:\n"
        "        assert all(pool.map(work, range(400)))\n"
        "    print('right')\n"
    )
    done = finish(start(str(program), method))
    assert (done.stdout, done.stderr) == ("right\n", "")


def test_joblib_and_dask_workers() -> None:
    code = """
import numpy as np, fastact, dask, joblib, dask.array as da
x = np.linspace(-8, 8, 200_000)
expected = fastact.gelu(x)
for _ in range(5):
    results = joblib.Parallel(4)(joblib.delayed(fastact.gelu)(x) for _ in range(40))
    assert all(np.array_equal(y, expected) for y in results)
if __name__ == "__main__":
    with dask.config.set(scheduler="processes"):
        assert np.array_equal(da.from_array(x, chunks=10_000).map_blocks(fastact.gelu).compute(), expected)
print("right")
"""
    assert run(code).stdout == "right\n"


def test_16_threads_and_ten_thousand_mixed_calls() -> None:
    code = """
import threading, random, sys, numpy as np, fastact
sys.setswitchinterval(1e-4)
x = np.random.default_rng(0).normal(size=(300, 200)).astype(np.float32)
w = np.ones((50, 200), np.float32)
calls = [
    lambda: fastact.sigmoid(x), lambda: fastact.gelu(x[:, ::2]), lambda: fastact.elu(x, 0.5), lambda: fastact.glu(x),
    lambda: fastact.softmax(x), lambda: fastact.softmax(x, axis=0), lambda: fastact.dense(x, w, activation="relu"),
    lambda: fastact.logsumexp(x, axis=1), lambda: fastact.mse_loss(x, x[::-1]), lambda: fastact.relu(x[0]),
]
right = [np.array(call()).tobytes() for call in calls]
wrong = []
def work(seed):
    draw = random.Random(seed)
    for _ in range(10_000):
        i = draw.randrange(len(calls))
        if draw.random() < 0.01:
            fastact.set_num_threads(draw.randint(1, 6))
        y = np.array(calls[i]())
        # sums may be added in another order
        if y.tobytes() != right[i] and not np.allclose(y, np.frombuffer(right[i], y.dtype).reshape(y.shape), rtol=1e-6):
            wrong.append(i)
threads = [threading.Thread(target=work, args=(seed,)) for seed in range(16)]
[t.start() for t in threads]; [t.join() for t in threads]
print("right" if not wrong else wrong)
"""
    assert run(code).stdout == "right\n"


INTERRUPTED = """
import os, random, signal, threading, time, numpy as np, fastact
signal.signal(signal.SIGINT, signal.default_int_handler)
x = np.random.default_rng(0).normal(size=(2000, 600)).astype(np.float32)
w, labels = np.ones((300, 600), np.float32), np.zeros(2000, int)
net = fastact.MLP([600, 50, 4], epochs=3, dtype="float32")
calls = [
    lambda: fastact.sigmoid(x), lambda: fastact.elu(x, 0.5), lambda: fastact.softmax(x), lambda: fastact.glu(x),
    lambda: fastact.softmax(x, axis=0), lambda: fastact.dense(x, w, activation="gelu"),
    lambda: fastact.cross_entropy(x, labels), lambda: net.fit(x, x[:, :4]),
]
checked = calls[:-1]
right = [np.array(call()) for call in checked]
draw = random.Random(7)
caught = 0
for turn in range(200):
    call = draw.choice(calls)
    timer = threading.Timer(draw.uniform(0, 0.02), os.kill, (os.getpid(), signal.SIGINT))
    try:
        timer.start()
        end = time.monotonic() + 60
        while time.monotonic() < end:
            call()
    except KeyboardInterrupt:
        caught += 1
    timer.join()
    i = turn % len(checked)
    assert np.allclose(checked[i](), right[i], rtol=1e-6), i
print("right" if caught == 200 else caught)
"""


def test_200_interrupts_at_random_moments() -> None:
    done = run(INTERRUPTED)
    assert (done.stdout, done.stderr) == ("right\n", "")


INTERRUPTED_EARLY = """
import os, random, signal, sys, threading, time, numpy as np, fastact
signal.signal(signal.SIGINT, signal.default_int_handler)
x = np.linspace(-8, 8, 1_000_000)
draw = random.Random(sys.argv[1])
for _ in range(6):
    timer = threading.Timer(draw.uniform(0, 0.8), os.kill, (os.getpid(), signal.SIGINT))
    try:
        timer.start()
        end = time.monotonic() + 60
        while time.monotonic() < end:
            fastact.sigmoid(x), fastact.softmax(x)
            fastact.MLP([2, 3, 1], epochs=1).fit(np.ones((4, 2)), np.ones((4, 1)))
    except KeyboardInterrupt:
        pass
    timer.join()
assert np.allclose(fastact.sigmoid(x), 1 / (1 + np.exp(-x)), rtol=1e-12)
print(fastact.backend())
"""


@pytest.mark.parametrize("seed", range(16))
def test_interrupts_of_first_calls(seed: int, tmp_path: Path) -> None:
    """Struck before its first line, a callback says so and is called again: that is right, too."""
    done = finish(start("-c", INTERRUPTED_EARLY, str(seed), FASTACT_CACHE_DIR=str(tmp_path)))
    assert (done.returncode, done.stdout) == (0, "numba\n"), done.stderr
    assert "does not work" not in done.stderr


@pytest.mark.parametrize("megabytes", [100, 200, *range(300, 1000, 50), 1500, 3000])
def test_little_memory(megabytes: int, tmp_path: Path) -> None:
    """Right, or an error of Python's; never a crash."""
    code = f"""
import resource
resource.setrlimit(resource.RLIMIT_AS, ({megabytes} << 20,) * 2)
try:
    import numpy as np, fastact
    x = np.linspace(-8, 8, 20_000_000)
    fastact.sigmoid(x), fastact.softmax(x), fastact.dense(x.reshape(-1, 100), np.ones((100, 100)))
except (MemoryError, ImportError, OSError):
    pass
"""
    unlimited = code.replace("resource.setrlimit", "lambda *_: ")
    for turn in (code, code, unlimited, code):  # on a cold cache, on one half warm perhaps, and on a warm one
        done = run(turn, FASTACT_CACHE_DIR=str(tmp_path), OPENBLAS_NUM_THREADS="1")
        assert done.returncode in (0, 1), done.stderr


@pytest.mark.parametrize("flags", [["-O"], ["-W", "error"], ["-X", "dev"], ["-B"], ["-X", "importtime"]], ids=" ".join)
def test_ways_to_start_python(flags: list[str], tmp_path: Path) -> None:
    assert finish(start(*flags, "-c", ONE_EACH, FASTACT_CACHE_DIR=str(tmp_path))).stdout == "right\n"


@pytest.mark.parametrize("name", ["with blanks", "ünïcödé", "日本語", "-rf", "a'b\"c", "x" * 200])
def test_names_of_the_cache(name: str, tmp_path: Path) -> None:
    all_right([start("-c", ONE_EACH, FASTACT_CACHE_DIR=str(tmp_path / name)) for _ in range(2)])
    assert list((tmp_path / name).glob("*.o"))


def test_traced_and_profiled(tmp_path: Path) -> None:
    code = "import sys; sys.settrace(lambda *_: None); sys.setprofile(lambda *_: None)\n" + ONE_EACH
    all_right([start("-c", code, FASTACT_CACHE_DIR=str(tmp_path))])


def test_garbage_in_the_cache(tmp_path: Path) -> None:
    all_right([start("-c", ONE_EACH, FASTACT_CACHE_DIR=str(tmp_path))])
    entries, draw = sorted(tmp_path.glob("*.o")), random.Random(3)
    contents = {entry: entry.read_bytes() for entry in entries}
    for _ in range(40):
        for entry, content in contents.items():
            damaged = bytearray(content)
            for _ in range(draw.choice([1, 5, 1000])):
                damaged[draw.randrange(len(damaged))] = draw.randrange(256)
            entry.write_bytes(bytes(damaged[: draw.choice([len(damaged), draw.randrange(len(damaged))])]))
        all_right([start("-c", ONE_EACH, FASTACT_CACHE_DIR=str(tmp_path))])


def test_more_than_two_to_the_31_elements() -> None:
    size = 2**31 + 5
    if os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") < 6 * size:
        pytest.skip("this machine has too little memory for arrays of 2**31 elements")
    x = np.zeros(size, np.float16)
    x[-7:] = [-2, -1, -0.5, 0, 0.5, 1, 2]
    fastact.relu(x, out=x)
    assert np.array_equal(x[-8:], np.array([0, 0, 0, 0, 0, 0.5, 1, 2], np.float16))
    assert fastact.sigmoid(x, out=x)[-1] == np.float16(0.8809)
    assert (x[:-3:1_000_003] == 0.5).all()


FORMULAS = st.sampled_from(sorted(ACTIVATIONS))
NUMBERS = st.floats(width=64, allow_nan=True, allow_infinity=True)


@settings(max_examples=100_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(name=FORMULAS, numbers=st.lists(NUMBERS, min_size=1, max_size=40))
def test_backends_agree(name: str, numbers: list[float]) -> None:
    entry = ACTIVATIONS[name]
    x, given_parameters = np.array(numbers), parameters(entry)
    for kind in ("value", "derivative"):
        compiled, plain = (callable_of(entry, kind, b)(x, **given_parameters) for b in ("compiled", "fallback"))
        np.testing.assert_allclose(compiled, plain, rtol=4e-15, atol=5e-16)


@settings(max_examples=3000, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_files_of_garbage(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A clear error, or what the file says; no crash, and no pickle is ever loaded."""
    folder = tmp_path_factory.getbasetemp()
    array, network = folder / "x.npy", folder / "net.npz"
    if not network.exists():
        fastact.MLP([3, 4, 2], random_state=0).save(network)
    buffer = io.BytesIO()
    np.save(buffer, np.arange(12.0).reshape(3, 4))
    content = data.draw(st.sampled_from(["npy", "npz"]))
    damaged = bytearray(buffer.getvalue() if content == "npy" else network.read_bytes())
    for place, value in data.draw(
        st.lists(st.tuples(st.integers(0, len(damaged) - 1), st.integers(0, 255)), max_size=8)
    ):
        damaged[place] = value
    damaged = damaged[: data.draw(st.integers(0, len(damaged)))] if data.draw(st.booleans()) else damaged
    if content == "npy":
        array.write_bytes(bytes(damaged))
        assert main(["apply", "sigmoid", str(array), str(folder / "y.npy")]) in (0, 2)
        return
    spoiled = folder / "spoiled.npz"
    spoiled.write_bytes(bytes(damaged))
    with contextlib.suppress(ValueError, OSError):
        fastact.MLP.load(spoiled)


def test_no_thread_can_be_had(tmp_path: Path) -> None:
    """As a user whose processes are all taken, but who reads this user's files: Python may be among them."""
    if os.geteuid() != 0:
        pytest.skip("this machine's user cannot become another one")
    code = f"""
import ctypes, os, resource, threading
resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
os.setresuid(65534, 65534, 0); ctypes.CDLL(None).setfsuid(0)
try: threading.Thread(target=print, args=["a thread"]).start()
except RuntimeError: pass
{ONE_EACH}
"""
    done = run(code, FASTACT_CACHE_DIR=str(tmp_path / "cache"), OPENBLAS_NUM_THREADS="1", HOME="/nonexistent")
    assert done.stdout == "right\n", done.stderr


def test_signals_end_it(tmp_path: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGHUP):
        for turn in range(20):
            process = start("-c", "print('ready', flush=True)\n" + ONE_EACH * 20, FASTACT_CACHE_DIR=str(tmp_path))
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(turn / 20)
            process.send_signal(number)
            assert finish(process).returncode in (-number, 0)
    assert not list(tmp_path.glob("*.o.*"))

"""Who computes where Numba, or the system, withholds something: compiled code, or NumPy and one line that says why."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import compiled_only
from tests.processes import run

#: Prints the backend and the sums of functions of each kind, after whatever a test puts in front.
COMPUTE = """
import numpy as np
import fastact
x = np.linspace(-9, 9, 1001, dtype=np.float32).reshape(7, 143)
print(fastact.backend(), fastact.sigmoid(x).sum(), fastact.rms_norm(x).sum())
"""


@compiled_only
@pytest.mark.parametrize("setting", ["NUMBA_DEBUGINFO", "NUMBA_ENABLE_PROFILING", "NUMBA_BOUNDSCHECK"])
def test_settings_of_numbas_do_not_reach_compiled_code(tmp_path: Path, setting: str) -> None:
    usual = run(COMPUTE)
    result = run(COMPUTE, FASTACT_CACHE_DIR=str(tmp_path), **{setting: "1"})
    assert (result.returncode, result.stderr, result.stdout) == (0, "", usual.stdout)
    assert result.stdout.startswith("numba ")


#: Functions of each kind; the elementwise ones have been compiled before, and others not.
EVERYTHING = """
import numpy as np
import fastact
x = np.linspace(-9, 9, 1001, dtype=np.float32).reshape(7, 143)
labels = np.arange(7)
results = [
    fastact.sigmoid(x), fastact.tanh(x), fastact.elu(x, 0.5), fastact.prelu_backward(x, x, np.float32(0.5))[1],
    fastact.softmax(x), fastact.cross_entropy(x, labels), fastact.mse_loss(x, x + 1), fastact.swiglu(x[:, :142]),
    fastact.dense(x, x, activation="gelu"), fastact.leaky_relu(np.ones((300, 800)), np.full((300, 1), 0.5)),
]
network = fastact.MLP([143, 5, 7], loss="cross_entropy", epochs=2, random_state=0).fit(x, labels)
results += [network.loss_curve_, network.predict_proba(x)]
expected = [
    fastact.fallback.sigmoid(x), fastact.fallback.tanh(x), fastact.fallback.elu(x, 0.5),
    fastact.fallback.prelu_backward(x, x, np.float32(0.5))[1], fastact.fallback.softmax(x),
    fastact.fallback.cross_entropy(x, labels), fastact.fallback.mse_loss(x, x + 1), fastact.fallback.swiglu(x[:, :142]),
    fastact.fallback.dense(x, x, activation="gelu"),
    fastact.fallback.leaky_relu(np.ones((300, 800)), np.full((300, 1), 0.5)),
]
network = fastact.fallback.MLP([143, 5, 7], loss="cross_entropy", epochs=2, random_state=0).fit(x, labels)
expected += [network.loss_curve_, network.predict_proba(x)]
for result, other in zip(results, expected):
    np.testing.assert_allclose(result, other, rtol=1e-4, atol=1e-5)
print(fastact.backend())
"""


#: What comes before, where nothing can be compiled; and why NumPy computes then.
WITHHELD = {
    "disabled": ("import os\nos.environ['NUMBA_DISABLE_JIT'] = '1'", "NUMBA_DISABLE_JIT is set"),
    "disabled_later": ("import numba\nnumba.config.DISABLE_JIT = 1", "NUMBA_DISABLE_JIT is set"),
    "not_importable": (
        "import sys\nsys.modules['numba.core.registry'] = None",
        "Numba does not work: ModuleNotFoundError: import of numba.core.registry halted; None in sys.modules",
    ),
    "not_compiling": (
        "import numba\ndef cfunc(*_, **__): raise TypeError('broken\\nat length')\nnumba.cfunc = cfunc",
        "Numba does not work: TypeError: broken",
    ),
    "memory": (
        "import ctypes\nif ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) != 0: raise SystemExit('no prctl')",
        "the system lets this process run no code that it makes (SELinux, PR_SET_MDWE)",
    ),
    "free_threaded": (
        "import sys\nsys.version += ' free-threading build'",
        "this Python is free-threaded, and nothing compiled here has been tried without its lock",
    ),
    "not_installed": (
        "import sys\nsys.modules['numba'] = None",
        "numba is not installed",
    ),
    "little_memory": (
        """
import resource, sys, numba.core.registry, numpy
if sys.platform != "linux": raise SystemExit("no limit")
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (250 << 20),) * 2)
""",
        "this process may have no 256 MB of memory more, which LLVM may need",
    ),
}


@pytest.fixture(scope="module")
def sigmoid_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with one function in it."""
    folder = tmp_path_factory.mktemp("cache") / "some"
    result = run("import numpy, fastact; fastact.sigmoid(numpy.ones(1, 'f'))", FASTACT_CACHE_DIR=str(folder))
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture
def some(sigmoid_alone: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(sigmoid_alone, tmp_path / "some"))


@pytest.fixture(params=["nothing", "some"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """What has been compiled by then."""
    return tmp_path if request.param == "nothing" else request.getfixturevalue("some")


def without(case: str, folder: Path, code: str, **env: str) -> tuple[str, str]:
    """What such a process prints, and what it warns of."""
    result = run(f"{WITHHELD[case][0]}\n{code}", FASTACT_CACHE_DIR=str(folder), **env)
    if "no prctl" in result.stderr:
        pytest.skip("this machine's kernel has no PR_SET_MDWE")
    if "no limit" in result.stderr:
        pytest.skip("this machine's processes cannot be limited in memory")
    assert result.returncode == 0, result.stderr
    return result.stdout.strip(), result.stderr


@compiled_only
@pytest.mark.parametrize("case", WITHHELD)
def test_what_cannot_be_compiled_is_left_to_numpy(cache: Path, case: str) -> None:
    printed, warning = without(case, cache, EVERYTHING)
    assert printed == "numpy"
    assert warning.count("\n") <= 2, warning
    assert f"RuntimeWarning: fastact: NumPy computes, which is slower, because {WITHHELD[case][1]}\n" in warning


@compiled_only
@pytest.mark.parametrize("case", ["disabled", "not_importable", "memory"])
def test_who_insists_on_numba_is_told(cache: Path, case: str) -> None:
    code = """
import fastact
try:
    fastact.softmax([1.0, 2.0])
except ImportError as error:
    print(error)
"""
    printed, warning = without(case, cache, code, FASTACT_BACKEND="numba")
    assert (printed, warning) == (f"FASTACT_BACKEND=numba, but {WITHHELD[case][1]}", "")


@compiled_only
def test_who_insists_on_numba_is_warned_from_within_a_ufunc(some: Path) -> None:
    """NumPy calls the loop, and takes no exception of it."""
    code = "import fastact\nprint(fastact.sigmoid(0.0))"
    printed, warning = without("not_importable", some, code, FASTACT_BACKEND="numba")
    assert printed == "0.5"
    refusal = f"FASTACT_BACKEND=numba, but {WITHHELD['not_importable'][1]}"
    assert f"RuntimeWarning: fastact: NumPy computes sigmoid: {refusal}\n" in warning
    assert warning.count("\n") <= 2


@compiled_only
def test_info_says_why(tmp_path: Path) -> None:
    code = "import sys\nsys.argv = ['fastact', 'info']\nfrom fastact.commands.parser import main\nmain()"
    printed, _ = without("not_importable", tmp_path, code)
    assert f"numpy ({WITHHELD['not_importable'][1]})" in printed


def test_who_asks_for_numpy_is_not_warned() -> None:
    result = run(EVERYTHING, FASTACT_BACKEND="numpy")
    assert (result.returncode, result.stdout, result.stderr) == (0, "numpy\n", "")

"""The cache of compiled code: read without Numba, repaired when damaged, shared by processes, never stale."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import filelock
import pytest

from fastact.runtime import cache
from tests.conftest import compiled_only, needs_posix
from tests.processes import PATIENCE, finish, run, start

pytestmark = compiled_only

#: Prints whether Numba was needed, and the bits of a result.
COMPUTE = """
import sys
import numpy as np
import fastact
result = fastact.sigmoid(np.linspace(-9, 9, 1001, dtype=np.float32))
print("numba" in sys.modules, result.tobytes().hex())
"""


#: Waits for another process that compiles, however long that takes on a busy machine.
WAITING = f"""
import filelock
acquire = filelock.FileLock.acquire
filelock.FileLock.acquire = lambda lock, timeout: acquire(lock, timeout={PATIENCE})
"""


class Outcome(NamedTuple):
    numba: bool
    bits: str


def outcome(output: str) -> Outcome:
    numba, bits = output.split()
    return Outcome(numba == "True", bits)


def compute(folder: Path) -> Outcome:
    """Run COMPUTE in a process of its own, which must not have anything to say about the cache."""
    result = run(COMPUTE, FASTACT_CACHE_DIR=str(folder))
    assert (result.returncode, result.stderr) == (0, "")
    return outcome(result.stdout)


class Warm(NamedTuple):
    folder: Path
    first: Outcome


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Warm:
    """A cache that one process has filled, and what that process found."""
    folder = tmp_path_factory.mktemp("cache") / "made" / "by" / "fastact"
    return Warm(folder, compute(folder))


@pytest.fixture
def own(warm: Warm, tmp_path: Path) -> Warm:
    """A copy of it to spoil."""
    return Warm(Path(shutil.copytree(warm.folder, tmp_path / "cache")), warm.first)


def entries(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.o"))


def loops(folder: Path) -> list[Path]:
    """The entries for which Numba is needed: all but what is written in LLVM's own language."""
    return [path for path in entries(folder) if b"known_at" not in path.read_bytes()]


def test_second_process_needs_no_numba(warm: Warm) -> None:
    assert warm.first.numba
    assert compute(warm.folder) == Outcome(False, warm.first.bits)


def test_files_are_left_in_order(warm: Warm) -> None:
    """The driver, one loop and how ufuncs are called; locks beside them, and no drafts."""
    assert len(entries(warm.folder)) == 3
    assert len(loops(warm.folder)) == 2
    assert {path.suffix for path in warm.folder.iterdir()} <= {".o", ".lock"}


def flipped_byte(contents: bytes) -> bytes:
    middle = len(contents) // 2
    return contents[:middle] + bytes([contents[middle] ^ 0x10]) + contents[middle + 1 :]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda contents: contents[: len(contents) // 2],
    "garbage": lambda contents: bytes(range(1, 252)) * (len(contents) // 251),
    "empty": lambda contents: b"",
    "flipped_byte": flipped_byte,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_entries_are_compiled_again(own: Warm, damage: str) -> None:
    for path in entries(own.folder):
        path.write_bytes(DAMAGES[damage](path.read_bytes()))
    assert compute(own.folder) == own.first
    assert compute(own.folder) == Outcome(False, own.first.bits)


@pytest.mark.parametrize("below", [".", "sub/deeper"])
def test_directory_that_cannot_be_made(warm: Warm, tmp_path: Path, below: str) -> None:
    """A regular file stands in the way, which stops even root."""
    file = tmp_path / "file"
    file.write_text("mine")
    assert compute(file / below) == warm.first
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert file.read_text() == "mine"


#: What is done before fastact is imported, where nothing can be kept.
HOMELESS = {
    "nobody": """
import os, pwd
os.environ.pop("HOME", None)
os.environ.pop("XDG_CACHE_HOME", None)
del os.environ["FASTACT_CACHE_DIR"]
def getpwuid(user): raise KeyError(user)
pwd.getpwuid = getpwuid
""",
    "nowhere": """
import os, tempfile
import numpy  # which Python 3.13.0 cannot import there
os.environ["FASTACT_CACHE_DIR"] = "relative"
os.chdir(tempfile.mkdtemp())
os.rmdir(os.getcwd())
""",
}


@needs_posix
@pytest.mark.parametrize("case", HOMELESS)
def test_without_a_place_code_is_compiled_in_memory(warm: Warm, tmp_path: Path, case: str) -> None:
    """A user without an entry in the system's tables, and a directory that is gone."""
    result = run(HOMELESS[case] + COMPUTE, FASTACT_CACHE_DIR=str(tmp_path), FASTACT_BACKEND="numba")
    assert (result.returncode, result.stderr) == (0, "")
    assert outcome(result.stdout) == warm.first


def test_home_directory_in_the_setting(warm: Warm, tmp_path: Path) -> None:
    name = "USERPROFILE" if os.name == "nt" else "HOME"
    result = run(COMPUTE, **{name: str(tmp_path), "FASTACT_CACHE_DIR": "~/code"})
    assert outcome(result.stdout) == warm.first
    assert len(entries(tmp_path / "code")) == 3


#: Systems without locks.
LOCKLESS = {
    "call": """
import errno, fcntl
def flock(*_): raise OSError(errno.ENOSYS, "no locks")
fcntl.flock = flock
""",
    "file_system": """
import errno, fcntl
def flock(*_): raise OSError(errno.ENOLCK, "no locks")
fcntl.flock = flock
""",
    "library": """
import filelock
def acquire(*_, **__): raise RuntimeError("no locks")
filelock.FileLock.acquire = acquire
""",
}


@needs_posix
@pytest.mark.parametrize("case", LOCKLESS)
def test_without_locks_code_is_kept_all_the_same(warm: Warm, tmp_path: Path, case: str) -> None:
    result = run(LOCKLESS[case] + COMPUTE, FASTACT_CACHE_DIR=str(tmp_path), FASTACT_BACKEND="numba")
    assert result.returncode == 0, result.stderr
    assert outcome(result.stdout) == warm.first
    assert compute(tmp_path) == Outcome(False, warm.first.bits)


#: Counts the seconds that locks are waited for.
COUNTING = """
import filelock
acquire, seconds = filelock.FileLock.acquire, []
def counted(lock, timeout):
    seconds.append(timeout)
    return acquire(lock, timeout=0)
filelock.FileLock.acquire = counted
"""


def test_a_process_that_computes_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it takes: or all that wait for it on a busy machine would compile too, and make it busier still."""
    waited = []

    class Guard:
        def acquire(self, timeout: float) -> None:
            waited.append(timeout)
            raise filelock.Timeout("lock")

    states = iter([("7", 10), ("7", 11), ("7", 12), ("8", 12), ("8", 12)])
    monkeypatch.setattr(cache, "_spent_by_holder", lambda path: next(states))
    with pytest.raises(filelock.Timeout):
        cache._acquired(Guard(), tmp_path)
    assert waited == [cache.PATIENCE] * 4


def test_who_has_a_lock(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    if not Path("/proc/locks").exists():
        pytest.skip("this machine's system does not tell who has a lock")
    with filelock.FileLock(path):
        found = cache._spent_by_holder(path)
        if found is None:
            pytest.skip("this machine's system does not tell who has a lock")
        while cache._spent_by_holder(path) == found:
            pass
        assert found[0] == str(os.getpid())
    assert cache._spent_by_holder(path) is None


@needs_posix
def test_a_stopped_process_that_holds_all_locks(warm: Warm, tmp_path: Path) -> None:
    """It is waited for, but not for long."""
    hold = """
import filelock, os, sys
held = [filelock.FileLock(f"{os.environ['FASTACT_CACHE_DIR']}/{number:02}.lock") for number in range(64)]
for lock in held: lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""
    holder = start("-c", hold, FASTACT_CACHE_DIR=str(tmp_path))
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        result = run(f"{COUNTING}{COMPUTE}\nprint(max(seconds))", FASTACT_CACHE_DIR=str(tmp_path))
    finally:
        finish(holder)
    assert result.stderr == ""
    *found, longest = result.stdout.split()
    assert outcome(" ".join(found)) == warm.first
    assert float(longest) <= 5


def test_directory_that_disappears(tmp_path: Path) -> None:
    """Found usable by the first function, gone when the second is compiled."""
    code = """
import os, shutil, fastact
assert fastact.relu(-1.0) == 0
shutil.rmtree(os.environ["FASTACT_CACHE_DIR"])
assert fastact.sigmoid(0.0) == 0.5
"""
    result = run(code, FASTACT_CACHE_DIR=str(tmp_path / "cache"))
    assert (result.returncode, result.stderr) == (0, "")


def test_edited_formula_never_runs_old_code(tmp_path: Path) -> None:
    """The same name, signature and file; going back to the first formula finds its code again."""
    code = """
import sys
import fastact

@fastact.activation
def bent(x, slope=1.0):
    return x * x * {} + slope

print(bent(2.0), bent.derivative(2.0), "numba" in sys.modules)
"""
    outputs = [run(code.format(factor), FASTACT_CACHE_DIR=str(tmp_path)).stdout for factor in (3, 5, 3)]
    assert outputs == ["13.0 12.0 True\n", "21.0 20.0 True\n", "13.0 12.0 False\n"]


def test_processes_starting_at_once_on_a_cold_cache(warm: Warm, tmp_path: Path) -> None:
    processes = [start("-c", WAITING + COMPUTE, FASTACT_CACHE_DIR=str(tmp_path)) for _ in range(8)]
    results = [finish(process) for process in processes]
    assert [(result.returncode, result.stderr) for result in results] == [(0, "")] * 8
    found = [outcome(result.stdout) for result in results]
    assert {each.bits for each in found} == {warm.first.bits}
    # Two entries: each is compiled once, by whoever comes first.
    assert 1 <= sum(each.numba for each in found) <= 2


#: Moments at which a process dies: with the lock held, and with its draft written but not moved into place.
MOMENTS = {
    "compiling": "from fastact.runtime import compiler as owner; name = 'compile_object'",
    "writing": "from pathlib import Path as owner; name = 'replace'",
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_process_leaves_a_usable_cache(warm: Warm, tmp_path: Path, moment: str) -> None:
    killer = (
        f"import os, signal\n{MOMENTS[moment]}\nsetattr(owner, name, lambda *_: os.kill(os.getpid(), 9))\n{COMPUTE}"
    )
    assert run(killer, FASTACT_CACHE_DIR=str(tmp_path)).returncode == -9
    assert entries(tmp_path) == []
    assert compute(tmp_path) == warm.first
    assert compute(tmp_path) == Outcome(False, warm.first.bits)

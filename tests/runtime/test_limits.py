"""How many threads a call has by default: what containers and settings grant."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from fastact.runtime import limits
from tests.conftest import compiled_only
from tests.processes import run


def written(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


NEW = {"proc/self/cgroup": "0::/a/b\n"}
OLD = {"proc/self/cgroup": "12:cpuset:/x\n5:cpu,cpuacct:/docker/1\n1:name=systemd:/\n"}


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 8),
        (NEW | {"sys/fs/cgroup/a/b/cpu.max": "max 100000\n"}, 8),
        (NEW | {"sys/fs/cgroup/a/b/cpu.max": "250000 100000\n"}, 3),
        (NEW | {"sys/fs/cgroup/a/b/cpu.max": "max 100000\n", "sys/fs/cgroup/a/cpu.max": "200000 100000"}, 2),
        (NEW | {"sys/fs/cgroup/cpu.max": "50000 100000\n"}, 1),
        (NEW | {"sys/fs/cgroup/a/b/cpu.max": "garbage\n"}, 8),
        (NEW | {"sys/fs/cgroup/a/b/cpu.max": "100000 0\n"}, 8),
        (NEW | {"sys/fs/cgroup/a/b/cpu.max": "9000000 100000\n"}, 8),
        (OLD | {"sys/fs/cgroup/cpu/docker/1/cpu.cfs_quota_us": "-1\n"}, 8),
        (
            OLD | {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "400000\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"},
            4,
        ),
    ],
)
def test_a_containers_share_of_time(
    files: dict[str, str], cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(8)), raising=False)
    assert limits.available_cores(written(tmp_path, files)) == cores


SLOW = {"sys/devices/system/cpu/cpu0/cpu_capacity": "446\n", "sys/devices/system/cpu/cpu3/cpu_capacity": "446\n"}
FAST = {"sys/devices/system/cpu/cpu4/cpu_capacity": "1024\n"}


@pytest.mark.parametrize(
    ("files", "differ"),
    [
        ({"sys/devices/cpu_core/cpus": "0-3\n", "sys/devices/cpu_atom/cpus": "4-7\n"}, True),
        ({"sys/devices/cpu/type": "4\n"}, False),
        (SLOW | FAST, True),
        (SLOW, False),
        ({}, False),
    ],
)
def test_whether_cores_differ(
    files: dict[str, str], differ: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    assert limits.cores_differ(written(tmp_path, files)) == differ


@compiled_only
@pytest.mark.parametrize(
    ("settings", "threads"),
    [
        ({"OMP_NUM_THREADS": "1"}, "1"),
        ({"OMP_NUM_THREADS": "1,4"}, "1"),
        ({"NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "2"}, "1"),
        ({"OMP_NUM_THREADS": "1", "FASTACT_NUM_THREADS": "3"}, "3"),
        ({"OMP_NUM_THREADS": "none"}, "cores"),
        ({"OMP_NUM_THREADS": "10000"}, "cores"),
    ],
)
def test_settings_of_other_libraries_hold(settings: dict[str, str], threads: str) -> None:
    code = "import fastact; print(fastact.get_num_threads())"
    done = run(code, **{"FASTACT_NUM_THREADS": "", "NUMBA_NUM_THREADS": "", **settings})
    assert done.stdout.strip() == (str(limits.available_cores()) if threads == "cores" else threads), done.stderr


@compiled_only
@pytest.mark.parametrize("first", ["fastact", "threadpoolctl"])
def test_threadpoolctl_limits_the_pool(first: str) -> None:
    """Whichever is imported first, before the pool exists and after, and without compiling anything for it."""
    code = f"""
import {first}, numpy, threadpoolctl, fastact
from fastact.runtime import threads
from threadpoolctl import threadpool_limits
with threadpool_limits(1):
    before, compiled = threads.number(), bool(threads._made)
    inside = fastact.get_num_threads()
after = fastact.get_num_threads()
with threadpool_limits(1):
    again = fastact.get_num_threads()
with threadpool_limits(1, user_api="blas"):
    others = fastact.get_num_threads()
with threadpool_limits({{"fastact": 3}}):
    own = fastact.get_num_threads()
print(before, compiled, inside, after, again, others, own, fastact.get_num_threads())
"""
    done = run(code)
    assert done.stdout.strip() == "1 False 1 4 1 4 3 4", done.stderr


@compiled_only
def test_a_limit_waits_for_no_compilation() -> None:
    code = """
import threading, fastact
from fastact.runtime.guard import compiling
fastact.get_num_threads()
with compiling:
    other = threading.Thread(target=fastact.set_num_threads, args=(2,))
    other.start()
    other.join(60)
    print(other.is_alive(), fastact.get_num_threads())
"""
    done = run(code)
    assert done.stdout.strip() == "False 2", done.stderr


@compiled_only
def test_threadpoolctl_tells_of_the_pool() -> None:
    code = """
import importlib.util, fastact, numpy
importlib.util.find_spec("threadpoolctl")  # looking is not yet importing
import threadpoolctl
print(*(x["num_threads"] for x in threadpoolctl.threadpool_info() if x["user_api"] == "fastact"))
print(threadpoolctl.__spec__.loader.get_source("threadpoolctl")[:3])
"""
    done = run(code)
    assert done.stdout.split() == ["4", '"""'], done.stderr


def test_importing_leaves_threadpoolctl_alone() -> None:
    done = run("import sys, numpy, fastact; fastact.get_num_threads(); print('threadpoolctl' in sys.modules)")
    assert done.stdout.strip() == "False", done.stderr


@pytest.fixture
def unlimited(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What to add to an environment in which nothing is said of threads, so that workers' own settings count."""
    for name in limits.SHARED_SETTINGS:
        monkeypatch.delenv(name, raising=False)
    return {"FASTACT_NUM_THREADS": ""}


@compiled_only
def test_workers_of_joblib_share_the_cores(unlimited: dict[str, str]) -> None:
    pytest.importorskip("joblib")
    code = """
import joblib, fastact
asked = joblib.Parallel(n_jobs=2)(joblib.delayed(fastact.get_num_threads)() for _ in range(4))
print(max(asked) <= max(1, joblib.cpu_count() // 2), min(asked) >= 1)
"""
    done = run(code, **unlimited)
    assert done.stdout.strip() == "True True", done.stderr


@compiled_only
def test_workers_of_dask_have_one_thread(unlimited: dict[str, str]) -> None:
    pytest.importorskip("distributed")
    code = """
import fastact
from distributed import Client, LocalCluster
if __name__ == "__main__":
    settings = dict(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with LocalCluster(**settings) as cluster, Client(cluster) as client:
        print(*client.run(fastact.get_num_threads).values())
"""
    done = run(code, **unlimited)
    assert done.stdout.strip() == "1 1", done.stderr


@compiled_only
@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_workers_of_multiprocessing_are_told(method: str) -> None:
    """Nobody tells them how many they are; whoever starts them says how many threads each may have."""
    code = f"""
import multiprocessing, fastact
if __name__ == "__main__":
    context = multiprocessing.get_context("{method}")
    with context.Pool(2, initializer=fastact.set_num_threads, initargs=(1,)) as workers:
        print(workers.apply(fastact.get_num_threads), fastact.get_num_threads())
"""
    done = run(code)
    assert done.stdout.strip() == "1 4", done.stderr

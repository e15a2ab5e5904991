"""How many threads a call has by default: what containers and settings grant."""

from __future__ import annotations

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

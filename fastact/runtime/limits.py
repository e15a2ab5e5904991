"""The cores this process may use: what it is bound to, what its container is granted, what users have set."""

from __future__ import annotations

import contextlib
import math
import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePosixPath

__all__ = ["available_cores", "cores_differ", "default_threads"]

#: Settings that other libraries have for the same, which hold for this one too.
SHARED_SETTINGS = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS")


def default_threads() -> int:
    """As many as there are cores, unless a setting says fewer."""
    return min([available_cores(), *_shared_settings()])


def _shared_settings() -> Iterator[int]:
    for name in SHARED_SETTINGS:
        outermost = os.environ.get(name, "").split(",")[0].strip()  # OpenMP has one number for each level of nesting
        if outermost.isdecimal() and int(outermost) > 0:  # what makes no sense is not ours to complain of
            yield int(outermost)


def available_cores(root: Path = Path("/")) -> int:
    """Cores that this process is bound to, or as many as keep its container's share of time busy."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min([bound, *_quotas(root)])))


@cache
def cores_differ(root: Path = Path("/")) -> bool:
    """Whether some cores are slower than others, as on most Arm processors and many of Intel's."""
    system = root / "sys/devices"
    if (system / "cpu_atom").exists():  # the counters of small cores, where there are large ones too
        return True
    with contextlib.suppress(OSError):
        capacities = {file.read_text() for file in (system / "system/cpu").glob("cpu[0-9]*/cpu_capacity")}
        return len(capacities) > 1 or (sys.platform == "darwin" and os.uname().machine == "arm64")
    return False


def _quotas(root: Path) -> Iterator[float]:
    """What control groups, old and new, grant this process's group and those above it, in cores."""
    with contextlib.suppress(OSError, ValueError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and "cpu" not in controllers.split(","):
                continue
            # Inside a container, the group's own files may stand at the top of what is mounted.
            for group in [PurePosixPath(path), *PurePosixPath(path).parents]:
                folder = root / "sys/fs/cgroup" / ("cpu" if controllers else "") / str(group).lstrip("/")
                yield from _old_quota(folder) if controllers else _new_quota(folder)


def _new_quota(folder: Path) -> Iterator[float]:
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
        quota, period = (folder / "cpu.max").read_text().split()
        if quota != "max":
            yield int(quota) / int(period)


def _old_quota(folder: Path) -> Iterator[float]:
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
        quota = int((folder / "cpu.cfs_quota_us").read_text())
        if quota > 0:
            yield quota / int((folder / "cpu.cfs_period_us").read_text())

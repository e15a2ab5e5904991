"""The most memory that a process has had."""

from __future__ import annotations

import re
import resource
from pathlib import Path

__all__ = ["peak"]

STATUS = Path("/proc/self/status")


def peak() -> int:
    """Bytes. From Linux itself, where it is: what getrusage says begins with the peak of whoever started this one."""
    if STATUS.exists():
        found = re.search(r"^VmHWM:\s+(\d+) kB$", STATUS.read_text(), re.MULTILINE)
        if found:
            return int(found[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

"""What limits threads from outside holds for the pool too: threadpoolctl.

threadpoolctl looks for libraries that have threads among the files that a process has loaded. The pool is in no file:
it is compiled into memory, and works for NumPy's ufuncs. So it goes by the file that these are in, which is there
before the pool is, and has no threads of its own. Nothing here imports threadpoolctl: who has not either sets no limit.
"""

from __future__ import annotations

from types import ModuleType

from fastact.runtime.imports import when_imported

__all__ = ["follow"]

LIMITER = "threadpoolctl"

UFUNCS = "_multiarray_umath"


def follow() -> None:
    """Have limits hold, whether what sets them is imported before fastact or after."""
    when_imported(LIMITER, _register)


def _register(limiter: ModuleType) -> None:
    limiter.register(type("PoolController", (_Controller, limiter.LibController), {}))


class _Controller:
    """The methods that a controller of the limiter's must have."""

    user_api = internal_api = "fastact"
    filename_prefixes = (UFUNCS,)

    def get_num_threads(self) -> int:
        from fastact.runtime.threads import number

        return number()

    def set_num_threads(self, num_threads: int) -> None:
        from fastact.runtime.threads import set_number

        set_number(num_threads)

    def get_version(self) -> str:
        from fastact.runtime.sources import PACKAGE, version_of

        return version_of(PACKAGE)

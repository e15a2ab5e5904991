"""What limits threads from outside holds for the pool too: threadpoolctl.

threadpoolctl looks for libraries that have threads among the files that a process has loaded. The pool is in no file:
it is compiled into memory, and works for NumPy's ufuncs. So it goes by the file that these are in, which is there
before the pool is, and has no threads of its own. Nothing here imports threadpoolctl: who has not either sets no limit.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

__all__ = ["follow"]

LIMITER = "threadpoolctl"

UFUNCS = "_multiarray_umath"


def follow() -> None:
    """Have limits hold, whether what sets them is imported before fastact or after."""
    if LIMITER in sys.modules:
        _register(sys.modules[LIMITER])
    sys.meta_path.insert(0, _Finder())


class _Finder:
    """Finds the limiter where others would, and registers the pool with it once it has been loaded."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != LIMITER:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        spec = next(filter(None, (finder.find_spec(name, path, target) for finder in others)), None)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_register(module: ModuleType) -> None:
                load(module)
                _register(module)

            spec.loader.exec_module = load_and_register  # type: ignore[method-assign]
        return spec


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

"""Numba as a front end: LLVM's text of functions, and nothing further done to it.

By default Numba optimises each function three times, again in every function that it is linked into, and
emits machine code for all of them. Here everything is optimised and emitted once, as a whole, by
:mod:`fastact.runtime.compiler`: a matrix product compiles in 2.4 s instead of 5.0 s.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from numba import cfunc, config
from numba.core.codegen import AOTCodeLibrary, AOTCPUCodegen
from numba.core.compiler_lock import global_compiler_lock
from numba.core.ir import Loc
from numba.core.registry import cpu_target

__all__ = ["llvm_texts"]


class _Library(AOTCodeLibrary):
    """A function and what it calls, linked but not optimised."""

    def _optimize_final_module(self) -> None:
        pass

    def get_pointer_to_function(self, name: str) -> int:
        self._ensure_finalized()
        return 0


class _Codegen(AOTCPUCodegen):
    _library_class = _Library

    def set_env(self, name: str, environment: Any) -> None:
        """Numba's table of Python objects, which compiled code here never has."""


@cache
def _codegen() -> _Codegen:
    return _Codegen("fastact", "host")


@contextlib.contextmanager
def _without_machine_code() -> Iterator[None]:
    ours = [
        (cpu_target.target_context, "_internal_codegen", _codegen()),
        # NUMBA_DEBUGINFO and NUMBA_ENABLE_PROFILING would forbid inlining; LLVM aborts a process that insists.
        (config, "DEBUGINFO_DEFAULT", 0),
        # Numba makes paths relative to the working directory, which may be gone.
        (Loc, "_get_path", lambda place: place.filename),
    ]
    with global_compiler_lock:  # other threads' functions need machine code
        usual = [(owner, name, getattr(owner, name)) for owner, name, _ in ours]
        try:
            for owner, name, value in ours:
                setattr(owner, name, value)
            yield
        finally:
            for owner, name, value in usual:
                setattr(owner, name, value)


def llvm_texts(functions: dict[str, tuple[Any, Any]]) -> list[str]:
    """A module for each function (signature and Python function, by name), which has its name there."""
    texts = []
    with _without_machine_code():
        for name, (signature, function) in functions.items():
            compiled = cfunc(signature, error_model="numpy")(function)
            texts.append(re.sub(rf'@"?{re.escape(compiled.native_name)}"?(?=\()', f"@{name}", compiled.inspect_llvm()))
    return texts

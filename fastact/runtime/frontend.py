"""Numba as a front end: LLVM's modules of functions, and nothing further done to them.

By default Numba optimises each function three times, again in every function that it is linked into, and
emits machine code for all of them. Here everything is linked, optimised and emitted once, as a whole, by
:mod:`fastact.runtime.compiler`; and what Numba does for closures, ``with``, literals and array expressions, which
compiled code here has none of, is left out. The loops that train a network compile in 3.0 s instead of 5.5 s.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import cache
from typing import Any

from llvmlite.binding import Linkage
from numba import cfunc, config
from numba.core import typed_passes, untyped_passes
from numba.core.codegen import AOTCodeLibrary, AOTCPUCodegen
from numba.core.compiler import Compiler
from numba.core.compiler_lock import global_compiler_lock
from numba.core.compiler_machinery import PassManager
from numba.core.ir import Loc
from numba.core.registry import cpu_target

__all__ = ["llvm_modules"]

#: From byte code to LLVM's language.
PASSES = (
    untyped_passes.TranslateByteCode,
    untyped_passes.FixupArgs,
    untyped_passes.IRProcessing,
    untyped_passes.GenericRewrites,  # constant indices of tuples
    untyped_passes.ReconstructSSA,
    typed_passes.NopythonTypeInference,
    typed_passes.PreLowerStripPhis,
    typed_passes.IRLegalization,
    typed_passes.NativeLowering,
    typed_passes.NoPythonBackend,
)


def _pipelines(compiler: Any) -> list[PassManager]:
    passes = PassManager("fastact")
    for step in PASSES:
        passes.add_pass(step, step.__name__)
    passes.finalize()
    return [passes]


class _Library(AOTCodeLibrary):
    """A function alone; what it calls is in libraries of its own."""

    def add_linking_library(self, library: Any) -> None:
        self._linking_libraries.append(library)

    def finalize(self) -> None:
        self._finalized = True

    def _get_module_for_linking(self) -> Any:
        """With all below it, for a function of somebody else's that calls what happens to have been compiled here."""
        if self._shared_module is None:
            module, *others = _modules_of(self)
            module = module.clone()
            for other in others:
                module.link_in(other, preserve=True)
            for function in module.functions:
                if not function.is_declaration and function.linkage == Linkage.external:
                    function.linkage = "linkonce_odr"
            self._shared_module = module
        return self._shared_module

    def get_pointer_to_function(self, name: str) -> int:
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
        (Compiler, "define_pipelines", _pipelines),
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


def llvm_modules(functions: dict[str, tuple[Any, Any]]) -> list[Any]:
    """Functions (signature and Python function, by name), which have these names there, and all that they call."""
    libraries = []
    with _without_machine_code():
        for name, (signature, function) in functions.items():
            compiled = cfunc(signature, error_model="numpy")(function)
            compiled._library._final_module.get_function(compiled.native_name).name = name
            libraries.append(compiled._library)
    return _modules_of(*libraries)


def _modules_of(*libraries: Any) -> list[Any]:
    """Of these libraries and all below them, each once."""
    found: dict[Any, None] = {}
    ahead = list(reversed(libraries))
    while ahead:
        library = ahead.pop()
        if library not in found:
            found[library] = None
            ahead += library._linking_libraries
    return [library._final_module for library in found]

"""From emitted source to machine code: compiled by Numba once, kept as an object file, linked by LLVM.

Only compiling needs Numba. What has been compiled before, by any process of this user, is read
from the cache and linked in milliseconds, without importing Numba at all; and a fresh compilation
takes the same way in, through the object file, so there is one path to trust.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import mmap
import os
import sys
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from typing import Any

import llvmlite.binding as llvm

from fastact.runtime import cache as object_cache
from fastact.runtime import sources
from fastact.runtime.guard import compiling, in_a_thread, once
from fastact.runtime.notices import UnavailableError, in_one_line
from fastact.simd.registers import host

__all__ = ["assemble_object", "compiled", "load"]

#: Bytes of memory to be had before anything is linked, and before anything is compiled: the loops that train a network
#: take 150 MB, and Numba's own modules as much.
LINKING, COMPILING = 32 << 20, 256 << 20

_engines: list[Any] = []  # linked code must stay where it is for as long as the process lives


@cache
def toolchain() -> bytes:
    """What all compiled code depends on: this compiler and those below it, and the machine."""
    parts = [*map(sources.version_of, ("numba", "llvmlite", "numpy")), sys.version, *host()]
    here = sources.text_of(__name__)
    return b"\0".join([*(part.encode() for part in parts), here.encode(), *sources.reached(here).values()])


def key_of(source: str) -> str:
    """The name in the cache of what is compiled from a text and the modules that it imports."""
    below = b"\0".join(sources.reached(source).values())
    return hashlib.sha256(b"\0".join([toolchain(), below, source.encode()])).hexdigest()


@cache
def target_machine() -> Any:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    name, features = host()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=name, features=features, opt=3, reloc="default", codemodel="jitdefault", jit=True
    )


def load(source: str, functions: Callable[[], Any], assemble: Callable[[Any], bytes] | None = None) -> dict[str, int]:
    """Addresses of compiled functions.

    Parameters
    ----------
    source
        The text they are compiled from. With everything that it imports it is the key in the cache (:func:`key_of`), so
        an edited formula can never meet old machine code.
    functions
        Called only if nothing is cached: name, Numba signature and Python function of each.
    assemble
        What makes an object file of them; by default :func:`compile_object`.

    Raises
    ------
    UnavailableError
        If the system runs no code that was made here, or Numba compiles none.
    """
    return in_a_thread(_load, source, functions, assemble or compile_object)


def _load(source: str, functions: Callable[[], Any], assemble: Callable[[Any], bytes]) -> dict[str, int]:
    with compiling:
        _check_memory()
        _check_room(LINKING)
        key = key_of(source)
        code = object_cache.read(key)
        if code is None:
            with object_cache.lock(key):  # of many processes that start cold, one compiles
                code = object_cache.read(key)
                if code is None:
                    code = _made(functions, assemble)
                    object_cache.write(key, code)
        return link(code)


def _check_memory() -> None:
    """Hardened systems, and processes, let no memory become executable, and LLVM would end the process. Asked each
    time, in 5 us, because a process can harden itself at any moment."""
    try:
        llvm.check_jit_execution()
    except OSError:
        problem = "the system lets this process run no code that it makes (SELinux, PR_SET_MDWE)"
        raise UnavailableError(problem) from None


def _check_room(size: int) -> None:
    """LLVM ends a process in which it finds no memory: ask for all of it at once, and give it back untouched."""
    if os.name != "posix":
        return
    try:
        mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
    except (OSError, MemoryError):
        problem = f"this process may have no {size >> 20} MB of memory more, which LLVM may need"
        raise UnavailableError(problem) from None


@contextlib.contextmanager
def _few_collections() -> Iterator[None]:
    """Compiling makes millions of objects; to look for cycles among them as often as usual takes a tenth of it."""
    usual = gc.get_threshold()
    gc.set_threshold(max(usual[0], 10_000) if usual[0] else 0, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def _made(functions: Callable[[], Any], assemble: Callable[[Any], bytes]) -> bytes:
    _check_room(COMPILING)
    try:
        with _few_collections():
            return assemble(functions())
    except Exception as error:
        problem = _why_nothing_compiles()
        if problem is None:  # it is these functions that cannot be compiled
            raise
        raise UnavailableError(problem) from error


@cache
def _why_nothing_compiles() -> str | None:
    """Why Numba compiles nothing at all; None if it does. Other functions may well be in the cache."""
    try:
        numba = import_module("numba")
        if numba.config.DISABLE_JIT:
            return "NUMBA_DISABLE_JIT is set"
        import_module("fastact.runtime.frontend").llvm_modules({"nothing": (numba.void(), lambda: None)})
    except Exception as error:  # whatever a broken installation may raise
        return f"Numba does not work: {in_one_line(error)}"
    return None


@once
def compiled(module: str, *arguments: Any, assemble: Callable[[Any], bytes] | None = None) -> dict[str, int]:
    """Addresses of what a module's ``functions`` returns for these arguments. Without compiling, not even imported."""
    source = f"{sources.text_of(module)}\0{arguments!r}"
    return load(source, lambda: import_module(module).functions(*arguments), assemble)


def compile_object(functions: dict[str, tuple[Any, Any]]) -> bytes:
    """An object file with the names of its functions in front."""
    from fastact.runtime.frontend import llvm_modules

    first, *others = llvm_modules(functions)
    module = first.clone()  # what others have compiled, and call, stays as it is
    for other in others:
        module.link_in(other, preserve=True)
    _optimize(module, set(functions), target_machine())
    return _object(list(functions), module)


def assemble_object(written: tuple[list[str], str]) -> bytes:
    """The same of functions given as LLVM's text."""
    names, text = written
    return _object(names, llvm.parse_assembly(text))


def _object(names: list[str], module: Any) -> bytes:
    code = bytes(target_machine().emit_object(module))
    # LLVM links what it does not know as address 0, and a cached object meets no Numba to know it.
    assert b"numba_gil_ensure" not in code, f"{', '.join(names)}: compiled code must have nothing to raise"
    return ",".join(names).encode() + b"\0" + code


def _optimize(module: Any, public: set[str], machine: Any) -> None:
    """Merge Numba's inner function into its C wrapper: once LLVM sees that it never fails, the
    wrapper's error path goes, and with it every reference to Python and Numba."""
    for function in module.functions:
        if not function.is_declaration and not function.name.startswith("fastact.") and function.name not in public:
            function.linkage = "internal"
            function.add_function_attribute("alwaysinline")
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = True
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)


def link(code: bytes) -> dict[str, int]:
    names, _, object_file = code.partition(b"\0")
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target_machine())
    try:
        engine.add_object_file(llvm.ObjectFileRef.from_data(object_file))
        engine.finalize_object()
        return {name: engine.get_function_address(name) for name in names.decode().split(",")}
    finally:
        # Idle workers sleep in this code until the process is gone: it must not be unmapped before. And an engine that
        # goes takes the machine along, with which the next would be made: those that failed stay too.
        engine.detach()
        _engines.append(engine)

"""``python -m benchmarks.windows``: what compiled code would ask of a Windows that is not here.

Before a release. Everything that the functions named have compiled, drivers included, is emitted once more as Windows'
own object files; each must be one, and need no name from outside that Windows' C library and Python's DLL do not have.
POSIX threads are no such name: only what shares work between threads asks for those, and it is never compiled there
(:func:`fastact.runtime.threads.most_threads`).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import llvmlite.binding as llvm

from fastact.commands import cache
from fastact.runtime import compiler

TRIPLE = "x86_64-pc-windows-msvc"

#: How an object file begins that is for x86-64.
MACHINE = b"\x64\x86"

#: What Windows' C library has of all that kernels may call, and LLVM by itself; ``fma`` and the like in both sizes.
C_LIBRARY = {"malloc", "free", "memcpy", "memset", "memmove"}
C_LIBRARY |= {name + size for name in ("sin", "cos", "tan", "atan", "fma", "pow", "fmod", "sqrt") for size in ("", "f")}

#: What Python's DLL has begins so.
PYTHON = ("Py", "_Py")

#: Some of every family; what they are called with is what ``fastact cache --warm`` calls.
NAMES = (
    "sigmoid", "gelu", "elu_backward", "softmax", "log_softmax_backward", "glu", "mse_loss", "cross_entropy", "dense",
    cache.NETWORK,
)  # fmt: skip

#: The first names of objects that are never compiled there: threads, and memory that is kept, as Linux has it.
ELSEWHERE = {"share_out", "allocate"}


def needed(module: Any) -> set[str]:
    """What a module's code calls that is not in it."""
    names = {function.name for function in module.functions if function.is_declaration}
    return {name for name in names if not name.startswith("llvm.")}


def for_windows(module: Any) -> bytes:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    name, features = compiler.host()
    target = llvm.Target.from_triple(TRIPLE)
    machine = target.create_target_machine(cpu=name, features=features, opt=3, codemodel="jitdefault", jit=True)
    there = module.clone()
    there.triple, there.data_layout = TRIPLE, str(machine.target_data)
    return bytes(machine.emit_object(there))


def problems(names: Sequence[str], module: Any) -> Iterator[str]:
    if names[0] in ELSEWHERE:
        return
    strange = {name for name in needed(module) if name not in C_LIBRARY and not name.startswith(PYTHON)}
    if strange:
        yield f"{', '.join(names)}: needs {', '.join(sorted(strange))}"
    if not for_windows(module).startswith(MACHINE):
        yield f"{', '.join(names)}: no object file of Windows'"


def found_by(names: Sequence[str], dtypes: Sequence[str]) -> tuple[int, list[str]]:
    """How many objects were tried, and what is wrong with them."""
    usual, tried, found = compiler._object, [0], list[str]()

    def tried_as_well(names: list[str], module: Any) -> bytes:
        tried[0] += 1
        found.extend(problems(names, module))
        return usual(names, module)

    compiler._object = tried_as_well
    try:
        for name in names:
            for dtype in dtypes:
                cache.warm(name, dtype)
    finally:
        compiler._object = usual
    return tried[0], found


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*", help="functions, or MLP; some of every family by default")
    parser.add_argument("--dtype", action="append", help="float32 and float64 by default")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as empty:  # of what is cached, there is no module any more
        os.environ["FASTACT_CACHE_DIR"] = empty
        tried, found = found_by(arguments.names or NAMES, arguments.dtype or ["float32", "float64"])
    print("\n".join([*found, f"{tried} objects, {len(found)} problems"]))
    return 1 if found or not tried else 0


if __name__ == "__main__":
    sys.exit(main())

"""What machine code depends on, found by following imports.

A compiled function can only use what its own module defines or imports, and so on downwards: the texts of all modules
that can be reached that way say everything about it, and go into the key under which it is kept. (Numba's own cache
looks at the function's file alone, and meets changes elsewhere with stale machine code.)
"""

from __future__ import annotations

import hashlib
import marshal
import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from os import listdir
from os.path import dirname, join
from types import CodeType
from typing import Any

__all__ = ["PACKAGE", "reached", "text_of", "version_of"]

PACKAGE = __name__.partition(".")[0]

IMPORT = re.compile(rf"^[ \t]*from ({PACKAGE}[\w.]+) import (\([^)]*\)|.*)", re.MULTILINE)


def version_of(package: str) -> str:
    """The version of an installed package, also in a frozen program, which may have been shipped without records.

    It stands in the name of the record beside the package; the library for records takes 20 ms to import.
    """
    spec = find_spec(package)
    beside = dirname(dirname(spec.origin)) if spec and spec.origin else ""
    start, end = f"{package}-", ".dist-info"
    try:
        names = [name for name in listdir(beside) if name.startswith(start) and name.endswith(end)] if beside else []
    except OSError:  # in an archive
        names = []
    return names[0][len(start) : -len(end)] if len(names) == 1 else _recorded(package)


def _recorded(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return str(import_module(package).__version__)


@cache
def _root() -> str:
    package = find_spec(PACKAGE)
    assert package
    assert package.submodule_search_locations
    return str(package.submodule_search_locations[0])


def _loader(module: str) -> Any:
    """What would load a module, found without importing those above it; None if there is none of that name."""
    folder = join(_root(), *module.split(".")[1:-1])
    specs = (finder.find_spec(module, [folder]) for finder in sys.meta_path)
    return next((spec.loader for spec in specs if spec), None)


@cache
def _text(module: str) -> bytes | None:
    """A module's source, or what stands for it where programs are shipped without; None if there is no such module.

    By its loader, so that zipped and frozen programs will do.
    """
    loader = _loader(module)
    if loader is None:
        return None
    source = loader.get_source(module)
    return (_stand_in(loader.get_code(module)) if source is None else source).encode()


def _stand_in(code: CodeType) -> str:
    """A text that is another for other code, and has the same imports."""
    # Version 2 writes equal code as equal bytes; later ones depend on who else refers to its constants.
    return "\n".join([*_imports_of(code), hashlib.sha256(marshal.dumps(_in_order(code), 2)).hexdigest()])


def _in_order(constant: Any) -> Any:
    """Code, or a constant of it, with sets as tuples: Python 3.10 writes sets in another order in each process."""
    if isinstance(constant, CodeType):
        return constant.replace(co_consts=tuple(map(_in_order, constant.co_consts)))
    return tuple(sorted(map(repr, constant))) if isinstance(constant, frozenset) else constant


def _imports_of(code: CodeType) -> Iterator[str]:
    import dis

    names: Any = None
    for instruction in dis.get_instructions(code):
        if instruction.opname == "IMPORT_NAME" and names:
            yield f"from {instruction.argval} import {', '.join(names)}"
        elif instruction.opname == "LOAD_CONST":
            names = instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _imports_of(constant)


def text_of(module: str) -> str:
    text = _text(module)
    if text is None:
        raise ImportError(f"the source of {module} cannot be read; compiled code is known by it")
    return text.decode()


def imported(text: str) -> set[str]:
    """The package's modules that a text imports, wherever in it."""
    found = set()
    for home, names in IMPORT.findall(text):
        for name in re.findall(r"[\w*]+", re.sub(r"#.*| as \w+", "", names)):
            module = f"{home}.{name}"
            found.add(home if name == "*" or _text(module) is None else module)
    return found


def reached(text: str) -> dict[str, bytes]:
    """The sources of all modules of this package that a text imports, that those import, and so on; by name."""
    found: dict[str, bytes] = {}
    ahead = imported(text)
    while ahead:
        module = ahead.pop()
        source = text_of(module)
        found[module] = source.encode()
        ahead |= imported(source) - found.keys()
    return dict(sorted(found.items()))

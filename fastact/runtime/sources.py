"""What machine code depends on, found by following imports.

A compiled function can only use what its own module defines or imports, and so on downwards: the texts of all modules
that can be reached that way say everything about it, and go into the key under which it is kept. (Numba's own cache
looks at the function's file alone, and meets changes elsewhere with stale machine code.)
"""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from os.path import join

__all__ = ["reached", "text_of"]

PACKAGE = __name__.partition(".")[0]

IMPORT = re.compile(rf"^[ \t]*from ({PACKAGE}[\w.]+) import (\([^)]*\)|.*)", re.MULTILINE)


@cache
def _text(module: str) -> bytes | None:
    """A module's source; None if there is none of that name. By its loader, so that a zipped package will do."""
    root = find_spec(PACKAGE)
    assert root
    assert root.submodule_search_locations
    path = join(root.submodule_search_locations[0], *module.split(".")[1:])
    for file in (f"{path}.py", join(path, "__init__.py")):
        try:
            return bytes(root.loader.get_data(file))  # type: ignore[union-attr]
        except OSError:
            continue
    return None


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

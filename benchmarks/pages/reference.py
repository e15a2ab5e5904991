"""Every public name with its docstring. Those of activations stand on the activations' own pages."""

from __future__ import annotations

import inspect
from importlib import import_module
from itertools import groupby
from types import ModuleType
from typing import Any

import numpy as np

import fastact
from fastact import plotting
from fastact.catalogue import ACTIVATIONS, SPECIAL, Activation
from fastact.functions.registry import KINDS
from fastact.names import functions

__all__ = ["FOLDER", "alias", "documented", "pages"]

FOLDER = "reference"

INDEX = """# Reference

Activations stand on [pages of their own](../gallery/index.md), with their derivatives and gradients. All other public
names, by the room that they live in:

{contents}

```{{toctree}}
:hidden:

{pages}
```
"""


def pages() -> dict[str, str]:
    """Texts by path: a page for each room."""
    others = set(fastact.__all__) - {*ACTIVATIONS.public_names(), *SPECIAL.public_names()}
    rooms = {room: list(names) for room, names in groupby(sorted(others, key=lambda name: (home(name), name)), home)}
    places = dict.fromkeys(rooms, "fastact") | {"plotting": "fastact.plotting"}
    rooms["plotting"] = plotting.__all__
    texts = {f"{FOLDER}/{room}.md": page(room, names, places[room]) for room, names in rooms.items()}
    contents = "\n".join(
        f"* [{room.capitalize()}]({room}.md): {', '.join(f'`{name}`' for name in names)}"
        for room, names in rooms.items()
    )
    return {f"{FOLDER}/index.md": INDEX.format(contents=contents, pages="\n".join(rooms)), **texts}


def page(room: str, names: list[str], place: str) -> str:
    return f"# {room.capitalize()}\n\n" + "\n".join(documented(name, place) for name in names)


def home(name: str) -> str:
    """The room that a public name lives in."""
    thing = functions()[name] if name in functions() else getattr(fastact, name)
    module = thing.__name__ if isinstance(thing, ModuleType) else thing.__module__
    return str(module).split(".")[1]


def documented(name: str, place: str = "fastact") -> str:
    """The directive that shows a public name's docstring."""
    thing = getattr(import_module(place), name)
    if isinstance(thing, ModuleType):
        return directive("automodule", f"{place}.{name}")
    if isinstance(thing, type):
        return directive("autoclass", f"{place}.{name}", f":members: {', '.join(members(thing))}")
    if not callable(thing):
        return directive("autodata", f"{place}.{name}", ":no-value:")
    return directive("autofunction", f"{place}.{name}{signature(thing)}")


def members(kind: type) -> list[str]:
    """What a class offers that was written here, by itself or by those that it inherits from."""
    public = [name for name in dir(kind) if not name.startswith("_")]
    homes = {name: getattr(getattr(kind, name), "__module__", None) or "" for name in public}
    return [name for name in public if homes[name].startswith("fastact.")]


def alias(entry: Activation, name: str) -> str:
    """The directive for another name of an activation's functions."""
    calls = [f"fastact.{name}{suffix}{signature(getattr(fastact, name + suffix))}" for suffix in KINDS]
    others = f"Other names of {entry.name}, {entry.name}_derivative and so on."
    return directive("py:function", *calls).removesuffix("```\n") + f"\n   {others}\n```\n"


def directive(kind: str, *lines: str) -> str:
    """In reStructuredText, which docstrings are written in; what comes after the first line is set below its text."""
    first, *others = lines
    opening = f".. {kind}:: "
    indent = " " * (3 if others and others[0].startswith(":") else len(opening))
    return "\n".join(["```{eval-rst}", opening + first, *(indent + other for other in others), "```\n"])


def signature(function: Any) -> str:
    """How it is called: without types, which sections of the docstring name, and without what all ufuncs take."""
    if isinstance(function, np.ufunc):
        return f"({', '.join(['grad', 'x'][-function.nin :])}, **keywords)"
    written = inspect.signature(function)
    plain = [parameter.replace(annotation=parameter.empty) for parameter in written.parameters.values()]
    return str(inspect.Signature(plain))

"""What other libraries are to be told, once they are imported: nothing here imports any."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

__all__ = ["when_imported"]


def when_imported(name: str, tell: Callable[[ModuleType], None]) -> None:
    """Have a module told at once, if it has been imported, or else when it is."""
    module = sys.modules.get(name)
    if module is None:
        sys.meta_path.insert(0, _Watch(name, tell))
    else:
        tell(module)


class _Watch:
    """Waits until a module is imported, and not merely looked for, and goes. A finder, of which only this method is
    asked; the class of them all would import ``importlib.resources``."""

    def __init__(self, name: str, tell: Callable[[ModuleType], None]) -> None:
        self.name, self._tell = name, tell

    def find_spec(self, fullname: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname != self.name:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        spec = next(filter(None, (finder.find_spec(fullname, path, target) for finder in others)), None)
        if spec is not None and spec.loader is not None:
            loader: Any = spec.loader
            loader.exec_module = functools.partial(self._execute, loader.exec_module)
        return spec

    def _execute(self, execute: Callable[[ModuleType], None], module: ModuleType) -> None:
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        execute(module)
        self._tell(module)

"""The storeys of the house: what import-linter cannot see of them."""

from __future__ import annotations

import ast
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import fastact

PACKAGE = Path(fastact.__file__).parent
ROOT = Path(__file__).parent.parent


def storeys() -> dict[str, int]:
    """How high each room lies, from the contract in pyproject.toml."""
    tomllib = pytest.importorskip("tomllib", reason="this machine has a Python before 3.11")
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return {room: -height for height, rooms in enumerate(layers) for room in rooms.split(" | ")}


def named_modules(path: Path) -> Iterator[str]:
    """Modules of the package that strings in a file name: those to compile are imported by name, if at all."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("fastact."):
            parts = node.value.split(".")
            if len(parts) > 2 and PACKAGE.parent.joinpath(*parts).with_suffix(".py").exists():
                yield parts[1]


def test_modules_named_in_strings_lie_below() -> None:
    heights, found = storeys(), 0
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for named in named_modules(path):
            found += 1
            assert named == room or heights[named] < heights[room], f"{path} names a module of {named}"
    assert found >= 6


def test_documentation_is_no_room() -> None:
    """Sources of pages lie in a folder of the package: there is nothing in it that could be imported or found."""
    assert (PACKAGE / "docs" / "index.md").exists()
    assert list((PACKAGE / "docs").rglob("*.py*")) == []
    assert "docs" not in [module.name for module in pkgutil.iter_modules(fastact.__path__)]


def test_every_room_says_what_it_is_for() -> None:
    for folder in (path for path in PACKAGE.iterdir() if (path / "__init__.py").exists()):
        said = ast.get_docstring(ast.parse((folder / "__init__.py").read_text()))
        assert said
        assert len(said) > 100

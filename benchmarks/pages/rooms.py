"""The storeys of the house as a table: their order from pyproject.toml, their purposes from the rooms themselves."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

__all__ = ["PAGE", "pages"]

PAGE = "internals/rooms.md"

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "fastact"


def storeys() -> list[list[str]]:
    """Rooms that lie side by side, top first."""
    import tomllib

    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [storey.split(" | ") for storey in layers]


def docstring(room: str) -> str:
    path = PACKAGE / room / "__init__.py"
    path = path if path.exists() else PACKAGE / f"{room}.py"
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def plain(text: str) -> str:
    """Markdown of what a docstring says in reStructuredText."""
    return re.sub(r":\w+:`\.?([^`]*)`", r"`\1`", text).replace("``", "`")


def described(storey: list[str]) -> Iterator[str]:
    for room in storey:
        first, _, rest = plain(docstring(room)).partition("\n\n")
        yield f"## `{room}`\n\n**{' '.join(first.split())}**\n\n{rest.partition('>>>')[0].strip()}\n"


def table() -> str:
    rows = ["| storey | rooms | what they are for |", "|---|---|---|"]
    for height, storey in reversed(list(enumerate(reversed(storeys()), 1))):
        purposes = " ".join(" ".join(plain(docstring(room)).partition("\n\n")[0].split()) for room in storey)
        rows.append(f"| {height} | {', '.join(f'`{room}`' for room in storey)} | {purposes} |")
    return "\n".join(rows)


def pages() -> dict[str, str]:
    rooms = "\n".join(text for storey in storeys() for text in described(storey))
    return {PAGE: f"# Rooms\n\nEach may use those below it, and none above.\n\n{table()}\n\n{rooms}"}

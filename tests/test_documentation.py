"""The README and the pages: what they show runs as it stands there, and what they say of the code is so."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path

import pytest

import fastact
from benchmarks.accuracy import roots
from benchmarks.errors import ROOT_DISTANCE, ROOT_ERROR, ROOT_ERROR_WIDE
from benchmarks.pages import gallery, reference, rooms
from fastact.catalogue import ACTIVATIONS
from tests.conftest import parameters
from tests.processes import ROOT, finish, start

README = (ROOT / "README.md").read_text()
DOCS = ROOT / "fastact" / "docs"
SOURCES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]

#: Each block of Python, by where it stands: the file, the title, and its number there.
BLOCKS = {
    f"{path.relative_to(ROOT)} {section.splitlines()[0]} {number}": block
    for path in SOURCES
    for section in re.split(r"^#+ ", path.read_text(), flags=re.MULTILINE)[1:]
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", section, re.DOTALL), 1)
}

#: Where the pages lie that benchmarks/pages writes.
MADE = (DOCS / gallery.FOLDER, DOCS / reference.FOLDER, DOCS / rooms.PAGE)

BACKENDS = ["numpy"] if fastact.backend() == "numpy" else ["numba", "numpy"]


def missing_packages(code: str) -> list[str]:
    """What a block imports and is not installed."""
    nodes = list(ast.walk(ast.parse(code)))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    return [name for name in names if importlib.util.find_spec(name.partition(".")[0]) is None]


@pytest.mark.parametrize("compute", BACKENDS)
@pytest.mark.parametrize("title", BLOCKS)
def test_blocks_run_as_they_stand(title: str, compute: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each alone, as it would be pasted into a file: what one needs, it must say itself."""
    code = BLOCKS[title]
    if missing := missing_packages(code):
        pytest.skip(f"this machine has no {', '.join(missing)}")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pasted.py").write_text(code)
    done = finish(start("-W", "error", "pasted.py", FASTACT_BACKEND=compute))
    assert done.returncode == 0, f"{code}\n{done.stderr}"
    assert done.stderr.count("Warning") == 0


def test_every_block_is_found() -> None:
    """Also one after a comment in an earlier block, which looks like a title."""
    assert len(BLOCKS) == sum(path.read_text().count("```python\n") for path in SOURCES) >= 15


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_to_files(path: Path) -> None:
    """But for those to pages that are written when they are made."""
    for target in re.findall(r"\]\(([^)#\s]+)", path.read_text()):
        assert "://" not in target, "there is no network where pages are made"
        place = (path.parent / target).resolve()
        assert place.exists() or any(place.is_relative_to(made) for made in MADE), target


def test_bounds_are_those_that_tests_hold_to() -> None:
    said = " ".join(README.split())
    wider = [entry.name for entry in ACTIVATIONS.values() if entry.ulp == 4]
    assert {entry.ulp for entry in ACTIVATIONS.values()} == {2, 4}
    assert f"within 2 ulp of the exact value ({', '.join(wider)}: within 4)" in said
    crossing = [entry.name for entry in ACTIVATIONS.values() if len(roots(entry, parameters(entry)))]
    assert f"that of {', '.join(crossing[:-1])} and {crossing[-1]} crosses zero" in said
    assert f"Within {ROOT_DISTANCE} of a derivative's root" in said
    assert (ROOT_ERROR, ROOT_ERROR_WIDE) == (1.2e-7, 2.3e-16)
    assert "up to 1.2e-7 in float32, 2.3e-16 in float64" in said

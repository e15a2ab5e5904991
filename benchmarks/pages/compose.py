"""All sources of the pages in one folder: those that are written by hand, and those that the registry makes."""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks.pages import gallery, reference, rooms

__all__ = ["DOCS", "ROOT", "compose", "render"]

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "fastact" / "docs"


def compose(folder: Path) -> Path:
    """Fill a folder, which is made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(DOCS, folder, ignore=shutil.ignore_patterns("static"))
    for path, text in {**gallery.pages(), **reference.pages(), **rooms.pages()}.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    gallery.draw(folder / gallery.FOLDER)
    return folder


def render(source: Path, target: Path) -> int:
    """Have Sphinx make pages of a folder of sources: its exit code, which is not 0 if there was a warning."""
    from sphinx.cmd.build import build_main

    settings = str(Path(__file__).parent)
    shutil.rmtree(target, ignore_errors=True)
    doctrees = str(target.with_name("doctrees"))
    options = ["--fresh-env", "--fail-on-warning", "--quiet", "--conf-dir", settings, "--doctree-dir", doctrees]
    return build_main([*options, "--builder", "html", str(source), str(target)])

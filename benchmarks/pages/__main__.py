"""``python -m benchmarks.pages``: the pages into build/pages/html, or into another folder; a warning is an error."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("FASTACT_BACKEND", "numpy")  # curves are the same, and nothing has to be compiled for them

from benchmarks.pages.compose import ROOT, compose, render


def main(arguments: list[str]) -> int:
    folder = Path(arguments[0]) if arguments else ROOT / "build" / "pages"
    code = render(compose(folder / "source"), folder / "html")
    if code == 0:
        print(f"wrote {folder / 'html' / 'index.html'}")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

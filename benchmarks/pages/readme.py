"""What the README says, for the pages to say it in the same words."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["bounds"]

README = Path(__file__).parent.parent.parent / "README.md"


def section(title: str) -> str:
    """What stands under a title, up to the next of any level."""
    _, found, rest = README.read_text(encoding="utf-8").partition(f"\n## {title}\n")
    if not found:
        raise LookupError(f"the README has no section {title!r}")
    return re.split(r"\n#{2,3} ", rest)[0].strip()


def bounds() -> str:
    """How exact results are: what tests/test_documentation.py holds to."""
    return section("Accuracy")

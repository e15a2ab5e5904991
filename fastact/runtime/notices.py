"""What users are told at most once in a process."""

from __future__ import annotations

import sys
import warnings

__all__ = ["warn_once"]

_told: set[str] = set()


def warn_once(subject: str, message: str) -> None:
    """Warn about a subject, the first time. Never raises: this happens in the midst of compiling, or in a callback of
    C code's, so where a filter makes an error of warnings, it is printed."""
    if subject in _told:
        return
    _told.add(subject)
    try:
        warnings.warn(f"fastact: {message}", RuntimeWarning, stacklevel=2)
    except RuntimeWarning as warning:
        print(warning, file=sys.stderr)

"""That something does not work here, and what users are told of it: one line, at most once in a process."""

from __future__ import annotations

import sys
import warnings

__all__ = ["UnavailableError", "in_one_line", "warn_once"]


class UnavailableError(RuntimeError):
    """Nothing can be compiled, or run, in this process; says why. NumPy can compute all the same."""


_told: set[str] = set()


def in_one_line(error: BaseException) -> str:
    """What kind of error it is, and the first line of what it says: Numba's go on for pages."""
    return ": ".join([type(error).__name__, *str(error).strip().splitlines()[:1]])


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

"""Which backend computes: ``numba`` or ``numpy``."""

from __future__ import annotations

import os
import re
import sys
from functools import cache
from importlib.util import find_spec

from fastact.runtime.notices import UnavailableError, in_one_line, warn_once
from fastact.runtime.sources import version_of
from fastact.runtime.threads import pool

__all__ = ["HOMES", "backend", "do_without", "free_threaded", "reason"]

#: What compiles here: LLVM in llvmlite 0.45 to 0.47 aborts the process over an attribute of a function's.
OLDEST = {"numba": (0, 66), "llvmlite": (0, 48)}

CHOICES = ("auto", "numba", "numpy")

#: Where the functions that a backend computes are found.
HOMES = {"numba": "fastact", "numpy": "fastact.fallback"}

_given_up: list[str] = []  # why, once nothing more can be compiled


def backend() -> str:
    """The backend in use, ``"numba"`` or ``"numpy"``.

    ``FASTACT_BACKEND`` chooses: ``auto`` (the default) takes Numba if it works here, ``numba`` insists on it,
    ``numpy`` does without. The choice is made once, on first use; where Numba is wished for and cannot be used, a
    warning says why.

    Raises
    ------
    ValueError
        If ``FASTACT_BACKEND`` is none of these.
    ImportError
        If it is ``numba`` and Numba does not work here.

    Examples
    --------
    >>> import fastact
    >>> fastact.backend() in ("numba", "numpy")
    True
    """
    return _choose()[0]


def reason() -> str:
    """Why that backend, in a few words."""
    return _choose()[1]


def do_without(error: UnavailableError) -> str:
    """Leave everything to NumPy from now on, because what is not in the cache can no longer be compiled.

    Raises
    ------
    ImportError
        If ``FASTACT_BACKEND`` is ``numba``.
    """
    problem = str(error)
    if not _given_up:
        _given_up.append(problem)
        _choose.cache_clear()
    return _choose()[0]


@cache
def _choose() -> tuple[str, str]:
    wish = os.environ.get("FASTACT_BACKEND", "auto").strip().lower() or "auto"
    if wish not in CHOICES:
        raise ValueError(f"FASTACT_BACKEND must be one of {', '.join(CHOICES)}, not {wish!r}")
    if wish == "numpy":
        return "numpy", "FASTACT_BACKEND=numpy"
    problem = _problem_with_numba()
    if problem is None:
        return "numba", "Numba works here"
    if wish == "numba":
        raise ImportError(f"FASTACT_BACKEND=numba, but {problem}")
    warn_once("backend", f"NumPy computes, which is slower, because {problem}")
    return "numpy", problem


def free_threaded() -> bool:
    """Whether Python was built without the lock that lets one thread run at a time. It says so itself, and need not
    read its build's 700 settings."""
    return "free-threading build" in sys.version


def _problem_with_numba() -> str | None:
    """Load the driver: from the cache without Numba, or by compiling it, which shows whether Numba works."""
    if _given_up:
        return _given_up[0]
    if free_threaded():
        return "this Python is free-threaded, and nothing compiled here has been tried without its lock"
    try:
        for package, oldest in OLDEST.items():
            if find_spec(package) is None:
                return f"{package} is not installed"
            found = version_of(package)
            if tuple(map(int, re.findall(r"\d+", found)[:2])) < oldest:
                return f"{package} {found} is older than {'.'.join(map(str, oldest))}"
        if os.environ.get("NUMBA_DISABLE_JIT", "").strip() not in ("", "0"):  # with all or some functions in the cache
            return "NUMBA_DISABLE_JIT is set"
        pool()
    except ValueError:  # FASTACT_NUM_THREADS makes no sense; that is for the user to know
        raise
    except UnavailableError as error:
        return str(error)
    except Exception as error:  # whatever a broken installation of Numba or LLVM may raise
        return f"Numba does not work: {in_one_line(error)}"
    return None

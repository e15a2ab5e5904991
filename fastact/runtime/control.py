"""How many threads loops may use, as users set and ask it."""

from __future__ import annotations

import numpy as np

from fastact.runtime.backends import backend
from fastact.runtime.threads import number, set_number

__all__ = ["get_num_threads", "set_num_threads"]


def set_num_threads(n: int) -> None:
    """Let loops use up to ``n`` threads, the caller's included.

    Parameters
    ----------
    n : int
        At least 1. The default is ``FASTACT_NUM_THREADS`` or, without it, the cores this process may use.

    Raises
    ------
    TypeError
        If ``n`` is not an integer.
    ValueError
        If ``n`` is less than 1.

    Examples
    --------
    >>> import fastact
    >>> fastact.set_num_threads(1)
    >>> fastact.get_num_threads()
    1
    """
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)):
        raise TypeError(f"the number of threads must be an integer, not {type(n).__name__}")
    if n < 1:
        raise ValueError(f"the number of threads must be at least 1, not {n}")
    set_number(int(n))


def get_num_threads() -> int:
    """How many threads loops may use; 1 in the NumPy backend.

    Examples
    --------
    >>> import fastact
    >>> fastact.get_num_threads() >= 1
    True
    """
    return number() if backend() == "numba" else 1

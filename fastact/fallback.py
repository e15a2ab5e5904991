"""The NumPy versions of every activation, whatever the backend, so that both can be compared in one process.

>>> import numpy as np, fastact
>>> x = np.linspace(-5, 5, 11)
>>> bool(np.allclose(fastact.sigmoid(x), fastact.fallback.sigmoid(x), rtol=1e-15))
True
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    from fastact.activations import ACTIVATIONS

    if name == "__all__":
        return sorted(ACTIVATIONS.public_names())
    try:
        entry, kind = ACTIVATIONS.public_names()[name]
    except KeyError:
        raise AttributeError(f"module 'fastact.fallback' has no attribute {name!r}") from None
    value = entry.callable(kind, "numpy")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__getattr__("__all__"))

"""Every public name: where activations, and the functions that the other rooms offer, are looked up."""

from __future__ import annotations

from typing import Any

from fastact.catalogue import ACTIVATIONS, SPECIAL
from fastact.functions.offered import FUNCTIONS

__all__ = ["functions", "public_callable", "public_names"]


def _load() -> None:
    """Import what offers functions. Only when one is asked for: activations need none of it."""
    from fastact.layers import dense  # noqa: F401
    from fastact.losses import catalogue, classification, labels, overlap  # noqa: F401
    from fastact.rows import gates, normalization, softmax, sparse, sums  # noqa: F401


def functions() -> Any:
    """The functions that other rooms offer, by name."""
    _load()
    return FUNCTIONS


def public_callable(name: str, backend: str | None = None) -> Any:
    """A public function: an activation's callable, or one of another family; None if there is none of that name."""
    for registry in (ACTIVATIONS, SPECIAL):
        if name in registry.public_names():
            entry, kind = registry.public_names()[name]
            return entry.callable(kind, backend)
    return FUNCTIONS.callable(name, backend) if name in functions() else None


def public_names() -> list[str]:
    """Of all functions, those that activations come with included."""
    return [*ACTIVATIONS.public_names(), *SPECIAL.public_names(), *functions()]

"""Where functions are found."""

from __future__ import annotations

from importlib import import_module

from fastact.runtime.backends import HOMES

__all__ = ["home"]


def home(backend: str) -> str:
    """The module of the functions that a backend computes. It is imported: where it is not, cloudpickle takes a
    function for one that nobody can import, and apart."""
    return import_module(HOMES[backend]).__name__

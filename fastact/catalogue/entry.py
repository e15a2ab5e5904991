"""How an entry joins the catalogue."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastact.activations import ACTIVATIONS, Activation

__all__ = ["Values", "catalogued"]

#: What a formula returns: value and derivative.
Values = tuple[Any, Any]


def catalogued(**details: Any) -> Callable[[Callable[..., Values]], Activation]:
    return lambda function: ACTIVATIONS.add(function, **details)

"""The losses that torch has no function for, written with torch; and those that it has."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest

REDUCED: dict[str, Callable[[Any], Any]] = {
    "mean": lambda terms: terms.mean(),
    "sum": lambda terms: terms.sum(),
    "none": lambda terms: terms,
}


def _focal(torch: Any, p: Any, t: Any, alpha: float = 0.25, gamma: float = 2.0) -> Any:
    """As torchvision has it."""
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(p, t, reduction="none")
    share = torch.sigmoid(p) * t + (1 - torch.sigmoid(p)) * (1 - t)
    weight = alpha * t + (1 - alpha) * (1 - t) if alpha >= 0 else 1
    return weight * entropy * (1 - share) ** gamma


TERMS: dict[str, Callable[..., Any]] = {
    "hinge_loss": lambda torch, p, t: torch.relu(1 - t * p),
    "squared_hinge_loss": lambda torch, p, t: torch.relu(1 - t * p) ** 2,
    "log_cosh_loss": lambda torch, p, t: (
        p - t + torch.nn.functional.softplus(-2 * (p - t), threshold=1e9) - torch.log(torch.tensor(2.0, dtype=p.dtype))
    ),
    "sigmoid_focal_loss": _focal,
}


def _without_advice(function: Callable[..., Any]) -> Callable[..., Any]:
    """That another reduction may be meant than the one asked for, torch says in a warning."""

    def called(*arguments: Any, **options: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(*arguments, **options)

    return called


def of_torch(name: str) -> Callable[..., Any]:
    """A function of tensors with torch's arguments."""
    torch = pytest.importorskip("torch")
    if name not in TERMS:
        return _without_advice(getattr(torch.nn.functional, name))
    return lambda p, t, reduction="mean", **options: REDUCED[reduction](TERMS[name](torch, p, t, **options))

"""The names that settings of networks can be, for whoever checks them: type checkers, and networks themselves."""

from __future__ import annotations

from typing import Literal, TypeAlias

__all__ = ["LossName", "OptimizerName", "ScheduleName"]

LossName: TypeAlias = Literal[
    "mse", "l1", "huber", "binary_cross_entropy", "binary_cross_entropy_with_logits", "cross_entropy",
    "squared_error", "log_loss",
]  # fmt: skip

OptimizerName: TypeAlias = Literal["sgd", "adam", "adamw"]

ScheduleName: TypeAlias = Literal["constant", "step", "cosine", "invscaling", "adaptive"]

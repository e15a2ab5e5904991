"""The compiled tasks of functions along an axis. A function is written once, for whatever mode rows are computed in.

A row is gone over as often as the mathematics needs, but read from memory and written to it once. One that is
longer than the cache is cut into *parts*: all are summarised first, then finished.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from fastact.rows import tasks
from fastact.rows.exponential import exponential, statistics
from fastact.rows.gradients import gradient
from fastact.rows.moves import bundles, columns, panels, rows
from fastact.rows.norms import norm, norm_gradient
from fastact.rows.projection import entmax15, projection_gradient, sparsemax
from fastact.rows.words import words_for
from fastact.runtime.pool import TASK_SIGNATURE

__all__ = ["functions"]

MODES = {"row": rows, "bundle": bundles, "panel": panels, "column": columns}

OPERATIONS = {
    "softmax": exponential,
    "softmin": exponential,
    "log_softmax": exponential,
    "statistics": statistics,
    "softmax_backward": gradient,
    "log_softmax_backward": gradient,
    "softmin_backward": gradient,
    "sparsemax": sparsemax,
    "entmax15": entmax15,
    "sparsemax_backward": projection_gradient,
    "entmax15_backward": projection_gradient,
    "layer_norm": norm,
    "rms_norm": norm,
    "layer_norm_backward": norm_gradient,
    "rms_norm_backward": norm_gradient,
}

#: Those that take a second operand.
WITH_OTHER = (gradient, projection_gradient, norm, norm_gradient)


def functions(operation: str, storage: str) -> dict[str, tuple[Any, Any]]:
    """The compiled tasks of an operation: on rows, bundles and panels, and those on parts of long rows."""
    words, make = words_for(storage), OPERATIONS[operation]
    by = SimpleNamespace(**{name: make(operation, words, mode(words)) for name, mode in MODES.items()})
    if operation == "statistics":
        made = tasks.statistics(words, by)
    else:
        made = tasks.transformations(2 if make in WITH_OTHER else 1, words, by)
    return {name: (TASK_SIGNATURE, task) for name, task in made.items()}

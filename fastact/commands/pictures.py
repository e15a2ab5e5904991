"""Pictures that commands write to files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fastact.commands.errors import UsageError

__all__ = ["write_picture"]

DPI = 150


def write_picture(output: str, draw: Callable[[], Any]) -> Path:
    """Draw something, and write the figure that it is in."""
    try:
        import matplotlib
    except ImportError:
        raise UsageError('pictures are drawn by matplotlib: python -m pip install "fastact[plot]"') from None
    matplotlib.use("agg")  # no window is needed
    from matplotlib import pyplot

    figure = np.ravel(draw())[0].figure
    try:
        figure.savefig(output, dpi=DPI)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot write {output}: {error}") from None
    finally:
        pyplot.close(figure)
    return Path(output)

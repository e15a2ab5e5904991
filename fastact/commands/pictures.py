"""Pictures that commands write to files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fastact.commands.errors import UsageError

__all__ = ["write_animation", "write_picture"]

DPI = 150


def write_picture(output: str, draw: Callable[[], Any]) -> Path:
    """Draw something, and write the figure that it is in."""
    return _written(output, lambda: np.ravel(draw())[0].figure, lambda figure: figure.savefig(output, dpi=DPI))


def write_animation(output: str, animate: Callable[[], Any]) -> Path:
    """Draw picture after picture, and write them as one."""
    made: list[Any] = []

    def figure() -> Any:
        made.append(animate())
        return made[0]._fig

    return _written(output, figure, lambda _: made[0].save(output, writer="pillow"))


def _written(output: str, draw: Callable[[], Any], write: Callable[[Any], object]) -> Path:
    try:
        import matplotlib
    except ImportError:
        raise UsageError('pictures are drawn by matplotlib: python -m pip install "fastact[plot]"') from None
    matplotlib.use("agg")  # no window is needed
    from matplotlib import pyplot

    figure = draw()
    try:
        write(figure)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot write {output}: {getattr(error, 'strerror', None) or error}") from None
    finally:
        pyplot.close(figure)
    return Path(output)

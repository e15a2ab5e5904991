"""What all pictures have in common: colours, and where to draw."""

from __future__ import annotations

from typing import Any

__all__ = ["BLACK", "BLUE", "COLOURS", "GREEN", "VERMILLION", "new_axes"]

#: Okabe's and Ito's colours, which the colour-blind can tell apart; their yellow is too pale for a line on white.
BLACK, BLUE, VERMILLION, GREEN = "#000000", "#0072B2", "#D55E00", "#009E73"
COLOURS = (BLUE, VERMILLION, GREEN, "#CC79A7", "#E69F00", "#56B4E9", BLACK)


def new_axes(**settings: Any) -> Any:
    """Axes of a new figure of pyplot's, whose parts are laid out so that they do not cover each other."""
    try:
        from matplotlib import pyplot
    except ImportError:
        raise ImportError('pictures are drawn by matplotlib: python -m pip install "fastact[plot]"') from None
    _, axes = pyplot.subplots(layout="constrained", **settings)
    return axes

"""What all pictures have in common: colours, marks, and where to draw."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

import numpy as np

__all__ = ["GREEN", "VERMILLION", "Theme", "check_parameters", "described", "listed", "new_axes", "panels", "theme"]

#: Okabe's and Ito's colours, which the colour-blind can tell apart; their yellow is too pale for a line on white, and
#: their blue, which is as dark as that is pale, for one on black.
BLUE, SKY, VERMILLION, GREEN = "#0072B2", "#56B4E9", "#D55E00", "#009E73"
PURPLE, ORANGE = "#CC79A7", "#E69F00"


class Theme(NamedTuple):
    """Colours that can be seen on what is drawn upon."""

    ink: str  # black on white, or white on black
    paper: str
    blue: str

    @property
    def colours(self) -> tuple[str, ...]:
        other = SKY if self.blue == BLUE else BLUE
        return self.blue, VERMILLION, GREEN, PURPLE, ORANGE, other, self.ink

    @property
    def line(self) -> dict[str, Any]:
        """An axis of coordinates, and whatever else stands back."""
        return {"color": self.ink, "alpha": 0.25, "linewidth": 0.8, "zorder": 0}

    @property
    def ring(self) -> dict[str, Any]:
        """A kink."""
        colours = {"markerfacecolor": self.paper, "markeredgecolor": self.ink}
        return {"marker": "o", "markersize": 5, "linestyle": "none", "zorder": 3, **colours}

    @property
    def dotted(self) -> dict[str, Any]:
        """A line that a curve approaches."""
        return {"color": self.ink, "alpha": 0.55, "linestyle": ":", "linewidth": 1.2, "zorder": 1}


def theme(ax: Any) -> Theme:
    """That of axes, by what is behind them: users may have chosen a dark style for all of their pictures."""
    from matplotlib.colors import to_rgba

    behind = map(to_rgba, (ax.get_facecolor(), ax.figure.get_facecolor(), "white"))
    red, green, blue, _ = next(colour for colour in behind if colour[3] > 0)
    is_dark = 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.5
    return Theme("white", "black", SKY) if is_dark else Theme("black", "white", BLUE)


def new_axes(**settings: Any) -> Any:
    """Axes of a new figure of pyplot's, whose parts are laid out so that they do not cover each other."""
    try:
        from matplotlib import pyplot
    except ImportError:
        raise ImportError('pictures are drawn by matplotlib: python -m pip install "fastact[plot]"') from None
    _, axes = pyplot.subplots(layout="constrained", **settings)
    return axes


def listed(names: Any, usual: Iterable[Any]) -> list[Any]:
    """What to draw: what one was asked for, or several, or else the usual."""
    alone = isinstance(names, str) or (names is not None and not isinstance(names, Iterable))
    return [names] if alone else list(names or usual)


def check_parameters(given: Iterable[str], known: Iterable[Collection[str]], what: str) -> None:
    """Each that is given belongs to something that is drawn."""
    some = set[str]().union(*known)
    for name in given:
        if name not in some:
            raise ValueError(f"none of these {what} has a parameter {name!r}")


def panels(count: int, ax: Any, what: str) -> Any:
    """Axes for so many pictures: those given, or new ones, of which none more than needed can be seen."""
    if ax is not None:
        if np.size(ax) < count:
            raise ValueError(f"{count} {what} need as many axes; there are {np.size(ax)}")
        return ax
    if count == 1:
        return new_axes(figsize=(7, 5))
    columns = min(count, 5, max(1, round(math.sqrt(1.3 * count))))
    rows = math.ceil(count / columns)
    made = new_axes(nrows=rows, ncols=columns, figsize=(4.6 * columns, 3.6 * rows), squeeze=False)
    for panel in made.ravel()[count:]:
        panel.set_visible(False)
    return made


def described(ax: Any, name: str, formula: str | None) -> None:
    """A title: what it is called, and what it is in mathematics."""
    lines = [name, f"${formula}$"] if formula else [name]
    ax.set_title("\n".join(lines), fontsize="medium", va="bottom")  # or fractions would reach into the frame
    ax.grid(alpha=0.25)

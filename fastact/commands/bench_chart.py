"""What ``fastact bench`` has measured, as one chart."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import Any

from fastact.commands.bench_report import Row

__all__ = ["draw_chart"]


def draw_chart(rows: Sequence[Row], title: str, *, ax: Any = None) -> Any:
    """A line for each function, and on it a mark for each library: nanoseconds per element, on a logarithmic axis.

    Rows that were measured while the machine was busy are left out, and counted.
    """
    from fastact.plotting.style import new_axes, theme

    quiet = [row for row in rows if row.quiet]
    libraries = dict.fromkeys(["fastact", "numpy", *(name for row in quiet for name in row.peers)])
    ax = ax if ax is not None else new_axes(figsize=(8, 1.6 + 0.24 * max(4, len(quiet))))
    shades = theme(ax)
    for library, colour, marker in zip(libraries, cycle(shades.colours), cycle("Dos^vPX")):
        known = [(row.each[library], place) for place, row in enumerate(quiet) if library in row.each]
        shape: dict[str, Any] = {"markersize": 7, "markeredgecolor": shades.paper, "markeredgewidth": 0.5, "zorder": 3}
        ax.plot(*zip(*known), marker, color=colour, label=library, **shape)
    for place, row in enumerate(quiet):
        ends = [min(row.each.values()), max(row.each.values())]
        ax.plot(ends, [place, place], color=shades.ink, alpha=0.2, linewidth=1, zorder=1)
    ax.set_yticks(range(len(quiet)), [row.name for row in quiet])
    ax.set(xscale="log", xlabel="nanoseconds per element; left is faster", ylim=(len(quiet) - 0.3, -0.7))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.grid(axis="x", alpha=0.3)
    left_out = len(rows) - len(quiet)
    ax.set_title(title + (f"\n{left_out} left out: the machine was busy" if left_out else ""), fontsize="medium")
    if quiet:
        ax.figure.legend(loc="outside lower center", ncols=len(libraries), fontsize="small")
    return ax

"""What ``fastact bench`` has measured: as a table to read or to paste, or as JSON; and whether it can be trusted."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

__all__ = ["QUIET", "Report", "Row", "noise", "spread"]

Write = Callable[[str], object]

#: Half of a copy's times lie within so much of their median on a quiet machine; beyond, a few per cent mean nothing.
QUIET = 0.1

#: What stands in the place of a ratio on a busy one.
NOISY = "noisy"


class Row(NamedTuple):
    """Medians of one function: per element of its largest array, and beside others."""

    name: str
    nanoseconds: float
    copies: float
    numpy_nanoseconds: float
    speedup: float
    copy_seconds: tuple[float, ...]
    peers: dict[str, float] = {}  # nanoseconds of other libraries  # noqa: RUF012

    @property
    def quiet(self) -> bool:
        """Whether the machine was: else a ratio of its times would be one of accidents."""
        return spread(self.copy_seconds) <= QUIET

    @property
    def each(self) -> dict[str, float]:
        """Nanoseconds per element by library."""
        return {"fastact": self.nanoseconds, "numpy": self.numpy_nanoseconds, **self.peers}

    @property
    def fastest(self) -> str:
        """The fastest of the others."""
        others = {name: value for name, value in self.each.items() if name != "fastact"}
        return min(others, key=others.__getitem__)


def noise(rows: Sequence[Row]) -> float:
    """How far from its median a quarter of a copy's times lie, relative to it: the median over rows."""
    return statistics.median(spread(row.copy_seconds) for row in rows)


def spread(seconds: Sequence[float]) -> float:
    """How far from their median a quarter of the times lie, relative to it."""
    if len(seconds) < 2:
        return 0.0
    low, middle, high = statistics.quantiles(seconds, n=4, method="inclusive")
    return (high - low) / (2 * middle)


class Report:
    """Writes row by row, as they are measured; no ratio of times that were taken while the machine was busy."""

    def __init__(self, about: dict[str, Any], style: str, width: int, peers: bool = False) -> None:
        self.about, self.style, self.width, self.peers = about, style, width, peers
        self.rows: list[Row] = []

    @property
    def said(self) -> str:
        return "{size:,} {dtype}: backend {backend}, {threads} of {cores} cores; medians".format(**self.about)

    def begin(self, write: Write) -> None:
        if self.style == "json":
            return
        others = ("fastest ns", "which, speedup") if self.peers else ("NumPy's ns", "speedup")
        write(f"{self.said}\n")
        self._write("", ["ns/element", "x its copy", *others], write)
        if self.style == "markdown":
            write("|---|" + "---:|" * 4)

    def add(self, row: Row, write: Write) -> None:
        self.rows.append(row)
        ratios = [f"{row.copies:.2f}", f"{row.each[row.fastest] / row.nanoseconds:.1f}x"] if row.quiet else [NOISY] * 2
        other = row.each[row.fastest] if self.peers else row.numpy_nanoseconds
        which = f"{row.fastest} " if self.peers else ""
        if not self.peers and row.quiet:
            ratios[1] = f"{row.speedup:.1f}x"
        if self.style != "json":
            cells = [f"{row.nanoseconds:.3f}", ratios[0], f"{other:.3f}", f"{which}{ratios[1]}"]
            self._write(row.name, cells, write)

    def _write(self, name: str, cells: list[str], write: Write) -> None:
        if self.style == "markdown":
            write(f"| {name} | {' | '.join(cells)} |")
        else:
            widths = (12, 12, 12, 20 if self.peers else 12)
            write(f"{name:{self.width}}" + "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths)))

    def end(self, write: Write) -> None:
        measured = noise(self.rows)
        if self.style == "json":
            rows = [_public(row) for row in self.rows]
            write(json.dumps(self.about | {"noise": measured, "trusted": measured <= QUIET, "rows": rows}, indent=1))
            return
        write("\nNumPy: the formula as it is written, SciPy's erf; else the same function of the NumPy backend")
        if not all(row.quiet for row in self.rows):
            write(f"{NOISY}: a copy of the same bytes took over {QUIET:.0%} more or less from turn to turn")
        if measured > QUIET:
            write(f"too noisy to trust: a copy of the same bytes took {measured:.0%} more or less from turn to turn")


def _public(row: Row) -> dict[str, Any]:
    """For programs; ratios are missing where the machine was busy."""
    values = {key: value for key, value in row._asdict().items() if key != "copy_seconds"}
    return values | ({} if row.quiet else {"copies": None, "speedup": None}) | {"quiet": row.quiet}

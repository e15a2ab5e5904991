"""What ``fastact bench`` has measured: as a table to read or to paste, or as JSON; and whether it can be trusted."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

__all__ = ["Report", "Row", "noise"]

Write = Callable[[str], object]

#: Half of a copy's times lie within so much of their median on a quiet machine; beyond, a few per cent mean nothing.
QUIET = 0.1


class Row(NamedTuple):
    """Medians of one function: per element of its largest array, and beside others."""

    name: str
    nanoseconds: float
    copies: float
    numpy_nanoseconds: float
    speedup: float
    copy_seconds: tuple[float, ...]


def noise(rows: Sequence[Row]) -> float:
    """How far from its median a quarter of a copy's times lie, relative to it: the median over rows."""
    return statistics.median(_spread(row.copy_seconds) for row in rows)


def _spread(seconds: Sequence[float]) -> float:
    if len(seconds) < 2:
        return 0.0
    low, middle, high = statistics.quantiles(seconds, n=4, method="inclusive")
    return (high - low) / (2 * middle)


class Report:
    """Writes row by row, as they are measured."""

    def __init__(self, about: dict[str, Any], style: str, width: int) -> None:
        self.about, self.style, self.width = about, style, width
        self.rows: list[Row] = []

    def begin(self, write: Write) -> None:
        if self.style == "json":
            return
        said = "{size:,} {dtype}: backend {backend}, {threads} of {cores} cores; medians".format(**self.about)
        columns = ["ns/element", "x its copy", "NumPy's ns", "speedup"]
        write(f"{said}\n")
        if self.style == "markdown":
            write(f"| | {' | '.join(columns)} |\n|---|{'---:|' * len(columns)}")
        else:
            write(f"{'':{self.width}}" + "".join(f"{column:>12}" for column in columns))

    def add(self, row: Row, write: Write) -> None:
        self.rows.append(row)
        cells = [f"{row.nanoseconds:.3f}", f"{row.copies:.2f}", f"{row.numpy_nanoseconds:.3f}", f"{row.speedup:.1f}x"]
        if self.style == "markdown":
            write(f"| {row.name} | {' | '.join(cells)} |")
        elif self.style == "text":
            write(f"{row.name:{self.width}}" + "".join(f"{cell:>12}" for cell in cells))

    def end(self, write: Write) -> None:
        measured = noise(self.rows)
        if self.style == "json":
            rows = [{key: value for key, value in row._asdict().items() if key != "copy_seconds"} for row in self.rows]
            write(json.dumps(self.about | {"noise": measured, "trusted": measured <= QUIET, "rows": rows}, indent=1))
        else:
            write("\nNumPy: the formula as it is written, SciPy's erf; else the same function of the NumPy backend")
            if measured > QUIET:
                write(
                    f"too noisy to trust: a copy of the same bytes took {measured:.0%} more or less from turn to turn"
                )

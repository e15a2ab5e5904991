"""What was measured on which machine: a file for each in benchmarks/figures/, and the README's tables of them.

A file holds what the machine is, and for each part, by what was measured: a unit, a number for each library, our time
over that of a copy where there is one, and whether the machine was quiet. Without that no ratio is shown.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

__all__ = ["FIGURES", "Entry", "Machine", "headline", "load", "picture", "save", "speed", "tables"]

FIGURES = Path(__file__).parent / "figures"

Machine = dict[str, Any]
Entry = dict[str, Any]

#: What the README begins with.
FIRST = [
    "relu", "leaky_relu", "elu", "sigmoid", "tanh", "softplus", "silu", "swish", "mish", "gelu", "gelu_backward",
    "softmax", "swiglu", "cross_entropy",
]  # fmt: skip

#: What stands above each part's table.
TITLES = {
    "elementwise": "Values, 10 million float32, `out` given: nanoseconds per element, times a copy of the same bytes, "
    "and the fastest other library that was installed",
    "backward": "Backward, `grad * f'(x)`: the same",
    "rows": "Rows of 1000, gates and norms: the same",
    "losses": "Losses, mean: the same",
    "dense": "Dense layers (batch, inputs, outputs): microseconds",
    "training": "Training steps (sizes; rows of a batch): microseconds",
    "startup": "From starting Python to a first result, compiled before: milliseconds",
    "memory": "Peak memory of a process: megabytes",
    "accuracy": "Errors over a million float32 of any size, where ours is largest: ulp (SciPy and torch: values)",
}


def load() -> list[Machine]:
    return [json.loads(path.read_text()) for path in sorted(FIGURES.glob("*.json"))]


def save(machine: Machine, folder: Path = FIGURES) -> Path:
    """Write a machine's file; parts that were not measured this time stay as they are."""
    path = folder / f"{_slug(machine)}.json"
    before = json.loads(path.read_text()) if path.exists() else {}
    parts = before.get("parts", {}) | machine["parts"]
    folder.mkdir(exist_ok=True)
    path.write_text(json.dumps(machine | {"parts": parts}, indent=1) + "\n")
    return path


def picture(machine: Machine, folder: Path = FIGURES) -> Path:
    """Where a machine's chart is."""
    return folder / f"{_slug(machine)}.svg"


def _slug(machine: Machine) -> str:
    text = f"{machine['processor']} {machine['registers']}"
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


# -- few figures ------------------------------------------------------------------------------------


def headline(machines: list[Machine]) -> str:
    """A column for each machine, as Markdown; a row for each of some functions that one of them was quiet for."""
    cells = {name: [_beside_others(quiet(machine, name)) for machine in machines] for name in FIRST}
    lines = [_row("", *map(_name, machines)), "|---" * (1 + len(machines)) + "|"]
    return "\n".join([*lines, *(_row(name, *said) for name, said in cells.items() if any(said))]) + "\n"


def speed(name: str) -> str:
    """Nanoseconds per element of a function, on each machine that was quiet for it; empty if none was."""
    found = ((_name(machine), quiet(machine, name)) for machine in load())
    return "; ".join(f"{figure(entry['each']['fastact'])} ns per element on {where}" for where, entry in found if entry)


def quiet(machine: Machine, name: str) -> Entry | None:
    """What was measured of a function that has a time per element, unless the machine was busy meanwhile."""
    found = (machine["parts"].get(part, {}).get(name) for part in ("elementwise", "backward", "rows", "losses"))
    return next((entry for entry in found if entry and entry["quiet"]), None)


def _name(machine: Machine) -> str:
    return f"{machine['processor']}, {machine['registers']}, {machine['threads']} threads"


def _beside_others(entry: Entry | None) -> str:
    """Our time, and how many times as long others take, the fastest first."""
    if entry is None:
        return ""
    ours = entry["each"]["fastact"]
    others = sorted((time, name) for name, time in entry["each"].items() if name != "fastact")
    beside = ", ".join(f"{name} {time / ours:.1f}x" for time, name in others)
    return f"{figure(ours)} ns; {beside}" if beside else f"{figure(ours)} ns"


# -- tables -----------------------------------------------------------------------------------------


def tables(machines: list[Machine], root: str = "benchmarks/figures") -> str:
    """All machines side by side, as Markdown."""
    if not machines:
        return "`python -m benchmarks.report` puts its tables here.\n"
    lines = ["| | processor | registers | cores | with | a copy's noise |", "|---|---|---|---|---|---|"]
    lines += [_row(letter, *_about(machine)) for letter, machine in zip(LETTERS, machines)]
    for letter, machine in zip(LETTERS, machines):
        if picture(machine).exists():
            lines += [
                "",
                f"![Nanoseconds per element of each library on machine {letter}]({root}/{picture(machine).name})",
            ]
    for part, title in TITLES.items():
        known = [machine["parts"].get(part, {}) for machine in machines]
        names = dict.fromkeys(name for measured in known for name in measured)
        if names:
            summary = re.sub("`(.*?)`", r"<code>\1</code>", title)
            table = _table(list(names), known, ratios=part != "accuracy")
            lines += ["", f"<details><summary>{summary}</summary>", "", *table, "", "</details>"]
    return "\n".join(lines) + "\n"


LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _about(machine: Machine) -> tuple[str, ...]:
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    noise = f"{machine['noise']:.1%}"
    return machine["processor"], machine["registers"], f"{machine['threads']} of {machine['cores']}", versions, noise


def _table(names: list[str], machines: list[dict[str, Entry]], ratios: bool) -> list[str]:
    with_copies = any(entry.get("copies") is not None for measured in machines for entry in measured.values())
    columns = ["ours", *(["copies"] if with_copies else []), "fastest other"]
    heads = [f"{letter}: {column}" for letter, _ in zip(LETTERS, machines) for column in columns]
    lines = [_row("", *heads), "|---|" + "---:|" * len(heads)]
    for name in names:
        cells = [cell for measured in machines for cell in _cells(measured.get(name), with_copies, ratios)]
        lines.append(_row(name, *cells))
    return lines


def figure(value: float) -> str:
    """Three digits, and all there are in front of the point."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _cells(entry: Entry | None, with_copies: bool, ratios: bool) -> list[str]:
    if entry is None:
        return ["", *([""] if with_copies else []), ""]
    ours, others = entry["each"]["fastact"], {key: value for key, value in entry["each"].items() if key != "fastact"}
    fastest = min(others, key=others.__getitem__, default=None)
    ratio = f", {others[fastest] / ours:.1f}x" if fastest and entry["quiet"] and ours and ratios else ""
    beside = f"{fastest} {figure(others[fastest])}{ratio}" if fastest else ""
    copies = entry.get("copies")
    shown = "noisy" if not entry["quiet"] else "" if copies is None else f"{copies:.2f}"
    return [figure(ours), *([shown] if with_copies else []), beside if entry["quiet"] else f"{beside} (noisy)".strip()]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"

"""``fastact demo``: the lessons of tutorials, what is learned here beside what they print."""

from __future__ import annotations

from collections.abc import Iterator

from fastact.commands.learning import OURS, Lesson, Outcome, Teacher
from fastact.commands.pictures import write_animation, write_picture
from fastact.commands.trials import digits, neuron, own, vanishing
from fastact.commands.tutorials import and_gate, pairings, regression

__all__ = ["LESSONS", "run_demo"]

LESSONS: dict[str, Lesson] = {
    lesson.__name__.replace("_", "-"): lesson
    for lesson in (and_gate, neuron, regression, pairings, digits, vanishing, own)
}

#: What stands before what a tutorial prints.
TUTORIAL = "  tutorial"


def run_demo(name: str, epochs: int | None, seed: int, save: str | None, compare: bool = False) -> int:
    lesson = LESSONS[name]
    other = _compared() if compare else None
    print(f"{name}: {lesson.__doc__}\n", flush=True)
    outcome = lesson(epochs, seed, OURS)
    theirs = lesson(epochs, seed, other) if other else None
    for line in _lines(outcome, theirs, other.name if other else ""):
        print(line)
    if save is not None:
        animate = outcome.animate if save.lower().endswith(".gif") else None
        path = write_animation(save, animate) if animate else write_picture(save, outcome.draw)
        print(f"wrote {path}")
    return 0


def _compared() -> Teacher:
    from fastact.commands.by_torch import torch_teacher

    return torch_teacher()


def _lines(outcome: Outcome, theirs: Outcome | None, other: str) -> Iterator[str]:
    told = any(row[2] for row in outcome.rows)
    width = max(len(label) for row in outcome.rows for label in (row[0], TUTORIAL)) + 2
    beside = theirs.rows if theirs else outcome.rows
    for (name, learned, printed), (_, learned_there, _) in zip(outcome.rows, beside):
        yield f"{name:{width}}{learned}"
        if theirs and printed is not None:
            yield f"{'  ' + other:{width}}{learned_there}"
        if told and printed:
            yield f"{TUTORIAL:{width}}{printed}"
    yield ""
    yield from outcome.remarks
    times = outcome.times
    yield f"compiling, or finding what is compiled, took {times.compiling:.2f} s, learning {times.learning:.3f} s"
    if theirs:
        took = f"a first step took {theirs.times.compiling:.2f} s, learning {theirs.times.learning:.3f} s"
        yield f"{other}: {took}; from the same weights, in an order of its own where rows are shuffled"

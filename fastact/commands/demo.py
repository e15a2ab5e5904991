"""``fastact demo``: the lessons of tutorials, what is learned here beside what they print."""

from __future__ import annotations

from collections.abc import Iterator

from fastact.commands.learning import Lesson, Outcome
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


def run_demo(name: str, epochs: int | None, seed: int, save: str | None) -> int:
    lesson = LESSONS[name]
    print(f"{name}: {lesson.__doc__}\n", flush=True)
    outcome = lesson(epochs, seed)
    for line in _lines(outcome):
        print(line)
    if save is not None:
        animate = outcome.animate if save.lower().endswith(".gif") else None
        path = write_animation(save, animate) if animate else write_picture(save, outcome.draw)
        print(f"wrote {path}")
    return 0


def _lines(outcome: Outcome) -> Iterator[str]:
    told = any(row[2] for row in outcome.rows)
    width = max(len(label) for row in outcome.rows for label in (row[0], TUTORIAL)) + 2
    for name, learned, printed in outcome.rows:
        yield f"{name:{width}}{learned}"
        if told and printed:
            yield f"{TUTORIAL:{width}}{printed}"
    yield ""
    yield from outcome.remarks
    times = outcome.times
    yield f"compiling, or finding what is compiled, took {times.compiling:.2f} s, learning {times.learning:.3f} s"

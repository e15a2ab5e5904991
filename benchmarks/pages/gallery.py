"""A page for each activation, with its curve, its formulas and its four functions; and one page of all curves."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from benchmarks import machines
from benchmarks.pages.reference import alias, documented
from fastact.catalogue import ACTIVATIONS, SPECIAL, Activation
from fastact.functions.registry import KINDS
from fastact.ufuncs.keywords import REQUIRED

__all__ = ["FOLDER", "draw", "pages"]

FOLDER = "gallery"

ENTRIES = [*ACTIVATIONS.values(), *SPECIAL.values()]

INDEX = """# Gallery

Every activation, its value in blue and its derivative dashed in vermillion. Each has a page of its own.

{cards}

## Special functions

They are made as activations are, and have the same four functions, but layers do not find them by name.

{special}

```{{toctree}}
:hidden:

{names}
```
"""

PAGE = """# {entry.name}

{summary}

![{entry.name} and its derivative]({entry.name}.svg)

{latex}

{facts}

## Functions

{functions}

## Kernel

What the formula becomes for float32: the module that Numba compiles. `fastact.get("{entry.name}").source()` prints it.

<details><summary>Source</summary>

```python
{source}
```

</details>
"""


def pages() -> dict[str, str]:
    """Texts by path."""
    cards, special = ("\n".join(map(card, registry.values())) for registry in (ACTIVATIONS, SPECIAL))
    names = "\n".join(entry.name for entry in ENTRIES)
    index = INDEX.format(cards=grid(cards), special=grid(special), names=names)
    return {f"{FOLDER}/index.md": index, **{f"{FOLDER}/{entry.name}.md": page(entry) for entry in ENTRIES}}


def grid(cards: str) -> str:
    return f"```{{container}} gallery\n{cards}\n```"


def card(entry: Activation) -> str:
    return f"[![{entry.name}]({entry.name}.thumbnail.svg) {entry.name}]({entry.name}.md)\n"


def page(entry: Activation) -> str:
    functions = [documented(entry.name + suffix) for suffix in KINDS] + [alias(entry, name) for name in entry.aliases]
    return PAGE.format(
        entry=entry,
        summary=entry.summary.replace("``", "`"),
        latex=entry.shown.latex,
        facts=facts(entry),
        functions="\n".join(functions),
        source=entry.source().strip(),
    )


def facts(entry: Activation) -> str:
    return "\n".join(["| | |", "|---|---|", *(f"| {title} | {said} |" for title, said in known(entry) if said)])


def known(entry: Activation) -> Iterator[tuple[str, str]]:
    yield "Formula", f"`{entry.formula}`"
    yield "Values in", entry.range
    yield "For x in", "" if entry.domain == (-math.inf, math.inf) else "{:g} to {:g}".format(*entry.domain)
    for name, default in entry.parameters.items():
        yield f"Parameter `{name}`", "must be given" if default is REQUIRED else f"{default:g} by default"
    yield "Other names", ", ".join(f"`{name}`" for name in entry.aliases)
    yield "Source", entry.reference
    yield "Bound", f"{entry.ulp:g} ulp, value and derivative ([how it is tested](../guides/accuracy.md))"
    yield "Speed", machines.speed(entry.name)


def draw(folder: Path) -> None:
    """A picture for each page, and a small one without letters for the page of all."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    from fastact.plotting import plot_activations

    for entry in ENTRIES:
        axes = plot_activations(entry)
        axes.figure.savefig(folder / f"{entry.name}.svg")
        axes.figure.set_size_inches(2.4, 1.8)
        axes.set(title="", xlabel="", ylabel="", xticks=[], yticks=[])
        axes.get_legend().remove()
        axes.figure.savefig(folder / f"{entry.name}.thumbnail.svg")
        pyplot.close(axes.figure)

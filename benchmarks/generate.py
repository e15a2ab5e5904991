"""Write what the registry says a second time: type stubs, the README's tables, the package's overview.

``python -m benchmarks.generate`` writes them; a test compares.
"""

from __future__ import annotations

import inspect
from itertools import groupby
from pathlib import Path

from benchmarks import differences, machines
from benchmarks.stubs import CATALOGUE, fallback_stubs, stubs
from fastact.catalogue import ACTIVATIONS, SPECIAL
from fastact.formulas import language
from fastact.formulas.operations import ALIASES
from fastact.kernels.trigonometric import FAR
from fastact.names import functions

ROOT = Path(__file__).parent.parent
README, PACKAGE = ROOT / "README.md", ROOT / "fastact" / "__init__.py"
START, END = "<!-- functions: written by benchmarks/generate.py -->\n", "<!-- end of functions -->\n"
DIFFER_START, DIFFER_END = "<!-- differences: written by benchmarks/generate.py -->\n", "<!-- end of differences -->\n"
WORDS_START, WORDS_END = "<!-- words: written by benchmarks/generate.py -->\n", "<!-- end of words -->\n"
FIRST_START, FIRST_END = "<!-- first figures: written by benchmarks/report.py -->\n", "<!-- end of first figures -->\n"
MACHINES_START, MACHINES_END = "<!-- machines: written by benchmarks/report.py -->\n", "<!-- end of machines -->\n"
LINE = 119  # characters

OVERVIEW_START, OVERVIEW_END = "All functions, as benchmarks/generate.py lists them.\n\n", "\nNetworks and settings\n"


def summary(name: str) -> str:
    """The first line of a function's docstring."""
    return (inspect.getdoc(functions()[name]) or "").splitlines()[0].replace("``", "`")


def table() -> str:
    """One row per activation."""
    rows = ["| function | formula | range |", "|---|---|---|"]
    for entry in CATALOGUE:
        parameters = [p if d is inspect.Parameter.empty else f"{p}={d:.4g}" for p, d in entry.parameters.items()]
        parameters += [f"{name}={default!r}" for name, default in entry.options.items()]
        aliases = "".join(f", `{alias}`" for alias in entry.aliases)
        arguments = ", ".join(["x", *parameters])
        rows.append(f"| `{entry.name}({arguments})`{aliases} | `{entry.formula}` | {entry.range} |")
    rows += ["", "| function | what it is |", "|---|---|"]
    for name in functions():
        plain = [
            p.replace(annotation=p.empty) for p in inspect.signature(functions().callable(name)).parameters.values()
        ]
        arguments = str(inspect.Signature(plain))
        rows.append(f"| `{name}{arguments}` | {summary(name)} |")
    return "\n".join(rows) + "\n"


def words() -> str:
    """The words of formulas: those computed in vectors, and those that the C library computes far out."""
    public = sorted(name for name, word in language.WORDS.items() if not word.internal)
    known = {name: [name, *(alias for alias, real in ALIASES.items() if real == name)] for name in public}
    lines = ["| words | computed by |", "|---|---|"]
    beyond = f"vectors up to {FAR[64]:,.0f} (float32: {FAR[32]:,.0f}), the C library beyond, one number at a time"
    for library, how in ((False, "vectors (SIMD)"), (True, beyond)):
        names = [f"`{name}`" for word in public if language.calls_c_library(word) is library for name in known[word]]
        lines.append(f"| {', '.join(names)} | {how} |")
    return "\n".join(lines) + "\n"


def overview() -> str:
    """What ``help(fastact)`` begins with: a line for each activation, and for each other function, by room."""
    others = [name for name in functions() if not name.endswith("_backward")]
    width = max(map(len, [*ACTIVATIONS, *others])) + 2
    lines = ["Activations", "-----------", *(f"{entry.name:{width}}{entry.formula}" for entry in ACTIVATIONS.values())]
    lines += ["", "Special functions", "-----------------"]
    lines += [f"{entry.name:{width}}{entry.formula}" for entry in SPECIAL.values()]
    for title, names in groupby(sorted(others, key=home), home):
        lines += ["", title, "-" * len(title), *(f"{name:{width}}{summary(name)}" for name in names)]
    return "".join(f"{line}\n" if len(line) <= LINE else f"{line[: LINE - 4]} ...\n" for line in lines)


def home(name: str) -> str:
    """The room of a function, as a title."""
    return str(functions()[name].__module__).split(".")[1].capitalize()


def between(text: str, *parts: tuple[str, str, str]) -> str:
    """A text with others between pairs of marks."""
    for start, inside, end in parts:
        before, _, rest = text.partition(start)
        text = before + start + inside + end + rest.partition(end)[2]
    return text


def generated() -> dict[Path, str]:
    """The files and what they should hold."""
    known = machines.load()
    return {
        PACKAGE.with_suffix(".pyi"): stubs(),
        PACKAGE.with_name("fallback.pyi"): fallback_stubs(),
        README: between(
            README.read_text(),
            (FIRST_START, machines.headline(known), FIRST_END),
            (START, table(), END),
            (DIFFER_START, differences.table(), DIFFER_END),
            (WORDS_START, words(), WORDS_END),
            (MACHINES_START, machines.tables(known), MACHINES_END),
        ),
        PACKAGE: between(PACKAGE.read_text(), (OVERVIEW_START, overview(), OVERVIEW_END)),
    }


def main() -> None:
    for path, text in generated().items():
        path.write_text(text)
        print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()

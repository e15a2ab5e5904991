"""An activation's formula and that of its derivative, as people read them."""

from __future__ import annotations

from functools import cached_property

from fastact.formulas.expressions import Expression, differentiate, variable
from fastact.formulas.latex import from_text, latex, plainly
from fastact.formulas.stable import stable
from fastact.functions.graphs import Graphs

__all__ = ["Shown"]


class Shown:
    """Texts of a formula: the one that was given, or what it was traced into."""

    def __init__(self, name: str, text: str | None, graphs: Graphs) -> None:
        self.name, self.graphs = name, graphs
        self.value = graphs.written[0]
        if text is not None:
            try:
                self.value = from_text(text, graphs.parameters)
            except Exception:  # it may be prose
                self.value = graphs.written[0]

    @cached_property
    def value_text(self) -> str:
        return repr(self.value)

    @cached_property
    def slope(self) -> Expression:
        return plainly(stable(differentiate(stable(self.value), variable("x"))))

    @cached_property
    def slope_text(self) -> str:
        return repr(self.slope)

    @cached_property
    def latex(self) -> str:
        arguments = ", ".join(latex(variable(name)) for name in ["x", *self.graphs.parameters])
        name = self.name.replace("_", "\\_")
        value, slope = (f"&= {latex(formula)}" for formula in (self.value, self.slope))
        left = f"\\operatorname{{{name}}}"
        body = f"{left}({arguments}) {value} \\\\ {left}'({arguments}) {slope}"
        return f"$$\\begin{{aligned}} {body} \\end{{aligned}}$$"

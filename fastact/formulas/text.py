"""Formulas as text: one line for people, or the assignments of a Python function."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from fastact.formulas.nodes import Node, topological

__all__ = ["Writer", "function_text", "inline_text", "variable_text"]

#: Binary operators and how tightly they bind.
OPERATORS = {
    "logical_or": ("|", 1),
    "logical_and": ("&", 2),
    "less": ("<", 0),
    "less_equal": ("<=", 0),
    "greater": (">", 0),
    "greater_equal": (">=", 0),
    "equal": ("==", 0),
    "not_equal": ("!=", 0),
    "add": ("+", 3),
    "subtract": ("-", 3),
    "multiply": ("*", 4),
    "divide": ("/", 4),
}
TIGHTEST = 9
LINE = 88


class Writer:
    """Turns expressions into text: a name for what is used twice or grows too long, the rest in line."""

    def __init__(self, constant_text: Callable[[float], str], function_name: Callable[[str], str]) -> None:
        self.constant_text = constant_text
        self.function_name = function_name
        self.lines: list[str] = []
        self.texts: dict[Node, tuple[str, int]] = {}

    def write(self, *roots: Node) -> list[str]:
        """Assignments into ``lines``; the texts of the roots as result."""
        order = list(topological(*roots))
        uses = Counter(o for node in order for o in node.operands if isinstance(o, Node))
        for node in order:
            text, binding = self.text_of(node)
            leaf = node.operation in ("variable", "constant", "integer")
            if not leaf and (uses[node] > 1 or len(text) > LINE):
                name = f"t{len(self.lines)}"
                self.lines.append(f"{name} = {text}")
                text, binding = name, TIGHTEST
            self.texts[node] = text, binding
        return [self.texts[root][0] for root in roots]

    def text_of(self, node: Node) -> tuple[str, int]:
        operation = node.operation
        if operation == "variable":
            return variable_text(node.operands[0]), TIGHTEST
        if operation == "integer":
            return f"int{node.operands[1]}({node.operands[0]})", TIGHTEST
        if operation == "constant":
            return self.constant_text(node.operands[0]), TIGHTEST
        if operation == "negative":
            return "-" + self.operand(node.operands[0], 5), 4
        if operation == "logical_not":
            return f"{self.function_name(operation)}({self.operand(node.operands[0], 0)})", TIGHTEST
        if operation == "float_power":
            base, exponent = node.operands
            negative = base.operation == "constant" and base.operands[0] < 0
            left = f"({self.texts[base][0]})" if negative else self.operand(base, TIGHTEST)
            return f"{left} ** {self.operand(exponent, TIGHTEST)}", 6
        if operation in OPERATORS:
            symbol, binding = OPERATORS[operation]
            left, right = node.operands
            inside = binding if binding > 2 else 3
            return f"{self.operand(left, inside)} {symbol} {self.operand(right, inside + 1)}", binding
        if operation == "constant_error":  # only on the way into readable text
            return "0", TIGHTEST
        arguments = ", ".join(self.operand(o, 0) for o in node.operands)
        return f"{self.function_name(operation)}({arguments})", TIGHTEST

    def operand(self, node: Node, at_least: int) -> str:
        text, binding = self.texts[node]
        return text if binding >= at_least else f"({text})"


def variable_text(name: str) -> str:
    """A parameter's name with an underscore behind it, which no word of the emitted languages has."""
    return name if name in ("x", "grad") else f"{name}_"


def inline_text(node: Node) -> str:
    """A formula on one line, for people."""
    writer = Writer(lambda value: f"{value:g}", lambda name: name.partition(":")[0])
    for part in topological(node):
        writer.texts[part] = (part.operands[0], TIGHTEST) if part.operation == "variable" else writer.text_of(part)
    return writer.texts[node][0]


def function_text(name: str, inputs: list[str], lines: list[str], results: list[str]) -> str:
    body = "".join(f"    {line}\n" for line in [*lines, "return " + ", ".join(results)])
    return f"def {name}({', '.join(map(variable_text, inputs))}):\n{body}"

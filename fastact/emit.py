"""Writing expression graphs out as Python source: NumPy for the fallback, typed scalar code for Numba."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from fastact.formula import Expression, topological
from fastact.kernels import KERNELS
from fastact.precision import BFLOAT16, FLOAT16, FLOAT32, FLOAT64, WIDE, Precision
from fastact.primitives import NUMPY_FORMULAS, NUMPY_NAMES

__all__ = ["inline_text", "kernel_source", "loop_source", "numpy_function", "numpy_source"]

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

#: Operations that the kernel language has under another name than the formula language.
KERNEL_NAMES = {"where": "select", "float_from_bits": "bits"}


class _Writer:
    """Turns expressions into text: a name for what is used twice or grows too long, the rest in line."""

    def __init__(self, constant_text: Callable[[float], str], function_name: Callable[[str], str]) -> None:
        self.constant_text = constant_text
        self.function_name = function_name
        self.lines: list[str] = []
        self.texts: dict[Expression, tuple[str, int]] = {}

    def write(self, *roots: Expression) -> list[str]:
        """Assignments into ``lines``; the texts of the roots as result."""
        order = list(topological(*roots))
        uses = Counter(o for node in order for o in node.operands if isinstance(o, Expression))
        for node in order:
            text, binding = self.text_of(node)
            leaf = node.operation in ("variable", "constant", "integer")
            if not leaf and (uses[node] > 1 or len(text) > LINE):
                name = f"t{len(self.lines)}"
                self.lines.append(f"{name} = {text}")
                text, binding = name, TIGHTEST
            self.texts[node] = text, binding
        return [self.texts[root][0] for root in roots]

    def text_of(self, node: Expression) -> tuple[str, int]:
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
        if operation in OPERATORS:
            symbol, binding = OPERATORS[operation]
            left, right = node.operands
            inside = binding if binding > 2 else 3
            return f"{self.operand(left, inside)} {symbol} {self.operand(right, inside + 1)}", binding
        if operation == "constant_error":  # only on the way into readable text
            return "0", TIGHTEST
        arguments = ", ".join(self.operand(o, 0) for o in node.operands)
        return f"{self.function_name(operation)}({arguments})", TIGHTEST

    def operand(self, node: Expression, at_least: int) -> str:
        text, binding = self.texts[node]
        return text if binding >= at_least else f"({text})"


def variable_text(name: str) -> str:
    """A parameter's name with an underscore behind it, which no word of the emitted languages has."""
    return name if name in ("x", "grad") else f"{name}_"


def inline_text(node: Expression) -> str:
    """A formula on one line, for people."""
    writer = _Writer(lambda value: f"{value:g}", lambda name: name)
    for part in topological(node):
        writer.texts[part] = (part.operands[0], TIGHTEST) if part.operation == "variable" else writer.text_of(part)
    return writer.texts[node][0]


def _function(name: str, inputs: list[str], lines: list[str], results: list[str]) -> str:
    body = "".join(f"    {line}\n" for line in [*lines, "return " + ", ".join(results)])
    return f"def {name}({', '.join(map(variable_text, inputs))}):\n{body}"


# -- the fallback ---------------------------------------------------------------------------------


def _lower(roots: tuple[Expression, ...], rules: dict[str, Callable[..., Expression]]) -> tuple[Expression, ...]:
    """Replace every operation that has a rule by what the rule makes of its operands, until none has."""
    lowered: dict[Expression, Expression] = {}

    def visit(root: Expression) -> Expression:
        for node in topological(root):
            if node in lowered:
                continue
            operands = tuple(lowered[o] if isinstance(o, Expression) else o for o in node.operands)
            rule = rules.get(node.operation)
            lowered[node] = visit(rule(*operands)) if rule else Expression(node.operation, operands)
        return lowered[root]

    return tuple(visit(root) for root in roots)


def numpy_source(name: str, inputs: list[str], results: tuple[Expression, ...]) -> str:
    """A function on float64 arrays."""
    writer = _Writer(
        lambda value: repr(value).replace("inf", "np.inf").replace("nan", "np.nan"), NUMPY_NAMES.__getitem__
    )
    texts = writer.write(*_lower(results, NUMPY_FORMULAS))
    return _function(name, inputs, writer.lines, texts)


def numpy_function(name: str, inputs: list[str], results: tuple[Expression, ...]) -> Callable[..., Any]:
    namespace: dict[str, Any] = {"np": np}
    exec(compile(numpy_source(name, inputs, results), f"<fastact {name}>", "exec"), namespace)
    return namespace[name]


# -- compiled loops -------------------------------------------------------------------------------


def _lower_for(precision: Precision, results: tuple[Expression, ...]) -> tuple[Expression, ...]:
    rules = {operation: lambda *o, rule=rule: rule(precision, *o) for operation, rule in KERNELS.items()}
    return _lower(results, rules)


def precision_of(storage: str) -> Precision:
    """What loops over a type in memory compute in."""
    return {"bfloat16": BFLOAT16, "float16": FLOAT16, "float32": FLOAT32}.get(storage, FLOAT64)


def operation_count(results: tuple[Expression, ...], storage: str) -> int:
    """Machine operations per vector, about: what thresholds are guessed from."""
    return sum(1 for _ in topological(*_lower_for(precision_of(storage), results)))


def kernel_source(name: str, inputs: list[str], results: tuple[Expression, ...], precision: Precision) -> str:
    """A scalar function in one precision, every constant typed: a bare literal would be float64 to Numba
    and drag the whole kernel there, at half the speed."""
    names: dict[str, str] = {}

    def constant_text(value: float) -> str:
        return names.setdefault(repr(precision.type(value)), f"c{len(names)}")

    writer = _Writer(constant_text, lambda operation: KERNEL_NAMES.get(operation, operation))
    with np.errstate(over="ignore"):
        texts = writer.write(*_lower_for(precision, results))
    function = _function(f"{name}_kernel", inputs, writer.lines, texts)
    constants = "".join(f"{text} = {_literal(value)}\n" for value, text in names.items())
    return f"{constants}\n\n@kernel\n{function}"


def _literal(number: str) -> str:
    """``np.float32(0.5)`` as emitted code writes it: ``float32(0.5)``, or ``float32("inf")``."""
    number = number.removeprefix("np.")
    return number.replace("(inf)", "('inf')").replace("(-inf)", "('-inf')").replace("(nan)", "('nan')")


def loop_source(
    name: str, inputs: list[str], results: tuple[Expression, ...], storage: str, summed: bool = False
) -> str:
    """A kernel and the loop that brings it to a ufunc's operands; a whole Python module.

    ``summed``: the last result is not written but summed, and the sum added to a pair of float64: the sum and its
    rounding error. All is computed in float64 then, so that terms have no rounding errors that could add up.
    """
    widened = summed and storage in ("float16", "float32")
    precision, wide = (WIDE, "wide_") if widened else (precision_of(storage), "")
    out_storage = storage if "float" in storage else "float64"
    names = list(map(variable_text, inputs))
    values = ["y"] if len(results) == 1 else [f"y{i}" for i in range(len(results))]
    written = values[:-1] if summed else values
    lanes, short = f"lanes_{precision.name}", f"short_{precision.name}"

    place = {o: f"pointers[{i}], steps[{i}], start" for i, o in enumerate([*names, *written])}

    def loop(condition: str, size: str, prefix: str, then: str, far: bool = False) -> str:
        steps = [f"count = min({size}, size - start)"]
        steps += [f"fetch_ahead_{storage}({place[o]}, traffic)" for o in names if far]
        steps += [f"{o}_from = source_{prefix}{storage}({o}_room, {place[o]}, count)" for o in names]
        steps += [f"{o} = load_whole_{prefix}{storage}({o}_from)" for o in names]
        steps += [f"{', '.join(values)} = {name}_kernel({', '.join(names)})"]
        store, traffic = ("store_or_stream", ", traffic") if far else ("store", "")
        steps += [f"{store}_{prefix}{out_storage}({o}, {place[o]}, count{traffic})" for o in written]
        return f"{condition}:\n" + "".join(f"        {step}\n" for step in [*steps, then])

    body = [f"{o}_room = room_{wide}{storage}()\n" for o in names]
    if summed:
        body += ["total, lost = zeros(), zeros()\n"]
        add = f"total, lost = accumulate(total, lost, first({values[-1]}, count))"
        body += [loop("while start < size", lanes, wide, f"{add}; start += count")]
        body += [f"add_to(total, lost, pointers[{len(names) + len(written)}])\n"]
    else:
        body += ["traffic = traffic_of(data)\n"]
        body += [f"most = first_count_{out_storage}(pointers[{len(names)}], traffic)\n"]
        body += [loop(f"while size - start > {short}", "most", "", f"start += count; most = {lanes}", far=True)]
        body += [loop("if start < size", short, "short_", "start += count")]
    return (
        f"from fastact.blocks import *\n\n{kernel_source(name, inputs, results, precision)}\n\n"
        f"def loop(pointers, dimensions, steps, data):\n    size, start = dimensions[0], 0\n"
        + "".join(f"    {part}" for part in body)
    )

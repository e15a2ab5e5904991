"""Formulas as LaTeX, for notebooks; and in plain words, which the careful ones become again."""

from __future__ import annotations

from typing import Any

from fastact.formulas.expressions import Expression, apply, as_expression, lower, variable
from fastact.formulas.language import WORDS
from fastact.formulas.operations import ALIASES

__all__ = ["from_text", "latex", "plainly"]

#: Functions that LaTeX has a command for.
COMMANDS = ("exp", "log", "tanh", "sinh", "cosh", "sin", "cos", "tan", "arctan", "arcsin", "arccos")

COMPARISONS = {"less": "<", "less_equal": r"\le", "greater": ">", "greater_equal": r"\ge", "equal": "="}
COMPARISONS |= {"not_equal": r"\ne", "logical_and": r"\land", "logical_or": r"\lor"}

GREEK = ("alpha", "beta", "gamma", "delta", "theta", "lambda", "mu", "sigma", "tau")

#: How tightly operators bind.
SUM, PRODUCT, UNARY, POWER, ATOM = range(1, 6)


def _words(**names: Any) -> dict[str, Any]:
    """What a formula's text can say."""
    known = {name: lambda *operands, name=name: apply(name, *operands) for name in [*WORDS, *ALIASES, "where"]}
    return known | {"pi": 3.141592653589793, "__builtins__": {"abs": abs}} | names


def from_text(text: str, parameters: list[str]) -> Expression:
    """A formula that was written as one line of text."""
    return as_expression(eval(text, _words(**{name: variable(name) for name in ["x", *parameters]})))


def plainly(expression: Expression) -> Expression:
    """With what only this package says written as everybody would."""

    def rule(meaning: str) -> Any:
        return lambda *operands: eval(meaning, _words(**dict(zip("abcd", operands))))

    (result,) = lower((expression,), {name: rule(word.meaning) for name, word in WORDS.items() if word.internal})
    return result


def latex(expression: Expression) -> str:
    return _text(expression)[0]


def _text(e: Expression) -> tuple[str, int]:
    operation, operands = e.operation, e.operands
    if operation == "variable":
        return _name(operands[0]), ATOM
    if operation == "constant":
        return _number(operands[0])
    if operation in ("add", "subtract"):
        sign = "+" if operation == "add" else "-"
        return f"{_inside(operands[0], SUM)} {sign} {_inside(operands[1], PRODUCT)}", SUM
    if operation == "multiply":
        if operands[0] is operands[1]:
            return f"{_inside(operands[0], ATOM)}^{{2}}", POWER
        return f"{_inside(operands[0], PRODUCT)} \\, {_inside(operands[1], UNARY)}", PRODUCT
    if operation == "divide":
        return f"\\frac{{{latex(operands[0])}}}{{{latex(operands[1])}}}", ATOM
    if operation == "negative":
        return f"-{_inside(operands[0], PRODUCT)}", SUM
    if operation == "float_power":
        return f"{_inside(operands[0], ATOM)}^{{{latex(operands[1])}}}", POWER
    if operation == "sqrt":
        return f"\\sqrt{{{latex(operands[0])}}}", ATOM
    if operation == "absolute":
        return f"\\left|{latex(operands[0])}\\right|", ATOM
    if operation == "where":
        condition, yes, no = map(latex, operands)
        cases = f"{yes} & \\text{{if }} {condition} \\\\ {no} & \\text{{otherwise}}"
        return f"\\begin{{cases}} {cases} \\end{{cases}}", SUM
    if operation in COMPARISONS:
        return f"{_inside(operands[0], SUM)} {COMPARISONS[operation]} {_inside(operands[1], SUM)}", 0
    function = f"\\{operation}" if operation in COMMANDS else _function(operation)
    return f"{function}\\left({', '.join(map(latex, operands))}\\right)", ATOM


def _inside(e: Expression, at_least: int) -> str:
    text, binding = _text(e)
    return text if binding >= at_least else f"\\left({text}\\right)"


def _name(name: str) -> str:
    if name in GREEK:
        return f"\\{name}"
    return name if len(name) == 1 else f"\\mathrm{{{_escaped(name)}}}"


def _function(operation: str) -> str:
    return f"\\operatorname{{{_escaped(operation.partition(':')[0])}}}"


def _escaped(name: str) -> str:
    return name.replace("_", "\\_")


def _number(value: float) -> tuple[str, int]:
    text = f"{value:g}".replace("inf", "\\infty").replace("nan", "\\mathrm{NaN}")
    mantissa, power, exponent = text.partition("e")
    text = f"{mantissa} \\cdot 10^{{{int(exponent)}}}" if power else text
    return text, SUM if value < 0 else PRODUCT if power else ATOM

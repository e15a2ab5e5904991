"""A formula's text, Python's, as mathematics that matplotlib sets."""

from __future__ import annotations

import ast

__all__ = ["above", "equals", "mathematics", "symbol"]

#: A formula of more characters would not fit above a panel.
LONGEST = 90

GREEK = {"alpha": r"\alpha", "beta": r"\beta", "gamma": r"\gamma", "lambd": r"\lambda", "pi": r"\pi"}
GREEK |= {"delta": r"\delta", "eps": r"\epsilon"}
FUNCTIONS = {"maximum": r"\max", "minimum": r"\min", "log": r"\log", "tanh": r"\tanh", "cosh": r"\cosh"}
COMPARED = {ast.Lt: "<", ast.LtE: r"\leq", ast.Gt: ">", ast.GtE: r"\geq", ast.Eq: "="}

#: How tightly what was written binds.
SUM, PRODUCT, POWER, ATOM = range(4)


def symbol(name: str) -> str:
    """A parameter's name; a word is upright, with its underscores as spaces."""
    if name in GREEK:
        return GREEK[name]
    return name if len(name) == 1 else r"\mathrm{" + name.replace("_", r"\ ") + "}"


def above(formula: str) -> str | None:
    """The formula as a title; None if it is too long for one, or says what there is no notation for."""
    try:
        return mathematics(formula) if len(formula) <= LONGEST else None
    except ValueError:
        return None


def equals(name: str, value: float) -> str:
    """What a parameter is."""
    text = f"{value:.4g}".replace("inf", r"\infty")
    mantissa, power, exponent = text.partition("e")
    factor = "" if mantissa == "1" else rf"{mantissa} \cdot "
    return f"{symbol(name)} = " + (f"{factor}10^{{{int(exponent)}}}" if power else text)


def mathematics(formula: str) -> str:
    """The formula in matplotlib's mathematical notation, without the dollars around it."""
    body = ast.parse(formula, mode="eval").body
    if isinstance(body, ast.BinOp) and isinstance(body.op, ast.Div):  # tall fractions only where they stand alone
        return rf"\dfrac{{{_written(body.left)[0]}}}{{{_written(body.right)[0]}}}"
    return _written(body)[0]


def _within(node: ast.expr, least: int) -> str:
    text, binding = _written(node)
    return text if binding >= least else rf"\left({text}\right)"


def _written(node: ast.expr) -> tuple[str, int]:
    match node:
        case ast.Name(id=name):
            return symbol(name), ATOM
        case ast.Constant(value=int() | float() as value):
            return f"{value:.4g}", ATOM
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return f"-{_within(operand, PRODUCT)}", SUM
        case ast.BinOp(left=left, op=operation, right=right):
            return _operation(left, operation, right)
        case ast.Compare(left=left, ops=[comparison], comparators=[right]):
            return f"{_within(left, SUM)} {COMPARED[type(comparison)]} {_within(right, SUM)}", SUM
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return _call(name, arguments)
    raise ValueError(f"no notation for {ast.unparse(node)}")


def _operation(left: ast.expr, operation: ast.operator, right: ast.expr) -> tuple[str, int]:
    match operation:
        case ast.Add() | ast.Sub():
            sign = "+" if isinstance(operation, ast.Add) else "-"
            return f"{_within(left, SUM)} {sign} {_within(right, PRODUCT)}", SUM
        case ast.Mult() if isinstance(left, ast.UnaryOp) and isinstance(left.op, ast.USub):
            # Python has -a * b be (-a) * b
            return f"-{_within(ast.BinOp(left.operand, operation, right), PRODUCT)}", SUM
        case ast.Mult():
            return rf"{_within(left, PRODUCT)}\, {_within(right, PRODUCT)}", PRODUCT
        case ast.Div():
            return f"{_within(left, PRODUCT)} / {_within(right, POWER)}", PRODUCT
        case ast.Pow():
            return f"{_within(left, ATOM)}^{{{_within(right, SUM)}}}", POWER
    raise ValueError(f"no notation for {type(operation).__name__}")


def _call(name: str, arguments: list[ast.expr]) -> tuple[str, int]:
    parts = [_within(argument, SUM) for argument in arguments]
    match name:
        case "exp":
            return f"e^{{{parts[0]}}}", POWER
        case "sqrt":
            return rf"\sqrt{{{parts[0]}}}", ATOM
        case "abs" | "absolute":
            return rf"\left|{parts[0]}\right|", ATOM
        case "where":
            return rf"\{{{parts[1]}\ \mathrm{{if}}\ {parts[0]},\ \mathrm{{else}}\ {parts[2]}\}}", ATOM
    word = FUNCTIONS.get(name, rf"\mathrm{{{name}}}".replace("_", r"\ "))
    return rf"{word}\left({', '.join(parts)}\right)", ATOM

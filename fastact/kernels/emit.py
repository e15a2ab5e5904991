"""Kernels as source: typed code for Numba in which every number is a vector, and the loops around them."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastact.formulas.expressions import Expression, apply, lower, variable
from fastact.formulas.language import DEFINITIONS
from fastact.formulas.nodes import topological
from fastact.formulas.text import Writer, function_text, variable_text
from fastact.kernels.functions import KERNELS
from fastact.kernels.precision import BFLOAT16, FLOAT16, FLOAT32, FLOAT64, WIDE, Precision

__all__ = ["WORDS", "kernel_source", "loop_source", "precision_of"]

#: What emitted code is written in.
WORDS = "from fastact.simd.blocks import *\nfrom fastact.kernels.lookups import *\n"

#: Operations that the kernel language has under another name than the formula language.
KERNEL_NAMES = {"where": "select", "float_from_bits": "bits"}


def _lower_for(precision: Precision, inputs: list[str], results: tuple[Expression, ...]) -> tuple[Expression, ...]:
    rules = {operation: lambda *o, rule=rule: rule(precision, *o) for operation, rule in KERNELS.items()}
    x = variable("x" if "x" in inputs else inputs[0])
    return lower(_of_vectors(lower(results, DEFINITIONS), x), rules)


def _of_vectors(results: tuple[Expression, ...], x: Expression) -> tuple[Expression, ...]:
    """The same without results that are numbers, or made of nothing else: kernels compute with vectors as x is."""
    made = dict[Any, Expression]()

    def spread(number: Expression) -> Expression:
        return Expression("where", (apply("equal", x, x), number, number))

    for node in topological(*results):
        operands = [made.get(o, o) for o in node.operands]
        if operands and all(isinstance(o, Expression) and o.operation == "constant" for o in operands):
            operands[0] = spread(operands[0])
        if any(new is not old for new, old in zip(operands, node.operands)):
            made[node] = apply(node.operation, *operands)
    vectors = (made.get(result, result) for result in results)
    return tuple(spread(v) if v.operation == "constant" else v for v in vectors)


def precision_of(storage: str) -> Precision:
    """What loops over a type in memory compute in."""
    return {"bfloat16": BFLOAT16, "float16": FLOAT16, "float32": FLOAT32}.get(storage, FLOAT64)


def kernel_source(name: str, inputs: list[str], results: tuple[Expression, ...], precision: Precision) -> str:
    """A scalar function in one precision, every constant typed: a bare literal would be float64 to Numba
    and drag the whole kernel there, at half the speed."""
    names: dict[str, str] = {}

    def constant_text(value: float) -> str:
        return names.setdefault(repr(precision.type(value)), f"c{len(names)}")

    writer = Writer(constant_text, lambda operation: KERNEL_NAMES.get(operation, operation))
    with np.errstate(over="ignore"):
        texts = writer.write(*_lower_for(precision, inputs, results))
    function = function_text(f"{name}_kernel", inputs, writer.lines, texts)
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
        f"{WORDS}\n{kernel_source(name, inputs, results, precision)}\n\n"
        f"def loop(pointers, dimensions, steps, data):\n    size, start = dimensions[0], 0\n"
        + "".join(f"    {part}" for part in body)
    )

"""Parameters over their whole range against mpmath: zero and next to nothing, huge, negative, infinite, NaN."""

from __future__ import annotations

from functools import cache
from typing import Any

import mpmath as mp
import numpy as np
import pytest

from fastact.catalogue import ACTIVATIONS, Activation
from tests.conftest import callable_of
from tests.reference import every_exponent, exact, ulp_distance

PARAMETRISED = [entry.name for entry in ACTIVATIONS.values() if entry.parameters]

#: In place of zero and infinity where the formula itself is undefined there, but has a limit; and digits enough for it.
NEXT_TO_NOTHING, ENDLESS, DIGITS = mp.mpf("1e-1000"), mp.mpf("1e1000"), 3000

#: Formulas that begin so need their parameters for the other x only.
ONLY_BELOW = "where(x > 0, x,"

GRADIENT = 1.5


def values(dtype: Any) -> list[float]:
    """Thirty-eight of a parameter."""
    sizes = [1e-30, 1e-12, 1e-4, 0.01, 0.3, 0.9, 1, 1.1, 2, 5, 30, 1e3, 1e8, 1e19, 1e30]
    subnormal = 1e-40 if dtype is np.float32 else 1e-310
    sizes += [subnormal, float(np.finfo(dtype).max), np.inf]
    signed = [sign * float(dtype(size)) for size in sizes for sign in (1, -1)]
    return [0.0, *signed, np.nan]


def given(entry: Activation, dtype: Any) -> list[dict[str, float]]:
    """Each value of the first parameter, beside other values of the second."""
    some = values(dtype)
    columns = [some[5 * i :] + some[: 5 * i] for i in range(len(entry.parameters))]
    return [dict(zip(entry.parameters, row)) for row in zip(*columns)]


def inputs(number: int, parameters: dict[str, float], dtype: Any) -> np.ndarray:
    """Every eighth exponent, in float64 every sixtieth, others for each set of parameters; and where x times or over
    a parameter is of the size that exponentials and roots are made for."""
    step = 8 if dtype is np.float32 else 60
    x = every_exponent(dtype, seed=number)[number % step :: step]
    draw = np.random.default_rng(number)
    size = next(iter(parameters.values()))
    with np.errstate(all="ignore"):
        near = draw.choice([-1.0, 1.0], 24) * 2.0 ** draw.uniform(-6, 10.5, 24)
        near = np.concatenate([near[:8] * size, near[8:16] / size, near[16:]]).astype(dtype)
    x = np.unique(np.concatenate([x, near[np.isfinite(near)]]))
    return x[~np.isin(abs(x), [0.0, *np.abs(list(parameters.values()))])]  # a kink has two derivatives


def truth(entry: Activation, x: float, kind: str, parameters: dict[str, float]) -> Any:
    """The formula's value, or its limit; NaN where a parameter is that counts, or a root of what is negative."""
    if entry.name == "threshold":  # the second parameter is a value, and nothing more
        limit, below = parameters.values()
        otherwise = below if kind == "value" else 0
        return mp.mpf(np.nan if np.isnan(limit) else otherwise if x <= limit else x if kind == "value" else 1)
    if entry.name == "elu" and np.isinf(parameters["alpha"]) and x < 0:
        sign = -1 if kind == "value" else 1
        return mp.mpf(sign * parameters["alpha"])
    if any(value != value for value in parameters.values()):
        counts = not (entry.formula.startswith(ONLY_BELOW) and x > 0)
        return mp.nan if counts else mp.mpf(x if kind == "value" else 1)
    finite = {name: mp.sign(value) * ENDLESS if np.isinf(value) else value for name, value in parameters.items()}
    digits = None if finite == parameters else DIGITS
    try:
        result = exact(entry, x, kind, digits, **finite)
    except ZeroDivisionError:
        nonzero = {name: value or np.copysign(1, value) * NEXT_TO_NOTHING for name, value in finite.items()}
        result = exact(entry, x, kind, DIGITS, **nonzero)
    if kind == "derivative" and mp.isnan(result) and mp.isinf(exact(entry, x, "value", digits, **finite)):
        return mp.inf  # celu's; the difference of two values says nothing
    return result


@cache
def truths(name: str, kind: str, dtype: Any, number: int) -> list[Any]:
    entry = ACTIVATIONS[name]
    parameters = given(entry, dtype)[number]
    return [truth(entry, float(x), kind, parameters) for x in inputs(number, parameters, dtype)]


def distance(result: Any, right: Any, kind: str, undefined: bool) -> float:
    """In ulp; none where the formula is undefined, and only its limit is not. Near a derivative's root, an absolute
    error of half a unit of 1."""
    if mp.isnan(right) or np.isnan(result):
        return 0.0 if np.isnan(result) and (undefined or mp.isnan(right)) else float("inf")
    near_root = kind != "value" and abs(right) < 0.04 * GRADIENT
    if near_root and abs(float(result) - right) <= float(np.finfo(type(result)).eps):
        return 0.0
    return ulp_distance(result, right)


def is_undefined(parameters: dict[str, float]) -> bool:
    """Whether the formula may divide zero by zero, or multiply it by infinity."""
    return any(value == 0 or np.isinf(value) for value in parameters.values())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", PARAMETRISED)
def test_within_bounds_for_all_parameters(name: str, dtype: type, backend: str) -> None:
    entry = ACTIVATIONS[name]
    worst: dict[str, Any] = {}
    for number, parameters in enumerate(given(entry, dtype)):
        x = inputs(number, parameters, dtype)
        arguments = [dtype(value) for value in parameters.values()]
        for kind in ("value", "derivative", "backward"):
            function = callable_of(entry, kind, backend)
            results = function(dtype(GRADIENT), x, *arguments) if kind == "backward" else function(x, *arguments)
            results = results[0] if isinstance(results, tuple) else results
            right = truths(name, "derivative" if kind == "backward" else kind, dtype, number)
            factor = GRADIENT if kind == "backward" else 1
            bound = (entry.ulp if backend == "compiled" else 4.0) + (kind == "backward")
            for value, result, exactly in zip(x, results, right):
                off = distance(result, exactly * factor, kind, is_undefined(parameters))
                if off > bound:
                    worst[kind] = max(
                        worst.get(kind, (0,)),
                        (off, float(value), parameters, float(result), str(exactly * factor)[:20]),
                        key=lambda row: row[0],
                    )
    assert not worst, str(worst)

"""How losses appear: their signatures, written out, and their docstrings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from fastact.functions.documentation import numpydoc
from fastact.losses.definition import REQUIRED, Domain, Loss

__all__ = ["documentation", "public"]

PARAMETERS = """pred : array_like
    {pred}float16, float32 or float64; integers and bools count as float64.
target : array_like
    {target}Broadcasts against pred; the result has the dtype of both promoted.
{required}reduction : {{{reductions}}}, default "mean"
    {reduction}
{others}out : {kind}, optional
    Where to put {out}."""

RAISED = """TypeError
    If an argument is complex, an object, a string or a date.
ValueError
    For another reduction{refused}, or if shapes do not fit; nothing has been written then."""

EXAMPLES = """>>> import numpy as np, fastact
>>> pred, target = np.array([0.25, 0.5, 0.75]), np.array([0.0, 1.0, 1.0])
{example}"""

VALUE_EXAMPLE = """>>> values = fastact.{name}(pred, target{given}, reduction="none")
>>> bool(np.isclose(fastact.{name}(pred, target{given}), values.mean()))
True"""

GRADIENT_EXAMPLE = """>>> step = np.array([0, 1e-6, 0])
>>> rise = fastact.{name}(pred + step, target{given}) - fastact.{name}(pred - step, target{given})
>>> bool(np.isclose(fastact.{name}_backward(pred, target{given}){first}[1], rise / 2e-6))
True"""

REDUCED = "What becomes of the terms. Sums are accurate to the last bit; the mean of nothing is NaN."
BATCH_MEAN = ' "batchmean" divides the sum by the length of the first axis alone.'


def public(loss: Loss, compute: Callable[..., Any], suffix: str) -> Callable[..., Any]:
    """A function with a true signature, written out because that costs one plain call and no more."""
    signature = ["backend", "pred: ArrayLike", "target: ArrayLike"]
    signature += [f"{name}: ArrayLike" for name, default in loss.arrays.items() if default is REQUIRED]
    signature += [f'reduction: Literal{list(loss.reductions)} = "mean"']
    signature += [f"{name}: bool = {default}" for name, default in loss.options.items()]
    signature += [f"{name}: float = _default_{name}" for name in loss.numbers]
    optional = [f"{name}: ArrayLike | None = None" for name, default in loss.arrays.items() if default is None]
    arrays = ", ".join(["NDArray[Any]"] * len(loss.learned))
    gradients = f"tuple[{arrays}]" if len(loss.learned) > 1 else arrays
    signature += ["*", *optional, f"out: {gradients if suffix else 'NDArray[Any]'} | None = None"]
    numbers = _items(loss.numbers)
    source = (
        f"def {loss.name}{suffix}({', '.join(signature)}) -> {gradients if suffix else 'Any'}:\n"
        f"    return compute(loss, backend, pred, target, reduction, ({numbers}), {_choice(loss)}, out)\n"
    )
    namespace: dict[str, Any] = {"__name__": __name__, "compute": compute, "loss": loss}
    namespace |= {f"_default_{name}": default for name, default in loss.numbers.items()}  # known again by identity
    header = "from __future__ import annotations\n"
    exec(compile(header + source, f"<fastact {loss.name}{suffix}>", "exec"), namespace)
    function: Callable[..., Any] = namespace[loss.name + suffix]
    function.__doc__ = documentation(loss, bool(suffix))
    return function


def _items(names: Iterable[str]) -> str:
    return "".join(f"{name}, " for name in names)


def _choice(loss: Loss) -> str:
    """Options and arrays of a call: None if all are as they are by default."""
    given = f"(({_items(loss.options)}), ({_items(loss.arrays)}))"
    defaults = loss.options | loss.arrays
    if REQUIRED in defaults.values():
        return given
    usual = " and ".join(f"{name} is {default}" for name, default in defaults.items())
    return f"None if {usual} else {given}" if usual else "None"


def documentation(loss: Loss, backward: bool) -> str:
    formula, names, several = f"    {loss.formula}", " and ".join(loss.learned), len(loss.learned) > 1
    kind, example = "ndarray", VALUE_EXAMPLE
    if backward:
        headline = f"Gradient of {loss.name} with respect to {names}, in one pass over memory."
        formula += f"\n\n{loss.kink}" if loss.kink else ""
        reduction = 'Of the value that is differentiated; "none" counts as "sum".'
        out, returned, example = f"the gradient; of the shape of {names}", "ndarray or scalar", GRADIENT_EXAMPLE
        if several:
            kind, out, returned = (
                "tuple of ndarray",
                f"the gradients; of the shapes of {names}",
                "tuple of ndarray or scalar",
            )
        returned += f"\n    Of the shape{'s' * several} of {names}."
    else:
        headline, reduction = loss.summary, REDUCED + BATCH_MEAN * ("batchmean" in loss.reductions)
        out, returned = 'the values, with reduction "none"', 'scalar, or ndarray with reduction "none"'
    given = "".join(", 0.5" for default in loss.arrays.values() if default is REQUIRED)
    return numpydoc(
        f"{headline}\n\n{formula}",
        Parameters=PARAMETERS.format(
            pred=_sentence(loss.pred),
            target=_sentence(loss.target),
            required="".join(_array(loss, name) for name, default in loss.arrays.items() if default is REQUIRED),
            reductions=", ".join(f'"{name}"' for name in loss.reductions),
            reduction=reduction,
            others=_others(loss),
            kind=kind,
            out=out,
        ),
        Returns=returned,
        Raises=RAISED.format(refused=" or a number that is not as it must be" if loss.numbers else ""),
        References=loss.reference,
        Examples=EXAMPLES.format(example=example.format(name=loss.name, given=given, first="[0]" if several else "")),
    )


def _sentence(domain: Domain) -> str:
    """What an array holds, before what else there is to say of it."""
    return f"{domain.words} " if domain.words else ""


def _others(loss: Loss) -> str:
    """What is said of options, numbers, and arrays that may be missing."""
    options = (f"{name} : bool, default {value}\n    {loss.about[name]}\n" for name, value in loss.options.items())
    numbers = (
        f"{name} : float, default {value}\n    {loss.about[name].words.capitalize()}.\n"
        for name, value in loss.numbers.items()
    )
    arrays = (_array(loss, name) for name, default in loss.arrays.items() if default is None)
    return "".join([*options, *numbers, *arrays])


def _array(loss: Loss, name: str) -> str:
    optional = "" if loss.arrays[name] is REQUIRED else ", optional"
    return f"{name} : array_like{optional}\n    {loss.about[name].words} Broadcasts to the shape of the terms.\n"

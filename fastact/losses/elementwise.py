"""Losses: a formula of one prediction and one target, and the functions made from it.

Every loss is a formula in :mod:`fastact.losses.catalogue`, value and gradient side by side. From it follow, for both
backends, the value summed or averaged in one pass over memory (:mod:`fastact.ufuncs.sums`), the values themselves
(``reduction="none"``, a ufunc), and the gradient (another).
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from fastact.formulas.expressions import variable
from fastact.functions.documentation import numpydoc
from fastact.functions.offered import offered
from fastact.ufuncs.memory import empty, from_kept
from fastact.ufuncs.nested import broadcast_axes
from fastact.ufuncs.operands import as_operand, result_dtype
from fastact.ufuncs.sums import FLOATS, Sum, rounded
from fastact.ufuncs.targets import check_target
from fastact.ufuncs.ufunc import Definition, make_ufunc

__all__ = ["Loss", "check_reduction", "loss"]

REDUCTIONS = ("mean", "sum", "none")

PARAMETERS = """pred : array_like
    {pred} float16, float32 or float64; integers and bools count as float64.
target : array_like
    {target} Broadcasts against pred; the result has the dtype of both promoted.
reduction : {{"mean", "sum", "none"}}, default "mean"
    {reduction}
{parameters}out : ndarray, optional
    Where to put {out}."""

RAISED = """TypeError
    If an argument is complex, an object, a string or a date.
ValueError
    For another reduction{refused}, or if shapes do not fit; nothing has been written then."""

EXAMPLES = """>>> import numpy as np, fastact
>>> pred, target = np.array([0.25, 0.5, 0.75]), np.array([0.0, 1.0, 1.0])
{example}"""

VALUE_EXAMPLE = """>>> values = fastact.{name}(pred, target, reduction="none")
>>> bool(np.isclose(fastact.{name}(pred, target), values.mean()))
True"""

GRADIENT_EXAMPLE = """>>> step = np.array([0, 1e-6, 0])
>>> rise = fastact.{name}(pred + step, target) - fastact.{name}(pred - step, target)
>>> bool(np.isclose(fastact.{name}_backward(pred, target)[1], rise / 2e-6))
True"""


class Loss:
    """A loss: its formula, and the functions made from it."""

    def __init__(
        self, function: Callable[..., Any], formula: str, reference: str, pred: str, target: str, kink: str
    ) -> None:
        self.name = function.__name__
        self.summary = inspect.getdoc(function) or ""
        self.formula, self.reference, self.pred, self.target, self.kink = formula, reference, pred, target, kink
        names = inspect.signature(function).parameters
        #: Names and defaults of what else the formula depends on: positive numbers.
        self.parameters = {name: p.default for name, p in list(names.items())[2:]}
        self.inputs = list(names)
        self.term, self.gradient = function(*map(variable, names))

    @cache  # noqa: B019  losses live as long as the process
    def total(self, backend: str) -> Sum:
        return Sum(Definition(f"{self.name}_total", self.inputs, (self.term,), ""), backend)

    @cache  # noqa: B019
    def elementwise(self, backend: str) -> np.ufunc:
        return make_ufunc(Definition(self.name, self.inputs, (self.term,), ""), backend)

    @cache  # noqa: B019
    def backward(self, backend: str) -> np.ufunc:
        inputs = ["pred", "target", "scale", *self.parameters]
        return make_ufunc(
            Definition(f"{self.name}_backward", inputs, (variable("scale") * self.gradient,), ""), backend
        )


def loss(*, formula: str, reference: str, pred: str = "", target: str = "", kink: str = "") -> Callable[..., Loss]:
    """A decorator: offer a loss and its backward, given a formula that returns term and gradient."""

    def decorated(function: Callable[..., Any]) -> Loss:
        made = Loss(function, formula, reference, pred, target, kink)
        for compute, suffix in ((_value, ""), (_gradient, "_backward")):
            offered(_public(made, compute, suffix))
        return made

    return decorated


# -- what the functions do ------------------------------------------------------------------------


def _value(
    loss: Loss, backend: str, pred: Any, target: Any, reduction: str, parameters: tuple[Any, ...], out: Any
) -> Any:
    pred, target, dtype, shape = _checked(loss, loss.name, pred, target, reduction, parameters)
    if reduction == "none":
        if out is not None:
            check_target("out", out, shape, dtype)
        size = math.prod(shape) * dtype.itemsize if out is None else 0
        return from_kept(size, loss.elementwise(backend), pred, target, *parameters, out=out)
    if out is not None:
        raise ValueError(f"{loss.name} puts results into out with reduction='none' only; {reduction!r} gives a number")
    if pred.shape != shape or target.shape != shape:
        pred, target = np.broadcast_to(pred, shape), np.broadcast_to(target, shape)
    total = loss.total(backend)(dtype, [pred, target, *[np.asarray(p, dtype) for p in parameters]])
    if reduction == "mean":
        total = total / pred.size if pred.size else np.nan
    return rounded(total, dtype)


def _gradient(
    loss: Loss, backend: str, pred: Any, target: Any, reduction: str, parameters: tuple[Any, ...], out: Any
) -> Any:
    name = f"{loss.name}_backward"
    pred, target, dtype, shape = _checked(loss, name, pred, target, reduction, parameters)
    if out is not None:
        check_target("out", out, pred.shape, dtype)
    size = math.prod(shape)
    scale: Any = 1.0 / size if reduction == "mean" and size else 1.0
    if dtype != np.float16 and pred.shape == shape:
        return from_kept(
            pred.nbytes if out is None else 0, loss.backward(backend), pred, target, scale, *parameters, out=out
        )
    wide = np.float32(scale) if dtype == np.float16 else scale  # too small a number for float16
    full = loss.backward(backend)(pred, target, wide, *parameters)
    axes = broadcast_axes(pred.shape, shape)
    if axes:  # several elements of the loss depend on one of pred
        full = full.sum(axis=axes, dtype=np.float64).reshape(pred.shape)
    result = empty(pred.shape, dtype) if out is None else out
    with np.errstate(all="ignore"):
        np.copyto(result, full, casting="same_kind")
    return result[()] if out is None else out


def check_reduction(reduction: Any) -> None:
    if not isinstance(reduction, str) or reduction not in REDUCTIONS:
        raise ValueError(f"reduction must be one of {', '.join(REDUCTIONS)}, not {reduction!r}")


def _checked(
    loss: Loss, name: str, pred: Any, target: Any, reduction: str, parameters: tuple[Any, ...]
) -> tuple[np.ndarray, np.ndarray, np.dtype, tuple[int, ...]]:
    """The operands as arrays, their dtype promoted, and their shape broadcast."""
    check_reduction(reduction)
    for parameter, value in zip(loss.parameters, parameters):
        if np.ndim(value) or np.asarray(value).dtype.kind not in "biuf":
            raise TypeError(f"{parameter} must be a number, not {type(value).__name__}")
        if not value > 0:
            raise ValueError(f"{parameter} must be positive, not {value!r}")
    if not (type(pred) is np.ndarray and type(target) is np.ndarray and pred.dtype == target.dtype in FLOATS):
        pred, target, dtype = _promoted(pred, target)
    else:
        dtype = pred.dtype
    if pred.shape == target.shape:
        return pred, target, dtype, pred.shape
    try:
        return pred, target, dtype, np.broadcast_shapes(pred.shape, target.shape)
    except ValueError:
        message = f"{name} cannot broadcast pred of shape {pred.shape} and target of shape {target.shape}"
        raise ValueError(message) from None


def _promoted(pred: Any, target: Any) -> tuple[np.ndarray, np.ndarray, np.dtype]:
    """Arrays and the floating type of results."""
    pred, target = as_operand("pred", pred), as_operand("target", target)
    dtype = result_dtype(pred, target)
    pred, target = (o if isinstance(o, np.ndarray) else np.asarray(o, dtype) for o in (pred, target))
    return pred, target, dtype


# -- how they appear ------------------------------------------------------------------------------


def _public(loss: Loss, compute: Callable[..., Any], suffix: str) -> Callable[..., Any]:
    """A function with a true signature, written out because that costs one plain call and no more."""
    names = list(loss.parameters)
    given = "".join(f", {name}: float = {default!r}" for name, default in loss.parameters.items())
    source = (
        f'def {loss.name}{suffix}(backend, pred: ArrayLike, target: ArrayLike, reduction: str = "mean"{given}, *, '
        f"out: np.ndarray | None = None) -> Any:\n"
        f"    return compute(loss, backend, pred, target, reduction, ({''.join(f'{name}, ' for name in names)}), out)\n"
    )
    namespace: dict[str, Any] = {"__name__": __name__, "compute": compute, "loss": loss}
    header = "from __future__ import annotations\n"
    exec(compile(header + source, f"<fastact {loss.name}{suffix}>", "exec"), namespace)
    function: Callable[..., Any] = namespace[loss.name + suffix]
    function.__doc__ = _documentation(loss, bool(suffix))
    return function


def _documentation(loss: Loss, backward: bool) -> str:
    formula = f"    {loss.formula}"
    if backward:
        headline = f"Gradient of {loss.name} with respect to pred, in one pass over memory."
        formula += f"\n\n{loss.kink}" if loss.kink else ""
        reduction = 'Of the value that is differentiated; "none" counts as "sum".'
        out, returned = "the gradient; of the shape of pred", "ndarray or scalar\n    Of the shape of pred."
    else:
        headline = loss.summary
        reduction = "What becomes of the terms. Sums are accurate to the last bit; the mean of nothing is NaN."
        out, returned = 'the values, with reduction "none"', 'scalar, or ndarray with reduction "none"'
    described = "".join(f"{name} : float, default {value}\n    Positive.\n" for name, value in loss.parameters.items())
    example = (GRADIENT_EXAMPLE if backward else VALUE_EXAMPLE).format(name=loss.name)
    return numpydoc(
        f"{headline}\n\n{formula}",
        Parameters=PARAMETERS.format(
            pred=loss.pred, target=loss.target, reduction=reduction, parameters=described, out=out
        ),
        Returns=returned,
        Raises=RAISED.format(refused=" or a parameter that is not positive" if loss.parameters else ""),
        References=loss.reference,
        Examples=EXAMPLES.format(example=example),
    )

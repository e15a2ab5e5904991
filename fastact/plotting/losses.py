"""Curves of losses over the prediction, for a few targets."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastact.functions.elementwise import elementwise
from fastact.losses.catalogue import LOSSES
from fastact.losses.definition import Domain
from fastact.names import public_callable
from fastact.plotting.curves import Curve, draw_curves
from fastact.plotting.mathematics import above, equals
from fastact.plotting.style import check_parameters, described, listed, panels

__all__ = ["loss_names", "loss_parameters", "plot_loss_functions"]

#: Of predictions that end somewhere, what is left out there: logarithms are infinite.
EDGE = 1e-3


class _Drawn(NamedTuple):
    """A loss of one prediction and one target, its slope, from where to where, for which targets, and its formula."""

    name: str
    value: Callable[..., Any]
    slope: Callable[..., Any]
    pred: Domain
    targets: tuple[float, ...]
    numbers: dict[str, float]
    formula: str | None
    x: str


class _OfTwo(NamedTuple):
    """A loss of a row of classes, drawn for two: what row a prediction makes, and the formula."""

    row: Callable[[np.ndarray], np.ndarray]
    pred: Domain
    formula: str
    x: str


PREDICTION = "prediction $x$"
LOGIT, PROBABILITY = Domain(), Domain("", 0, 1)
LEAD, SHARE = "logit of class 1 above that of class 0", "probability of class 1"
AGAINST_ZERO = r"\dfrac{e^{x_t}}{\sum_j e^{x_j}}"

#: Losses that need the whole row. A row's second column is what is drawn over.
OF_CLASSES = {
    "cross_entropy": _OfTwo(lambda x: np.stack([0 * x, x], 1), LOGIT, rf"-\log\, {AGAINST_ZERO}", LEAD),
    "softmax_focal_loss": _OfTwo(
        lambda x: np.stack([0 * x, x], 1), LOGIT, r"-(1 - p_t)^\gamma\, \log\, p_t\,,\ \ p_t = " + AGAINST_ZERO, LEAD
    ),
    "nll_loss": _OfTwo(lambda x: np.log(np.stack([1 - x, x], 1)), PROBABILITY, r"-\log\, p_t", SHARE),
    "dice_loss": _OfTwo(
        lambda x: x[:, None], PROBABILITY,
        r"1 - \dfrac{2 \sum_i p_i\, t_i + s}{\sum_i p_i + \sum_i t_i + s}", "prediction, of one element",
    ),
}  # fmt: skip


def loss_names() -> list[str]:
    """All that can be drawn."""
    return [*LOSSES, *OF_CLASSES]


def loss_parameters(name: Any) -> list[str]:
    """The numbers that a loss can be given."""
    return list(_drawn(name, {}).numbers)


def plot_loss_functions(
    names: Any = None,
    targets: Sequence[float] | None = None,
    derivative: bool = True,
    parameters: Mapping[str, float] | None = None,
    *,
    limit: float = 5.0,
    ax: Any = None,
) -> Any:
    """Draw losses over the prediction, a curve for each target, and their derivatives.

    Kinks are marked by rings, lines that a curve approaches are dotted. Losses of whole rows are drawn for two classes.

    Parameters
    ----------
    names : str, callable or list of these, optional
        Losses; yours are functions of arrays called pred and target, whose terms they return, or are given the keyword
        ``reduction="none"`` if they have it. All by default.
    targets : sequence of float, optional
        By default, the ends of what makes sense to the loss and the middle.
    derivative : bool, default True
        Whether to draw derivatives by the prediction, dashed; of your own loss, differences.
    parameters : mapping, optional
        Numbers for parameters by name, for all losses that have them.
    limit : float, default 5
        Predictions go from minus this to this, unless only some make sense.
    ax : Axes or array of Axes, optional
        One for each loss.

    Returns
    -------
    Axes or ndarray of Axes

    Raises
    ------
    ImportError
        Without matplotlib.
    ValueError
        If there is no such loss, if none has a parameter that is given, or if there are too few axes.

    Examples
    --------
    >>> from fastact import plotting
    >>> axes = plotting.plot_loss_functions(["mse_loss", "huber_loss"], parameters={"delta": 0.5})
    >>> axes = plotting.plot_loss_functions("binary_cross_entropy", targets=[0, 1])
    """
    given = dict(parameters or {})
    drawn = [_drawn(name, given) for name in listed(names, loss_names())]
    check_parameters(given, [loss.numbers for loss in drawn], "losses")
    axes = panels(len(drawn), ax, "losses")
    for panel, loss in zip(np.ravel(axes), drawn):
        low, high = _ends(loss.pred, limit)
        curves = list(_curves(loss, loss.targets if targets is None else targets))
        draw_curves(panel, curves, derivative, low, high, x=loss.x)
        panel.get_legend().set_title("target", {"size": "small"})
        numbers = r",\ ".join(equals(name, value) for name, value in loss.numbers.items())
        described(panel, f"{loss.name}, ${numbers}$" if numbers else loss.name, loss.formula)
    return axes


def _ends(pred: Domain, limit: float) -> tuple[float, float]:
    low, high = max(pred.low, -limit), min(pred.high, limit)
    edge = EDGE * (high - low)
    return low + edge * (low == pred.low), high - edge * (high == pred.high)


def _curves(loss: _Drawn, targets: Sequence[float]) -> Iterator[Curve]:
    for target in targets:

        def of(function: Callable[..., Any], target: float = target) -> Callable[[np.ndarray], np.ndarray]:
            return lambda pred: np.asarray(function(pred, np.full_like(pred, target)))

        yield Curve(f"$t = {target:g}$", _within(of(loss.value), loss.pred), _within(of(loss.slope), loss.pred))


def _within(curve: Callable[[np.ndarray], np.ndarray], pred: Domain) -> Callable[[np.ndarray], np.ndarray]:
    """NaN, which nothing is drawn for and no line approaches, where predictions make no sense."""
    return lambda x: np.where((x >= pred.low) & (x <= pred.high), curve(np.clip(x, pred.low, pred.high)), np.nan)


# -- what can be drawn ------------------------------------------------------------------------------------


def _drawn(name: Any, given: Mapping[str, float]) -> _Drawn:
    if callable(name):
        return _own(name, given)
    if name in LOSSES:
        return _of_elements(name, given)
    if name in OF_CLASSES:
        return _of_classes(name, given)
    raise ValueError(f"no loss is called {name!r}; there are {', '.join(loss_names())}")


def _chosen(numbers: Mapping[str, float], given: Mapping[str, float]) -> dict[str, float]:
    return {name: float(given.get(name, default)) for name, default in numbers.items()}


def _of_elements(name: str, given: Mapping[str, float]) -> _Drawn:
    loss = LOSSES[name]
    others = {array: 1.0 for array, default in loss.arrays.items() if default is not None}
    numbers = _chosen(loss.numbers | others, given)
    value, slope = public_callable(name), public_callable(f"{name}_backward")

    def gradient(pred: np.ndarray, target: np.ndarray) -> np.ndarray:
        result = slope(pred, target, reduction="sum", **numbers)
        return np.asarray(result[0] if isinstance(result, tuple) else result)

    def terms(pred: np.ndarray, target: np.ndarray) -> np.ndarray:
        return np.asarray(value(pred, target, reduction="none", **numbers))

    written = _short(loss.formula)
    return _Drawn(name, terms, gradient, loss.pred, _targets(loss.target), numbers, above(written), PREDICTION)


def _short(formula: str) -> str:
    """The formula of a loss with letters for names, as in papers."""
    return re.sub(r"\bpred\b", "x", re.sub(r"\btarget\b", "t", formula))


def _targets(domain: Domain) -> tuple[float, ...]:
    if not math.isfinite(domain.low):
        return (-2.0, 0.0, 2.0)
    if domain.low < 0:
        return (domain.low, domain.high)
    middle = (domain.low + domain.high) / 2
    return (domain.low, middle if domain.high == 1 else math.floor(middle), domain.high)  # of counts, a whole number


def _of_classes(name: str, given: Mapping[str, float]) -> _Drawn:
    loss, function, slope = OF_CLASSES[name], public_callable(name), public_callable(f"{name}_backward")
    known = inspect.signature(function).parameters
    usual = {key: p.default for key, p in known.items() if isinstance(p.default, float)}
    numbers = _chosen(usual, given)

    def target_of(target: np.ndarray) -> np.ndarray:
        return target.astype(np.int64) if "ignore_index" in known else target[:, None]

    def value(pred: np.ndarray, target: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.asarray(function(loss.row(pred), target_of(target), reduction="none", **numbers))

    def gradient(pred: np.ndarray, target: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            by_row = np.asarray(slope(loss.row(pred), target_of(target), reduction="sum", **numbers))
            step = (loss.row(pred + 1e-6) - loss.row(pred - 1e-6)) / 2e-6  # how the row moves with what is drawn over
            return np.asarray((by_row * np.where(by_row == 0, 0, step)).sum(axis=1))

    return _Drawn(name, value, gradient, loss.pred, (0.0, 1.0), numbers, loss.formula, loss.x)


def _own(function: Callable[..., Any], given: Mapping[str, float]) -> _Drawn:
    """Anything of pred and target; its derivative by the chain rule, or, if it is no formula, by differences."""
    known = inspect.signature(function).parameters
    if list(known)[:2] != ["pred", "target"]:
        raise ValueError(f"a loss begins with pred and target; {function.__name__} has {list(known)}")
    numbers = _chosen({key: p.default for key, p in known.items() if type(p.default) is float}, given)
    terms = {"reduction": "none"} if "reduction" in known else {}
    try:
        expression = elementwise(lambda pred, target: function(pred, target, **numbers))
    except TypeError:
        return _by_differences(function, terms | numbers, numbers)
    slope, formula = expression.ufunc("derivative", "pred"), above(_short(expression.formula))
    return _Drawn(function.__name__, expression.value, slope, LOGIT, (0.0, 1.0), numbers, formula, PREDICTION)


def _by_differences(function: Callable[..., Any], keywords: Mapping[str, Any], numbers: dict[str, float]) -> _Drawn:
    def value(pred: np.ndarray, target: np.ndarray) -> np.ndarray:
        return np.asarray(function(pred, target, **keywords))

    def slope(pred: np.ndarray, target: np.ndarray) -> np.ndarray:
        step = 1e-6 * np.maximum(1, abs(pred))
        return (value(pred + step, target) - value(pred - step, target)) / (2 * step)

    return _Drawn(function.__name__, value, slope, LOGIT, (0.0, 1.0), numbers, None, PREDICTION)

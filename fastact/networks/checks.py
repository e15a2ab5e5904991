"""What networks are given, checked before anything changes: settings, inputs, targets, weights."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral, Real
from operator import is_, itemgetter
from typing import Any, get_args

import numpy as np

from fastact.catalogue import ACTIVATIONS, Activation
from fastact.layers.checks import activation_of
from fastact.networks.choices import LossName, OptimizerName, ScheduleName
from fastact.networks.objectives import LOSSES, Objective
from fastact.networks.plan import all_finite, room
from fastact.networks.sparse import SparseRows
from fastact.simd.layout import Optimizer, Setting

__all__ = [
    "checked", "holds", "inputs_of", "number", "objective_of", "positive", "row_weights_of", "settings_of", "sizes_of",
    "take_over", "targets_of", "validation_of", "whole",
]  # fmt: skip

#: Optimizers with moments of their own, by name; "sgd" is the other.
ADAPTIVE = {"adam": Optimizer.ADAM, "adamw": Optimizer.ADAMW}


def number(name: str, value: Any, low: float, high: float = np.inf) -> float:
    """A real number from ``low`` up to but not including ``high``."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (Real, np.floating, np.integer)):
        raise TypeError(f"{name} must be a number, not {type(value).__name__}")
    try:
        result = float(value)
    except OverflowError:  # an integer beyond float64, with too many digits to be shown
        result = np.inf
    if not low <= result < high:
        raise ValueError(f"{name} must be at least {low:g} and below {high:g}, not {result}")
    return result


def positive(name: str, value: Any) -> float:
    """A real number above zero."""
    result = number(name, value, 0)
    if not result:
        raise ValueError(f"{name} must be above 0")
    return result


def whole(name: str, value: Any, low: int = 1) -> int:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (Integral, np.integer)):
        raise TypeError(f"{name} must be a whole number, not {type(value).__name__}")
    result = int(value)
    if abs(result) > sys.maxsize:  # it may have too many digits to be shown
        raise ValueError(f"{name} must be from {low} to {sys.maxsize}")
    if result < low:
        raise ValueError(f"{name} must be at least {low}, not {result}")
    return result


def checked(name: str, value: Any, choices: Iterable[str]) -> Any:
    """One of some names."""
    choices = list(choices)
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, not {value!r}")
    return value


def sizes_of(sizes: Any) -> list[int]:
    if isinstance(sizes, (str, bytes)) or not isinstance(sizes, (Sequence, np.ndarray)):
        raise TypeError(f"sizes must be a list of whole numbers, such as [64, 32, 10], not {type(sizes).__name__}")
    if len(sizes) < 2:
        raise ValueError(f"sizes must name inputs and outputs at least, such as [2, 1]; got {list(sizes)}")
    return [whole("each of sizes", size) for size in sizes]


def activations_of(activation: Any, output_activation: Any, layers: int, learn: bool) -> list[Activation]:
    """One per layer: ``activation`` is for all hidden ones, or a list with one for each."""
    if isinstance(activation, (list, tuple)):
        if len(activation) != layers - 1:
            raise ValueError(f"activation lists {len(activation)} for {layers - 1} hidden layers")
        hidden = [activation_of(a, learn) for a in activation]
    else:
        hidden = [activation_of(activation, learn)] * (layers - 1)
    return [*hidden, activation_of(output_activation, learn)]


def beginnings(network: Any, activations: list[Activation]) -> list[dict[str, float]]:
    """What is trained of each layer's activation, and begins so; a bound at infinity is none, and stays there."""
    if not network.learn_parameters:
        return [{} for _ in activations]
    return [{k: v for k, v in activation.beginning().items() if np.isfinite(v)} for activation in activations]


def check_learned(network: Any, activations: list[Activation]) -> None:
    """That what is trained of activations is what it was when the network was made, which laid it out."""
    names = [list(layer) for layer in beginnings(network, activations)]
    if network._learned not in (None, names):
        raise ValueError(
            "learn_parameters, and the names of parameters that activations learn by it, cannot be changed; make "
            "another network"
        )


def _numbers(name: str, values: Any) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} must be real numbers, not {array.dtype}")
    return array


def _finite(name: str, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind == "f" and not all_finite(array):
        raise ValueError(f"{name} has values that are not finite numbers in {array.dtype}")
    return array


def inputs_of(x: Any, features: int, dtype: np.dtype, least: int = 1) -> Any:
    """Inputs as (rows, features), contiguous in the network's type; sparse ones as rows that will be so."""
    plain = type(x) is np.ndarray and x.dtype == dtype and x.flags.c_contiguous
    if plain and x.ndim == 2 and x.shape[1] == features and len(x) >= least:  # five times as soon found as all others
        return _finite("x", x)
    sparse = SparseRows(x, dtype) if hasattr(x, "tocsr") else None
    array: Any = sparse if sparse is not None else _numbers("x", x)
    if len(array.shape) != 2 or array.shape[1] != features:
        raise ValueError(f"x must have shape (rows, {features}); got {array.shape}")
    if len(array) < least:
        raise ValueError("x has no rows")
    with np.errstate(over="ignore"):
        if sparse is not None:
            _finite("x", _numbers("x", sparse.stored).astype(dtype, copy=False))
            return sparse
        return _finite("x", np.ascontiguousarray(array, dtype))


def targets_of(y: Any, rows: int, outputs: int, objective: Objective, dtype: np.dtype) -> np.ndarray:
    """Targets as trainers want them: (rows, outputs) in the network's type, or (rows,) labels as int64."""
    array = _numbers("y", y)
    if objective.classes == "labels" and array.dtype.kind in "iub" and array.shape in ((rows,), (rows, 1)):
        labels = array.reshape(rows).astype(np.int64)
        if rows and not np.maximum.reduce(labels.view(np.uint64)) < outputs:  # where what is negative is huge
            raise ValueError(
                f"labels must be from 0 to {outputs - 1} for {outputs} outputs; they reach from {array.min()} to "
                f"{array.max()}"
            )
        return labels
    if array.shape != (rows, outputs) and not (outputs == 1 and array.shape == (rows,)):
        alternative = f" or, as whole numbers, ({rows},)" if objective.classes == "labels" else ""
        raise ValueError(
            f"y must have shape ({rows}, {outputs}){alternative} to go with x; got {array.shape} {array.dtype}"
        )
    if objective.classes and array.size and not (array.min() >= 0 and array.max() <= 1):
        raise ValueError(
            f"targets of {objective.name} are probabilities; these reach from {array.min()} to {array.max()}"
        )
    result = room(rows * outputs, dtype).reshape(rows, outputs)
    with np.errstate(over="ignore"):
        result[...] = array.reshape(rows, outputs)
    return _finite("y", result)


def holds(given: Any, arrays: list[np.ndarray]) -> bool:
    """Whether what a user may have set are these very arrays."""
    return type(given) is list and len(given) == len(arrays) and all(map(is_, given, arrays))


def weights_of(name: str, given: Any, shape: tuple[int, ...]) -> np.ndarray:
    """A weight or bias that a user set."""
    array = _numbers(name, given)
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}; got {array.shape}")
    return array


def learned_of(given: Any, parameters: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """Where a network keeps what activations learn, and what a user may have set it to."""
    if not isinstance(given, (list, tuple)) or len(given) != len(parameters.learned):
        raise ValueError(f"activation_parameters_ must be a list of {len(parameters.learned)} dicts, one per layer")
    found = []
    for i, (layer, names, array) in enumerate(zip(given, parameters.learned, parameters.of_activations)):
        if not isinstance(layer, Mapping) or set(layer) != set(names):
            raise ValueError(f"activation_parameters_[{i}] must be a dict of {names}, not {layer!r}")
        values = [weights_of(f"activation_parameters_[{i}][{name!r}]", layer[name], ()) for name in names]
        found.append((array, np.array(values, float)))
    return found


def take_over(parameters: Any, weights: Any, biases: Any, learned: Any) -> None:
    """Copy what a user set to where a network's parameters are."""
    found = learned_of(learned, parameters)
    for name, given, arrays in (("weights", weights, parameters.weights), ("biases", biases, parameters.biases)):
        if not isinstance(given, (list, tuple, np.ndarray)):
            raise TypeError(f"{name} must be a list of arrays, one per layer, not {type(given).__name__}")
        if len(given) != len(arrays):
            raise ValueError(f"{name} must hold {len(arrays)} arrays, one per layer; it holds {len(given)}")
        for i, (new, array) in enumerate(zip(given, arrays)):
            if new is not array:
                found.append((array, weights_of(f"{name}[{i}]", new, array.shape)))
    with np.errstate(over="ignore"):  # beyond float32 is infinite
        # Copies first: what was set may be views of these very arrays, such as two weights exchanged.
        for array, values in [(array, values.astype(array.dtype)) for array, values in found]:
            array[...] = values


def row_weights_of(given: Any, rows: int, dtype: np.dtype) -> np.ndarray | None:
    """What each row counts, in the network's type; None if all count 1."""
    if given is None:
        return None
    array = _numbers("sample_weight", given)
    if array.shape != (rows,):
        raise ValueError(f"sample_weight must have shape ({rows},), a number for each row of x; got {array.shape}")
    with np.errstate(over="ignore"):
        weights = _finite("sample_weight", np.ascontiguousarray(array, dtype))
    if weights.min() < 0 or not weights.any():
        raise ValueError("sample_weight must be numbers of at least 0, and not all of them 0")
    return weights


def validation_of(given: Any, network: Any, objective: Objective) -> tuple[np.ndarray, np.ndarray] | None:
    """Inputs and targets to validate with."""
    if given is None:
        return None
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        raise ValueError("validation_data must be a pair of inputs and targets, (x, y)")
    try:
        x = inputs_of(given[0], network.sizes[0], network.dtype)
        return x, targets_of(given[1], len(x), network.sizes[-1], objective, network.dtype)
    except (TypeError, ValueError) as error:
        raise type(error)(f"validation_data does not fit: {error}") from None


def objective_of(loss: Any) -> Objective:
    return LOSSES[checked("loss", loss, get_args(LossName))]


def check_course(network: Any) -> None:
    """Settings of how training goes from epoch to epoch."""
    checked("schedule", network.schedule, get_args(ScheduleName))
    whole("step_size", network.step_size)
    number("gamma", network.gamma, 0)
    number("power_t", network.power_t, 0)
    number("tol", network.tol, 0)
    if network.n_iter_no_change != np.inf:
        whole("n_iter_no_change", network.n_iter_no_change)
    if network.schedule == "adaptive" and not network.early_stopping:
        raise ValueError("schedule 'adaptive' needs early_stopping, which watches the loss")


#: What is made of a network's settings: activations, loss, kind of optimizer and its numbers.
Settings = tuple[list[Activation], Objective, int, dict[int, float]]

_given = itemgetter(
    "activation", "output_activation", "loss", "optimizer", "learning_rate", "batch_size", "epochs", "shuffle",
    "momentum", "nesterov", "weight_decay", "betas", "eps", "alpha", "max_grad_norm", "dropout", "schedule",
    "step_size", "gamma", "power_t", "early_stopping", "tol", "n_iter_no_change", "learn_parameters",
)  # fmt: skip


def settings_of(network: Any) -> Settings:
    """Everything of a network that can be set, checked unless nothing was set since the last time: looking at so many
    numbers would take longer than a step of a small network."""
    given = (*_given(vars(network)), ACTIVATIONS.changes)
    before = network._kept.checked
    if before and all(map(is_, given, before[0])):
        settings: Settings = before[1]
        return settings
    settings = _checked_settings(network)
    if not any(type(value) is list for value in given):  # which may hold something else the next time
        network._kept.checked = given, settings
    return settings


def _checked_settings(network: Any) -> Settings:
    layers, learn = len(network.sizes) - 1, bool(network.learn_parameters)
    activations = activations_of(network.activation, network.output_activation, layers, learn)
    check_learned(network, activations)
    objective = objective_of(network.loss)
    checked("optimizer", network.optimizer, get_args(OptimizerName))
    if network.batch_size is not None:
        whole("batch_size", network.batch_size)
    whole("epochs", network.epochs, 0)
    if not isinstance(network.betas, (tuple, list)) or len(network.betas) != 2:
        raise ValueError(f"betas must be a pair of numbers, not {network.betas!r}")
    settings = {
        Setting.LEARNING_RATE: number("learning_rate", network.learning_rate, 0),
        Setting.MOMENTUM: number("momentum", network.momentum, 0),
        Setting.NESTEROV: float(bool(network.nesterov)),
        Setting.WEIGHT_DECAY: number("weight_decay", network.weight_decay, 0),
        Setting.BETA1: number("betas[0]", network.betas[0], 0, 1),
        Setting.BETA2: number("betas[1]", network.betas[1], 0, 1),
        Setting.EPSILON: number("eps", network.eps, 0),
        Setting.ALPHA: number("alpha", network.alpha, 0),
        Setting.MAX_NORM: 0.0 if network.max_grad_norm is None else positive("max_grad_norm", network.max_grad_norm),
    }
    number("dropout", network.dropout, 0, 1)
    check_course(network)
    if network.nesterov and not network.momentum:
        raise ValueError("nesterov needs a momentum above 0")
    if network.optimizer in ADAPTIVE:
        if network.momentum:
            raise ValueError(f"momentum belongs to optimizer 'sgd'; {network.optimizer} has betas")
        return activations, objective, ADAPTIVE[network.optimizer], settings
    shaping = (Setting.MOMENTUM, Setting.WEIGHT_DECAY, Setting.ALPHA, Setting.MAX_NORM)
    plain = not any(settings[slot] for slot in shaping) and not network.dropout
    return activations, objective, Optimizer.DIRECT if plain else Optimizer.SGD, settings

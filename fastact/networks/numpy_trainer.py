"""Training and prediction in NumPy: the fallback, with the formulas, the order of rows and the updates of the
compiled trainer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fastact.catalogue import Activation
from fastact.networks.objectives import Objective, loss_ufunc
from fastact.networks.plan import Parameters, Plan, Trainer
from fastact.runtime.interrupts import interrupts_on_request
from fastact.simd.layout import ABOVE_ZERO, Optimizer, Setting

__all__ = ["NumpyTrainer", "losses_of", "predict"]


class _Passed(NamedTuple):
    """What a layer's backward pass needs of its forward pass."""

    inputs: np.ndarray
    slope: np.ndarray
    preactivation: np.ndarray | None  # only if the activation learns,
    learned: list[Any]  # and what its parameters are then
    kept: np.ndarray | None  # which units were not left out, if some may be


class NumpyTrainer(Trainer):
    """Takes steps in NumPy, around the ufuncs of a backend."""

    def __init__(self, plan: Plan, backend: str) -> None:
        super().__init__(plan)
        self._gradients = Parameters(plan.parameters.sizes, plan.x.dtype, plan.parameters.learned)
        named = list(zip(plan.activations, plan.parameters.learned))
        self._activations = [_loop(activation, "with_derivative", backend, names) for activation, names in named]
        self._backward = [activation.backward_by(names, backend) for activation, names in named]

    def _take(self, steps: int) -> None:
        with np.errstate(all="ignore"), interrupts_on_request() as let_interrupts_strike:
            for step in range(self.step, self.step + steps):
                epoch, place = self.epoch + step // self.steps_per_epoch, step % self.steps_per_epoch
                rows: Any = slice(place * self.batch, (place + 1) * self.batch)
                if self.order is not None:
                    rows = self.order[epoch - self.order_first, rows]
                x, y = self.plan.x[rows], self.plan.y[rows]
                weights = None if self.plan.weights is None else self.plan.weights[rows]
                loss = self._gradients_of(x, y, weights, epoch, place * self.batch)
                if self.plan.has_extras:
                    loss += self._adjust(len(x) if weights is None else float(weights.sum(dtype=float)))
                self.losses[epoch] += loss * len(x) / self.rows
                self._update()
                let_interrupts_strike()

    def _gradients_of(self, x: np.ndarray, y: np.ndarray, weights: np.ndarray | None, epoch: int, first: int) -> float:
        """Fill in the gradients of a batch; its loss. The epoch and the first row say where it stands."""
        layers, predicted = self._forward(x, epoch, first)
        losses, gradient = losses_of(self.plan.objective, predicted, y)
        if weights is None:
            loss, gradient = losses.mean(), gradient / gradient.dtype.type(len(x))
        else:
            total = weights.sum(dtype=float)
            shares = weights * gradient.dtype.type(1 / total if total else 0)
            loss, gradient = losses @ shares, gradient * shares[:, None]
        for i in reversed(range(len(layers))):
            self._differentiate_by_learned(i, gradient, layers[i])
            gradient = gradient * layers[i].slope
            self._gradients.weights[i][...] = gradient.T @ layers[i].inputs
            self._gradients.biases[i][...] = gradient.sum(axis=0)
            if i > 0:
                gradient = gradient @ self.plan.parameters.weights[i]
        return float(loss)

    def _forward(self, x: np.ndarray, epoch: int, first: int) -> tuple[list[_Passed], np.ndarray]:
        """What happens in each layer, and the outputs."""
        parameters, dropout, layers = self.plan.parameters, self.plan.dropout, list[_Passed]()
        for weight, bias, activate, learned in zip(
            parameters.weights, parameters.biases, self._activations, _learned(parameters, self.plan.activations)
        ):
            z = x @ weight.T + bias
            (value, slope), kept = activate(z, *learned), None
            if dropout is not None and len(layers) < len(parameters.weights) - 1:
                kept = dropout.kept(epoch, len(layers), first, *value.shape)
                value, slope = (np.where(kept, a * value.dtype.type(dropout.scale), 0) for a in (value, slope))
            layers.append(_Passed(x, slope, z if learned else None, learned, kept))
            x = value
        return layers, x

    def _differentiate_by_learned(self, i: int, gradient: np.ndarray, layer: _Passed) -> None:
        """Fill in the gradients of what an activation learns, from that of its value: sums over rows and units."""
        dropout = self.plan.dropout
        if dropout is not None and layer.kept is not None:
            gradient = np.where(layer.kept, gradient * gradient.dtype.type(dropout.scale), 0)
        for j, backward in enumerate(self._backward[i]):
            by_element = backward(gradient, layer.preactivation, *layer.learned)
            self._gradients.of_activations[i][j] = by_element.sum(dtype=float)

    def _adjust(self, weight: float) -> float:
        """Change the gradients of a step that counts so much as the settings say; what the penalty adds to the loss."""
        settings, p, g = self.plan.optimizer.settings, self.plan.parameters, self._gradients
        decay, most = settings[Setting.ALPHA] / weight if weight else 0.0, settings[Setting.MAX_NORM]
        squares = 0.0
        for weights, gradient in zip(p.weights, g.weights):
            gradient += weights.dtype.type(decay) * weights
            squares += float(np.square(weights, dtype=float).sum())
        if most:
            norm = np.sqrt(
                sum(np.square(part, dtype=float).sum() for part in (*g.weights, *g.biases, *g.of_activations))
            )
            if most < norm + ABOVE_ZERO:
                g.flat *= g.flat.dtype.type(most / (norm + ABOVE_ZERO))
        return 0.5 * decay * squares

    def _update(self) -> None:
        settings, p, g = self.plan.optimizer.settings, self.plan.parameters.flat, self._gradients.flat
        kind = p.dtype.type
        m, v = self.plan.optimizer.moments, self.plan.optimizer.squares
        rate = kind(settings[Setting.LEARNING_RATE])
        if self.plan.optimizer.kind == Optimizer.ADAMW:
            p *= kind(1 - settings[Setting.LEARNING_RATE] * settings[Setting.WEIGHT_DECAY])
        elif self.plan.optimizer.kind != Optimizer.DIRECT:
            g = g + kind(settings[Setting.WEIGHT_DECAY]) * p
        if self.plan.optimizer.kind == Optimizer.SGD:
            momentum = kind(settings[Setting.MOMENTUM])
            m[...] = momentum * m + g
            g = g + momentum * m if settings[Setting.NESTEROV] else m
        elif self.plan.optimizer.kind in (Optimizer.ADAM, Optimizer.ADAMW):
            settings[[Setting.POWER1, Setting.POWER2]] *= settings[[Setting.BETA1, Setting.BETA2]]
            m += kind(1 - settings[Setting.BETA1]) * (g - m)
            v[...] = kind(settings[Setting.BETA2]) * v + kind(1 - settings[Setting.BETA2]) * g * g
            root = kind(1 / np.sqrt(1 - settings[Setting.POWER2]))
            rate = kind(settings[Setting.LEARNING_RATE] / (1 - settings[Setting.POWER1]))
            g = m / (np.sqrt(v) * root + kind(settings[Setting.EPSILON]))
        p -= rate * g


def losses_of(objective: Objective, predicted: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each row's loss, in float64, and its gradient."""
    if objective.formula is None:
        return _cross_entropy(predicted, y)
    values, gradient = loss_ufunc(objective.name, "numpy")(predicted, y)
    if objective.summed:
        return values.sum(axis=1, dtype=float), gradient
    return values.mean(axis=1, dtype=float), gradient / predicted.dtype.type(values.shape[1])


def _cross_entropy(logits: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    shifted = logits - logits.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    sums = exponentials.sum(axis=1, keepdims=True)
    if y.ndim == 1:
        y = y[:, None] == np.arange(logits.shape[1])
    weights = y.sum(axis=1, keepdims=True, dtype=logits.dtype)
    wanted = np.where(y == 0, 0, shifted * y)  # minus infinity is none where none is wanted
    losses = weights * np.log(sums) - wanted.sum(axis=1, keepdims=True)
    return losses[:, 0].astype(float), exponentials / sums * weights - y


def _loop(activation: Activation, kind: str, backend: str, names: list[str]) -> np.ufunc:
    """What computes an activation; if it learns parameters of these names, of an array and of all its parameters."""
    return activation.ufunc(kind, backend, fixed=not names)


def _learned(parameters: Parameters, activations: Sequence[Activation]) -> list[list[Any]]:
    """For each layer what its loop is given besides an array: nothing, or all parameters of the activation."""
    learned = zip(activations, parameters.learned, parameters.of_activations)
    return [list((a.beginning() | dict(zip(names, values))).values()) if names else [] for a, names, values in learned]


def predict(parameters: Parameters, activations: Sequence[Activation], x: np.ndarray, backend: str) -> np.ndarray:
    """The network's outputs."""
    loops = [_loop(a, "value", backend, names) for a, names in zip(activations, parameters.learned)]
    layers = zip(parameters.weights, parameters.biases, loops, _learned(parameters, activations))
    with np.errstate(all="ignore"):
        for weight, bias, loop, learned in layers:
            x = loop(x @ weight.T + bias, *learned)
    return x

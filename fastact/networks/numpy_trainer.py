"""Training and prediction in NumPy: the fallback, with the formulas, the order of rows and the updates of the
compiled trainer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastact.catalogue import Activation
from fastact.networks.objectives import Objective, loss_ufunc
from fastact.networks.plan import Parameters, Plan, Trainer
from fastact.runtime.interrupts import interrupts_on_request
from fastact.simd.layout import ABOVE_ZERO, Optimizer, Setting

__all__ = ["NumpyTrainer", "losses_of", "predict"]


class NumpyTrainer(Trainer):
    """Takes steps in NumPy."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._gradients = Parameters(plan.parameters.sizes, plan.x.dtype)

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
        parameters, dropout = self.plan.parameters, self.plan.dropout
        inputs, slopes = [x], list[np.ndarray]()
        for weight, bias, activation in zip(parameters.weights, parameters.biases, self.plan.activations):
            value, slope = activation.ufunc("with_derivative", "numpy", fixed=True)(inputs[-1] @ weight.T + bias)
            if dropout is not None and len(inputs) < len(parameters.weights):
                kept = dropout.kept(epoch, len(slopes), first, *value.shape)
                value, slope = (np.where(kept, a * value.dtype.type(dropout.scale), 0) for a in (value, slope))
            inputs.append(value)
            slopes.append(slope)
        losses, gradient = losses_of(self.plan.objective, inputs.pop(), y)
        if weights is None:
            loss, gradient = losses.mean(), gradient / gradient.dtype.type(len(x))
        else:
            total = weights.sum(dtype=float)
            shares = weights * gradient.dtype.type(1 / total if total else 0)
            loss, gradient = losses @ shares, gradient * shares[:, None]
        for i in reversed(range(len(slopes))):
            gradient = gradient * slopes[i]
            self._gradients.weights[i][...] = gradient.T @ inputs[i]
            self._gradients.biases[i][...] = gradient.sum(axis=0)
            if i > 0:
                gradient = gradient @ parameters.weights[i]
        return float(loss)

    def _adjust(self, weight: float) -> float:
        """Change the gradients of a step that counts so much as the settings say; what the penalty adds to the loss."""
        settings, p, g = self.plan.optimizer.settings, self.plan.parameters, self._gradients
        decay, most = settings[Setting.ALPHA] / weight if weight else 0.0, settings[Setting.MAX_NORM]
        squares = 0.0
        for weights, gradient in zip(p.weights, g.weights):
            gradient += weights.dtype.type(decay) * weights
            squares += float(np.square(weights, dtype=float).sum())
        if most:
            norm = np.sqrt(sum(np.square(part, dtype=float).sum() for part in (*g.weights, *g.biases)))
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


def predict(parameters: Parameters, activations: Sequence[Activation], x: np.ndarray) -> np.ndarray:
    """The network's outputs."""
    with np.errstate(all="ignore"):
        for weight, bias, activation in zip(parameters.weights, parameters.biases, activations):
            x = activation.ufunc("value", "numpy", fixed=True)(x @ weight.T + bias)
    return x

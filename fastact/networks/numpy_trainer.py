"""Training and prediction in NumPy: the fallback, with the formulas, the order of rows and the updates of the
compiled trainer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastact.catalogue import Activation
from fastact.networks.objectives import loss_ufunc
from fastact.networks.plan import Parameters, Plan, Trainer
from fastact.runtime.interrupts import interrupts_on_request
from fastact.simd.layout import Optimizer, Setting

__all__ = ["NumpyTrainer", "predict"]


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
                self.losses[epoch] += self._gradients_of(x, y) * len(x) / self.rows
                self._update()
                let_interrupts_strike()

    def _gradients_of(self, x: np.ndarray, y: np.ndarray) -> float:
        """Fill in the gradients of a batch; its loss."""
        parameters = self.plan.parameters
        inputs, slopes = [x], []
        for weight, bias, activation in zip(parameters.weights, parameters.biases, self.plan.activations):
            value, slope = activation.ufunc("with_derivative", "numpy", fixed=True)(inputs[-1] @ weight.T + bias)
            inputs.append(value)
            slopes.append(slope)
        loss, gradient = self._loss(inputs.pop(), y)
        for i in reversed(range(len(slopes))):
            gradient = gradient * slopes[i]
            self._gradients.weights[i][...] = gradient.T @ inputs[i]
            self._gradients.biases[i][...] = gradient.sum(axis=0)
            if i > 0:
                gradient = gradient @ parameters.weights[i]
        return loss

    def _loss(self, predicted: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
        objective = self.plan.objective
        if objective.formula is None:
            return _cross_entropy(predicted, y)
        values, gradient = loss_ufunc(objective.name, "numpy")(predicted, y)
        return float(values.mean(dtype=float)), gradient / predicted.dtype.type(gradient.size)

    def _update(self) -> None:
        settings, p, g = self.plan.optimizer.settings, self.plan.parameters.flat, self._gradients.flat
        kind = p.dtype.type
        m, v = self.plan.optimizer.moments, self.plan.optimizer.squares
        rate = kind(settings[Setting.LEARNING_RATE])
        if self.plan.optimizer.kind != Optimizer.DIRECT:
            g = g + kind(settings[Setting.WEIGHT_DECAY]) * p
        if self.plan.optimizer.kind == Optimizer.SGD:
            momentum = kind(settings[Setting.MOMENTUM])
            m[...] = momentum * m + g
            g = g + momentum * m if settings[Setting.NESTEROV] else m
        elif self.plan.optimizer.kind == Optimizer.ADAM:
            settings[[Setting.POWER1, Setting.POWER2]] *= settings[[Setting.BETA1, Setting.BETA2]]
            m += kind(1 - settings[Setting.BETA1]) * (g - m)
            v[...] = kind(settings[Setting.BETA2]) * v + kind(1 - settings[Setting.BETA2]) * g * g
            root = kind(1 / np.sqrt(1 - settings[Setting.POWER2]))
            rate = kind(settings[Setting.LEARNING_RATE] / (1 - settings[Setting.POWER1]))
            g = m / (np.sqrt(v) * root + kind(settings[Setting.EPSILON]))
        p -= rate * g


def _cross_entropy(logits: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    shifted = logits - logits.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    sums = exponentials.sum(axis=1, keepdims=True)
    if y.ndim == 1:
        y = y[:, None] == np.arange(logits.shape[1])
    weights = y.sum(axis=1, keepdims=True, dtype=logits.dtype)
    wanted = np.where(y == 0, 0, shifted * y)  # minus infinity is none where none is wanted
    losses = weights * np.log(sums) - wanted.sum(axis=1, keepdims=True)
    gradient = (exponentials / sums * weights - y) / logits.dtype.type(len(logits))
    return float(losses.mean(dtype=float)), gradient


def predict(parameters: Parameters, activations: Sequence[Activation], x: np.ndarray) -> np.ndarray:
    """The network's outputs."""
    with np.errstate(all="ignore"):
        for weight, bias, activation in zip(parameters.weights, parameters.biases, activations):
            x = activation.ufunc("value", "numpy", fixed=True)(x @ weight.T + bias)
    return x

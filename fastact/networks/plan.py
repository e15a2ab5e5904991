"""What a trainer is given and what both of them share: parameters in one run, epochs, the order of rows.

There are two: :class:`fastact.networks.trainer.CompiledTrainer` and, with the same formulas in NumPy,
:class:`fastact.networks.numpy_trainer.NumpyTrainer`. Both take steps on the arrays of a plan, in place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from time import perf_counter
from typing import Any

import numpy as np

from fastact.catalogue import Activation
from fastact.networks.dropout import Dropout
from fastact.networks.objectives import Objective
from fastact.runtime.numpy_api import address
from fastact.simd.layout import SLACK, Optimizer, Setting

__all__ = ["LastFinite", "OptimizerState", "Parameters", "Plan", "Trainer", "all_finite", "asks_for_extras", "room"]

#: Seconds of work between two looks at whether the user has pressed Ctrl-C.
SLICE = 0.05

#: Work in the first slice, in multiplications, a step counting as a thousand and its own: some milliseconds.
FIRST_SLICE = 5e7

#: Entries in a table of row orders: enough for many epochs of few rows.
ORDER_TABLE = 65_536


def room(count: int, dtype: Any) -> np.ndarray:
    """So many zeros, aligned to a cache line, with memory behind them that vectors may read."""
    size = np.dtype(dtype).itemsize
    memory = np.zeros(count * size + SLACK + 64, np.uint8)
    start = -address(memory) % 64
    result: np.ndarray = memory[start : start + count * size].view(dtype)
    return result


#: Numbers that are looked at together: what is found out of each then stays in the cache.
FINITE_BLOCK = 65_536


def all_finite(array: np.ndarray) -> bool:
    """Whether all numbers are finite."""
    if array.size <= FINITE_BLOCK:
        return bool(np.logical_and.reduce(np.isfinite(array), axis=None))
    flat = array.reshape(-1)
    parts = (flat[start : start + FINITE_BLOCK] for start in range(0, flat.size, FINITE_BLOCK))
    return all(np.logical_and.reduce(np.isfinite(part)) for part in parts)


class Parameters:
    """All weights and biases of a network in one array, layer by layer; then what activations learn.

    A weight lies in memory as (inputs, outputs), the order in which products read it; ``weights`` shows it as
    (outputs, inputs). ``learned`` names the parameters of each layer's activation that are trained too.
    """

    def __init__(self, sizes: Sequence[int], dtype: np.dtype, learned: Sequence[Sequence[str]]) -> None:
        self.sizes, self.dtype, self.learned = list(sizes), dtype, [list(names) for names in learned]
        shapes = list(pairwise(sizes))
        aligned = 64 // dtype.itemsize
        counts = [n for inputs, outputs in shapes for n in (inputs * outputs, outputs)]
        counts += map(len, self.learned)
        starts = np.cumsum([0, *(-(-n // aligned) * aligned for n in counts)])
        self.flat = room(int(starts[-1]), dtype)
        parts = [self.flat[start : start + n] for start, n in zip(starts, counts)]
        layers, self.of_activations = parts[: 2 * len(shapes)], parts[2 * len(shapes) :]
        self.stored_weights = [part.reshape(shape) for part, shape in zip(layers[::2], shapes)]
        self.weights = [stored.T for stored in self.stored_weights]
        self.biases = layers[1::2]

    def draw(self, random: np.random.Generator) -> None:
        """Initial values, as in ``torch.nn.Linear``: uniform between plus and minus ``1 / sqrt(inputs)``."""
        for weight, bias in zip(self.weights, self.biases):
            bound = 1 / np.sqrt(weight.shape[1])
            weight[...] = random.uniform(-bound, bound, weight.shape)
            bias[...] = random.uniform(-bound, bound, bias.shape)

    def by_name(self) -> list[dict[str, float]]:
        """What the activation of each layer has learned."""
        return [dict(zip(names, values.tolist())) for names, values in zip(self.learned, self.of_activations)]

    def finite(self) -> bool:
        """Whether all of them are; what lies between them does not matter."""
        parts = (*self.stored_weights, *self.biases, *self.of_activations)
        return all_finite(self.flat) or all(map(all_finite, parts))


@dataclass
class OptimizerState:
    """An optimizer's numbers (by :class:`fastact.simd.layout.Setting`) and what it remembers of earlier steps."""

    kind: int
    settings: np.ndarray
    moments: np.ndarray
    squares: np.ndarray
    epochs: int = 0  # that lie behind, for schedules,
    slowness: float = 1.0  # and what "adaptive" multiplies the learning rate with

    @classmethod
    def fresh(cls, kind: int, settings: dict[int, float], parameters: Parameters) -> OptimizerState:
        numbers = np.zeros(Setting.SIZE)
        numbers[[Setting.POWER1, Setting.POWER2]] = 1.0
        count, dtype = parameters.flat.size, parameters.flat.dtype
        moments = room(0 if kind == Optimizer.DIRECT else count, dtype)
        squares = room(count if kind in (Optimizer.ADAM, Optimizer.ADAMW) else 0, dtype)
        state = cls(kind, numbers, moments, squares)
        state.adopt(settings)
        return state

    def adopt(self, settings: dict[int, float]) -> None:
        for slot, value in settings.items():
            self.settings[slot] = value


def asks_for_extras(kind: int, settings: Any) -> bool:
    """Whether an optimizer does, with these settings."""
    return bool(kind == Optimizer.ADAMW or settings[Setting.ALPHA] or settings[Setting.MAX_NORM])


@dataclass
class Plan:
    """A network, data, and how to go through them."""

    parameters: Parameters
    activations: list[Activation]
    objective: Objective
    x: Any  # (rows, inputs), contiguous, in the network's type; or SparseRows of them
    y: np.ndarray  # (rows, outputs) likewise, or (rows,) labels
    batch: int
    epochs: int
    optimizer: OptimizerState
    shuffle: np.random.Generator | None
    weights: np.ndarray | None = None  # (rows,) in the network's type: what each row counts
    dropout: Dropout | None = None

    @property
    def has_extras(self) -> bool:
        """Whether steps do more than compute gradients and hand them to SGD or Adam."""
        of_rows = self.weights is not None or self.dropout is not None
        return of_rows or asks_for_extras(self.optimizer.kind, self.optimizer.settings)


class LastFinite:
    """What training changes, as it was when all weights were last known to be finite."""

    def __init__(self, plan: Plan) -> None:
        state = plan.optimizer
        self._parameters = plan.parameters
        self._changing = [plan.parameters.flat, state.settings, state.moments, state.squares]
        self._kept: list[np.ndarray] = []
        self.note()

    def note(self) -> None:
        if self._parameters.finite():
            self._kept = [array.copy() for array in self._changing]

    def restore(self) -> None:
        for array, kept in zip(self._changing, self._kept):
            array[...] = kept


class Trainer:
    """Where training stands. ``take(steps)`` goes on from there; ``losses`` fills up with each epoch's mean."""

    small = False  # whether it can begin anew with other data, and holds little memory

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.rows = len(plan.x)
        self.batch = min(plan.batch, self.rows)
        self.epoch = 0
        self.step = 0  # in the epoch
        self.steps_per_epoch = -(-self.rows // self.batch)
        self.losses = np.zeros(plan.epochs)
        # A batch of all rows is the same in any order.
        self._shuffle = plan.shuffle if self.batch < self.rows else None
        self.order: np.ndarray | None = None
        self.order_first = 0

    def serves(self, x: Any, y: np.ndarray) -> bool:
        """Whether it could begin anew with these."""
        return False

    def begin(self, x: np.ndarray, y: np.ndarray) -> None:
        """Stand where training begins, with data that it serves."""
        raise NotImplementedError

    def _ordered_epochs(self) -> int:
        """The epoch up to which the order of rows is known; at the start of a new one more is drawn."""
        if self._shuffle is None:
            return self.plan.epochs
        if self.order is None or self.epoch >= self.order_first + len(self.order):
            count = min(max(1, ORDER_TABLE // self.rows), self.plan.epochs - self.epoch)
            self.order = self._shuffle.permuted(np.tile(np.arange(self.rows), (count, 1)), axis=1)
            self.order_first = self.epoch
        return self.order_first + len(self.order)

    def take(self, steps: int) -> int:
        """Take up to so many steps; how many it was."""
        ahead = (self._ordered_epochs() - self.epoch) * self.steps_per_epoch - self.step
        steps = min(steps, ahead)
        self._take(steps)
        self.step += steps
        self.epoch += self.step // self.steps_per_epoch
        self.step %= self.steps_per_epoch
        return steps

    def _take(self, steps: int) -> None:
        raise NotImplementedError

    def _cut_at_nan(self, since: int) -> bool:
        """Whether the loss of an epoch since then is no number; those after it are forgotten."""
        losses = self.losses[since : self.epoch]
        lowest = float(np.minimum.reduce(losses))
        if lowest == lowest:
            return False
        self.epoch = since + int(np.isnan(losses).argmax()) + 1
        return True

    def run(self, progress: bool, after_epoch: Callable[[], bool] | None) -> None:
        """Take all steps, as many at a time as leave room for Ctrl-C, a progress bar and what is to be called after
        each epoch, which ends training if it returns True. So does an epoch whose loss is no number."""
        epochs, bar = self.plan.epochs, None
        if progress:
            from fastact.runtime.progress import progress_bar

            bar = progress_bar(total=epochs, unit="epoch")
        steps = max(1, int(FIRST_SLICE / (6 * self.plan.parameters.flat.size * self.batch + 1000)))
        try:
            while self.epoch < epochs:
                epoch, start = self.epoch, perf_counter()
                taken = self.take(min(steps, self.steps_per_epoch - self.step) if after_epoch else steps)
                steps = max(1, int(taken * min(8.0, SLICE / max(perf_counter() - start, 1e-9))))
                if self.epoch == epoch:
                    continue
                diverged = self._cut_at_nan(epoch)
                if bar is not None:
                    bar.set_postfix(loss=f"{self.losses[self.epoch - 1]:.4g}", refresh=False)
                    bar.update(self.epoch - epoch)
                if (after_epoch and after_epoch()) or diverged:
                    break
        finally:
            if bar is not None:
                bar.close()

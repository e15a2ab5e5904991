"""One call of ``fit``: what is gone through, and what happens after each epoch."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastact.networks.checks import inputs_of, row_weights_of, settings_of, targets_of, validation_of
from fastact.networks.computing import predict, trainer_of
from fastact.networks.dropout import Dropout
from fastact.networks.kept import Curve
from fastact.networks.numpy_trainer import losses_of
from fastact.networks.plan import LastFinite, OptimizerState, Plan, asks_for_extras
from fastact.networks.schedules import LEAST_RATE, SCHEDULES, SLOWDOWN
from fastact.networks.sparse import SparseRows
from fastact.simd.layout import Optimizer, Setting

__all__ = ["Fitting", "Patience", "Wishes"]


@dataclass
class Wishes:
    """What a call of ``fit`` asks for besides the network's settings."""

    passes: int | None = None  # epochs, going on from where training stands; None: the network's own, anew
    progress: bool = False
    verbose: bool = False
    callback: Callable[[Any, int, float], object] | None = None
    keep_finite: bool = False
    sample_weight: Any = None
    validation_data: Any = None
    watched: Callable[[], float] | None = None  # what early stopping watches, the lower the better; None: the loss


class Patience:
    """For how many epochs a number has not come down by ``tol``."""

    def __init__(self, tol: float, epochs: float) -> None:
        self.tol, self.epochs = tol, epochs
        self.best, self.waited = np.inf, 0

    def note(self, value: float) -> bool:
        """Whether it has never been lower."""
        self.waited = self.waited + 1 if value > self.best - self.tol else 0
        lowest = value < self.best
        self.best = value if lowest else self.best
        return lowest

    @property
    def at_an_end(self) -> bool:
        return self.waited > self.epochs


class Fitting:
    """A network in training."""

    def __init__(self, network: Any, x: Any, y: Any, wishes: Wishes) -> None:
        self._settings = activations, objective, kind, settings = settings_of(network)
        x_ready = inputs_of(x, network.sizes[0], network.dtype)
        targets = targets_of(y, len(x_ready), network.sizes[-1], objective, network.dtype)
        weights = row_weights_of(wishes.sample_weight, len(x_ready), network.dtype)
        self._validation = validation_of(wishes.validation_data, network, objective)
        if weights is not None and kind == Optimizer.DIRECT:
            kind = Optimizer.SGD
        network._collect()
        self.network, self._wishes, self._weighted = network, wishes, weights is not None
        self._begin(kind, settings)
        network._flat = np.ndim(y) == 1
        self._objective, output = objective.with_output(activations[-1])
        dropout = Dropout(network.dropout, int(network._random.integers(2**62))) if network.dropout else None
        if isinstance(x_ready, SparseRows) and len(x_ready) <= (network.batch_size or len(x_ready)):
            x_ready = x_ready[:]  # each step would need all rows
        plan = Plan(
            network._parameters, [*activations[:-1], output], self._objective, x_ready, targets,
            network.batch_size or len(x_ready), wishes.passes or network.epochs, network._state,
            network._random if network.shuffle else None, weights, dropout,
        )  # fmt: skip
        self._trainer, self._last_finite = trainer_of(network, plan), LastFinite(plan) if wishes.keep_finite else None
        self._start()

    def _start(self) -> None:
        """As of a call that has not yet seen anything."""
        network = self.network
        self._patience = Patience(network.tol, network.n_iter_no_change) if network.early_stopping else None
        self._best: np.ndarray | None = None
        self._finite, self.stopped = True, False  # stopped: training ended because it no longer got anywhere
        self._set_rate()

    def _begin(self, kind: int, settings: dict[int, float]) -> None:
        """The optimizer as it is to go on, and the curves that grow."""
        network, passes = self.network, self._wishes.passes
        before = network._state if passes else None
        if before is None or before.kind != kind:
            network._state = OptimizerState.fresh(kind, settings, network._parameters)
            if before is not None:  # schedules go on, although the optimizer is another
                network._state.epochs, network._state.slowness = before.epochs, before.slowness
        network._state.adopt(settings)
        if not passes:
            network.loss_curve_, network.validation_curve_ = np.zeros(0), np.zeros(0)
        self._go_on_with_curve()

    def _go_on_with_curve(self) -> None:
        network = self.network
        if network.loss_curve_ is not network._kept.curve.values:
            network._kept.curve = Curve(network.loss_curve_)
        self._curve = network._kept.curve
        self._curve.go_on()

    @property
    def small(self) -> bool:
        """Whether little memory is held by what could begin anew with other data."""
        return self._trainer.small

    def goes_on(self, network: Any, x: Any, y: Any) -> bool:
        """Whether it could begin anew, because only the data are others and have the shapes of those before."""
        settings, plan = settings_of(network), self._trainer.plan
        if settings is not self._settings or network._state is not plan.optimizer:
            return False
        x = inputs_of(x, network.sizes[0], network.dtype)
        targets = targets_of(y, len(x), network.sizes[-1], settings[1], network.dtype)
        if not self._trainer.serves(x, targets):
            return False
        network._collect()
        self.network, network._flat = network, np.ndim(y) == 1
        self._trainer.begin(x, targets)
        self._go_on_with_curve()
        self._start()
        return True

    def run(self) -> Fitting:
        """Train."""
        network, trainer = self.network, self._trainer
        try:
            trainer.run(self._wishes.progress, self._after_epoch if self._looks_on() else None)
        finally:
            self._note_losses()
            network._state.epochs += trainer.epoch
            if self._best is not None:
                network._parameters.flat[...] = self._best
            finite = network._parameters.finite()
            if self._last_finite and not finite:
                self._last_finite.restore()
            network._show_learned()
        self._finite = finite
        return self

    @property
    def rows(self) -> int:
        return self._trainer.rows

    @property
    def losses(self) -> np.ndarray:
        """The mean loss of each epoch so far."""
        return self._trainer.losses[: self._trainer.epoch]

    def _looks_on(self) -> bool:
        """Whether there is anything to be done after each epoch."""
        wishes, network = self._wishes, self.network
        asked = wishes.callback or wishes.verbose or self._last_finite or self._validation or self._patience
        return bool(asked) or network.schedule != "constant"

    # -- after an epoch -------------------------------------------------------------------------------

    def _after_epoch(self) -> bool:
        """What is to be done; whether training ends."""
        wishes = self._wishes
        self._note_losses()
        self.network._show_learned()
        self._validate()
        if wishes.verbose:
            self._print()
        ends = bool(wishes.callback) and self._report()
        if self._last_finite:
            self._last_finite.note()
        if self._patience:
            ends = self._is_at_an_end(self._patience) or ends
        self._set_rate()
        return ends

    def _note_losses(self) -> None:
        self.network.loss_curve_ = self._curve.show(self.losses)

    def _validate(self) -> None:
        if self._validation is None:
            return
        x, targets = self._validation
        with np.errstate(all="ignore"):
            losses, _ = losses_of(self._objective, predict(self.network, x, self._trainer.plan.activations), targets)
        self.network.validation_curve_ = np.append(self.network.validation_curve_, losses.mean())

    def _print(self) -> None:
        network = self.network
        line = f"epoch {len(network.loss_curve_)}: loss {network.loss_curve_[-1]:.6g}"
        print(line + (f", validation loss {network.validation_curve_[-1]:.6g}" if self._validation else ""))

    def _report(self) -> bool:
        """To the callback; True ends training. What it has set is taken over."""
        network, trainer, optimizer = self.network, self._trainer, self._trainer.plan.optimizer
        assert self._wishes.callback
        answer = self._wishes.callback(network, trainer.epoch - 1, float(trainer.losses[trainer.epoch - 1]))
        _, _, kind, settings = settings_of(network)
        if self._weighted and kind == Optimizer.DIRECT:
            kind = Optimizer.SGD
        new_extras = asks_for_extras(kind, _by_slot(settings)) and not trainer.plan.has_extras
        if kind != optimizer.kind or new_extras:
            raise ValueError(
                "a callback can change the optimizer's numbers, but neither the optimizer, nor set momentum or "
                "weight_decay where all of these were 0, nor all to 0, nor ask for alpha or max_grad_norm where there "
                "was neither"
            )
        optimizer.adopt(settings)
        network._collect()
        return isinstance(answer, (bool, np.bool_)) and bool(answer)

    def _is_at_an_end(self, patience: Patience) -> bool:
        """Whether training no longer gets anywhere, at its lowest rate."""
        network, state, watched = self.network, self.network._state, self._wishes.watched
        curve = network.loss_curve_ if self._validation is None else network.validation_curve_
        lowest = patience.note(watched() if watched else curve[-1])
        if lowest and (watched or self._validation):
            self._best = network._parameters.flat.copy()
        if not patience.at_an_end:
            return False
        if network.schedule != "adaptive" or network.learning_rate * state.slowness <= LEAST_RATE:
            self.stopped = True
            return True
        state.slowness /= SLOWDOWN
        patience.waited = 0
        return False

    def _set_rate(self) -> None:
        """Of the epoch that comes next."""
        network, state, trainer = self.network, self.network._state, self._trainer
        factor = SCHEDULES[network.schedule](network, state.epochs + trainer.epoch, trainer.rows)
        state.settings[Setting.LEARNING_RATE] = network.learning_rate * factor * state.slowness

    def warn_of_divergence(self) -> None:
        """If training has diverged; in the name of whoever called ``fit``."""
        network = self.network
        if not self._trainer.epoch:
            return
        loss = float(network.loss_curve_[-1])
        if self._finite and loss == loss:
            return
        weights = "" if self._finite else ", and weights are not finite"
        if self._last_finite and network._parameters.finite():
            weights = ", and weights are back at the last epoch that left them finite"
        message = f"training diverged: the last epoch's mean loss is {loss:g}{weights}; try a lower learning_rate"
        warnings.warn(message, RuntimeWarning, stacklevel=3)


def _by_slot(settings: dict[int, float]) -> np.ndarray:
    numbers = np.zeros(Setting.SIZE)
    numbers[list(settings)] = list(settings.values())
    return numbers

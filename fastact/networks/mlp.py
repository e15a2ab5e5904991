"""Small networks, trained in compiled code."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastact.catalogue import ACTIVATIONS, Activation
from fastact.functions.offered import FUNCTIONS
from fastact.networks.checks import (
    beginnings,
    checked,
    holds,
    inputs_of,
    objective_of,
    settings_of,
    sizes_of,
    take_over,
    targets_of,
)
from fastact.networks.choices import LossName, OptimizerName, ScheduleName
from fastact.networks.computing import predict
from fastact.networks.fitting import Fitting, Wishes
from fastact.networks.kept import Kept
from fastact.networks.plan import OptimizerState, Parameters
from fastact.runtime.backends import backend

__all__ = ["MLP"]


class MLP:
    """A network of dense layers (a multilayer perceptron), trained by gradient descent in one compiled call.

    Each layer computes ``activation(x @ weight.T + bias)``. Whole epochs run without returning to Python, in
    buffers made once per call; nothing is compiled for a network's sizes.

    Parameters
    ----------
    sizes : sequence of int
        Numbers of inputs, of units in each hidden layer, and of outputs.
    activation : str or Activation, or a list with one per hidden layer, default "relu"
        A name in ``fastact.ACTIVATIONS`` or one made by ``fastact.activation``; parameters have their defaults.
    output_activation : str or Activation, default "identity"
    loss : str, default "mse"
        ``"mse"``, ``"l1"``, ``"huber"``, ``"binary_cross_entropy"`` (outputs are probabilities),
        ``"binary_cross_entropy_with_logits"`` or ``"cross_entropy"`` (outputs are logits; targets are labels or
        probabilities): torch's, averaged. ``"sigmoid"`` under ``"binary_cross_entropy"`` is trained from its logits.
        ``"squared_error"`` (half of it) and ``"log_loss"`` (of logits) are scikit-learn's: averaged over rows, summed
        over outputs.
    optimizer : {"sgd", "adam", "adamw"}, default "sgd"
        torch.optim's ``SGD``, ``Adam`` or ``AdamW``.
    learning_rate : float, default 0.001
    batch_size : int or None, default 32
        Rows per step; None for all.
    epochs : int, default 100
        How often ``fit`` goes through the data.
    shuffle : bool, default True
        Whether each epoch takes the rows in a new order.
    dtype : {"float32", "float64"}, default "float32"
    random_state : int, numpy.random.Generator or None, default None
        Of the initial weights and of shuffling. The same seed gives the same network, bit for bit, with the same number
        of threads on the same machine.
    momentum, weight_decay : float, default 0.0
    nesterov : bool, default False
        Of ``"sgd"``, as is momentum; ``weight_decay`` is an L2 penalty of all that is trained for ``"sgd"`` and
        ``"adam"``, and is taken from the parameters themselves by ``"adamw"``.
    betas : pair of float, default (0.9, 0.999)
    eps : float, default 1e-8
        Of ``"adam"`` and ``"adamw"``.
    alpha : float, default 0.0
        An L2 penalty of weights alone, scikit-learn's: ``alpha / 2`` times the sum of their squares, divided by the
        step's rows, is added to the loss.
    max_grad_norm : float or None, default None
        What the gradient is cut short to if its norm over all parameters is larger (torch's ``clip_grad_norm_``).
    schedule : {"constant", "step", "cosine", "invscaling", "adaptive"}, default "constant"
        The learning rate of each epoch: every ``step_size`` epochs times ``gamma``; half a cosine down to 0 at
        ``epochs``; divided by ``(1 + rows so far) ** power_t``; divided by 5 instead of stopping early, down to 1e-6.
    step_size : int, default 30
    gamma : float, default 0.1
    power_t : float, default 0.5
        Of schedules.
    early_stopping : bool, default False
        Whether training ends once the loss, of validation data if there are any, has not come down by ``tol`` for more
        than ``n_iter_no_change`` epochs; with validation data, weights are then those of the lowest such loss.
    tol : float, default 0.0001
    n_iter_no_change : int, default 10
        Of ``early_stopping``.
    dropout : float, default 0.0
        The share of hidden units that each row leaves out in training, others in each epoch; the rest are multiplied
        by ``1 / (1 - dropout)``.
    learn_parameters : bool, default False
        Whether the parameters of activations, those of one's own included, are trained with the weights: a number for
        each parameter and layer, which begins with its default, prelu's weight with torch's 0.25. Steps of such a
        network are not compiled as a whole: Python goes from layer to layer, with NumPy's matrix products and compiled
        activations.

    Attributes
    ----------
    weights, biases : list of ndarray
        Of each layer, in shapes (outputs, inputs) and (outputs,). Entries can be replaced or changed. Initially
        both are uniform between plus and minus ``1 / sqrt(inputs)``, as in ``torch.nn.Linear``.
    activation_parameters_ : list of dict
        With ``learn_parameters``, the numbers that each layer's activation has by now for its parameters; else empty
        dicts. Entries can be replaced or changed.
    loss_curve_ : ndarray
        The mean loss of each epoch.
    validation_curve_ : ndarray
        The mean loss of validation data after each epoch.

    Raises
    ------
    TypeError, ValueError
        For settings that make no sense, here; for data that does not fit, in ``fit`` and the others, before anything
        has changed.

    See Also
    --------
    fastact.fallback.MLP : the same in NumPy.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> x, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 0, 0, 1])
    >>> gate = fastact.MLP([2, 1], output_activation="sigmoid", learning_rate=0.1, batch_size=None, epochs=10_000)
    >>> gate.weights[0], gate.biases[0] = np.ones((1, 2)), np.ones(1)
    >>> gate.fit(x, y).weights[0].round(2)
    array([[4.65, 4.65]], dtype=float32)
    """

    _backend: str | None = None  # the one in use
    _state: OptimizerState | None = None
    _flat = False  # whether fit was given targets of one dimension
    _learned: list[list[str]] | None = None  # which parameters each layer's activation learns; None: not yet known

    weights: list[Any]
    biases: list[Any]

    def __init__(
        self,
        sizes: Sequence[int],
        activation: str | Activation | Sequence[str | Activation] = "relu",
        output_activation: str | Activation = "identity",
        loss: LossName = "mse",
        optimizer: OptimizerName = "sgd",
        learning_rate: float = 1e-3,
        batch_size: int | None = 32,
        epochs: int = 100,
        shuffle: bool = True,
        dtype: DTypeLike = "float32",
        random_state: int | np.random.Generator | None = None,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        alpha: float = 0.0,
        max_grad_norm: float | None = None,
        schedule: ScheduleName = "constant",
        step_size: int = 30,
        gamma: float = 0.1,
        power_t: float = 0.5,
        early_stopping: bool = False,
        tol: float = 1e-4,
        n_iter_no_change: int = 10,
        dropout: float = 0.0,
        learn_parameters: bool = False,
    ) -> None:
        self.sizes = sizes_of(sizes)
        self.activation, self.output_activation, self.loss = activation, output_activation, loss
        self.optimizer, self.learning_rate = optimizer, learning_rate
        self.batch_size, self.epochs, self.shuffle = batch_size, epochs, shuffle
        self.dtype = np.dtype(checked("dtype", getattr(np.dtype(dtype), "name", dtype), ("float32", "float64")))
        self.random_state = random_state
        self.momentum, self.nesterov, self.weight_decay = momentum, nesterov, weight_decay
        self.betas, self.eps, self.alpha, self.max_grad_norm = betas, eps, alpha, max_grad_norm
        self.schedule, self.step_size, self.gamma, self.power_t = schedule, step_size, gamma, power_t
        self.early_stopping, self.tol, self.n_iter_no_change = early_stopping, tol, n_iter_no_change
        self.dropout, self.learn_parameters = dropout, learn_parameters
        self._kept = Kept()
        activations, *_ = settings_of(self)
        self.activation_parameters_ = beginnings(self, activations)
        self._learned = list(map(list, self.activation_parameters_))
        self._random = np.random.default_rng(random_state)
        self._parameters = Parameters(self.sizes, self.dtype, self._learned)
        self._parameters.draw(self._random)
        self.weights, self.biases = list(self._parameters.weights), list(self._parameters.biases)
        self.loss_curve_, self.validation_curve_ = np.zeros(0), np.zeros(0)

    # -- training -----------------------------------------------------------------------------------

    def fit(
        self,
        x: Any,
        y: Any,
        progress: bool = False,
        callback: Callable[[MLP, int, float], object] | None = None,
        keep_finite: bool = False,
        sample_weight: ArrayLike | None = None,
        validation_data: tuple[Any, Any] | None = None,
        verbose: bool = False,
    ) -> MLP:
        """Train for ``epochs`` epochs, from the weights as they are.

        Ctrl-C stops between two batches and leaves the weights as they were then. An epoch whose mean loss is NaN is
        the last.

        Parameters
        ----------
        x : array_like, shape (rows, inputs), or a sparse matrix of SciPy's, made dense some batches at a time
        y : array_like, shape (rows, outputs), or (rows,) for one output or for labels
        progress : bool, default False
            Whether to show a progress bar.
        callback : callable, optional
            Called after each epoch with this network, the epoch's number from 0 and its mean loss. If it returns
            True, training ends. Weights, biases, ``learning_rate``, ``momentum``, ``weight_decay``, ``betas``,
            ``eps``, ``alpha`` and ``max_grad_norm`` that it sets hold from the next batch on, other settings from the
            next call of ``fit``.
        keep_finite : bool, default False
            Whether, if training diverges, weights and optimizer go back to where they were after the last epoch that
            left all weights finite.
        sample_weight : array_like, shape (rows,), optional
            What each row counts. A step's loss is then the sum of what rows lose, each times its weight, divided by the
            sum of these weights.
        validation_data : pair of array_like, optional
            Inputs and targets whose loss ``validation_curve_`` holds after each epoch.
        verbose : bool, default False
            Whether to print each epoch's loss.

        Returns
        -------
        MLP
            This network.

        Warns
        -----
        RuntimeWarning
            If training diverges: the loss is NaN, or weights are not finite in the end.

        Raises
        ------
        TypeError, ValueError
            If x, y or a weight that was set does not fit the network.
        """
        wishes = Wishes(None, progress, verbose, callback, keep_finite, sample_weight, validation_data)
        Fitting(self, x, y, wishes).run().warn_of_divergence()
        return self

    def partial_fit(self, x: Any, y: Any, keep_finite: bool = False, sample_weight: ArrayLike | None = None) -> MLP:
        """Go through the data once, from the weights and the optimizer's state as they are.

        Parameters, warnings and errors are those of :meth:`fit`; ``loss_curve_`` grows by one.
        """
        usual = sample_weight is None and not keep_finite
        fitting = Kept.take(self._kept.fittings) if usual else None
        if fitting is None or not fitting.goes_on(self, x, y):
            fitting = Fitting(self, x, y, Wishes(1, keep_finite=keep_finite, sample_weight=sample_weight))
        fitting.run().warn_of_divergence()
        if usual:
            self._kept.give_back(fitting)
        return self

    # -- use ------------------------------------------------------------------------------------------

    def predict(self, x: Any) -> NDArray[Any]:
        """The outputs; for a loss between classes, the classes.

        Parameters
        ----------
        x : array_like, shape (rows, inputs)

        Returns
        -------
        ndarray
            Of shape (rows, outputs), or (rows,) if ``fit`` was given such targets. With ``"cross_entropy"``: the label
            of the largest output, shape (rows,). With the binary losses: 1 where the probability is above 1/2, else 0.
        """
        outputs, objective = self._outputs(x), objective_of(self.loss)
        if objective.classes == "labels":
            return outputs.argmax(axis=1)
        if objective.classes:
            outputs = (outputs > (0.5 if objective.classes == "binary" else 0)).astype(np.int64)
        return outputs[:, 0] if self._flat and outputs.shape[1] == 1 else outputs

    def predict_proba(self, x: Any) -> NDArray[Any]:
        """Probabilities, shape (rows, outputs): with ``"cross_entropy"`` of each class, so that rows add up to 1; with
        the binary losses of each output being 1.

        Raises
        ------
        ValueError
            If the loss is none of these.
        """
        outputs, objective = self._outputs(x), objective_of(self.loss)
        if not objective.classes:
            raise ValueError(f"a network with loss {self.loss!r} predicts no probabilities")
        if objective.classes == "logits":
            outputs = ACTIVATIONS["sigmoid"].callable("value", self._chosen())(outputs)
        elif objective.classes == "labels":
            from fastact.rows import softmax  # noqa: F401  offers it

            outputs = FUNCTIONS.callable("softmax", self._chosen())(outputs)
        return outputs

    def score(self, x: Any, y: Any) -> float:
        """How good predictions are: the share of rows that are right, or for other losses than those between classes
        the coefficient of determination R^2 (1 at best; averaged over outputs)."""
        outputs, objective = self._outputs(x), objective_of(self.loss)
        targets = targets_of(y, len(outputs), self.sizes[-1], objective, self.dtype)
        if not len(outputs):
            raise ValueError("x has no rows")
        if objective.classes == "labels":
            labels = targets if targets.ndim == 1 else targets.argmax(axis=1)
            return float((outputs.argmax(axis=1) == labels).mean())
        if objective.classes:
            ones = outputs > (0.5 if objective.classes == "binary" else 0)
            return float((ones == (targets > 0.5)).all(axis=1).mean())
        wide = targets.astype(float)
        with np.errstate(all="ignore"):
            residual = ((outputs - wide) ** 2).sum(axis=0)
            spread = ((wide - wide.mean(axis=0)) ** 2).sum(axis=0)
            explained = 1 - residual / np.where(spread == 0, 1, spread)
        return float(np.where(spread == 0, residual == 0, explained).mean())

    def _outputs(self, x: Any) -> np.ndarray:
        activations = settings_of(self)[0]
        x = inputs_of(x, self.sizes[0], self.dtype, least=0)
        self._collect()
        return predict(self, x, activations)

    # -- files ------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write settings, weights, biases and ``loss_curve_`` to a .npz file, complete or not at all.

        Activations are written by name. Random state and optimizer start anew after :meth:`load`. Symbolic links are
        followed, and a file that is replaced leaves its mode; a device or a pipe is written to as it is.
        """
        from fastact.networks.files import write

        settings_of(self)
        self._collect()
        write(path, self)

    @classmethod
    def load(cls, path: str | os.PathLike[str], **replaced: Any) -> MLP:
        """A network that :meth:`save` wrote.

        Parameters
        ----------
        path : str or path
        **replaced
            Settings to use in place of those in the file, such as ``activation`` if it is one of your own.

        Raises
        ------
        ValueError
            If the file is cut short, holds something else, or needs an activation that is not in the catalogue.
        """
        from fastact.networks.files import read

        return read(path, cls, replaced)

    # -- state ------------------------------------------------------------------------------------------

    def _chosen(self) -> str:
        return self._backend or backend()

    def _learns(self) -> bool:
        """Whether activations have parameters that are trained."""
        return any(self._learned or ())

    def __copy__(self) -> MLP:
        """A network of its own: what two of them shared, training one would change in the other."""
        return copy.deepcopy(self)

    def __getstate__(self) -> dict[str, Any]:
        """Without the parameters' memory: in a copy, what was a view of it is an array of its own."""
        return {name: value for name, value in vars(self).items() if name not in ("_parameters", "_kept")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._kept = Kept()
        self._parameters = Parameters(self.sizes, self.dtype, self._learned or [])
        self._collect()

    def _show_learned(self) -> None:
        if self._learns():
            self.activation_parameters_ = self._parameters.by_name()

    def _collect(self) -> None:
        """Take over weights and biases that were set, once all of them are known to fit."""
        parameters = self._parameters
        same_sizes = self.sizes == parameters.sizes or sizes_of(self.sizes) == parameters.sizes
        if not same_sizes or self.dtype != parameters.dtype:
            raise ValueError("sizes and dtype are those of the weights and cannot be changed; make another network")
        held = holds(self.weights, parameters.weights) and holds(self.biases, parameters.biases)
        if not held or self._learns():
            take_over(parameters, self.weights, self.biases, self.activation_parameters_)
        if not held:
            self.weights, self.biases = list(parameters.weights), list(parameters.biases)

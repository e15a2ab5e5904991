"""What the estimators share: data as scikit-learn checks them, a network made or gone on with, and what it learned."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import pairwise
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from fastact.networks.checks import checked, number, positive, whole
from fastact.networks.choices import LossName, OptimizerName
from fastact.networks.fitting import Fitting, Wishes
from fastact.networks.mlp import MLP

__all__ = ["BaseMLP", "Schedule", "set_parameters"]

Schedule: TypeAlias = Literal["constant", "invscaling", "adaptive"]

#: What scikit-learn calls "auto".
USUAL_BATCH = 200


def set_parameters(estimator: Any, given: dict[str, Any]) -> None:
    """What ``__init__`` does: nothing but keeping what it was given (``locals()``)."""
    vars(estimator).update({name: value for name, value in given.items() if name not in ("self", "__class__")})


class BaseMLP(BaseEstimator):  # type: ignore[misc]
    """A multilayer perceptron with scikit-learn's interface."""

    _network_class: type[MLP] = MLP

    loss_curve_: list[float]
    validation_scores_: list[float] | None
    t_: int

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    # -- what differs ---------------------------------------------------------------------------------

    def _checked_data(self, X: Any, y: Any, first: bool, known: bool) -> tuple[Any, np.ndarray]:
        """Inputs, and targets as the network wants them. ``known``: what these can be has been said before."""
        raise NotImplementedError

    def _losses(self) -> tuple[LossName, str, int]:
        """The network's loss and output activation, and how many outputs there are."""
        raise NotImplementedError

    def _score_outputs(self, outputs: np.ndarray, targets: np.ndarray, weights: np.ndarray | None) -> float:
        """How good outputs are, for early stopping."""
        raise NotImplementedError

    # -- training -------------------------------------------------------------------------------------

    def _fit(self, X: Any, y: Any, sample_weight: Any, incremental: bool) -> None:
        before, scores = dict(self.__dict__), list[float]()
        first = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        try:
            fitting = self._prepared(X, y, sample_weight, first, incremental, scores)
        except BaseException:  # what was refused leaves the estimator as it was
            self.__dict__ = before
            raise
        self._run(fitting)
        self._take_over(fitting, first, scores)
        if not (fitting.stopped or incremental) and self.n_iter_ == self.max_iter:
            warnings.warn(
                f"training ended after max_iter={self.max_iter} epochs, and might have got further",
                ConvergenceWarning,
                stacklevel=3,
            )

    def _prepared(
        self, X: Any, y: Any, sample_weight: Any, first: bool, incremental: bool, scores: list[float]
    ) -> Fitting:
        """A network about to train; scores for early stopping will be added to the list."""
        self._check_parameters()
        if self.early_stopping and incremental:
            raise ValueError("partial_fit goes through the data once: early_stopping has no place there")
        X, targets = self._checked_data(X, y, first, known=incremental or not first)
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, X, dtype=X.dtype)
        random = check_random_state(self.random_state)
        network = self._new_network(X, random) if first else self._old_network()
        X, targets, weights, held_out = self._split(X, targets, weights, random)
        if first:
            network._random = np.random.default_rng(random.randint(0, 2**31 - 1, 4))
        self._adjust(network, len(targets))
        wishes = Wishes(
            passes=1 if incremental else None,
            progress=bool(self.progress),
            verbose=bool(self.verbose),
            sample_weight=weights,
            watched=self._watched(network, held_out, scores) if held_out else None,
        )
        return Fitting(network, X, targets, wishes)

    def _run(self, fitting: Fitting) -> None:
        try:
            fitting.run()
        except KeyboardInterrupt:
            warnings.warn("training was interrupted; the estimator is as it was then", stacklevel=4)

    def _check_parameters(self) -> None:
        """Those that the network does not check, or knows by another name."""
        checked("solver", self.solver, get_args(OptimizerName))
        checked("learning_rate", self.learning_rate, get_args(Schedule))
        positive("learning_rate_init", self.learning_rate_init)
        number("alpha", self.alpha, 0)
        number("momentum", self.momentum, 0, np.nextafter(1, 2))
        number("beta_1", self.beta_1, 0, 1)
        number("beta_2", self.beta_2, 0, 1)
        positive("epsilon", self.epsilon)
        whole("max_iter", self.max_iter)
        number("validation_fraction", self.validation_fraction, 0, 1)
        if self.batch_size != "auto":
            whole("batch_size", self.batch_size)
        if self.dtype is not None:
            checked("dtype", getattr(np.dtype(self.dtype), "name", self.dtype), ("float32", "float64"))
        self._hidden_sizes()

    def _hidden_sizes(self) -> list[int]:
        sizes = self.hidden_layer_sizes
        return [whole("hidden_layer_sizes", size) for size in (sizes if np.iterable(sizes) else [sizes])]

    def _new_network(self, X: Any, random: np.random.RandomState) -> MLP:
        """With scikit-learn's initial weights."""
        loss, output, outputs = self._losses()
        sizes = [X.shape[1], *self._hidden_sizes(), outputs]
        name = self._activation()
        dtype = X.dtype if self.dtype is None else np.dtype(self.dtype)
        network = self._network_class(sizes, name, output, loss, dtype=dtype.name, random_state=0)
        factor = 2.0 if name == "sigmoid" else 6.0
        for i, (inputs, outputs) in enumerate(pairwise(sizes)):
            bound = np.sqrt(factor / (inputs + outputs))
            network.weights[i] = random.uniform(-bound, bound, (inputs, outputs)).T
            network.biases[i] = random.uniform(-bound, bound, outputs)
        return network

    def _old_network(self) -> MLP:
        """The one to go on with."""
        network, sizes = self._network, self._hidden_sizes()
        if network.sizes[1:-1] != sizes:
            raise ValueError(
                f"training goes on with hidden layers of {network.sizes[1:-1]}; hidden_layer_sizes is now {sizes}"
            )
        network.loss, network.output_activation, _ = self._losses()
        self._set_coefficients()
        return network

    def _activation(self) -> Any:
        """Of hidden layers; scikit-learn's "logistic" is the sigmoid."""
        return "sigmoid" if isinstance(self.activation, str) and self.activation == "logistic" else self.activation

    def _adjust(self, network: MLP, rows: int) -> None:
        """To the estimator's settings."""
        sgd = self.solver == "sgd"
        network.activation = self._activation()
        network.optimizer, network.learning_rate = self.solver, self.learning_rate_init
        network.batch_size = min(USUAL_BATCH if self.batch_size == "auto" else self.batch_size, rows)
        network.epochs, network.shuffle = self.max_iter, bool(self.shuffle)
        network.momentum = self.momentum if sgd else 0.0
        network.nesterov = bool(sgd and self.nesterovs_momentum and self.momentum)
        network.betas, network.eps = (self.beta_1, self.beta_2), self.epsilon
        # adamw takes the penalty from the weights themselves
        network.alpha, network.weight_decay = (0.0, self.alpha) if self.solver == "adamw" else (self.alpha, 0.0)
        network.schedule, network.power_t = (self.learning_rate if sgd else "constant"), self.power_t
        network.early_stopping, network.tol, network.n_iter_no_change = True, self.tol, self.n_iter_no_change

    def _split(self, X: Any, y: np.ndarray, weights: Any, random: Any) -> tuple[Any, np.ndarray, Any, Any]:
        """What to train with, and what to score with for early stopping."""
        if not self.early_stopping:
            return X, y, weights, None
        every = [X, y] if weights is None else [X, y, weights]
        options = {"random_state": random, "test_size": self.validation_fraction, "stratify": self._strata(y)}
        X, held_X, y, held_y, *parts = train_test_split(*every, **options)
        if len(held_y) < 2:
            raise ValueError(
                f"validation_fraction={self.validation_fraction} of {len(held_y) + len(y)} rows leaves {len(held_y)} "
                "to validate with, where 2 are needed"
            )
        train_weights, held_weights = parts or (None, None)
        return X, y, train_weights, (held_X, held_y, held_weights)

    def _strata(self, targets: np.ndarray) -> np.ndarray | None:
        return None

    def _watched(self, network: MLP, held_out: Any, scores: list[float]) -> Callable[[], float]:
        """What early stopping watches: the score of what is held out, which joins the others."""
        X, targets, weights = held_out

        def watched() -> float:
            with np.errstate(all="ignore"):
                outputs = network._outputs(X)
            finite = np.isfinite(outputs).all()
            scores.append(self._score_outputs(outputs, targets, weights) if finite else np.nan)
            return -scores[-1]

        return watched

    def _take_over(self, fitting: Fitting, first: bool, scores: list[float]) -> None:
        """What was learned, under scikit-learn's names."""
        network, losses = fitting.network, fitting.losses.tolist()
        before = [] if first else [*self.loss_curve_]
        scored = [] if first else [*(self.validation_scores_ or [])]
        self._network, self.n_outputs_, self.n_layers_ = network, network.sizes[-1], len(network.sizes)
        self.loss_curve_ = before + losses
        self.loss_ = self.loss_curve_[-1] if self.loss_curve_ else np.nan
        self.n_iter_, self.t_ = len(losses), (0 if first else self.t_) + len(losses) * fitting.rows
        self.best_loss_ = None if self.early_stopping else min(self.loss_curve_, default=np.nan)
        self.validation_scores_ = scored + scores if self.early_stopping else None
        self.best_validation_score_ = np.nanmax([-np.inf, *scored, *scores]) if self.early_stopping else None
        self.coefs_ = [weight.T for weight in network.weights]
        self.intercepts_ = list(network.biases)
        if not all(np.isfinite(part).all() for part in (*self.coefs_, *self.intercepts_)):
            raise ValueError(
                "training diverged: weights are not finite; try a lower learning_rate_init, or scale the inputs"
            )

    # -- use ------------------------------------------------------------------------------------------

    def _outputs(self, X: Any) -> np.ndarray:
        """What the last layer gives."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=["csr", "csc"], dtype=(np.float64, np.float32), reset=False)
        self._set_coefficients()
        return self._network._outputs(X)

    def _set_coefficients(self) -> None:
        """Entries may have been replaced, or the estimator copied."""
        self._network.weights = [coefficients.T for coefficients in self.coefs_]
        self._network.biases = list(self.intercepts_)

"""A network that predicts numbers, as an estimator of scikit-learn's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.validation import column_or_1d, validate_data

from fastact.catalogue import Activation
from fastact.estimators.base import BaseMLP, Schedule, set_parameters
from fastact.estimators.documentation import ATTRIBUTES, PARAMETERS
from fastact.networks.checks import checked
from fastact.networks.choices import LossName, OptimizerName

__all__ = ["MLPRegressor"]

Loss: TypeAlias = Literal["squared_error", "absolute_error", "huber"]

#: Losses by scikit-learn's names, and what networks call them.
LOSSES: dict[Loss, LossName] = {"squared_error": "squared_error", "absolute_error": "l1", "huber": "huber"}


LOSS = """loss : {"squared_error", "absolute_error", "huber"}, default "squared_error"
    Half the squared error, summed over outputs; the others, averaged over them, are those of :class:`fastact.MLP`.
"""


class MLPRegressor(RegressorMixin, BaseMLP):  # type: ignore[misc]
    __doc__ = f"""A multilayer perceptron that predicts numbers: an estimator of scikit-learn's.

It takes the settings of ``sklearn.neural_network.MLPRegressor`` and has its attributes, and trains in compiled code as
:class:`fastact.MLP` does. Sparse inputs are made dense some batches at a time.

Parameters
----------
{PARAMETERS.format(loss=LOSS, class_weight="")}

Attributes
----------
{ATTRIBUTES.format(classes="")}

See Also
--------
fastact.MLP : networks without scikit-learn.
fastact.fallback.MLPRegressor : the same in NumPy.

Examples
--------
>>> import numpy as np, fastact
>>> x = np.linspace(-3, 3, 200).reshape(-1, 1)
>>> network = fastact.MLPRegressor((20, 20), "tanh", learning_rate_init=0.01, tol=1e-5, max_iter=1000, random_state=0)
>>> bool(network.fit(x, np.sin(x[:, 0])).score(x, np.sin(x[:, 0])) > 0.98)
True
"""

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: str | Activation = "relu",
        *,
        loss: Loss = "squared_error",
        solver: OptimizerName = "adam",
        alpha: float = 0.0001,
        batch_size: int | Literal["auto"] = "auto",
        learning_rate: Schedule = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        progress: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        dtype: DTypeLike | None = None,
    ) -> None:
        set_parameters(self, locals())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPRegressor:
        """Train until the loss no longer comes down, for ``max_iter`` epochs at most.

        Parameters
        ----------
        X : array_like or sparse matrix, shape (rows, features)
        y : array_like, shape (rows,) or (rows, outputs)
        sample_weight : array_like, shape (rows,), optional
            What each row counts.
        """
        self._fit(X, y, sample_weight, incremental=False)
        return self

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPRegressor:
        """Go through the data once, from the weights and the solver's state as they are."""
        self._fit(X, y, sample_weight, incremental=True)
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """The outputs, shape (rows,) or (rows, outputs)."""
        outputs = self._outputs(X)
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs

    def _checked_data(self, X: Any, y: Any, first: bool, known: bool) -> tuple[Any, np.ndarray]:
        checked("loss", self.loss, LOSSES)
        X, y = validate_data(
            self, X, y, accept_sparse=["csr", "csc"], dtype=(np.float64, np.float32), multi_output=True, y_numeric=True,
            reset=first,
        )  # fmt: skip
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        targets = y.reshape(len(y), -1)
        self._outputs_wanted, self.out_activation_ = targets.shape[1], "identity"
        return X, targets

    def _losses(self) -> tuple[LossName, str, int]:
        return LOSSES[self.loss], "identity", self._outputs_wanted

    def _score_outputs(self, outputs: np.ndarray, targets: np.ndarray, weights: np.ndarray | None) -> float:
        return float(r2_score(targets, outputs, sample_weight=weights))

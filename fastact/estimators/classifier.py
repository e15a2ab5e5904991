"""A network that tells classes apart, as an estimator of scikit-learn's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy import sparse
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import compute_sample_weight
from sklearn.utils.multiclass import _check_partial_fit_first_call, check_classification_targets, type_of_target
from sklearn.utils.validation import _check_sample_weight, column_or_1d, validate_data

from fastact.catalogue import ACTIVATIONS, Activation
from fastact.estimators.base import BaseMLP, Schedule, set_parameters
from fastact.estimators.documentation import ATTRIBUTES, PARAMETERS
from fastact.networks.checks import checked
from fastact.networks.choices import LossName, OptimizerName

__all__ = ["MLPClassifier"]

Loss: TypeAlias = Literal["log_loss", "squared_error"]


LOSS = """loss : {"log_loss", "squared_error"}, default "log_loss"
    The cross entropy, or half the squared error of the probabilities.
"""

CLASS_WEIGHT = """class_weight : dict, "balanced" or None, default None
    What rows count by their class, besides ``sample_weight``; "balanced": all classes alike.
"""

CLASSES = """classes_ : ndarray
    The labels.
"""


class MLPClassifier(ClassifierMixin, BaseMLP):  # type: ignore[misc]
    __doc__ = f"""A multilayer perceptron that tells classes apart: an estimator of scikit-learn's.

It takes the settings of ``sklearn.neural_network.MLPClassifier`` and has its attributes, and trains in compiled code as
:class:`fastact.MLP` does. Labels can be anything; targets of shape (rows, labels) that hold 0 and 1 are several labels
at a time. Sparse inputs are made dense some batches at a time.

Parameters
----------
{PARAMETERS.format(loss=LOSS, class_weight=CLASS_WEIGHT)}

Attributes
----------
{ATTRIBUTES.format(classes=CLASSES)}

See Also
--------
fastact.MLP : networks without scikit-learn.
fastact.fallback.MLPClassifier : the same in NumPy.

Examples
--------
>>> import fastact
>>> from sklearn.datasets import load_wine
>>> from sklearn.pipeline import make_pipeline
>>> from sklearn.preprocessing import StandardScaler
>>> x, y = load_wine(return_X_y=True)
>>> network = fastact.MLPClassifier(activation="gelu", learning_rate_init=0.01, random_state=0)
>>> bool(make_pipeline(StandardScaler(), network).fit(x, y).score(x, y) > 0.98)
True
"""

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: str | Activation = "relu",
        *,
        loss: Loss = "log_loss",
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
        class_weight: Mapping[Any, float] | Literal["balanced"] | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        set_parameters(self, locals())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    # -- training -------------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPClassifier:
        """Train until the loss no longer comes down, for ``max_iter`` epochs at most.

        Parameters
        ----------
        X : array_like or sparse matrix, shape (rows, features)
        y : array_like, shape (rows,), or (rows, labels) of 0 and 1
        sample_weight : array_like, shape (rows,), optional
            What each row counts.
        """
        self._fit(X, y, self._weights(X, y, sample_weight), incremental=False)
        return self

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> MLPClassifier:
        """Go through the data once, from the weights and the solver's state as they are.

        The first call needs ``classes``: all labels that will ever be met.
        """
        if isinstance(self.class_weight, str):
            raise ValueError(f"class_weight={self.class_weight!r} needs all labels at once; give partial_fit a dict")
        if _check_partial_fit_first_call(self, classes):
            self._set_classes(classes, type_of_target(y).startswith("multilabel"))
        self._fit(X, y, self._weights(X, y, sample_weight), incremental=True)
        return self

    def _weights(self, X: Any, y: Any, sample_weight: Any) -> Any:
        """What rows count, by themselves and by their classes."""
        if self.class_weight is None:
            return sample_weight
        by_class = compute_sample_weight(self.class_weight, y)
        return by_class if sample_weight is None else by_class * _check_sample_weight(sample_weight, X)

    def _set_classes(self, classes: Any, multilabel: bool) -> None:
        self._multilabel = multilabel
        self._encoder = LabelEncoder().fit(classes)
        self.classes_ = self._encoder.classes_

    def _checked_data(self, X: Any, y: Any, first: bool, known: bool) -> tuple[Any, np.ndarray]:
        checked("loss", self.loss, get_args(Loss))
        X, y = validate_data(
            self, X, y, accept_sparse=["csr", "csc"], dtype=(np.float64, np.float32), multi_output=True, reset=first
        )
        check_classification_targets(y)
        multilabel = type_of_target(y) == "multilabel-indicator"
        y = (y.toarray() if sparse.issparse(y) else y) if multilabel else column_or_1d(y, warn=True)
        labels = np.arange(y.shape[1]) if multilabel else np.unique(y)
        if known:
            self._check_classes(labels, multilabel)
        else:
            self._set_classes(labels, multilabel)
        return X, self._targets(y if multilabel else self._encoder.transform(y))

    def _check_classes(self, labels: np.ndarray, multilabel: bool) -> None:
        """That the labels are those that the network knows; partial_fit may meet some of them."""
        fits = multilabel == self._multilabel and set(labels) <= set(self.classes_)
        if not fits or (self.warm_start and set(labels) != set(self.classes_)):
            kind = "with warm_start y must have the same classes" if self.warm_start else "y must have classes of those"
            raise ValueError(f"{kind} as before, {self.classes_}; it has {labels}")

    def _targets(self, y: np.ndarray) -> np.ndarray:
        """Labels as their numbers, or a column for each output."""
        _, _, outputs = self._losses()
        if self._multilabel or outputs == 1:
            return y.reshape(len(y), -1)
        if self.loss == "log_loss":
            return y.astype(np.int64)
        return (y[:, None] == np.arange(outputs)).astype(np.int64)

    def _losses(self) -> tuple[LossName, str, int]:
        few = len(self.classes_) <= 2 and not self._multilabel
        outputs = 1 if few else len(self.classes_)
        softmax = self.loss == "log_loss" and not few and not self._multilabel
        self.out_activation_ = "softmax" if softmax else "logistic"
        if self.loss == "squared_error":
            return "squared_error", "sigmoid", outputs
        return ("cross_entropy" if softmax else "log_loss"), "identity", outputs

    def _strata(self, targets: np.ndarray) -> np.ndarray | None:
        """scikit-learn keeps the shares of two classes."""
        return targets if self._losses()[2] == 1 else None

    def _score_outputs(self, outputs: np.ndarray, targets: np.ndarray, weights: np.ndarray | None) -> float:
        truth = (
            targets.argmax(axis=1) if targets.ndim == 2 and not self._multilabel and outputs.shape[1] > 1 else targets
        )
        return float(accuracy_score(truth, self._decided(outputs), sample_weight=weights))

    # -- use ------------------------------------------------------------------------------------------

    def predict(self, X: Any) -> NDArray[Any]:
        """The label of each row, or of each row and label 0 or 1."""
        decided = self._decided(self._outputs(X))
        labels: np.ndarray = decided if self._multilabel else self.classes_[decided]
        return labels

    def _decided(self, outputs: np.ndarray) -> np.ndarray:
        """The number of each row's class; for each of several labels, 0 or 1."""
        if len(self.classes_) == 1 and not self._multilabel:
            return np.zeros(len(outputs), np.int64)
        if outputs.shape[1] > 1 and not self._multilabel:
            return outputs.argmax(axis=1)
        ones = (outputs > (0.5 if self.loss == "squared_error" else 0)).astype(np.int64)
        return ones if self._multilabel else ones[:, 0]

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """The probability of each class, shape (rows, classes), in the order of ``classes_``."""
        return self._probabilities(self._outputs(X), "sigmoid", np.exp)

    def predict_log_proba(self, X: Any) -> NDArray[Any]:
        """The logarithms of :meth:`predict_proba`, right also where a probability vanishes."""
        return self._probabilities(self._outputs(X), "logsigmoid", lambda logarithms: logarithms)

    def _probabilities(self, outputs: np.ndarray, sigmoid: str, finish: Any) -> np.ndarray:
        """Of logits, or of outputs between 0 and 1."""
        with np.errstate(all="ignore"):
            if self.loss == "squared_error":
                outputs = self._of_sigmoids(outputs)
                return outputs if finish is np.exp else np.log(outputs)
            if outputs.shape[1] == 1 and not self._multilabel:
                outputs = np.concatenate([-outputs, outputs], axis=1)[:, : len(self.classes_)]
            elif not self._multilabel:
                shifted = outputs - outputs.max(axis=1, keepdims=True)
                return finish(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))
            return ACTIVATIONS[sigmoid](outputs)

    def _of_sigmoids(self, outputs: np.ndarray) -> np.ndarray:
        """What networks trained for the squared error give, made to add up to 1."""
        if self._multilabel:
            return outputs
        if outputs.shape[1] == 1:
            return np.concatenate([1 - outputs, outputs], axis=1)[:, : len(self.classes_)]
        sums = outputs.sum(axis=1, keepdims=True)
        return np.where(sums > 0, outputs / sums, 1 / outputs.shape[1])

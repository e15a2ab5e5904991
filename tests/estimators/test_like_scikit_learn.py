"""The same networks as scikit-learn's own estimators: step by step, and as good in the end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn import neural_network
from sklearn.datasets import load_breast_cancer, load_digits, load_wine, make_multilabel_classification
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.estimators.conftest import Estimators

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

DRAW = np.random.default_rng(0)
X = DRAW.normal(size=(60, 4))
CLASSES = {
    "two": np.where(X[:, 0] + X[:, 1] > 0, 7, -3),
    "three": np.array([1, 2, 5])[(X[:, 0] > 0.3).astype(int) + (X[:, 1] > 0)],
    "several": (X[:, :3] > 0.2).astype(int),
}
NUMBERS = {"one": X @ [1.0, -2.0, 0.5, 0.0], "two": np.stack([X[:, 0] ** 2, X[:, 1] - X[:, 2]], axis=1)}

#: scikit-learn adds Adam's epsilon to another number than Kingma and Ba, and torch: here it is next to none.
COMMON: dict[str, Any] = {"max_iter": 25, "shuffle": False, "random_state": 3, "epsilon": 1e-18}

SETTINGS: dict[str, dict[str, Any]] = {
    "adam": {},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.1, "nesterovs_momentum": False},
    "nesterov": {"solver": "sgd", "learning_rate_init": 0.05},
    "plain": {"solver": "sgd", "momentum": 0.0, "learning_rate_init": 0.1, "alpha": 0.0},
    "penalty": {"alpha": 5.0, "batch_size": 25},
    "layers": {"hidden_layer_sizes": (7, 5), "activation": "tanh", "batch_size": 17},
    "logistic": {"activation": "logistic", "hidden_layer_sizes": 6, "beta_1": 0.8, "beta_2": 0.9},
    "invscaling": {
        "solver": "sgd", "learning_rate": "invscaling", "power_t": 0.1, "momentum": 0.0, "learning_rate_init": 0.3,
    },
    "adaptive": {
        "solver": "sgd", "learning_rate": "adaptive", "momentum": 0.0, "learning_rate_init": 1.0, "n_iter_no_change": 2,
    },
    "early stopping": {
        "early_stopping": True, "validation_fraction": 0.3, "n_iter_no_change": 4, "learning_rate_init": 0.02,
    },
    "converging": {"tol": 0.05, "n_iter_no_change": 3},
}  # fmt: skip


def same(ours: Any, theirs: Any, x: np.ndarray) -> None:
    assert ours.n_iter_ == theirs.n_iter_
    assert ours.t_ == theirs.t_
    for a, b in zip([*ours.coefs_, *ours.intercepts_], [*theirs.coefs_, *theirs.intercepts_]):
        assert a == pytest.approx(b, rel=1e-8, abs=1e-10)
    for name in ("loss_curve_", "loss_", "best_loss_", "validation_scores_", "best_validation_score_"):
        expected = getattr(theirs, name)
        assert getattr(ours, name) == (expected if expected is None else pytest.approx(expected, rel=1e-8)), name
    for name in ("n_outputs_", "n_layers_", "out_activation_", "n_features_in_"):
        assert getattr(ours, name) == getattr(theirs, name), name


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("target", CLASSES)
@pytest.mark.parametrize("case", SETTINGS)
def test_classifiers_step_by_step(estimators: Estimators, case: str, target: str, weighted: bool) -> None:
    settings = COMMON | SETTINGS[case]
    y, weights = CLASSES[target], np.arange(60) % 4 / 2 if weighted else None
    ours = estimators.MLPClassifier(**settings).fit(X, y, sample_weight=weights)
    theirs = neural_network.MLPClassifier(**settings).fit(X, y, sample_weight=weights)
    same(ours, theirs, X)
    assert (ours.classes_ == theirs.classes_).all()
    assert (ours.predict(X) == theirs.predict(X)).all()
    assert ours.predict_proba(X) == pytest.approx(theirs.predict_proba(X), rel=1e-8)
    assert ours.predict_log_proba(X) == pytest.approx(theirs.predict_log_proba(X), rel=1e-6)
    assert ours.score(X, y) == theirs.score(X, y)


@pytest.mark.parametrize("case", SETTINGS)
def test_regressors_step_by_step(estimators: Estimators, case: str) -> None:
    settings = COMMON | SETTINGS[case]
    ours = estimators.MLPRegressor(**settings).fit(X, NUMBERS["one"])
    theirs = neural_network.MLPRegressor(**settings).fit(X, NUMBERS["one"])
    same(ours, theirs, X)
    assert ours.predict(X) == pytest.approx(theirs.predict(X), rel=1e-8, abs=1e-10)
    assert ours.score(X, NUMBERS["one"]) == pytest.approx(theirs.score(X, NUMBERS["one"]), rel=1e-8)


def test_several_outputs_step_by_step(estimators: Estimators) -> None:
    """scikit-learn takes the mean of what outputs lose for its loss, and the gradient of their sum."""
    settings = COMMON | {"alpha": 0.0}
    ours = estimators.MLPRegressor(**settings).fit(X, NUMBERS["two"])
    theirs = neural_network.MLPRegressor(**settings).fit(X, NUMBERS["two"])
    assert ours.predict(X) == pytest.approx(theirs.predict(X), rel=1e-8, abs=1e-10)
    assert ours.loss_ == pytest.approx(2 * theirs.loss_, rel=1e-9)


@pytest.mark.parametrize("again", ["partial_fit", "warm_start"])
def test_going_on_step_by_step(estimators: Estimators, again: str) -> None:
    """Adam's moments go on in partial_fit, and begin anew with a warm start."""
    settings = COMMON | {"max_iter": 4, "warm_start": again == "warm_start"}
    models = estimators.MLPClassifier(**settings), neural_network.MLPClassifier(**settings)
    for model in models:
        for rows in (slice(0, 40), slice(20, 60), slice(0, 60)):
            if again == "partial_fit":
                model.partial_fit(X[rows], CLASSES["three"][rows], classes=[1, 2, 5])
            else:
                model.fit(X[rows], CLASSES["three"][rows])
    same(*models, X)


# -- as good --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("load", [load_digits, load_breast_cancer, load_wine])
def test_as_accurate(estimators: Estimators, load: Any) -> None:
    """Rows in another order than scikit-learn's: over three seeds the mean is no worse than by a hundredth."""
    x, y = load(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(x, y, random_state=0, stratify=y)
    means = []
    for made in (estimators.MLPClassifier, neural_network.MLPClassifier):
        scores = []
        for seed in range(3):
            model = made(hidden_layer_sizes=(50,), max_iter=60, random_state=seed, learning_rate_init=0.005)
            scores.append(make_pipeline(StandardScaler(), model).fit(train_x, train_y).score(test_x, test_y))
        means.append(np.mean(scores))
    assert means[0] > means[1] - 0.01
    assert means[0] > 0.94


def test_labels_as_accurate(estimators: Estimators) -> None:
    x, y = make_multilabel_classification(300, 10, n_classes=4, random_state=0)
    settings = {"max_iter": 100, "random_state": 0}
    ours, theirs = (
        made(**settings).fit(x[:200], y[:200]).score(x[200:], y[200:])
        for made in (estimators.MLPClassifier, neural_network.MLPClassifier)
    )
    assert ours > theirs - 0.06

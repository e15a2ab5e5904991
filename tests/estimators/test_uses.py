"""Estimators at work: with scikit-learn's tools, with data and labels of every kind, and where they refuse."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastact
from tests.conftest import needs_posix
from tests.estimators.conftest import Estimators
from tests.processes import PRELUDE, interrupted, run, start
from tests.samples import labelled, named

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, LABELS = labelled()
NUMBERS = X @ np.array([1.0, -2.0, 0.5, 0.0])
QUICK: dict[str, Any] = {"hidden_layer_sizes": (16,), "max_iter": 40, "learning_rate_init": 0.02, "random_state": 0}


# -- scikit-learn's tools -------------------------------------------------------------------------------


def test_clones_have_the_same_settings(estimators: Estimators) -> None:
    model = estimators.MLPClassifier(activation=fastact.ACTIVATIONS["gelu"], alpha=0.5, class_weight={0: 2.0})
    copied = clone(model)
    assert copied.get_params() == model.get_params()
    assert type(copied) is type(model)


def test_pipelines(estimators: Estimators) -> None:
    model = make_pipeline(StandardScaler(), estimators.MLPClassifier(**QUICK))
    assert model.fit(X, LABELS).score(X, LABELS) > 0.97


def test_grid_search_in_processes(estimators: Estimators) -> None:
    grid = {"alpha": [1e-4, 1e3], "activation": ["gelu", "tanh"]}
    search = GridSearchCV(estimators.MLPClassifier(**QUICK), grid, n_jobs=2, cv=3).fit(X, LABELS)
    assert search.best_params_["alpha"] == 1e-4
    assert search.best_score_ > 0.95


def test_cross_validation(estimators: Estimators) -> None:
    assert cross_val_score(estimators.MLPRegressor(**QUICK | {"max_iter": 200}), X, NUMBERS, cv=3).mean() > 0.95


def test_calibration(estimators: Estimators) -> None:
    model = CalibratedClassifierCV(estimators.MLPClassifier(**QUICK), cv=3).fit(X, LABELS)
    assert model.predict_proba(X).sum(axis=1) == pytest.approx(np.ones(len(X)))
    assert model.score(X, LABELS) > 0.95


def test_permutation_importance(estimators: Estimators) -> None:
    model = estimators.MLPRegressor(**QUICK | {"max_iter": 300}).fit(X, NUMBERS)
    found = permutation_importance(model, X, NUMBERS, n_repeats=3, random_state=0).importances_mean
    assert found.argmax() == 1
    assert found.argmin() == 3


@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
def test_dumps(estimators: Estimators, kind: str, tmp_path: Path) -> None:
    """They predict the same, and go on training the same."""
    model = getattr(estimators, kind)(**QUICK).fit(X, LABELS)
    joblib.dump(model, tmp_path / "model")
    for copied in (joblib.load(tmp_path / "model"), pickle.loads(pickle.dumps(model))):
        assert (copied.predict(X) == model.predict(X)).all()
        assert type(copied) is type(model)
    copied.partial_fit(X, LABELS)
    model.partial_fit(X, LABELS)
    assert (copied.coefs_[0] == model.coefs_[0]).all()


def test_own_activations(estimators: Estimators) -> None:
    model = estimators.MLPClassifier(activation=[named("doubled"), "mish"], **QUICK | {"hidden_layer_sizes": (8, 8)})
    assert clone(model).fit(X, LABELS).score(X, LABELS) > 0.97


# -- data and labels ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [["a", "b", "cc"], [-5, 7, 1000], [0.0, 1.0, 2.0], [False, True], ["yes", "no"], np.array(["x", "y"], object)],
    ids=str,
)
def test_labels_of_any_kind(estimators: Estimators, names: Any) -> None:
    y = np.asarray(names)[LABELS % len(names)]
    model = estimators.MLPClassifier(**QUICK).fit(X, y)
    assert (model.classes_ == np.unique(y)).all()
    assert model.predict(X).dtype == y.dtype
    assert (model.predict(X) == y).mean() > 0.95
    assert model.predict_proba(X).shape == (len(X), len(names))
    assert (model.classes_[model.predict_proba(X).argmax(axis=1)] == model.predict(X)).all()
    assert np.exp(model.predict_log_proba(X)) == pytest.approx(model.predict_proba(X))


@pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
@pytest.mark.parametrize("target", ["two", "three", "several"])
def test_losses_of_classifiers(estimators: Estimators, loss: str, target: str) -> None:
    y = {"two": LABELS % 2, "three": LABELS, "several": np.stack([LABELS > 0, LABELS > 1], axis=1).astype(int)}[target]
    model = estimators.MLPClassifier(loss=loss, **QUICK | {"max_iter": 150}).fit(X, y)
    assert model.score(X, y) > 0.97
    proba = model.predict_proba(X)
    assert proba.min() >= 0
    assert proba.max() <= 1
    assert np.exp(model.predict_log_proba(X)) == pytest.approx(proba)
    if target == "several":
        assert ((proba > 0.5) == model.predict(X)).all()
    else:
        assert proba.sum(axis=1) == pytest.approx(np.ones(len(X)))


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber"])
def test_losses_of_regressors(estimators: Estimators, loss: str) -> None:
    y = np.stack([NUMBERS, X[:, 3]], axis=1)
    model = estimators.MLPRegressor(loss=loss, **QUICK | {"max_iter": 300}).fit(X, y)
    assert model.score(X, y) > 0.9
    assert model.predict(X).shape == y.shape


def test_log_probabilities_that_vanish(estimators: Estimators) -> None:
    for y in (LABELS, LABELS % 2):
        model = estimators.MLPClassifier(**QUICK).fit(X, y)
        logarithms = model.predict_log_proba(X * 1e4)
        assert np.isfinite(logarithms).all()
        assert logarithms.min() < -1e4


@pytest.mark.parametrize("form", ["csr_matrix", "csc_array", "coo_array"])
@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
def test_sparse_inputs(estimators: Estimators, kind: str, form: str) -> None:
    """Rows enough for several blocks of predictions."""
    x = np.where(abs(X) > 0.5, X, 0)
    given = getattr(sparse, form)(x)
    ours, dense = (getattr(estimators, kind)(**QUICK).fit(data, LABELS) for data in (given, x))
    assert (ours.coefs_[0] == dense.coefs_[0]).all()
    many = np.tile(x, (15, 1))
    assert (ours.predict(getattr(sparse, form)(many)) == dense.predict(many)).all()


def test_data_frames(estimators: Estimators) -> None:
    pandas = pytest.importorskip("pandas", reason="this machine has no pandas")
    frame = pandas.DataFrame(X, columns=list("abcd"))
    y = pandas.Series(LABELS).map({0: "x", 1: "y", 2: "z"}).astype("category")
    model = estimators.MLPClassifier(**QUICK).fit(frame, y)
    assert list(model.feature_names_in_) == list("abcd")
    assert model.score(frame, y) > 0.95
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[list("badc")])


@pytest.mark.parametrize(
    ("given", "dtype", "expected"),
    [("float32", None, "float32"), ("float64", None, "float64"), ("int64", None, "float64"),
     ("float64", "float32", "float32"), ("float32", np.float64, "float64")],
)  # fmt: skip
def test_types_of_numbers(estimators: Estimators, given: str, dtype: Any, expected: str) -> None:
    model = estimators.MLPRegressor(dtype=dtype, **QUICK).fit((X * 3).astype(given), NUMBERS)
    assert model.coefs_[0].dtype == expected
    assert model.predict((X * 3).astype(given)).dtype == expected


def test_weights_of_classes(estimators: Estimators) -> None:
    """Besides those of rows."""
    weights = np.arange(len(X)) % 3 + 0.5
    by_class = np.array([1.0, 3.0, 0.5])[LABELS]
    ours = estimators.MLPClassifier(class_weight={0: 1.0, 1: 3.0, 2: 0.5}, **QUICK).fit(X, LABELS, weights)
    same = estimators.MLPClassifier(**QUICK).fit(X, LABELS, weights * by_class)
    assert ours.coefs_[0] == pytest.approx(same.coefs_[0], rel=1e-12)
    balanced = estimators.MLPClassifier(class_weight="balanced", **QUICK).fit(X, LABELS)
    counts = (len(X) / 3 / np.bincount(LABELS))[LABELS]
    assert balanced.coefs_[0] == pytest.approx(estimators.MLPClassifier(**QUICK).fit(X, LABELS, counts).coefs_[0])


def test_partial_fit_meets_classes_later(estimators: Estimators) -> None:
    model = estimators.MLPClassifier(**QUICK)
    with pytest.raises(ValueError, match="classes"):
        model.partial_fit(X, LABELS)
    for _ in range(40):
        for label in (2, 0, 1):
            model.partial_fit(X[label == LABELS][:20], LABELS[label == LABELS][:20], classes=[0, 1, 2])
    assert model.score(X, LABELS) > 0.9
    assert len(model.loss_curve_) == 120
    with pytest.raises(ValueError, match="y must have classes of those as before"):
        model.partial_fit(X, LABELS + 1)


def test_several_labels_in_any_way(estimators: Estimators) -> None:
    """In one call and in many, sparse too; one row may have several labels, or none."""
    y = (X[:, :3] > 0.5).astype(int)
    whole = estimators.MLPClassifier(**QUICK | {"max_iter": 100}).fit(X, sparse.csr_array(y))
    parts = estimators.MLPClassifier(**QUICK)
    for _ in range(100):
        parts.partial_fit(X, y, classes=[0, 1, 2])
    for model in (whole, parts):
        assert list(model.classes_) == [0, 1, 2]
        assert model.score(X, y) > 0.9


def test_a_warm_start_goes_on(estimators: Estimators) -> None:
    """With curves that grow, of scores too, and steps of its own number."""
    settings = QUICK | {"max_iter": 5, "early_stopping": True, "n_iter_no_change": 99}
    model = estimators.MLPClassifier(warm_start=True, **settings).fit(X, LABELS)
    first = model.coefs_[0].copy()
    model.fit(X, LABELS)
    assert (len(model.loss_curve_), len(model.validation_scores_), model.n_iter_) == (10, 10, 5)
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert model.loss_curve_[5] < model.loss_curve_[0]
    assert (model.coefs_[0] != first).any()
    cold = estimators.MLPClassifier(**settings).fit(X, LABELS).fit(X, LABELS)
    assert len(cold.loss_curve_) == len(cold.validation_scores_) == 5


def test_coefficients_can_be_replaced(estimators: Estimators) -> None:
    model = estimators.MLPRegressor(hidden_layer_sizes=(), max_iter=1).fit(X, NUMBERS)
    model.coefs_[0], model.intercepts_[0] = np.array([[1.0], [-2.0], [0.5], [0.0]]), np.array([0.5])
    assert model.predict(X) == pytest.approx(NUMBERS + 0.5)
    model.intercepts_[0][:] = 0.0
    assert model.predict(X) == pytest.approx(NUMBERS)


# -- what is shown, and what is refused -----------------------------------------------------------------


def test_epochs_are_shown(estimators: Estimators, capsys: pytest.CaptureFixture[str]) -> None:
    model = estimators.MLPClassifier(**QUICK | {"max_iter": 2}, verbose=True, progress=True).fit(X, LABELS)
    shown = capsys.readouterr()
    assert shown.out == "".join(f"epoch {i + 1}: loss {loss:.6g}\n" for i, loss in enumerate(model.loss_curve_))
    assert "2/2" in shown.err


def test_unfinished_training_is_said(estimators: Estimators) -> None:
    with pytest.warns(ConvergenceWarning, match="training ended after max_iter=3 epochs"):
        estimators.MLPClassifier(**QUICK | {"max_iter": 3}).fit(X, LABELS)


@needs_posix
def test_interrupted_training_leaves_an_estimator(backend: str) -> None:
    """Ctrl-C ends training and is said, as by scikit-learn's own."""
    home = "fastact.fallback" if backend == "fallback" else "fastact"
    code = f"""
from fastact.networks.plan import Trainer
take, said = Trainer.take, []
def take_and_say(trainer, steps):
    taken = take(trainer, steps)
    if trainer.epoch > 1 and not said:
        said.append("ready")
        print(*said, flush=True)
    return taken
Trainer.take = take_and_say
model = {home}.MLPRegressor(max_iter=10**6, tol=0, n_iter_no_change=10**6, random_state=0)
x = np.random.default_rng(0).normal(size=(300, 4))
model.fit(x, x[:, 0])
print(model.predict(x).shape, np.isfinite(model.loss_), 0 < len(model.loss_curve_) == model.n_iter_ < 10**6)
"""
    done = interrupted(start("-c", PRELUDE + code))
    assert done.stdout == "(300,) True True\n", done.stderr
    assert "UserWarning: training was interrupted" in done.stderr


def test_divergence_is_an_error(estimators: Estimators) -> None:
    model = estimators.MLPRegressor(**QUICK | {"solver": "sgd", "learning_rate_init": 1e6})
    with pytest.raises(ValueError, match="training diverged"):
        model.fit(X, NUMBERS)


@pytest.mark.parametrize(
    ("error", "message", "settings"),
    [
        (ValueError, "solver must be one of sgd, adam, adamw", {"solver": "lbfgs"}),
        (ValueError, "learning_rate must be one of constant", {"learning_rate": 0.1}),
        (ValueError, "learning_rate_init must be above 0", {"learning_rate_init": 0}),
        (ValueError, "activation", {"activation": "gellu"}),
        (ValueError, "alpha must be at least 0", {"alpha": -1}),
        (ValueError, "hidden_layer_sizes must be at least 1", {"hidden_layer_sizes": (3, 0)}),
        (TypeError, "hidden_layer_sizes must be a whole number", {"hidden_layer_sizes": 2.5}),
        (ValueError, "momentum must be at least 0", {"momentum": 1.5}),
        (ValueError, "max_iter must be at least 1", {"max_iter": 0}),
        (ValueError, "batch_size must be at least 1", {"batch_size": 0}),
        (TypeError, "batch_size must be a whole number", {"batch_size": "all"}),
        (ValueError, "dtype must be one of float32, float64", {"dtype": "float16"}),
        (ValueError, "loss must be one of", {"loss": "poisson"}),
        (
            ValueError,
            "rows leaves 1 to validate with",
            {"early_stopping": True, "validation_fraction": 0.004, "hidden_layer_sizes": (3,)},
        ),
        (TypeError, "tol must be a number", {"tol": "small"}),
    ],
)
@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
def test_settings_that_are_refused(
    estimators: Estimators, kind: str, error: type[Exception], message: str, settings: dict[str, Any]
) -> None:
    """Said by ``fit``; an estimator that was fitted before still predicts as it did, other data or not."""
    model = getattr(estimators, kind)(**QUICK).fit(X, LABELS)
    before = model.predict(X)
    with pytest.raises(error, match=message):
        model.set_params(**settings).fit(X[:, :2], LABELS + 7)
    assert (model.set_params(loss=type(model)().loss).predict(X) == before).all()


def test_what_does_not_go_together(estimators: Estimators) -> None:
    with pytest.raises(ValueError, match="early_stopping has no place"):
        estimators.MLPRegressor(early_stopping=True).partial_fit(X, NUMBERS)
    with pytest.raises(ValueError, match="give partial_fit a dict"):
        estimators.MLPClassifier(class_weight="balanced").partial_fit(X, LABELS, classes=[0, 1, 2])
    model = estimators.MLPClassifier(warm_start=True, **QUICK).fit(X, LABELS)
    with pytest.raises(ValueError, match="with warm_start y must have the same classes"):
        model.fit(X, LABELS % 2)
    with pytest.raises(ValueError, match="hidden_layer_sizes is now"):
        model.set_params(hidden_layer_sizes=(3,)).fit(X, LABELS)
    with pytest.raises(NotFittedError):
        estimators.MLPClassifier().predict(X)


# -- scikit-learn itself ----------------------------------------------------------------------------------


def test_importing_loads_no_scikit_learn() -> None:
    code = "import sys, fastact; fastact.MLP([2, 1]), fastact.gelu; print('sklearn' in sys.modules)"
    assert run(code).stdout.strip() == "False"


@pytest.mark.parametrize("home", ["fastact", "fastact.fallback"])
def test_without_scikit_learn(home: str) -> None:
    """The names are there, and say how to get it."""
    code = f"""
import sys
sys.modules["sklearn"] = None
import fastact
assert "MLPClassifier" in {home}.__all__
try:
    {home}.MLPClassifier(alpha=1)
except ImportError as error:
    print(error)
"""
    said = run(code).stdout
    assert said.startswith("fastact.MLPClassifier needs scikit-learn 1.6 or later")
    assert "pip install 'fastact[sklearn]'" in said

"""Fitting networks: what comes out, what can be set, and every mistake named before anything changes."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastact
from tests.conftest import Network
from tests.samples import data, labelled, named, parts, step_of

# -- fitting --------------------------------------------------------------------------------------------


def test_own_activation_trains(network: Network) -> None:
    @fastact.activation
    def bent(x: Any, slope: float = 1.5) -> Any:
        return x + slope * (np.sqrt(x * x + 1) - 1) / 2

    x, _ = data(rows=60)
    model = network([5, 8, 1], [bent], optimizer="adam", learning_rate=0.02, epochs=60, random_state=0)
    model.fit(x, x[:, :1] * 2 - abs(x[:, 1:2]))
    assert model.score(x, x[:, :1] * 2 - abs(x[:, 1:2])) > 0.9


def test_own_activation_of_a_name_that_there_is(network: Network, tmp_path: Path) -> None:
    """It is what it is, not what the catalogue has under that name; a file, which has but the name, could not tell."""
    x, _ = data()
    plain, own = (network([5, 3], output_activation=a, random_state=0) for a in ("identity", named("identity")))
    assert np.array_equal(own.predict(x), 2 * plain.predict(x))
    for ours, theirs in zip(step_of(own, x, 2 * x[:, :3]), step_of(plain, x, x[:, :3])):
        assert ours == pytest.approx(4 * theirs, rel=1e-4, abs=1e-7)
    with pytest.raises(ValueError, match="identity is not the catalogue's"):
        own.save(tmp_path / "own.npz")
    assert not list(tmp_path.iterdir())


def test_predictions_without_a_warning(network: Network) -> None:
    model = network([1, 2], loss="cross_entropy")
    model.weights[0] = [[np.inf], [1.0]]
    assert np.isnan(model.predict_proba([[1.0]])).all()
    model.loss = "mse"
    assert model.score([[1.0], [2.0]], [[1.0, 2.0], [3.0, 4.0]]) == -np.inf


def test_labels_are_learned(network: Network) -> None:
    x, labels = labelled()
    model = network([4, 16, 3], loss="cross_entropy", optimizer="adam", learning_rate=0.01, epochs=20, random_state=0)
    assert model.fit(x, labels) is model
    assert model.score(x, labels) > 0.97
    assert model.score(x, np.eye(3)[labels]) == model.score(x, labels)
    assert model.predict(x).shape == labels.shape
    assert model.predict_proba(x).sum(axis=1) == pytest.approx(np.ones(len(x)), rel=1e-5)
    assert model.loss_curve_.shape == (20,)
    assert model.loss_curve_[-1] < model.loss_curve_[0] / 2


@pytest.mark.parametrize("loss", ["binary_cross_entropy", "binary_cross_entropy_with_logits"])
def test_binary_losses_predict_classes(network: Network, loss: str) -> None:
    x, labels = labelled(classes=2)
    output = "sigmoid" if loss == "binary_cross_entropy" else "identity"
    model = network([4, 1], output_activation=output, loss=loss, learning_rate=0.5, random_state=0).fit(x, labels)
    assert model.predict(x).shape == labels.shape
    assert set(model.predict(x)) == {0, 1}
    assert model.score(x, labels) == (model.predict(x) == labels).mean() > 0.97
    probabilities = model.predict_proba(x)
    assert probabilities.shape == (len(x), 1)
    assert ((probabilities[:, 0] > 0.5) == labels).mean() > 0.97


def test_score_is_r_squared(network: Network) -> None:
    x, y = data()
    model = network([5, 3], random_state=0)
    error = ((model.predict(x) - y) ** 2).sum(axis=0)
    expected = (1 - error / ((y - y.mean(axis=0)) ** 2).sum(axis=0)).mean()
    assert model.score(x, y) == pytest.approx(expected, rel=1e-6)


def test_predictions_have_the_shape_of_targets(network: Network) -> None:
    x, _ = data()
    assert network([5, 1], epochs=1).fit(x, x[:, 0]).predict(x).shape == (24,)
    assert network([5, 1], epochs=1).fit(x, x[:, :1]).predict(x).shape == (24, 1)
    assert network([5, 1]).predict(x[:0]).shape == (0, 1)


def test_the_same_seed_gives_the_same_bits(network: Network) -> None:
    x, y = data(rows=100)
    a, b, c = (network([5, 40, 3], epochs=5, random_state=seed).fit(x, y) for seed in (1, 1, 2))
    assert all(np.array_equal(p, q) for p, q in zip(parts(a), parts(b)))
    assert not np.array_equal(a.weights[0], c.weights[0])
    d = network([5, 40, 3], epochs=5, random_state=1, shuffle=False).fit(x, y)
    assert not np.array_equal(a.weights[0], d.weights[0])


def test_looking_on_changes_nothing(network: Network, capsys: pytest.CaptureFixture[str]) -> None:
    """A progress bar or a callback cuts training into more calls; the numbers stay the same."""
    x, y = data(rows=100)
    seen = []
    plain, shown, watched = (network([5, 8, 3], epochs=6, random_state=1) for _ in range(3))
    plain.fit(x, y)
    shown.fit(x, y, progress=True)
    watched.fit(x, y, callback=lambda model, epoch, loss: seen.append((epoch, loss, len(model.loss_curve_))))
    for other in (shown, watched):
        assert all(np.array_equal(p, q) for p, q in zip(parts(plain), parts(other)))
    assert seen == [(i, loss, i + 1) for i, loss in enumerate(plain.loss_curve_)]
    assert "6/6" in capsys.readouterr().err


@pytest.mark.parametrize("truth", [bool, np.bool_])
def test_a_callback_can_end_training(network: Network, truth: type) -> None:
    x, y = data()
    model = network([5, 3], epochs=50).fit(x, y, callback=lambda model, epoch, loss: truth(epoch == 3))
    assert len(model.loss_curve_) == 4
    model.fit(x, y, callback=lambda model, epoch, loss: [epoch])  # what is said otherwise ends nothing
    assert len(model.loss_curve_) == 50


#: What can be set while networks train, for optimizers of each kind.
SETTABLE: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"learning_rate": 0.3}),
    ({"momentum": 0.9}, {"momentum": 0.5, "nesterov": True, "weight_decay": 0.1}),
    ({"optimizer": "adam"}, {"learning_rate": 0.1, "betas": (0.7, 0.9), "eps": 1e-3, "weight_decay": 0.2}),
]


@pytest.mark.parametrize(("settings", "later"), SETTABLE, ids=str)
def test_a_callback_can_set_weights_and_settings(
    network: Network, settings: dict[str, Any], later: dict[str, Any]
) -> None:
    """They hold from the next epoch on: the epoch before and the one after, each for itself."""
    x, y = data()

    def change(model: Any, *_: Any) -> None:
        model.weights[1] = np.ones((3, 8))
        model.biases[0] = np.full(8, 0.25)
        for name, value in later.items():
            setattr(model, name, value)

    options: dict[str, Any] = {"dtype": "float64", "random_state": 1, "shuffle": False, **settings}
    watched = network([5, 8, 3], epochs=2, **options)
    watched.fit(x, y, callback=lambda model, epoch, loss: change(model) if epoch == 0 else None)
    by_hand = network([5, 8, 3], **options).partial_fit(x, y)
    change(by_hand)
    by_hand.partial_fit(x, y)
    assert all(np.array_equal(p, q) for p, q in zip(parts(watched), parts(by_hand)))
    assert np.array_equal(watched.loss_curve_, by_hand.loss_curve_)


@pytest.mark.parametrize(
    ("message", "change"),
    [
        ("learning_rate must be", {"learning_rate": -1.0}),
        (r"weights\[0\] must have shape", {"weights": [np.ones((2, 2)), np.ones((3, 8))]}),
        ("neither the optimizer", {"optimizer": "adam"}),
        ("set momentum", {"momentum": 0.9}),
        ("sizes and dtype", {"sizes": [5, 9, 3]}),
    ],
)
def test_mistakes_of_a_callback(network: Network, message: str, change: dict[str, Any]) -> None:
    x, y = data()
    model = network([5, 8, 3], epochs=3)
    with pytest.raises(ValueError, match=message):
        model.fit(x, y, callback=lambda model, epoch, loss: vars(model).update(change))
    assert len(model.loss_curve_) == 1


@pytest.mark.parametrize("rows", [10, 100])
def test_a_callback_can_change_the_data(network: Network, rows: int) -> None:
    """Noise on the inputs, say; also where steps over all rows keep them transposed."""
    x, y = data(rows)
    changed, model = x.copy(), network([5, 4, 3], epochs=2, batch_size=None, dtype="float64", random_state=1)
    model.fit(changed, y, callback=lambda *_: changed.__imul__(2) is None)
    parted = network([5, 4, 3], batch_size=None, dtype="float64", random_state=1)
    parted.partial_fit(x, y).partial_fit(2 * x, y)
    assert all(np.array_equal(a, b) for a, b in zip(parts(model), parts(parted)))


def test_partial_fit_goes_on_where_fit_ended(network: Network) -> None:
    """Adam's moments included: an epoch and four more are five."""
    x, y = data()
    settings = {"optimizer": "adam", "random_state": 1, "shuffle": False, "dtype": "float64"}
    whole = network([5, 8, 3], epochs=5, **settings).fit(x, y)
    bits = network([5, 8, 3], epochs=1, **settings).fit(x, y)
    for _ in range(4):
        bits.partial_fit(x, y)
    assert all(np.array_equal(p, q) for p, q in zip(parts(whole), parts(bits)))
    assert np.array_equal(whole.loss_curve_, bits.loss_curve_)


@pytest.mark.parametrize("given", [np.float64, np.float32, np.float16, int, bool, list, "strided", "fortran"], ids=str)
def test_inputs_of_any_kind(network: Network, given: Any) -> None:
    x = np.random.default_rng(0).integers(0, 2, (30, 4))
    expected = network([4, 2], epochs=2, random_state=0).fit(x.astype(float), x[:, :2].astype(float))
    if given == "strided":
        other: Any = np.repeat(x, 2, axis=1)[:, ::2]
    elif given == "fortran":
        other = np.asfortranarray(x)
    else:
        other = x.tolist() if given is list else x.astype(given)
    model = network([4, 2], epochs=2, random_state=0).fit(other, x[:, :2])
    assert np.array_equal(model.weights[0], expected.weights[0])


def test_weights_can_be_set_and_changed(network: Network) -> None:
    model = network([2, 3], dtype="float64")
    model.weights[0] = np.arange(6).reshape(3, 2)
    model.biases = [[0.5, 0, 0]]
    assert model.predict([[1, 2]]).tolist() == [[2.5, 8.0, 14.0]]
    model.weights[0][1, 0] = 100
    assert model.predict([[1, 2]]).tolist() == [[2.5, 106.0, 14.0]]


def test_weights_that_were_given_stay_the_users(network: Network) -> None:
    given = np.asfortranarray(np.ones((3, 5)))
    model = network([5, 3], dtype="float64", epochs=1)
    model.weights[0] = given
    model.fit(*data())
    assert np.all(given == 1)
    assert not np.any(model.weights[0] == 1)


# -- divergence ---------------------------------------------------------------------------------------


def diverging(network: Network, **settings: Any) -> Any:
    return network([5, 8, 3], **{"learning_rate": 1e20, "epochs": 1000, "random_state": 0, **settings})


@pytest.mark.parametrize(
    "watched", [{}, {"callback": lambda *_: None}, {"keep_finite": True}], ids=["plain", "callback", "keep_finite"]
)
@pytest.mark.parametrize("optimizer", [{}, {"momentum": 0.5}], ids=str)
def test_divergence_is_said_once(network: Network, optimizer: dict[str, Any], watched: dict[str, Any]) -> None:
    x, y = data()
    model = diverging(network, **optimizer)
    with pytest.warns(RuntimeWarning, match="training diverged.*is nan.*learning_rate") as said:
        model.fit(x, y, **watched)
    assert len(said) == 1
    assert said[0].filename == __file__
    assert np.isnan(model.loss_curve_).tolist() == [False] * (len(model.loss_curve_) - 1) + [True]


@pytest.mark.parametrize("settings", [{}, {"momentum": 0.5}, {"optimizer": "adam"}], ids=str)
def test_the_last_finite_weights_are_kept(network: Network, settings: dict[str, Any]) -> None:
    """And the optimizer as it was then: training can go on from there."""
    x, y = data()
    twins: list[Any] = []

    def watch(model: Any, epoch: int, loss: float) -> None:
        twins.append(copy.copy(model))
        if epoch == 1:
            model.learning_rate = 1e300  # infinite in float32

    model = network([5, 8, 3], epochs=50, shuffle=False, batch_size=None, random_state=0, **settings)
    with pytest.warns(RuntimeWarning, match="back at the last epoch that left them finite"):
        model.fit(x, y, callback=watch, keep_finite=True)
    *_, expected = (twin for twin in twins if all(np.isfinite(part).all() for part in parts(twin)))
    for other in (model, expected):
        other.learning_rate = 1e-6
        assert all(np.isfinite(part).all() for part in parts(other.partial_fit(x, y)))
    assert all(np.array_equal(p, q) for p, q in zip(parts(model), parts(expected)))


def test_a_step_that_diverges(network: Network) -> None:
    x, y = data()
    model = diverging(network, batch_size=None, learning_rate=1e300, dtype="float64")
    before = parts(model)
    for _ in range(3):
        with pytest.warns(RuntimeWarning, match="training diverged"):
            model.partial_fit(x * 1e10, y, keep_finite=True)
        assert all(np.array_equal(p, q) for p, q in zip(parts(model), before))


def test_infinite_losses_may_come_down_again(network: Network) -> None:
    """A squared error that float32 does not hold has a gradient that it does."""
    x = np.ones((4, 1))
    model = network([1, 1], learning_rate=0.2, epochs=200, batch_size=None, random_state=0)
    model.fit(x, x * 1e25)
    assert model.loss_curve_[0] == np.inf
    assert model.predict(x) == pytest.approx(x * 1e25, rel=1e-3)


# -- mistakes -----------------------------------------------------------------------------------------

NAN = float("nan")


@pytest.mark.parametrize(
    ("error", "message", "settings"),
    [
        (ValueError, "sizes", {"sizes": [3]}),
        (ValueError, "at least 1", {"sizes": [3, 0]}),
        (TypeError, "whole number", {"sizes": [3, 2.5]}),
        (TypeError, "sizes", {"sizes": "32"}),
        (ValueError, "no activation is called 'rleu'", {"activation": "rleu"}),
        (ValueError, "2 for 1 hidden", {"activation": ["relu", "relu"]}),
        (ValueError, "weight has no default", {"activation": "prelu"}),
        (TypeError, "activation", {"output_activation": np.tanh}),
        (ValueError, "loss must be one of mse", {"loss": "mean"}),
        (ValueError, "optimizer must be one of sgd", {"optimizer": "adagrad"}),
        (ValueError, "learning_rate", {"learning_rate": NAN}),
        (ValueError, "learning_rate", {"learning_rate": -0.1}),
        (TypeError, "learning_rate", {"learning_rate": "0.1"}),
        (ValueError, "momentum", {"momentum": NAN}),
        (ValueError, "momentum", {"nesterov": True}),
        (ValueError, "momentum", {"momentum": 0.9, "optimizer": "adam"}),
        (ValueError, "weight_decay", {"weight_decay": float("inf")}),
        (ValueError, "betas", {"betas": (0.9, 1.0)}),
        (ValueError, "betas", {"betas": 0.9}),
        (ValueError, "eps", {"eps": NAN}),
        (ValueError, "batch_size", {"batch_size": 0}),
        (TypeError, "batch_size", {"batch_size": 2.0}),
        (ValueError, "learning_rate", {"learning_rate": 10**5000}),
        (ValueError, "batch_size must be from", {"batch_size": 10**5000}),
        (ValueError, "epochs must be from", {"epochs": 10**5000}),
        (ValueError, "each of sizes must be from", {"sizes": [10**5000, 2]}),
        (ValueError, "epochs", {"epochs": -1}),
        (ValueError, "dtype", {"dtype": "float16"}),
    ],
)
def test_settings_that_make_no_sense(
    network: Network, error: type[Exception], message: str, settings: dict[str, Any]
) -> None:
    with pytest.raises(error, match=message):
        network(**{"sizes": [3, 4, 2], **settings})


X, Y = data(rows=6, inputs=3, outputs=2)


@pytest.mark.parametrize(
    ("error", "message", "loss", "x", "y"),
    [
        (ValueError, r"x must have shape \(rows, 3\)", "mse", X[:, :2], Y),
        (ValueError, r"x must have shape", "mse", X[0], Y),
        (ValueError, "no rows", "mse", X[:0], Y[:0]),
        (ValueError, r"y must have shape \(6, 2\)", "mse", X, Y[:5]),
        (ValueError, r"y must have shape", "mse", X, Y[:, 0]),
        (ValueError, "not finite", "mse", X * [1, NAN, 1], Y),
        (ValueError, "not finite", "mse", X, Y * float("inf")),
        (ValueError, "not finite", "mse", X * 1e39, Y),
        (TypeError, "complex", "mse", X + 1j, Y),
        (TypeError, "real numbers", "mse", X.astype(str), Y),
        (TypeError, "object", "mse", X, Y.astype(object)),
        (ValueError, "labels must be from 0 to 1", "cross_entropy", X, [0, 1, 2, 0, 1, 0]),
        (ValueError, "labels must be from 0 to 1", "cross_entropy", X, [0, 1, -1, 0, 1, 0]),
        (ValueError, "whole numbers", "cross_entropy", X, [0.0, 1, 1, 0, 1, 0]),
        (ValueError, "probabilities", "cross_entropy", X, Y * 3),
        (ValueError, "probabilities", "binary_cross_entropy_with_logits", X, Y - 1),
    ],
)
def test_data_that_does_not_fit(
    network: Network, error: type[Exception], message: str, loss: str, x: Any, y: Any
) -> None:
    model = network([3, 2], loss=loss, random_state=0)
    before = parts(model)
    for method in (model.fit, model.partial_fit, model.score):
        with pytest.raises(error, match=message):
            method(x, y)
    assert all(np.array_equal(p, q) for p, q in zip(parts(model), before))


@pytest.mark.parametrize("settings", [{"sizes": [300, 4, 2]}, {"sizes": [3, 900, 2]}, {"dtype": np.dtype("float64")}])
@pytest.mark.parametrize("in_place", [False, True])
def test_what_weights_have_cannot_be_changed(network: Network, settings: dict[str, Any], in_place: bool) -> None:
    """Compiled code would read and write beyond the weights."""
    model = network([3, 4, 2])
    for name, value in settings.items():
        if in_place and name == "sizes":
            model.sizes[:] = value
        else:
            setattr(model, name, value)
    x = np.ones((50, model.sizes[0]))
    for use in (lambda: model.fit(x, np.ones((50, 2))), lambda: model.predict(x)):
        with pytest.raises(ValueError, match="sizes and dtype are those of the weights"):
            use()


def test_weights_that_do_not_fit(network: Network) -> None:
    model = network([3, 4, 2])
    model.weights[1] = np.ones((4, 2))
    with pytest.raises(ValueError, match=r"weights\[1\] must have shape \(2, 4\); got \(4, 2\)"):
        model.fit(X, Y)
    model.weights = model.weights[:1]
    with pytest.raises(ValueError, match="weights must hold 2 arrays"):
        model.predict(X)


def test_settings_changed_later_are_checked_too(network: Network) -> None:
    model = network([3, 2])
    model.learning_rate = NAN
    with pytest.raises(ValueError, match="learning_rate"):
        model.fit(X, Y)


def test_no_probabilities_from_regression(network: Network) -> None:
    with pytest.raises(ValueError, match="predicts no probabilities"):
        network([3, 2]).predict_proba(X)

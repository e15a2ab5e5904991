"""Networks: gradients, losses and optimizers against torch, and everything that can go wrong around them."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastact
from fastact.activations import ACTIVATIONS
from fastact.keywords import REQUIRED
from tests.test_cache import finish, run, start
from tests.test_threads import PRELUDE, compiled_only, needs_posix

Network = Callable[..., Any]

#: Activations that torch has no function for, in its terms.
IN_TORCH: dict[str, Callable[[Any, Any], Any]] = {
    "identity": lambda torch, x: x,
    "hardsigmoid": lambda torch, x: torch.clamp(x + 3, 0, 6) / 6,  # torch's own takes a sixth in float32
    "step": lambda torch, x: (x > 0).to(x.dtype) + 0 * x,
    "thresholded_relu": lambda torch, x: torch.where(x > 1, x, 0 * x),
    "sparse_plus": lambda torch, x: torch.where(x <= -1, 0 * x, torch.where(x >= 1, x, (x + 1) ** 2 / 4)),
    "sparse_sigmoid": lambda torch, x: torch.clamp((x + 1) / 2, 0, 1),
    "squareplus": lambda torch, x: (x + torch.sqrt(x**2 + 4)) / 2,
    "logcosh": lambda torch, x: torch.log(torch.cosh(x)),
    "lisht": lambda torch, x: x * torch.tanh(x),
    "swish": lambda torch, x: torch.nn.functional.silu(x),
    "quick_gelu": lambda torch, x: x * torch.sigmoid(1.702 * x),
    "gelu_tanh": lambda torch, x: torch.nn.functional.gelu(x, approximate="tanh"),
}

IN_NETWORKS = [entry.name for entry in ACTIVATIONS.values() if REQUIRED not in entry.parameters.values()]

LOSSES = {
    "mse": "mse_loss",
    "l1": "l1_loss",
    "huber": "huber_loss",
    "binary_cross_entropy": "binary_cross_entropy",
    "binary_cross_entropy_with_logits": "binary_cross_entropy_with_logits",
    "cross_entropy": "cross_entropy",
}


@pytest.fixture
def network(backend: str) -> Network:
    made: Network = fastact.fallback.MLP if backend == "fallback" else fastact.MLP
    return made


def data(rows: int = 24, inputs: int = 5, outputs: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    return draw.normal(size=(rows, inputs)), draw.uniform(size=(rows, outputs))


def labelled(rows: int = 200, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Points around as many centres as there are classes."""
    draw = np.random.default_rng(5)
    labels = draw.integers(0, classes, rows)
    return draw.normal(0, 0.3, (rows, 4)) + 2 * np.eye(classes, 4)[labels], labels


class Twin:
    """The same network in torch, with the same weights, in float64."""

    def __init__(self, model: Any, activation: str, output: str = "identity") -> None:
        self.torch = pytest.importorskip("torch")
        self.parts = [
            self.torch.tensor(np.array(part), dtype=self.torch.float64, requires_grad=True)
            for pair in zip(model.weights, model.biases)
            for part in pair
        ]
        self.activations = [activation] * (len(model.weights) - 1) + [output]

    def __call__(self, x: np.ndarray) -> Any:
        a = self.torch.tensor(x, dtype=self.torch.float64)
        for weight, bias, name in zip(self.parts[::2], self.parts[1::2], self.activations):
            z = a @ weight.T + bias
            known = IN_TORCH.get(name)
            a = known(self.torch, z) if known else getattr(self.torch.nn.functional, name)(z)
        return a

    def loss(self, name: str, x: np.ndarray, y: np.ndarray) -> Any:
        target = self.torch.tensor(y)
        return getattr(self.torch.nn.functional, LOSSES[name])(self(x), target)


def parts(model: Any) -> list[np.ndarray]:
    return [np.array(part) for pair in zip(model.weights, model.biases) for part in pair]


def step_of(model: Any, x: Any, y: Any) -> list[np.ndarray]:
    """What one step subtracts from weights and biases; with plain gradient descent at rate 1, the gradients."""
    before = parts(model)
    model.partial_fit(x, y)
    return [b - a for a, b in zip(parts(model), before)]


# -- gradients ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", IN_NETWORKS)
def test_gradients_like_torch(network: Network, activation: str) -> None:
    x, y = data()
    model = network([5, 7, 3], activation, learning_rate=1.0, batch_size=None, dtype="float64", random_state=1)
    twin = Twin(model, activation)
    twin.loss("mse", x, y).backward()
    for ours, theirs in zip(step_of(model, x, y), twin.parts):
        expected = theirs.grad.numpy()
        assert ours == pytest.approx(expected, rel=1e-12, abs=1e-12 * max(abs(expected).max(), 1e-3))


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_gradients_like_differences(network: Network, optimizer: str) -> None:
    """Without torch: the loss at weights a little to either side. Adam's first step is the gradient's sign."""
    x, y = data(inputs=3, outputs=2)
    model = network(
        [3, 4, 2], "tanh", loss="huber", optimizer=optimizer, learning_rate=1e-3, batch_size=None, dtype="float64"
    )
    original, h, slopes = parts(model), 1e-5, []
    for i, part in enumerate(original):
        slope = np.empty(part.shape)
        for place in np.ndindex(part.shape):
            values = []
            for sign in (1, -1):
                moved = [p.copy() for p in original]
                moved[i][place] += sign * h
                model.weights, model.biases = moved[::2], moved[1::2]
                error = model.predict(x) - y
                values.append(np.where(abs(error) < 1, error**2 / 2, abs(error) - 0.5).mean())
            slope[place] = (values[0] - values[1]) / (2 * h)
        slopes.append(slope)
    model.weights, model.biases = original[::2], original[1::2]
    for ours, slope in zip(step_of(model, x, y), slopes):
        if optimizer == "sgd":
            assert ours / 1e-3 == pytest.approx(slope, rel=1e-5, abs=1e-8)
        else:
            assert ours == pytest.approx(1e-3 * np.sign(slope), rel=1e-3)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("target", ["labels", "probabilities"])
def test_losses_like_torch(network: Network, loss: str, target: str) -> None:
    if target == "labels" and loss != "cross_entropy":
        pytest.skip("only the cross-entropy takes labels")
    x, y = data(rows=19)
    if target == "labels":
        y = y.argmax(axis=1)
    output = "sigmoid" if loss == "binary_cross_entropy" else "identity"
    model = network(
        [5, 6, 3], "silu", output, loss, learning_rate=1.0, batch_size=None, dtype="float64", random_state=2
    )
    twin = Twin(model, "silu", output)
    value = twin.loss(loss, x, y)
    value.backward()
    steps = step_of(model, x, y)
    assert model.loss_curve_ == pytest.approx([value.item()], rel=1e-12)
    for ours, theirs in zip(steps, twin.parts):
        assert ours == pytest.approx(theirs.grad.numpy(), rel=1e-11, abs=1e-14)


def test_binary_cross_entropy_of_other_outputs(network: Network) -> None:
    """Probabilities that come from no sigmoid, at torch's bounds too: a 0 where a 1 is wanted costs 100."""
    model = network(
        [1, 1], output_activation="hardsigmoid", loss="binary_cross_entropy", dtype="float64", batch_size=None
    )
    model.weights[0], model.biases[0] = [[1.0]], [0.0]
    model.partial_fit([[-9.0], [1.5]], [1.0, 1.0])
    assert model.loss_curve_[0] == pytest.approx((100 - np.log(0.75)) / 2, rel=1e-14)


@pytest.mark.parametrize("output", ["identity", "sigmoid"])
def test_extreme_logits_give_finite_losses(network: Network, output: str) -> None:
    loss = "cross_entropy" if output == "identity" else "binary_cross_entropy"
    model = network([1, 2], output_activation=output, loss=loss, batch_size=None)
    model.weights[0], model.biases[0] = [[1e4], [-1e4]], [0.0, 0.0]
    model.partial_fit([[1.0]], [1] if output == "identity" else [[0.0, 1.0]])
    assert model.loss_curve_[0] == pytest.approx(20_000 if output == "identity" else 10_000)


# -- optimizers -----------------------------------------------------------------------------------------

OPTIMIZERS = {
    "momentum": {"optimizer": "sgd", "learning_rate": 0.05, "momentum": 0.9},
    "nesterov": {"optimizer": "sgd", "learning_rate": 0.05, "momentum": 0.8, "nesterov": True},
    "decay": {"optimizer": "sgd", "learning_rate": 0.05, "weight_decay": 0.1},
    "all": {"optimizer": "sgd", "learning_rate": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    "adam": {"optimizer": "adam", "learning_rate": 0.01},
    "adam all": {"optimizer": "adam", "learning_rate": 0.02, "betas": (0.8, 0.95), "eps": 1e-4, "weight_decay": 0.1},
}


@pytest.mark.parametrize("case", OPTIMIZERS)
def test_optimizers_like_torch(network: Network, case: str) -> None:
    """Twenty steps, two of them per epoch and the second with fewer rows."""
    settings = OPTIMIZERS[case]
    x, y = data(rows=25)
    model = network(
        [5, 6, 3], "tanh", batch_size=16, epochs=10, shuffle=False, dtype="float64", random_state=3, **settings
    )
    twin = Twin(model, "tanh")
    given = {k: v for k, v in settings.items() if k not in ("optimizer", "learning_rate")}
    made = twin.torch.optim.SGD if settings["optimizer"] == "sgd" else twin.torch.optim.Adam
    optimizer = made(twin.parts, lr=settings["learning_rate"], **given)
    for _ in range(10):
        for part in (slice(0, 16), slice(16, 25)):
            optimizer.zero_grad()
            twin.loss("mse", x[part], y[part]).backward()
            optimizer.step()
    model.fit(x, y)
    for ours, theirs in zip(parts(model), twin.parts):
        assert ours == pytest.approx(theirs.detach().numpy(), rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("case", OPTIMIZERS)
def test_optimizers_as_written_down(network: Network, case: str) -> None:
    """Linear regression without torch: Sutskever et al. 2013 in torch's form, and Kingma and Ba 2014, in NumPy."""
    s: dict[str, Any] = {"momentum": 0.0, "nesterov": False, "weight_decay": 0.0, "betas": (0.9, 0.999), "eps": 1e-8}
    s |= OPTIMIZERS[case]
    x, y = data(rows=10, inputs=4, outputs=2)
    model = network([4, 2], batch_size=None, epochs=20, dtype="float64", random_state=3, **OPTIMIZERS[case])
    p = np.concatenate([model.weights[0], model.biases[0][:, None]], axis=1)
    with_one = np.concatenate([x, np.ones((10, 1))], axis=1)
    m, v = np.zeros_like(p), np.zeros_like(p)
    for t in range(1, 21):
        g = 2 * (with_one @ p.T - y).T @ with_one / y.size + s["weight_decay"] * p
        if s["optimizer"] == "sgd":
            m = s["momentum"] * m + g
            p = p - s["learning_rate"] * (g + s["momentum"] * m if s["nesterov"] else m)
        else:
            first, second = s["betas"]
            m, v = first * m + (1 - first) * g, second * v + (1 - second) * g**2
            p = p - s["learning_rate"] * (m / (1 - first**t)) / (np.sqrt(v / (1 - second**t)) + s["eps"])
    model.fit(x, y)
    assert model.weights[0] == pytest.approx(p[:, :-1], rel=1e-10, abs=1e-12)
    assert model.biases[0] == pytest.approx(p[:, -1], rel=1e-10, abs=1e-12)


@compiled_only
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [[1, 1], [3, 17, 2], [40, 33, 65, 10], [130, 70, 129, 1], [2, 300, 300, 3]], ids=str)
@pytest.mark.parametrize(("rows", "batch"), [(1, 1), (23, 1), (23, 5), (23, None), (300, 128)])
def test_backends_agree(sizes: list[int], rows: int, batch: int | None, dtype: str) -> None:
    """Every shape of tile: the same steps in NumPy, rows shuffled alike."""
    x, y = data(rows, sizes[0], sizes[-1])
    models = [
        made(sizes, "tanh", batch_size=batch, epochs=3, learning_rate=0.05, dtype=dtype, random_state=7)
        for made in (fastact.MLP, fastact.fallback.MLP)
    ]
    ours, theirs = (model.fit(x, y) for model in models)
    tolerance = 1e-4 if dtype == "float32" else 1e-12
    assert ours.loss_curve_ == pytest.approx(theirs.loss_curve_, rel=tolerance, abs=tolerance * 1e-3)
    for a, b in zip(parts(ours), parts(theirs)):
        assert a == pytest.approx(b, rel=tolerance, abs=tolerance)
    assert ours.predict(x) == pytest.approx(theirs.predict(x), rel=tolerance, abs=tolerance)


# -- fitting --------------------------------------------------------------------------------------------


def test_own_activation_trains(network: Network) -> None:
    @fastact.activation
    def bent(x: Any, slope: float = 1.5) -> Any:
        return x + slope * (np.sqrt(x * x + 1) - 1) / 2

    x, _ = data(rows=60)
    model = network([5, 8, 1], [bent], optimizer="adam", learning_rate=0.02, epochs=60, random_state=0)
    model.fit(x, x[:, :1] * 2 - abs(x[:, 1:2]))
    assert model.score(x, x[:, :1] * 2 - abs(x[:, 1:2])) > 0.9


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


def test_a_callback_can_end_training(network: Network) -> None:
    x, y = data()
    model = network([5, 3], epochs=50).fit(x, y, callback=lambda model, epoch, loss: epoch == 3)
    assert len(model.loss_curve_) == 4


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


# -- files ------------------------------------------------------------------------------------------------


def saved(network: Network, path: Path) -> Any:
    x, labels = labelled()
    model = network(
        [4, 6, 3], ["tanh"], loss="cross_entropy", optimizer="adam", betas=(0.8, 0.9), batch_size=np.int64(16), epochs=3
    )
    model.fit(x, labels).save(path)
    return model


def test_saved_networks_come_back(network: Network, tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    model = saved(network, path)
    assert [p.name for p in tmp_path.iterdir()] == ["model.bin"]
    again = network.load(path)  # type: ignore[attr-defined]
    assert type(again) is type(model)
    x, _ = labelled()
    assert np.array_equal(again.predict_proba(x), model.predict_proba(x))
    assert np.array_equal(again.loss_curve_, model.loss_curve_)
    assert (again.betas, again.batch_size, again.activation) == ([0.8, 0.9], 16, ["tanh"])
    again.fit(*labelled())
    with np.load(path, allow_pickle=False) as file:
        assert file["weight_0"].shape == (6, 4)


def test_damaged_files_are_refused(network: Network, tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    saved(network, path)
    whole = path.read_bytes()
    for length in [0, 1, 100, len(whole) // 2, len(whole) - 1, len(whole) - 30]:
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"model\.npz"):
            network.load(path)  # type: ignore[attr-defined]
    for position in range(30, len(whole), 97):  # whatever byte is wrong: a network that is right, or an error
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x55]) + whole[position + 1 :])
        with contextlib.suppress(ValueError):
            network.load(path)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "arrays",
    [{"a": np.ones(3)}, {"format": np.array("fastact MLP 2")}, {"format": np.array("fastact MLP 1")}, {}],
    ids=["foreign", "other version", "nothing in it", "empty"],
)
def test_foreign_files_are_refused(network: Network, tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    path = tmp_path / "other.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"other\.npz holds"):
        network.load(path)  # type: ignore[attr-defined]


def test_no_pickles_are_read(network: Network, tmp_path: Path) -> None:
    path = tmp_path / "pickle.npz"
    np.savez(path, format=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match=r"pickle\.npz is"):
        network.load(path)  # type: ignore[attr-defined]
    np.save(path.with_suffix(".npy"), np.ones(3))
    with pytest.raises(ValueError, match=r"pickle\.npy is"):
        network.load(path.with_suffix(".npy"))  # type: ignore[attr-defined]
    with pytest.raises(FileNotFoundError):
        network.load(tmp_path / "missing.npz")  # type: ignore[attr-defined]


def test_own_activations_are_given_again(network: Network, tmp_path: Path) -> None:
    @fastact.activation
    def cubed(x: Any) -> Any:
        return x * x * x

    model = network([3, 4, 2], cubed)
    model.save(tmp_path / "own.npz")
    with pytest.raises(ValueError, match="no activation is called 'cubed'"):
        network.load(tmp_path / "own.npz")  # type: ignore[attr-defined]
    again = network.load(tmp_path / "own.npz", activation=cubed)  # type: ignore[attr-defined]
    assert np.array_equal(again.predict(X), model.predict(X))


def test_a_failed_save_leaves_the_old_file(network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.npz"
    path.write_bytes(b"old")

    def fail(file: io.BytesIO, **arrays: Any) -> None:
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(OSError, match="disk full"):
        network([3, 2]).save(path)
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("model.npz", b"old")]


# -- the process --------------------------------------------------------------------------------------------

TRAIN = (
    PRELUDE
    + """
backend = sys.argv[1] if len(sys.argv) > 1 else "compiled"
network = fastact.fallback.MLP if backend == "fallback" else fastact.MLP
draw = np.random.default_rng(0)
x = draw.normal(size=(2000, 20)); y = np.tanh(x[:, :2]) + x[:, 2:4]
def model(epochs, **settings):
    return network([20, 64, 64, 2], "tanh", epochs=epochs, random_state=1, **settings)
"""
)


@needs_posix
def test_ctrl_c_leaves_a_usable_network(backend: str) -> None:
    code = """
m = model(10**6, optimizer="adam").partial_fit(x, y)
print("started", flush=True)
try:
    m.fit(x, y)
except KeyboardInterrupt:
    n = len(m.loss_curve_)
    finite = all(np.isfinite(w).all() for w in m.weights)
    m.epochs = 1
    print("stopped", 0 < n < 10**6, finite, m.loss_curve_[-1] < m.loss_curve_[0], np.isfinite(m.fit(x, y).score(x, y)))
"""
    process = start("-c", TRAIN + code, backend)
    assert process.stdout
    assert process.stdout.readline() == "started\n"
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    finished = finish(process)
    assert (finished.stdout, finished.stderr) == ("stopped True True True True\n", "")
    assert time.monotonic() - began < 5


@needs_posix
@compiled_only
def test_training_after_fork() -> None:
    code = """
expected = model(2, batch_size=500).fit(x, y).weights[0]
def same(): return bool(np.array_equal(model(2, batch_size=500).fit(x, y).weights[0], expected))
print(in_child(same), same())
"""
    assert run(TRAIN + code).stdout == "True True\n"


@compiled_only
def test_threads_train_side_by_side() -> None:
    from concurrent.futures import ThreadPoolExecutor

    x, y = data(rows=500)
    expected = fastact.MLP([5, 64, 3], epochs=20, random_state=1).fit(x, y).weights[0]
    with ThreadPoolExecutor(8) as pool:
        fits = [pool.submit(lambda: fastact.MLP([5, 64, 3], epochs=20, random_state=1).fit(x, y)) for _ in range(16)]
        assert all(np.array_equal(fit.result().weights[0], expected) for fit in fits)


@compiled_only
def test_no_compilation_per_network(tmp_path: Path) -> None:
    """With activation and loss known, other sizes add nothing to the cache."""
    code = """
import os, fastact, numpy as np
def fit(sizes): fastact.MLP(sizes, "tanh", epochs=1).fit(np.ones((3, sizes[0])), np.ones((3, sizes[-1])))
fit([2, 2, 1]); before = set(os.listdir(os.environ["FASTACT_CACHE_DIR"]))
fit([3, 50, 40, 2]); print(set(os.listdir(os.environ["FASTACT_CACHE_DIR"])) - before)
"""
    finished = run(code, FASTACT_CACHE_DIR=os.environ.get("FASTACT_CACHE_DIR", str(tmp_path)))
    assert (finished.stdout, finished.stderr) == ("set()\n", "")


def test_memory_does_not_grow_with_epochs(network: Network) -> None:
    x, y = data(rows=64)
    peaks = []
    for epochs in (3, 300):
        model = network([5, 16, 3], epochs=epochs, random_state=0, shuffle=False)
        model.fit(x, y)
        tracemalloc.start()
        model.fit(x, y)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # One float64 per epoch is kept, in the curve and while it is put together.
    assert peaks[1] - peaks[0] < 300 * 8 * 3 + 4096


def test_changing_data_afterwards_changes_nothing(network: Network) -> None:
    x, y = data()
    model = network([5, 4, 3], epochs=2, random_state=0).fit(x, y)
    before = parts(model)
    x[:] = 0
    y[:] = 0
    assert all(np.array_equal(p, q) for p, q in zip(parts(model), before))

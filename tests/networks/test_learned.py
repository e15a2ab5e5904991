"""Parameters of activations that are trained with the weights: against torch, in files and copies, what is refused."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastact
from fastact.networks.dropout import Dropout
from tests.conftest import Network
from tests.networks.test_networks import LOSSES
from tests.samples import data, parts


@fastact.activation
def bent(x: Any, slope: Any = 0.5, height: Any = 2.0) -> Any:
    return slope * x + height * np.tanh(x)


@fastact.activation
def bare(x: Any, slope: Any) -> Any:
    return slope * x


#: What a layer's activation is in torch, given its parameters; prelu's is torch's own module.
IN_TORCH: dict[str, Callable[..., Any]] = {
    "prelu": lambda torch, x, weight: torch.nn.functional.prelu(x, weight),
    "swish": lambda torch, x, beta: swish_in(torch).apply(x, beta),
    "elu": lambda torch, x, alpha: torch.where(x > 0, x, alpha * torch.expm1(torch.clamp(x, max=0))),
    "bent": lambda torch, x, slope, height: slope * x + height * torch.tanh(x),
    "tanh": lambda torch, x: torch.tanh(x),
    "identity": lambda torch, x: x,
}

#: Where they begin.
BEGIN = {"prelu": [0.25], "swish": [1.0], "elu": [1.0], "bent": [0.5, 2.0], "tanh": [], "identity": []}


def swish_in(torch: Any) -> Any:
    """Both gradients written down, by x and by beta."""

    class Swish(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(context: Any, x: Any, beta: Any) -> Any:
            context.save_for_backward(x, beta)
            return x * torch.sigmoid(beta * x)

        @staticmethod
        def backward(context: Any, grad: Any) -> Any:
            x, beta = context.saved_tensors
            s = torch.sigmoid(beta * x)
            bell = s * (1 - s)
            return grad * (s + beta * x * bell), (grad * x * x * bell).sum().reshape(beta.shape)

    return Swish


class Twin:
    """The same network in torch; of each layer weight, bias, and the activation's parameters."""

    def __init__(self, model: Any, names: list[str]) -> None:
        self.torch = pytest.importorskip("torch")
        self.names, self.model = names, model
        self.layers = [
            [self._leaf(weight), self._leaf(bias), *[self._leaf([value]) for value in BEGIN[name]]]
            for weight, bias, name in zip(model.weights, model.biases, names)
        ]
        self.parts = [part for layer in self.layers for part in layer]

    def _leaf(self, values: Any) -> Any:
        return self.torch.tensor(np.array(values), dtype=self.torch.float64, requires_grad=True)

    def __call__(self, x: np.ndarray, kept: Any = None) -> Any:
        a = self.torch.tensor(x)
        for i, ((weight, bias, *learned), name) in enumerate(zip(self.layers, self.names)):
            a = IN_TORCH[name](self.torch, a @ weight.T + bias, *learned)
            if kept is not None and i < len(self.layers) - 1:
                a = a * self.torch.tensor(kept(i, *a.shape))
        return a

    def step(self, optimizer: Any, loss: Any, most: float | None = None) -> None:
        optimizer.zero_grad()
        loss.backward()
        if most:
            self.torch.nn.utils.clip_grad_norm_(self.parts, most)
        optimizer.step()

    def assert_same(self) -> None:
        theirs = [part.detach().numpy().ravel() for part in self.parts]
        learned = [list(layer.values()) for layer in self.model.activation_parameters_]
        ours = [
            np.ravel(part)
            for weight, bias, values in zip(self.model.weights, self.model.biases, learned)
            for part in (weight, bias, *values)
        ]
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs):
            assert one == pytest.approx(other, rel=1e-10, abs=1e-12)


def optimizer_in(torch: Any, settings: dict[str, Any], twin: Twin) -> Any:
    made = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}.get(settings.get("optimizer", ""), torch.optim.SGD)
    given = {k: v for k, v in settings.items() if k in ("momentum", "nesterov", "weight_decay")}
    return made(twin.parts, lr=settings["learning_rate"], **given)


SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {"learning_rate": 0.1},
    "momentum": {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
    "adam": {"learning_rate": 0.02, "optimizer": "adam", "weight_decay": 0.1},
    "adamw": {"learning_rate": 0.02, "optimizer": "adamw", "weight_decay": 0.1},
    "norm": {"learning_rate": 0.1, "max_grad_norm": 0.05},
    "cross_entropy": {"learning_rate": 0.1, "loss": "cross_entropy"},
}

NETWORKS: dict[str, list[str]] = {
    "prelu": ["prelu", "prelu", "identity"],
    "swish": ["swish", "swish", "identity"],
    "output": ["tanh", "elu", "swish"],
    "own": ["bent", "prelu", "bent"],
}


def learning(network: Network, names: list[str], **settings: Any) -> Any:
    given = [bent if name == "bent" else name for name in names]
    sizes = [5, 7, 6, 3]
    return network(
        sizes, given[:-1], given[-1], learn_parameters=True, dtype="float64", random_state=3, shuffle=False, **settings
    )


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("names", NETWORKS)
def test_like_torch(network: Network, names: str, settings: str) -> None:
    """Three epochs of two steps, the second with fewer rows."""
    x, y = data(25)
    given = SETTINGS[settings]
    model = learning(network, NETWORKS[names], batch_size=16, epochs=3, **given)
    twin = Twin(model, NETWORKS[names])
    twin.assert_same()
    loss = getattr(twin.torch.nn.functional, LOSSES[given.get("loss", "mse")])
    optimizer = optimizer_in(twin.torch, given, twin)
    for _ in range(3):
        for start in (0, 16):
            outputs = twin(x[start : start + 16])
            twin.step(optimizer, loss(outputs, twin.torch.tensor(y[start : start + 16])), given.get("max_grad_norm"))
    model.fit(x, y)
    twin.assert_same()
    assert model.predict(x) == pytest.approx(
        twin(x).detach().numpy().argmax(axis=1) if "loss" in given else twin(x).detach().numpy(), rel=1e-10, abs=1e-12
    )
    assert not any(
        np.array_equal(list(layer.values()), BEGIN[name]) and BEGIN[name]
        for layer, name in zip(model.activation_parameters_, NETWORKS[names])
    )


def test_with_weighted_rows_and_units_left_out(network: Network) -> None:
    x, y = data(20)
    names, weights = NETWORKS["own"], np.linspace(0.5, 2, 20)
    model = learning(network, names, batch_size=None, epochs=1, dropout=0.25, learning_rate=0.1)
    twin, dropout = Twin(model, names), Dropout(0.25, int(copy.deepcopy(model._random).integers(2**62)))
    outputs = twin(x, lambda i, *shape: dropout.kept(0, i, 0, *shape) * dropout.scale)
    losses = ((outputs - twin.torch.tensor(y)) ** 2).mean(dim=1)
    loss = (losses * twin.torch.tensor(weights)).sum() / weights.sum()
    twin.step(twin.torch.optim.SGD(twin.parts, lr=0.1), loss)
    model.fit(x, y, sample_weight=weights)
    twin.assert_same()


def test_backends_agree_in_float32() -> None:
    x, y = data(40)
    models = [
        kind([5, 8, 3], "prelu", "swish", learn_parameters=True, random_state=1, epochs=5, learning_rate=0.1)
        for kind in (fastact.MLP, fastact.fallback.MLP)
    ]
    learned = [[value for d in m.fit(x, y).activation_parameters_ for value in d.values()] for m in models]
    assert learned[0] == pytest.approx(learned[1], rel=1e-5)
    assert learned[0] != pytest.approx([0.25, 1.0], rel=1e-3)


# -- what they are known by ------------------------------------------------------------------------------


def test_begin_with_their_defaults(network: Network) -> None:
    model = network([2, 3, 3, 1], ["prelu", bent], "softplus", learn_parameters=True)
    assert model.activation_parameters_ == [{"weight": 0.25}, {"slope": 0.5, "height": 2.0}, {"beta": 1.0}]
    assert network([2, 3, 1], "elu").activation_parameters_ == [{}, {}]


def test_a_threshold_at_infinity_is_none(network: Network) -> None:
    x, y = data(10)
    model = network([5, 3], [], "softplus", learn_parameters=True, weight_decay=0.1, max_grad_norm=1.0, epochs=2)
    (learned,) = model.fit(x, y).activation_parameters_  # which would warn of a parameter that is not finite
    assert learned.keys() == {"beta"}
    z = x.astype(np.float32) @ model.weights[0].T + model.biases[0]
    assert model.predict(x) == pytest.approx(fastact.fallback.softplus(z, learned["beta"]), rel=1e-5)


def test_can_be_set(network: Network) -> None:
    x, y = data(10)
    model = network([5, 3], [], "swish", learn_parameters=True, dtype="float64", learning_rate=0.0, epochs=1)
    z = x @ model.weights[0].T + model.biases[0]
    model.activation_parameters_[0]["beta"] = 3
    assert model.predict(x) == pytest.approx(fastact.fallback.swish(z, 3.0), rel=1e-12)
    model.activation_parameters_ = [{"beta": 2.5}]
    assert model.fit(x, y).activation_parameters_ == [{"beta": 2.5}]
    assert model.predict(x) == pytest.approx(fastact.fallback.swish(z, 2.5), rel=1e-12)


def test_are_seen_and_can_be_set_by_callbacks(network: Network) -> None:
    x, y = data(10)
    seen = []

    def callback(model: Any, epoch: int, loss: float) -> None:
        seen.append(model.activation_parameters_[0]["beta"])
        model.activation_parameters_[0]["beta"] = 2.0

    model = network([5, 3], [], "swish", learn_parameters=True, dtype="float64", batch_size=None, epochs=3)
    model.fit(x, y, callback=callback)
    assert [round(value, 1) for value in seen] == [1.0, 2.0, 2.0]
    assert seen[0] not in (1.0, seen[1])
    assert model.activation_parameters_[0]["beta"] == 2.0


def test_go_back_to_the_best_epoch(network: Network) -> None:
    x, y = data(10)
    model = network([5, 3], [], "swish", learn_parameters=True, learning_rate=1e3, momentum=0.9, epochs=8)
    betas = []
    with np.errstate(all="ignore"):
        model.early_stopping, model.n_iter_no_change = True, np.inf
        model.fit(x, y, validation_data=(x, y), callback=lambda m, *_: betas.append(dict(m.activation_parameters_[0])))
    best = int(np.nanargmin(model.validation_curve_))
    assert best < len(betas) - 1
    assert model.activation_parameters_ == [betas[best]]


@pytest.mark.parametrize("way", ["file", "pickle", "deepcopy", "copy"])
def test_come_along(network: Network, tmp_path: Path, way: str) -> None:
    x, y = data(30)
    model = network([5, 4, 3], "elu", "prelu", learn_parameters=True, optimizer="adam", random_state=2, epochs=3)
    model.fit(x, y)
    if way == "file":
        model.save(tmp_path / "model")
        again = network.load(tmp_path / "model")
    else:
        again = {"pickle": lambda m: pickle.loads(pickle.dumps(m))}.get(way, getattr(copy, way, None))(model)
    assert again.activation_parameters_ == model.activation_parameters_
    assert model.activation_parameters_[1]["weight"] != 0.25
    assert np.array_equal(again.predict(x), model.predict(x))
    before = copy.deepcopy(model.activation_parameters_)
    again.partial_fit(x, y)
    assert model.activation_parameters_ == before != again.activation_parameters_


def test_files_that_lack_them_are_refused(network: Network, tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    network([2, 3, 1], "elu", learn_parameters=True).save(path)
    with np.load(path) as file:
        arrays = dict(file)
    assert arrays.pop("activation_parameters_0").shape == (1,)
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match="cannot be restored: it has no activation_parameters_0"):
        network.load(path)
    np.savez(path, **arrays, activation_parameters_0=np.ones(2))
    with pytest.raises(ValueError, match=r"activation_parameters_0 has shape \(2,\)"):
        network.load(path)


def test_predict_in_many_threads(network: Network) -> None:
    x, y = data(30)
    model = network([5, 4, 3], "elu", "swish", learn_parameters=True, random_state=2, epochs=3).fit(x, y)
    expected, found = model.predict(x), []
    threads = [threading.Thread(target=lambda: found.append(model.predict(x))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert all(np.array_equal(one, expected) for one in found)


# -- what is refused -------------------------------------------------------------------------------------


def test_what_has_no_value_to_begin_with_is_refused(network: Network) -> None:
    with pytest.raises(ValueError, match="bare cannot be a layer's activation: slope has no default"):
        network([2, 3, 1], bare, learn_parameters=True)
    with pytest.raises(ValueError, match="prelu cannot be a layer's activation: weight has no default"):
        network([2, 3, 1], "prelu")


def test_what_is_learned_cannot_be_changed(network: Network) -> None:
    x, y = data(10)
    model = network([5, 3, 3], "elu", learn_parameters=True)
    model.activation = "celu"  # whose parameter has the same name
    model.fit(x, y)
    for name, value in (("activation", "swish"), ("learn_parameters", False)):
        changed = copy.deepcopy(model)
        setattr(changed, name, value)
        with pytest.raises(ValueError, match="cannot be changed; make another network"):
            changed.predict(x)
    other = network([5, 3, 3], "elu")
    other.learn_parameters = True
    with pytest.raises(ValueError, match="cannot be changed; make another network"):
        other.fit(x, y)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ([{"alpha": 1.0}], ValueError, "must be a list of 2 dicts"),
        ([{"beta": 1.0}, {}], ValueError, r"\[0\] must be a dict of \['alpha'\], not \{'beta': 1.0\}"),
        ([{"alpha": 1.0}, None], ValueError, r"\[1\] must be a dict of \[\], not None"),
        ([{"alpha": [1.0, 2.0]}, {}], ValueError, r"\[0\]\['alpha'\] must have shape \(\); got \(2,\)"),
        ([{"alpha": "1"}, {}], TypeError, r"\[0\]\['alpha'\] must be real numbers"),
    ],
)
def test_wrong_values_change_nothing(network: Network, given: Any, error: Any, message: str) -> None:
    x, _ = data(10)
    model = network([5, 3, 3], "elu", learn_parameters=True)
    before = parts(model)
    model.weights[0], model.activation_parameters_ = np.zeros((3, 5)), given
    with pytest.raises(error, match="activation_parameters_" + message if message.startswith(r"\[") else message):
        model.predict(x)
    assert np.array_equal(model._parameters.weights[0], before[0])

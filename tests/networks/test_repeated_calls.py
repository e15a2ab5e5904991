"""Calls of the shapes of the one before, which find its tables and buffers again: what they give must not show it."""

from __future__ import annotations

import copy
import gc
import threading
import weakref
from typing import Any

import numpy as np
import pytest

import fastact

SETTINGS: list[dict[str, Any]] = [
    {"loss": "mse"},
    {"loss": "cross_entropy", "optimizer": "adam", "activation": "gelu"},
    {"loss": "huber", "momentum": 0.9, "batch_size": 3, "shuffle": True},
    {"loss": "binary_cross_entropy", "output_activation": "sigmoid", "batch_size": None, "schedule": "invscaling"},
    {"loss": "mse", "optimizer": "adamw", "weight_decay": 0.1, "max_grad_norm": 1.0},
    {"loss": "mse", "dropout": 0.25},
    {"loss": "mse", "early_stopping": True, "schedule": "adaptive", "n_iter_no_change": 1, "tol": 1e3},
    {"loss": "mse", "batch_size": 200, "sizes": [3, 4, 2]},
]


def batch(number: int, rows: int, loss: str, dtype: Any = np.float32) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(number)
    x = rng.normal(size=(rows, 3)).astype(dtype)
    if loss == "cross_entropy":
        return x, rng.integers(0, 2, rows)
    return x, rng.uniform(size=(rows, 2)).astype(dtype)


def network(kind: Any, settings: dict[str, Any], **others: Any) -> Any:
    return kind(**{"sizes": [3, 5, 2], "random_state": 1, "learning_rate": 0.05, **settings, **others})


@pytest.mark.parametrize("kind", [fastact.MLP, fastact.fallback.MLP])
@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: "-".join(map(str, s.values())))
@pytest.mark.parametrize("rows", [1, 8, 200])
def test_as_if_each_call_were_the_first(kind: Any, settings: dict[str, Any], rows: int) -> None:
    kept = network(kind, settings)
    fresh = network(kind, settings)
    for number in range(6):
        x, y = batch(number, rows, kept.loss)
        fresh = copy.deepcopy(fresh)  # which takes nothing along but its state
        kept.partial_fit(x, y)
        fresh.partial_fit(x, y)
        assert np.array_equal(kept.predict(x), fresh.predict(x))
    assert np.array_equal(kept.loss_curve_, fresh.loss_curve_)
    for one, other in zip(kept.weights + kept.biases, fresh.weights + fresh.biases):
        assert np.array_equal(one, other)


def change_rate(net: Any) -> None:
    net.learning_rate = 0.5


def change_optimizer(net: Any) -> None:
    net.optimizer = "adam"


def change_activation(net: Any) -> None:
    net.activation = "tanh"


def change_listed_activation(net: Any) -> None:
    net.activation[0] = "sigmoid"


def change_weights(net: Any) -> None:
    net.weights[0] = np.ones((5, 3))


def change_in_place(net: Any) -> None:
    net.biases[1][:] = 3


def change_order(net: Any) -> None:
    net.shuffle = False


def change_alpha(net: Any) -> None:
    net.alpha = 0.5


CHANGES = [
    change_rate, change_optimizer, change_activation, change_listed_activation, change_weights, change_in_place,
    change_order, change_alpha,
]  # fmt: skip


@pytest.mark.parametrize("kind", [fastact.MLP, fastact.fallback.MLP])
@pytest.mark.parametrize("change", CHANGES)
def test_what_is_set_between_two_calls_holds(kind: Any, change: Any) -> None:
    activation = ["relu"] if change is change_listed_activation else "relu"
    kept, (x, y) = network(kind, {"activation": activation, "batch_size": 3}), batch(0, 8, "mse")
    for _ in range(3):
        kept.partial_fit(x, y)
        kept.predict(x)
    fresh = copy.deepcopy(kept)
    for net in (kept, fresh):
        change(net)
        net.partial_fit(x, y)
    assert np.array_equal(kept.predict(x), fresh.predict(x))
    assert np.array_equal(kept.loss_curve_, fresh.loss_curve_)


@pytest.mark.parametrize("kind", [fastact.MLP, fastact.fallback.MLP])
def test_a_name_that_was_registered_anew(kind: Any) -> None:
    def register(factor: float) -> None:
        fastact.activation(lambda x: factor * x, name="made_for_repeated_calls", register=True)

    register(1.0)
    net, (x, _) = network(kind, {"activation": "made_for_repeated_calls"}), batch(0, 8, "mse")
    layer = x, np.ones((2, 3), np.float32), None, "made_for_repeated_calls"
    dense = fastact.dense if kind is fastact.MLP else fastact.fallback.dense
    before, plain = dense(*layer), net.predict(x)
    register(2.0)
    assert np.array_equal(dense(*layer), 2 * before)
    assert not np.array_equal(net.predict(x), plain)


@pytest.mark.parametrize("kind", [fastact.MLP, fastact.fallback.MLP])
def test_errors_are_raised_as_at_first(kind: Any) -> None:
    net, (x, y) = network(kind, {}), batch(0, 8, "mse")
    net.partial_fit(x, y)
    net.predict(x)
    before = [array.copy() for array in net.weights]
    infinite = x.copy()
    infinite[0, 0] = np.inf
    for wrong in (infinite, x[:, :2], x.astype(complex), x[0]):
        with pytest.raises((TypeError, ValueError)):
            net.partial_fit(wrong, y)
        with pytest.raises((TypeError, ValueError)):
            net.predict(wrong)
    with pytest.raises(ValueError, match="y must have shape"):
        net.partial_fit(x, y[:, :1])
    net.learning_rate = True
    with pytest.raises(TypeError, match="learning_rate must be a number"):
        net.partial_fit(x, y)
    net.learning_rate, net.sizes = 0.1, [3, 6, 2]
    with pytest.raises(ValueError, match="sizes and dtype"):
        net.predict(x)
    assert all(np.array_equal(one, other) for one, other in zip(before, net.weights))


@pytest.mark.parametrize("kind", [fastact.MLP, fastact.fallback.MLP])
def test_predictions_in_many_threads(kind: Any) -> None:
    net = network(kind, {"activation": "gelu"})
    inputs = [batch(number, 1 + number % 7, "mse")[0] for number in range(8)]
    right = [net.predict(x) for x in inputs]
    wrong: list[int] = []

    def predict(number: int) -> None:
        wrong.extend(number for _ in range(300) if not np.array_equal(net.predict(inputs[number]), right[number]))

    threads = [threading.Thread(target=predict, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("kind", [fastact.MLP, fastact.fallback.MLP])
def test_data_of_other_shapes_between(kind: Any) -> None:
    kept, fresh = network(kind, {}), network(kind, {})
    for number, rows in enumerate((4, 4, 300, 4, 1, 1, 4)):
        x, y = batch(number, rows, "mse")
        fresh = copy.deepcopy(fresh)
        for net in (kept, fresh):
            net.partial_fit(x, y)
        assert np.array_equal(kept.predict(x[::-1]), fresh.predict(x[::-1]))


@pytest.mark.parametrize("kind", [fastact.MLP, fastact.fallback.MLP])
def test_losses_of_many_calls(kind: Any) -> None:
    net, (x, y) = network(kind, {}), batch(0, 8, "mse")
    net.partial_fit(x, y)
    first, value = net.loss_curve_, net.loss_curve_.copy()
    for _ in range(300):
        net.partial_fit(x, y)
    assert len(net.loss_curve_) == 301
    assert np.array_equal(first, value)
    assert net.loss_curve_[0] == value[0]
    net.loss_curve_ = np.array([1.0, 2.0])
    net.partial_fit(x, y)
    assert net.loss_curve_[:2].tolist() == [1, 2]
    assert len(net.loss_curve_) == 3


@pytest.mark.parametrize("kind", [fastact.MLP, fastact.fallback.MLP])
def test_networks_are_freed_at_once(kind: Any) -> None:
    gc.collect()
    gc.disable()
    try:
        net, (x, y) = network(kind, {}), batch(0, 8, "mse")
        for _ in range(3):
            net.partial_fit(x, y)
            net.predict(x)
        gone = weakref.ref(net)
        del net
        assert gone() is None
    finally:
        gc.enable()

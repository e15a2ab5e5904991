"""The tutorials' networks, to the digits they print; in both backends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.conftest import Network

AND_X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
AND_Y = np.array([0, 0, 0, 1])


def with_weights(network: Any, *pairs: tuple[Any, Any]) -> Any:
    for i, (weight, bias) in enumerate(pairs):
        network.weights[i], network.biases[i] = weight, bias
    return network


@pytest.mark.parametrize(
    ("activation", "epochs", "weight", "bias", "tolerance"),
    [
        ("identity", 1_000, 0.5, -0.25, 1e-12),
        ("relu", 10_000, 1.0, -1.0, 1e-12),
        ("sigmoid", 10_000, 4.649822106307222, -7.0720835183397455, 1e-9),
    ],
)
def test_and_gate(network: Network, activation: str, epochs: int, weight: float, bias: float, tolerance: float) -> None:
    """One unit, all weights 1 at first, rate 0.1, all four rows in each step."""
    gate = network(
        [2, 1], output_activation=activation, learning_rate=0.1, batch_size=None, epochs=epochs, dtype="float64"
    )
    with_weights(gate, (np.ones((1, 2)), np.ones(1))).fit(AND_X, AND_Y)
    # The linear tutorial prints 0.4999999999999979: what is left of its way after 1000 steps is part of the figure.
    assert gate.weights[0] == pytest.approx(np.full((1, 2), weight), abs=tolerance)
    assert gate.biases[0] == pytest.approx([bias], abs=tolerance)


@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
def test_and_gate_like_torch(network: Network, activation: str) -> None:
    """The same in torch, from the same ones."""
    torch = pytest.importorskip("torch")
    x, y = torch.tensor(AND_X, dtype=torch.float64), torch.tensor(AND_Y, dtype=torch.float64)[:, None]
    model = torch.nn.Linear(2, 1).double()
    torch.nn.init.ones_(model.weight)
    torch.nn.init.ones_(model.bias)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(1_000):
        loss = torch.nn.functional.mse_loss(getattr(torch, activation)(model(x)), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    gate = network(
        [2, 1], output_activation=activation, learning_rate=0.1, batch_size=None, epochs=1_000, dtype="float64"
    )
    with_weights(gate, (np.ones((1, 2)), np.ones(1))).fit(AND_X, AND_Y)
    assert gate.weights[0] == pytest.approx(model.weight.detach().numpy(), abs=1e-10)
    assert gate.biases[0] == pytest.approx(model.bias.detach().numpy(), abs=1e-10)


@pytest.mark.parametrize("depth", [1, 2])
def test_gates_that_one_layer_can_and_cannot_learn(network: Network, depth: int) -> None:
    """OR needs one layer; exclusive or needs a hidden one."""
    wanted = np.array([0, 1, 1, 1]) if depth == 1 else np.array([0, 1, 1, 0])
    sizes = [2, 1] if depth == 1 else [2, 4, 1]
    gate = network(
        sizes, "tanh", "sigmoid", "binary_cross_entropy", "adam", learning_rate=0.1, batch_size=None, epochs=300,
        random_state=1,
    )  # fmt: skip
    assert gate.fit(AND_X, wanted).score(AND_X, wanted) == 1.0


def test_single_sigmoid_unit_separates_at_a_threshold(network: Network) -> None:
    """Beans are poisonous above a size: row by row, in order, rate 0.05."""
    sizes = np.random.default_rng(2).uniform(0, 4, 100)[:, None]
    poisonous = (sizes[:, 0] > 1.7).astype(float)
    unit = network(
        [1, 1], output_activation="sigmoid", learning_rate=0.05, batch_size=1, epochs=200, shuffle=False,
        dtype="float64", random_state=0,
    )  # fmt: skip
    unit.fit(sizes, poisonous)
    threshold = -unit.biases[0][0] / unit.weights[0][0, 0]
    assert threshold == pytest.approx(1.7, abs=0.15)
    assert ((unit.predict(sizes) > 0.5) == (poisonous > 0.5)).mean() >= 0.97


def test_ice_cream_with_a_hidden_layer(network: Network) -> None:
    """Seed 99, two rows per step, rate 1e-5, 1000 epochs: every weight as printed, the prediction and its error."""
    draw = np.random.RandomState(99)
    hidden = draw.rand(4, 2) / 2, draw.rand(4)
    output = draw.rand(1, 4) / 4, np.zeros(1)
    x = np.array([[22.5, 72.0], [31.4, 45.0], [19.8, 85.0], [27.6, 63.0]])
    y = np.array([[95], [210], [70], [155]])
    model = network([2, 4, 1], learning_rate=1e-5, batch_size=2, epochs=1_000, shuffle=False, dtype="float64")
    with_weights(model, hidden, output).fit(x, y)
    printed = [
        [[1.45194929, -0.1474136], [1.43685721, -0.44933811], [2.02293515, -0.21256492], [0.69414288, -0.14437451]],
        [1.01033819, 0.02443414, 0.79897522, 0.75654096],
        [[1.40180962, 1.43530707, 1.97136187, 0.69754262]],
        [0.03498444],
    ]
    for ours, theirs in zip([model.weights[0], model.biases[0], model.weights[1], model.biases[1]], printed):
        assert ours == pytest.approx(np.array(theirs), abs=5.1e-9)
    prediction = model.predict([[28.1, 58.0]])
    assert prediction == pytest.approx(np.array([[164.86371082]]), abs=5.1e-9)
    assert ((prediction - 165) ** 2).mean() == pytest.approx(0.018574741284609973, abs=1e-9)


@pytest.mark.parametrize(
    ("activation", "loss", "derivative"),
    [
        ("sigmoid", "binary_cross_entropy", lambda z: 1 / (1 + np.exp(-z)) - 1),
        ("tanh", "mse", lambda z: (np.tanh(z) - 1) * (1 - np.tanh(z) ** 2)),
        ("relu", "mse", lambda z: (max(z, 0.0) - 1) * (z > 0)),
    ],
)
def test_pairings_of_activation_and_loss(network: Network, activation: str, loss: str, derivative: Any) -> None:
    """One weight from -2 at input 1 and target 1, rate 1, 30 steps. The tutorial has no bias; ours learns what the
    weight learns, so that their sum moves like its weight at half the rate; and its squared error is halved."""
    weight = -2.0
    for _ in range(30):
        weight -= derivative(weight)
    rate = 0.5 if loss == "binary_cross_entropy" else 0.25
    unit = network(
        [1, 1], output_activation=activation, loss=loss, learning_rate=rate, batch_size=None, epochs=30, dtype="float64"
    )
    with_weights(unit, ([[-1.0]], [-1.0])).fit([[1.0]], [1.0])
    assert unit.weights[0][0, 0] + unit.biases[0][0] == pytest.approx(weight, abs=1e-12)
    assert len(unit.loss_curve_) == 30
    if activation == "relu":  # it starts where the slope is 0 and never leaves
        assert unit.loss_curve_[-1] == unit.loss_curve_[0] == 1
    else:
        assert np.all(np.diff(unit.loss_curve_) < 0)


def test_forward_through_three_layers_by_hand(network: Network) -> None:
    """Two inputs, layers of three and two sigmoids, and a softmax over two outputs, written out in NumPy."""
    draw = np.random.RandomState(0)
    model = network([2, 3, 2, 2], "sigmoid", loss="cross_entropy", dtype="float64")
    pairs = [(draw.rand(o, i), draw.rand(o)) for i, o in ((2, 3), (3, 2), (2, 2))]
    with_weights(model, *pairs)
    x = np.array([[1.0, 0.5], [-2.0, 3.0]])
    a = x
    for weight, bias in pairs[:2]:
        a = 1 / (1 + np.exp(-(a @ weight.T + bias)))
    logits = a @ pairs[2][0].T + pairs[2][1]
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert model.predict_proba(x) == pytest.approx(softmax, rel=1e-14)
    assert model.predict(x).tolist() == logits.argmax(axis=1).tolist()

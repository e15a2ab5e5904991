"""Networks: gradients, losses and optimizers against torch and as written down, and backends against each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastact
from tests.conftest import WITHOUT_REQUIRED, Network, compiled_only
from tests.samples import data, parts, step_of

#: Activations that torch has no function for, in its terms.
IN_TORCH: dict[str, Callable[[Any, Any], Any]] = {
    "identity": lambda torch, x: x,
    "hardsigmoid": lambda torch, x: torch.clamp(x + 3, 0, 6) / 6,  # torch's own takes a sixth in float32
    "relu_squared": lambda torch, x: torch.relu(x) ** 2,
    "exponential": lambda torch, x: torch.exp(x),
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

LOSSES = {
    "mse": "mse_loss",
    "l1": "l1_loss",
    "huber": "huber_loss",
    "binary_cross_entropy": "binary_cross_entropy",
    "binary_cross_entropy_with_logits": "binary_cross_entropy_with_logits",
    "cross_entropy": "cross_entropy",
}


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


# -- gradients ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [24, 300])
@pytest.mark.parametrize("activation", WITHOUT_REQUIRED)
def test_gradients_like_torch(network: Network, activation: str, rows: int) -> None:
    """Of few rows, and of so many that compiled code takes them transposed, in two blocks."""
    x, y = data(rows)
    model = network([5, 7, 3], activation, learning_rate=1.0, batch_size=None, dtype="float64", random_state=1)
    twin = Twin(model, activation)
    twin.loss("mse", x, y).backward()
    for ours, theirs in zip(step_of(model, x, y), twin.parts):
        expected = theirs.grad.numpy()
        assert ours == pytest.approx(expected, rel=1e-12, abs=1e-12 * max(abs(expected).max(), 1e-3))


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_gradients_like_differences(network: Network, optimizer: str) -> None:
    """Without torch: the loss at weights a little to either side. Adam's first step is the gradient's sign, but for
    what is added to its denominator."""
    x, y = data(inputs=3, outputs=2)
    options: Any = {"loss": "huber", "optimizer": optimizer, "learning_rate": 1e-3, "batch_size": None}
    model = network([3, 4, 2], "tanh", dtype="float64", random_state=1, **options)
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
            assert ours == pytest.approx(1e-3 * slope / (abs(slope) + 1e-8), rel=1e-5)


@pytest.mark.parametrize("rows", [19, 275])
@pytest.mark.parametrize(("target", "loss"), [("labels", "cross_entropy"), *(("probabilities", n) for n in LOSSES)])
def test_losses_like_torch(network: Network, loss: str, target: str, rows: int) -> None:
    x, y = data(rows)
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


@pytest.mark.parametrize("rows", [3, 300])
@pytest.mark.parametrize(
    ("loss", "wanted", "expected"),
    [
        ("cross_entropy", 1, np.log1p(np.exp(-1))),
        ("cross_entropy", [0, 1, 0], np.log1p(np.exp(-1))),
        ("cross_entropy", [1, 0, 0], np.inf),
        ("binary_cross_entropy_with_logits", [0, 1, 1], (np.log1p(np.exp(-1)) + np.log(2)) / 3),
        ("binary_cross_entropy_with_logits", [1, 1, 1], np.inf),
    ],
)
def test_infinite_logits(network: Network, loss: str, wanted: Any, expected: float, rows: int) -> None:
    """What is impossible and has probability 0 costs nothing, and teaches nothing."""
    model = network([1, 3], loss=loss, batch_size=None, random_state=0)
    model.weights[0], model.biases[0] = [[-1e38], [0], [0]], [0, 1, 0]
    model.partial_fit(np.full((rows, 1), 1e4), [wanted] * rows)
    assert model.loss_curve_[0] == pytest.approx(expected, rel=1e-6)
    if np.isfinite(expected):
        assert model.weights[0][0] == np.float32(-1e38)


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
@pytest.mark.parametrize(
    "sizes", [[1, 1], [3, 17, 2], [40, 33, 65, 10], [130, 70, 129, 1], [2, 300, 300, 3], [400, 90, 3]], ids=str
)
@pytest.mark.parametrize(("rows", "batch"), [(1, 1), (23, 1), (23, 5), (23, None), (300, 128)])
def test_backends_agree(sizes: list[int], rows: int, batch: int | None, dtype: str) -> None:
    """Every shape of tile, and batches that threads collect: the same steps in NumPy, rows shuffled alike."""
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


@compiled_only
@pytest.mark.parametrize(("sizes", "rows"), [([20, 30, 10], 700), ([3, 8, 4], 3000), ([90, 350, 10], 2500)], ids=str)
@pytest.mark.parametrize("batch", ["some", "all"])
@pytest.mark.parametrize("optimizer", [{}, {"momentum": 0.9, "weight_decay": 0.01}, {"optimizer": "adam"}], ids=str)
@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_steps_in_parts(sizes: list[int], rows: int, batch: str, loss: str, optimizer: dict[str, Any]) -> None:
    """A small network in parts, a narrow one, and a large one some rows at a time: the steps that NumPy takes, the same
    bits with the same number of threads, and the last batch of an epoch shorter."""
    x, y = data(rows, sizes[0], sizes[-1])
    targets = y if loss == "mse" else y.argmax(axis=1)
    settings: Any = {
        "loss": loss, "batch_size": rows * 3 // 7 if batch == "some" else None, "epochs": 3, "dtype": "float64",
        "random_state": 7, **optimizer,
    }  # fmt: skip
    theirs = fastact.fallback.MLP(sizes, "tanh", **settings).fit(x, targets)
    before = fastact.get_num_threads()
    try:
        for threads in (1, 2, 3, 16):
            fastact.set_num_threads(threads)
            ours, again = (fastact.MLP(sizes, "tanh", **settings).fit(x, targets) for _ in range(2))
            assert ours.loss_curve_ == pytest.approx(theirs.loss_curve_, rel=1e-12)
            assert ours.loss_curve_.tobytes() == again.loss_curve_.tobytes()
            for one, other, expected in zip(ours.weights, again.weights, theirs.weights):
                assert one.tobytes() == other.tobytes()
                np.testing.assert_allclose(one, expected, rtol=1e-9, atol=1e-12)
    finally:
        fastact.set_num_threads(before)


@compiled_only
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [[400, 90, 10], [50, 901, 3]], ids=str)
def test_shared_products_give_the_same_bits(sizes: list[int], dtype: str) -> None:
    """A network too large for parts, whose small products threads share when they are awake: what is cut, by rows or by
    columns, adds up in the order of what is not."""
    x, y = data(999, sizes[0], sizes[-1])
    before = fastact.get_num_threads()
    learned = []
    try:
        for threads in (1, 2, 5):
            fastact.set_num_threads(threads)
            learned.append(fastact.MLP(sizes, "tanh", batch_size=None, epochs=3, dtype=dtype, random_state=7).fit(x, y))
    finally:
        fastact.set_num_threads(before)
    for other in learned[1:]:
        for one, shared in zip(parts(learned[0]), parts(other)):
            assert one.tobytes() == shared.tobytes()

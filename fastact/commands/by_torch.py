"""The lessons of ``fastact demo`` as torch learns them: the same networks from the same weights."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

import fastact
from fastact.catalogue import Activation
from fastact.commands.errors import UsageError
from fastact.commands.learning import Teacher, Times
from fastact.functions.parameters import sample_parameters

__all__ = ["epoch_of_torch", "torch_teacher"]


def torch_teacher() -> Teacher:
    """Torch, if it is installed, with as many threads as we have."""
    try:
        import torch
    except ImportError:
        raise UsageError("to compare with torch takes torch: python -m pip install torch") from None
    torch.set_num_threads(max(1, fastact.get_num_threads()))
    return Teacher("torch", _fitted, _learned_weight)


def _fitted(network: Any, x: Any, y: Any, **_: Any) -> Times:
    """Train torch's twin of a network, after another that takes one step, and put what it has learned into ours."""
    start = time.perf_counter()
    _Twin(network, x, y).step(slice(0, network.batch_size or len(x)))
    middle = time.perf_counter()
    twin = _Twin(network, x, y)
    losses = [twin.epoch() for _ in range(network.epochs)]
    end = time.perf_counter()
    network.weights = [layer.weight.detach().numpy().copy() for layer in twin.layers]
    network.biases = [layer.bias.detach().numpy().copy() for layer in twin.layers]
    network.loss_curve_ = np.array(losses)
    return Times(middle - start, end - middle)


def epoch_of_torch(network: Any, x: Any, y: Any) -> Callable[[], object]:
    """What takes torch once through the data; ImportError without torch."""
    import torch

    torch.set_num_threads(max(1, fastact.get_num_threads()))
    return _Twin(network, x, y).epoch


class _Twin:
    """A network of torch's with the settings, and the weights, of one of ours."""

    def __init__(self, network: Any, x: Any, y: Any) -> None:
        import torch

        dtype = getattr(torch, network.dtype.name)
        self.layers = [torch.nn.Linear(n_in, n_out, dtype=dtype) for n_in, n_out in pairwise(network.sizes)]
        for layer, weight, bias in zip(self.layers, network.weights, network.biases):
            layer.weight.data, layer.bias.data = torch.tensor(weight, dtype=dtype), torch.tensor(bias, dtype=dtype)
        hidden, last = (_activation(fastact.get(a)) for a in (network.activation, network.output_activation))
        self.activations = [*[hidden] * (len(self.layers) - 1), last]
        self.loss = _loss(network.loss)
        of_classes = network.loss == "cross_entropy"
        self.x = torch.tensor(np.asarray(x), dtype=dtype)
        self.y = (
            torch.tensor(np.asarray(y)) if of_classes else torch.tensor(np.asarray(y), dtype=dtype).reshape(len(x), -1)
        )
        self.batch, self.shuffle = network.batch_size or len(x), network.shuffle
        self.order = torch.Generator().manual_seed(network.random_state or 0)
        self.optimizer = _optimizer(network, [p for layer in self.layers for p in (layer.weight, layer.bias)])

    def epoch(self) -> float:
        """The mean loss of one time through the data."""
        import torch

        if self.shuffle:
            order = torch.randperm(len(self.x), generator=self.order)
            self.x, self.y = self.x[order], self.y[order]
        total = 0.0
        for start in range(0, len(self.x), self.batch):
            rows = slice(start, start + self.batch)
            total += self.step(rows) * len(self.x[rows])
        return total / len(self.x)

    def step(self, rows: slice) -> float:
        z = self.x[rows]
        for layer, activation in zip(self.layers, self.activations):
            z = activation(layer(z))
        loss = self.loss(z, self.y[rows])
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return float(loss.detach())


def _activation(entry: Activation) -> Callable[[Any], Any]:
    """Torch's own, or the formula in torch's words."""
    import torch

    own = {"identity": lambda z: z}.get(entry.name) or getattr(torch.nn.functional, entry.name, None)
    if own is not None and entry.catalogued:
        return own
    code = compile(entry.formula, entry.name, "eval")
    words = {name: getattr(torch, name) for name in dir(torch) if not name.startswith("_")}
    given = sample_parameters(entry)
    return lambda z: eval(code, words | given | {"x": z})


def _loss(name: str) -> Callable[[Any, Any], Any]:
    from torch.nn import functional

    function: Callable[[Any, Any], Any] = getattr(functional, {"mse": "mse_loss", "l1": "l1_loss"}.get(name, name))
    return function


def _optimizer(network: Any, parameters: list[Any]) -> Any:
    import torch

    kinds: dict[str, Any] = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}
    return kinds[network.optimizer](parameters, lr=network.learning_rate, weight_decay=network.weight_decay)


def _learned_weight(
    activation: str, loss: str, factor: float, steps: int, start: float, rate: float
) -> tuple[float, list[float]]:
    """The weight of a neuron without a bias after so many steps towards 1, and the losses on the way."""
    import torch

    weight = torch.tensor([start], dtype=torch.float64, requires_grad=True)
    function, value, wanted = _activation(fastact.get(activation)), _loss(loss), torch.ones(1, dtype=torch.float64)
    optimizer, curve = torch.optim.SGD([weight], lr=rate), []
    for _ in range(steps):
        result = factor * value(function(weight), wanted)
        optimizer.zero_grad()
        result.backward()
        optimizer.step()
        curve.append(float(result.detach()))
    return float(weight.detach()[0]), curve

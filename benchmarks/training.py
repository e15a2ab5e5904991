"""``python -m benchmarks.training``: a training step beside plain NumPy, torch and jax, and what it needs of memory.

All peers take turns in one process, with as many threads as we have; medians. A step is forward, cross-entropy,
backward and plain gradient descent in float32, on data of one batch; jax's is one ``jit`` with its buffers donated.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import numpy as np

import fastact

SIZES = ([2, 4, 2], [64, 32, 10], [784, 128, 10], [784, 512, 512, 10])
BATCHES = (1, 32, 256, 4096)
RATE = 1e-3

#: Seconds between two libraries: OpenBLAS's threads go on spinning for a while after their work.
PAUSE = 0.1

#: A function that takes so many steps.
Steps = Callable[[int], object]


def data(sizes: list[int], batch: int) -> tuple[np.ndarray, np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(batch, sizes[0])).astype(np.float32)
    pairs = [(draw.normal(size=(o, i)) / i**0.5, np.zeros(o)) for i, o in pairwise(sizes)]
    return x, draw.integers(0, sizes[-1], batch), [(w.astype(np.float32), b.astype(np.float32)) for w, b in pairs]


def fastact_steps(sizes: list[int], batch: int) -> Steps:
    """Through the public interface: what a call of ``fit`` costs is divided by its steps."""
    x, y, pairs = data(sizes, batch)
    network = fastact.MLP(sizes, "relu", loss="cross_entropy", learning_rate=RATE, batch_size=None)
    network.weights, network.biases = [w for w, _ in pairs], [b for _, b in pairs]

    def steps(count: int) -> None:
        network.epochs = count
        network.fit(x, y)

    return steps


def numpy_steps(sizes: list[int], batch: int) -> Steps:
    x, y, pairs = data(sizes, batch)
    wanted = np.eye(sizes[-1], dtype=np.float32)[y]

    def steps(count: int) -> None:
        for _ in range(count):
            inputs = [x]
            for i, (w, b) in enumerate(pairs):
                z = inputs[-1] @ w.T + b
                inputs.append(np.maximum(z, 0) if i < len(pairs) - 1 else z)
            e = np.exp(inputs[-1] - inputs[-1].max(axis=1, keepdims=True))
            grad = (e / e.sum(axis=1, keepdims=True) - wanted) / np.float32(batch)
            for i in reversed(range(len(pairs))):
                w, b = pairs[i]
                below = (grad @ w) * (inputs[i] > 0) if i else grad
                w -= np.float32(RATE) * (grad.T @ inputs[i])
                b -= np.float32(RATE) * grad.sum(axis=0)
                grad = below

    return steps


def torch_steps(sizes: list[int], batch: int) -> Steps:
    import torch

    torch.set_num_threads(fastact.get_num_threads())
    x, y, pairs = data(sizes, batch)
    layers: list[Any] = []
    for w, b in pairs:
        linear = torch.nn.Linear(w.shape[1], w.shape[0])
        linear.weight.data, linear.bias.data = torch.from_numpy(w), torch.from_numpy(b)
        layers += [linear, torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    optimizer, loss = torch.optim.SGD(model.parameters(), lr=RATE), torch.nn.CrossEntropyLoss()
    given, labels = torch.from_numpy(x), torch.from_numpy(y)

    def steps(count: int) -> None:
        for _ in range(count):
            optimizer.zero_grad()
            loss(model(given), labels).backward()
            optimizer.step()

    return steps


def jax_steps(sizes: list[int], batch: int) -> Steps:
    import jax
    import jax.numpy as jnp

    x, y, pairs = data(sizes, batch)
    state = {"parameters": [(jnp.asarray(w), jnp.asarray(b)) for w, b in pairs]}
    given, labels = jnp.asarray(x), jnp.asarray(y)

    def loss(parameters: Any, x: Any, y: Any) -> Any:
        for w, b in parameters[:-1]:
            x = jax.nn.relu(x @ w.T + b)
        logits = jax.nn.log_softmax(x @ parameters[-1][0].T + parameters[-1][1])
        return -jnp.take_along_axis(logits, y[:, None], axis=1).mean()

    def step(parameters: Any, x: Any, y: Any) -> Any:
        return jax.tree.map(lambda p, g: p - RATE * g, parameters, jax.grad(loss)(parameters, x, y))

    compiled = jax.jit(step, donate_argnums=0)

    def steps(count: int) -> None:
        for _ in range(count):
            state["parameters"] = compiled(state["parameters"], given, labels)
        jax.block_until_ready(state["parameters"])

    return steps


PEERS: dict[str, Callable[[list[int], int], Steps]] = {"numpy": numpy_steps, "torch": torch_steps, "jax": jax_steps}


def medians(contestants: dict[str, Steps], rounds: int) -> dict[str, float]:
    """Seconds per step of each, in turns of some 20 ms."""
    counts = {}
    for name, steps in contestants.items():
        steps(2)  # compiles
        count, took = 1, 0.0
        while took < 0.01:
            count *= 2
            start = time.perf_counter()
            steps(count)
            took = time.perf_counter() - start
        counts[name] = max(1, int(count * 0.02 / took))
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, steps in contestants.items():
            time.sleep(PAUSE)
            start = time.perf_counter()
            steps(counts[name])
            times[name].append((time.perf_counter() - start) / counts[name])
    return {name: statistics.median(t) for name, t in times.items()}


def installed() -> list[str]:
    return [name for name in PEERS if name == "numpy" or find_spec(name)]


def contestants(size: list[int], batch: int) -> dict[str, Steps]:
    """Ours, and those of the peers that are installed."""
    return {"fastact": fastact_steps(size, batch)} | {name: PEERS[name](size, batch) for name in installed()}


def rows(sizes: list[list[int]], batches: list[int], rounds: int) -> Iterator[str]:
    peers = installed()
    yield "| sizes | batch | fastact, us | " + " | ".join(f"{p}, us" for p in peers) + " | best peer / fastact |"
    yield "|---|---|---|" + "---|" * len(peers) + "---|"
    for size in sizes:
        for batch in batches:
            took = medians(contestants(size, batch), rounds)
            best = min(took[p] for p in peers) / took["fastact"]
            cells = [f"{1e6 * took[name]:.3g}" for name in ("fastact", *peers)]
            yield f"| {size} | {batch} | {' | '.join(cells)} | {best:.1f} |"


def and_gate() -> str:
    """A tutorial's network through the public interface: 10 000 epochs over four rows."""
    x, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 0, 0, 1])
    took: dict[str, list[float]] = {"float32": [], "float64": []}
    for _ in range(21):
        for dtype, times in took.items():
            gate = fastact.MLP(
                [2, 1], output_activation="sigmoid", learning_rate=0.1, batch_size=None, epochs=10_000, dtype=dtype
            )
            gate.weights[0], gate.biases[0] = np.ones((1, 2)), np.ones(1)
            start = time.perf_counter()
            gate.fit(x, y)
            times.append(time.perf_counter() - start)
    parts = [f"{dtype} {1e3 * statistics.median(times):.2f} ms" for dtype, times in took.items()]
    return f"AND gate, 10 000 epochs in one call of fit: {', '.join(parts)}"


def peak_of_fit(size: list[int], batch: int) -> int:
    """Bytes that a fit adds to the process, in one of its own."""
    code = (
        "from benchmarks.peak import peak\nfrom benchmarks.training import fastact_steps\n"
        f"fastact_steps({size}, 1)(1)\nsteps = fastact_steps({size}, {batch})\n"
        "before = peak()\nsteps(3)\nprint(peak() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    return int(done.stdout)


def memory(size: list[int], batch: int) -> str:
    """What a fit adds, beside what it must hold."""
    parameters = 4 * sum(i * o + o for i, o in pairwise(size))
    activations = 4 * batch * sum(size[1:])
    added = peak_of_fit(size, batch)
    return f"| {size} | {batch} | {added / 2**20:.1f} | {parameters / 2**20:.1f} | {activations / 2**20:.1f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=11, help="how often each library has its turn, of some 20 ms")
    parser.add_argument("--only", type=int, choices=range(len(SIZES)), help="one of the networks")
    parser.add_argument("--memory", action="store_true", help="peak memory in place of time")
    options = parser.parse_args()
    sizes = list(SIZES) if options.only is None else [SIZES[options.only]]
    if options.memory:
        print("| sizes | batch | peak of fit above what was there, MB | parameters, MB | activations of a batch, MB |")
        print("|---|---|---|---|---|")
        for size in sizes:
            print(memory(size, 4096), flush=True)
        return
    print(f"{fastact.get_num_threads()} threads")
    for row in rows(sizes, list(BATCHES), options.rounds):
        print(row, flush=True)
    print(and_gate())


if __name__ == "__main__":
    main()

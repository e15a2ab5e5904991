"""Networks in files, and in the process: signals, forks, threads and memory."""

from __future__ import annotations

import contextlib
import copy
import inspect
import io
import os
import pickle
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastact
from tests.conftest import Network, compiled_only, needs_posix
from tests.processes import PRELUDE, interrupted, run, start
from tests.samples import data, labelled, parts
from tests.threads import at_once

X, _ = data(rows=6, inputs=3)

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
    again = network.load(path)
    assert type(again) is type(model)
    x, _ = labelled()
    assert np.array_equal(again.predict_proba(x), model.predict_proba(x))
    assert np.array_equal(again.loss_curve_, model.loss_curve_)
    assert (again.betas, again.batch_size, again.activation) == ([0.8, 0.9], 16, ["tanh"])
    again.fit(*labelled())
    with np.load(path, allow_pickle=False) as file:
        assert file["weight_0"].shape == (6, 4)


def test_all_settings_come_back(network: Network, tmp_path: Path) -> None:
    """But for the random state."""
    settings: dict[str, Any] = {
        "sizes": [4, 6, 3], "activation": "gelu", "output_activation": "sigmoid", "loss": "binary_cross_entropy",
        "optimizer": "sgd", "learning_rate": 0.25, "batch_size": 7, "epochs": 11, "shuffle": False, "dtype": "float64",
        "momentum": 0.5, "nesterov": True, "weight_decay": 0.125, "betas": [0.5, 0.75], "eps": 0.375, "alpha": 0.0625,
        "max_grad_norm": 3.5, "schedule": "step", "step_size": 5, "gamma": 0.875, "power_t": 0.625,
        "early_stopping": True, "tol": 0.03125, "n_iter_no_change": 13, "dropout": 0.1875,
        "learn_parameters": True,
    }  # fmt: skip
    assert {*settings, "random_state"} == set(inspect.signature(network).parameters)
    network(**settings).save(tmp_path / "model")
    again = network.load(tmp_path / "model")
    assert {name: getattr(again, name) for name in settings} == settings


def test_damaged_files_are_refused(network: Network, tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    saved(network, path)
    whole = path.read_bytes()
    for length in [0, 1, 100, len(whole) // 2, len(whole) - 1, len(whole) - 30]:
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"model\.npz"):
            network.load(path)
    for position in range(30, len(whole), 97):  # whatever byte is wrong: a network that is right, or an error
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x55]) + whole[position + 1 :])
        with contextlib.suppress(ValueError):
            network.load(path)


@pytest.mark.parametrize(
    "arrays",
    [{"a": np.ones(3)}, {"format": np.array("fastact MLP 2")}, {"format": np.array("fastact MLP 1")}, {}],
    ids=["foreign", "other version", "nothing in it", "empty"],
)
def test_foreign_files_are_refused(network: Network, tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    path = tmp_path / "other.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"other\.npz holds"):
        network.load(path)


def test_no_pickles_are_read(network: Network, tmp_path: Path) -> None:
    path = tmp_path / "pickle.npz"
    np.savez(path, format=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match=r"pickle\.npz is"):
        network.load(path)
    np.save(path.with_suffix(".npy"), np.ones(3))
    with pytest.raises(ValueError, match=r"pickle\.npy is"):
        network.load(path.with_suffix(".npy"))
    with pytest.raises(FileNotFoundError):
        network.load(tmp_path / "missing.npz")


def test_settings_nested_too_deeply(network: Network, tmp_path: Path) -> None:
    path = tmp_path / "deep.npz"
    network([3, 2]).save(path)
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **(arrays | {"settings": np.array("[" * 100_000)}))
    with pytest.raises(ValueError, match="cannot be restored"):
        network.load(path)


def changed(network: Network, folder: Path, **arrays: Any) -> Path:
    """The file of a network, some of its arrays replaced."""
    path = folder / "changed.npz"
    network([3, 2]).save(path)
    with np.load(path) as file:
        kept = {name: array for name, array in file.items() if name not in arrays}
    np.savez_compressed(path, **kept, **{name: array for name, array in arrays.items() if array is not None})
    return path


@pytest.mark.parametrize(
    ("message", "arrays"),
    [
        ("weight_0 has shape", {"settings": np.array('{"sizes": [1000000, 1000000]}')}),
        ("weight_0 has shape", {"weight_0": np.ones((3, 2))}),
        ("weight_0 has shape", {"weight_0": np.full((2, 3), "a")}),
        ("bias_0 has shape", {"bias_0": np.ones((2, 1))}),
        ("loss_curve has shape", {"loss_curve": np.array(1.0)}),
        ("flat has shape", {"flat": np.ones(2, bool)}),
        ("it has no bias_0", {"bias_0": None}),
        ("not a mapping", {"settings": np.array("[]")}),
        ("sizes", {"settings": np.array('{"sizes": [1e400, 2]}')}),
    ],
)
def test_arrays_that_do_not_fit(network: Network, tmp_path: Path, message: str, arrays: dict[str, Any]) -> None:
    path = changed(network, tmp_path, **arrays)
    with pytest.raises(ValueError, match=rf"changed\.npz holds a network that cannot be restored: .*{message}"):
        network.load(path)


def test_shapes_that_no_file_can_hold(network: Network, tmp_path: Path) -> None:
    """Settings and headers agree on a terabyte; nothing is allocated for it."""
    settings = np.array('{"sizes": [1000000, 1000000]}')
    path = changed(network, tmp_path, settings=settings, weight_0=None, bias_0=None)
    for count in (0, 1 << 45):  # of bytes that the directory of the file says there are
        with zipfile.ZipFile(path, "a") as archive:
            for name, shape in (("weight_0", (10**6, 10**6)), ("bias_0", (10**6,))):
                file = io.BytesIO()
                np.lib.format.write_array_header_2_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
                archive.writestr(f"{name}.npy", file.getvalue())
                archive.getinfo(f"{name}.npy").file_size += count
        with pytest.raises(ValueError, match="weight_0 is cut short"):
            network.load(path)
        path = changed(network, tmp_path, settings=settings, weight_0=None, bias_0=None)


def test_what_is_not_needed_is_not_read(network: Network, tmp_path: Path) -> None:
    path = changed(network, tmp_path, other=np.zeros(1 << 25), settings_too=np.array(" " * (1 << 22)))
    assert path.stat().st_size < 1 << 20
    network.load(path)
    tracemalloc.start()
    network.load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


@needs_posix
def test_networks_go_through_pipes(network: Network, tmp_path: Path) -> None:
    model = network([3, 4, 2], random_state=0)
    read, write = os.pipe()
    with os.fdopen(read, "rb") as reader, os.fdopen(write, "wb"):
        model.save(f"/dev/fd/{write}")
        os.set_blocking(read, False)
        (tmp_path / "model.npz").write_bytes(reader.read())
    again = network.load(tmp_path / "model.npz")
    assert np.array_equal(again.predict(X), model.predict(X))


def test_networks_saved_at_once(network: Network, tmp_path: Path) -> None:
    model, path, failed = network([3, 4, 2], random_state=0), tmp_path / "model.npz", []

    def save() -> None:
        for _ in range(10):
            try:
                model.save(path)
            except OSError as error:
                failed.append(error)

    at_once(4, save)
    assert failed == []
    assert np.array_equal(network.load(path).predict(X), model.predict(X))
    assert list(tmp_path.iterdir()) == [path]


def test_own_activations_are_given_again(network: Network, tmp_path: Path) -> None:
    @fastact.activation
    def cubed(x: Any) -> Any:
        return x * x * x

    model = network([3, 4, 2], cubed)
    model.save(tmp_path / "own.npz")
    with pytest.raises(ValueError, match="no activation is called 'cubed'"):
        network.load(tmp_path / "own.npz")
    again = network.load(tmp_path / "own.npz", activation=cubed)
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
from fastact.networks.plan import Trainer
m, take, said = model(10**6, optimizer="adam").partial_fit(x, y), Trainer.take, []
def take_and_say(trainer, steps):
    taken = take(trainer, steps)
    if trainer.epoch > 1 and not said:
        said.append("ready")
        print(*said, flush=True)
    return taken
Trainer.take = take_and_say
try:
    m.fit(x, y)
except KeyboardInterrupt:
    n = len(m.loss_curve_)
    finite = all(np.isfinite(w).all() for w in m.weights)
    m.epochs = 1
    print("stopped", 0 < n < 10**6, finite, m.loss_curve_[-1] < m.loss_curve_[0], np.isfinite(m.fit(x, y).score(x, y)))
"""
    finished = interrupted(start("-c", TRAIN + code, backend))
    assert (finished.stdout, finished.stderr) == ("stopped True True True True\n", "")


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
def test_no_compilation_per_network() -> None:
    """With activation and loss known, other sizes neither compile nor link anything."""
    code = """
from fastact.runtime import compiler
import fastact, numpy as np
loaded, load = [], compiler.load
def note_and_load(source, *arguments):
    loaded.append(source)
    return load(source, *arguments)
compiler.load = note_and_load
def fit(sizes): fastact.MLP(sizes, "tanh", epochs=1).fit(np.ones((3, sizes[0])), np.ones((3, sizes[-1])))
fit([2, 2, 1]); before = len(loaded)
fit([3, 50, 40, 2]); print(before > 0, loaded[before:])
"""
    finished = run(code)
    assert (finished.stdout, finished.stderr) == ("True []\n", "")


def test_memory_does_not_grow_with_epochs(network: Network) -> None:
    x, y = data(rows=64)
    peaks = []
    for epochs in (3, 3_000):
        model = network([5, 16, 3], epochs=epochs, random_state=0, shuffle=False)
        model.fit(x, y)
        tracemalloc.start()
        model.fit(x, y)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # One float64 per epoch is kept, in the curve and while it is put together; 100 bytes per step would be 600 kB.
    assert peaks[1] - peaks[0] < 200_000


def test_changing_data_afterwards_changes_nothing(network: Network) -> None:
    x, y = data()
    model = network([5, 4, 3], epochs=2, random_state=0).fit(x, y)
    before = parts(model)
    x[:] = 0
    y[:] = 0
    assert all(np.array_equal(p, q) for p, q in zip(parts(model), before))


@pytest.mark.parametrize(
    "duplicate",
    [copy.copy, copy.deepcopy, lambda network: pickle.loads(pickle.dumps(network))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_copies_are_networks_of_their_own(duplicate: Callable[[Any], Any], network: Network) -> None:
    x, y = np.random.default_rng(4).standard_normal((2, 20, 3))
    original = network([3, 8, 3], "tanh", random_state=0, optimizer="adam", epochs=2, batch_size=8)
    original.fit(x, y)
    weight, outputs = original.weights[0].copy(), original.predict(x)
    twin, untouched = duplicate(original), pickle.loads(pickle.dumps(original))
    assert np.array_equal(twin.predict(x), outputs)
    twin.partial_fit(x, y)
    assert not np.array_equal(twin.weights[0], weight)  # it learns,
    assert np.array_equal(original.weights[0], weight)  # and its original does not
    twin.weights[-1][...] = 0
    twin.biases[-1][...] = 0
    assert not twin.predict(x).any()
    assert np.array_equal(original.predict(x), outputs)
    for model in (original, untouched):  # the optimizer and the order of rows go on from where they were
        model.partial_fit(x, y)
    assert np.array_equal(original.weights[0], untouched.weights[0])


@fastact.activation
def bent(x, slope=1.0):  # type: ignore[no-untyped-def]
    return x + slope * (np.sqrt(x * x + 1) - 1) / 2


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda entry: pickle.loads(pickle.dumps(entry))])
@pytest.mark.parametrize("activation", [bent, fastact.ACTIVATIONS["gelu"], fastact.ACTIVATIONS["tanh"]])
def test_activations_are_copied_by_name(duplicate: Callable[[Any], Any], activation: Any, network: Network) -> None:
    model = network([3, 4, 2], activation, random_state=0)
    x = np.random.default_rng(0).standard_normal((10, 3))
    outputs = model.fit(x, x[:, :2]).predict(x)
    assert duplicate(activation) is activation
    assert np.array_equal(duplicate(model).predict(x), outputs)


def test_weights_can_be_exchanged(network: Network) -> None:
    model = network([3, 3, 3], random_state=0)
    first, second = (weight.copy() for weight in model.weights)
    model.weights[0], model.weights[1] = model.weights[1], model.weights[0]
    model.predict(np.zeros((1, 3)))
    assert np.array_equal(model.weights[0], second)
    assert np.array_equal(model.weights[1], first)


def test_weights_that_float32_does_not_hold(network: Network) -> None:
    model = network([1, 1], random_state=0)
    model.weights[0] = np.array([[1e300]])
    assert model.predict(np.ones((1, 1))) == np.inf  # and no warning
    model.weights = 3
    with pytest.raises(TypeError, match="weights must be a list of arrays"):
        model.predict(np.ones((1, 1)))

"""What shapes training besides loss and optimizer: penalty, weights of rows, clipping, schedules, early stopping."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import fastact
from fastact.networks.dropout import Dropout
from tests.conftest import Network, compiled_only
from tests.networks.test_networks import LOSSES, Twin
from tests.samples import data, parts, step_of

#: A network in general, one that is taken transposed, one of many parts, and one whose parameters threads share.
SIZES = {"general": ([5, 6, 3], 25, 16), "narrow": ([3, 4, 2], 150, 100), "parts": ([20, 30, 10], 700, 300)}
SIZES["wide"] = ([90, 400, 3], 60, 40)

SHAPING: dict[str, dict[str, Any]] = {
    "penalty": {"alpha": 0.3},
    "penalty of plain": {"alpha": 0.3, "momentum": 0.9},
    "norm": {"max_grad_norm": 0.05},
    "norm out of reach": {"max_grad_norm": 50.0},
    "norm and decay": {"max_grad_norm": 0.05, "alpha": 0.2, "weight_decay": 0.1, "optimizer": "adam"},
    "adamw": {"optimizer": "adamw", "weight_decay": 0.1, "learning_rate": 0.01},
    "adamw and penalty": {"optimizer": "adamw", "weight_decay": 0.1, "alpha": 0.1, "max_grad_norm": 0.2},
}


def trained_in_torch(
    twin: Twin, x: np.ndarray, y: np.ndarray, batch: int, settings: dict[str, Any], weights: Any = None
) -> list[float]:
    """Three epochs, rows in order; each epoch's mean loss, as fastact defines it."""
    torch = twin.torch
    given = {k: v for k, v in settings.items() if k in ("momentum", "weight_decay")}
    made = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}.get(settings.get("optimizer", ""), torch.optim.SGD)
    optimizer = made(twin.parts, lr=settings.get("learning_rate", 0.05), **given)
    curve = []
    for _ in range(3):
        total = 0.0
        for start in range(0, len(x), batch):
            rows = slice(start, min(start + batch, len(x)))
            count = torch.ones(rows.stop - start) if weights is None else torch.tensor(weights[rows])
            name = LOSSES[settings.get("loss", "mse")]
            target = torch.tensor(y[rows])
            losses = getattr(torch.nn.functional, name)(twin(x[rows]), target, reduction="none")
            losses = losses.reshape(len(count), -1).mean(dim=1)
            penalty = settings.get("alpha", 0.0) / 2 * sum((weight**2).sum() for weight in twin.parts[::2])
            loss = ((losses * count).sum() + penalty) / count.sum()
            optimizer.zero_grad()
            loss.backward()
            if "max_grad_norm" in settings:
                torch.nn.utils.clip_grad_norm_(twin.parts, settings["max_grad_norm"])
            optimizer.step()
            total += loss.item() * len(count) / len(x)
        curve.append(total)
    return curve


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("case", SHAPING)
def test_shaping_like_torch(network: Network, case: str, size: str) -> None:
    """Three epochs of two steps, the second with fewer rows."""
    sizes, rows, batch = SIZES[size]
    x, y = data(rows, sizes[0], sizes[-1])
    settings = {"learning_rate": 0.05, **SHAPING[case]}
    model = network(
        sizes, "tanh", batch_size=batch, epochs=3, shuffle=False, dtype="float64", random_state=3, **settings
    )
    twin = Twin(model, "tanh")
    curve = trained_in_torch(twin, x, y, batch, settings)
    model.fit(x, y)
    assert model.loss_curve_ == pytest.approx(curve, rel=1e-10)
    for ours, theirs in zip(parts(model), twin.parts):
        assert ours == pytest.approx(theirs.detach().numpy(), rel=1e-10, abs=1e-12)


@compiled_only
def test_plain_training_holds_none_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from fastact.networks import trainer

    original, asked = trainer.compiled, set()
    monkeypatch.setattr(trainer, "compiled", lambda dtype, *module: asked.update(module) or original(dtype, *module))
    for settings in ({}, {"momentum": 0.9, "weight_decay": 0.1}, {"optimizer": "adam", "schedule": "cosine"}):
        fastact.MLP([5, 3], epochs=1, **settings).fit(*data())
    assert "extras" not in asked
    fastact.MLP([5, 3], epochs=1, alpha=0.1).fit(*data())
    assert "extras" in asked


def test_a_callback_can_change_the_penalty(network: Network) -> None:
    """Its share of the loss, where the rest of it is always zero; not where there was none."""
    model = network([2, 1], batch_size=None, epochs=3, learning_rate=0.0, alpha=2.0, dtype="float64")
    model.weights[0], model.biases[0] = [[3.0, 4.0]], [0.0]
    model.fit([[0.0, 0.0]], [0.0], callback=lambda m, *_: setattr(m, "alpha", m.alpha / 2))
    assert list(model.loss_curve_) == [25.0, 12.5, 6.25]
    for settings in ({}, {"optimizer": "adam", "weight_decay": 0.1}):
        for change in ("alpha", "max_grad_norm"):
            plain = network([2, 1], epochs=3, **settings)
            with pytest.raises(ValueError, match="a callback can change the optimizer's numbers, but"):
                plain.fit([[0.0, 0.0]], [0.0], callback=lambda m, *_, change=change: setattr(m, change, 0.1))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("loss", ["mse", "huber", "binary_cross_entropy_with_logits", "cross_entropy", "labels"])
def test_weights_of_rows_like_torch(network: Network, loss: str, size: str) -> None:
    sizes, rows, batch = SIZES[size]
    x, y = data(rows, sizes[0], sizes[-1])
    y = y.argmax(axis=1) if loss == "labels" else y
    settings = {"learning_rate": 0.05, "loss": "cross_entropy" if loss == "labels" else loss, "alpha": 0.1}
    weights = np.random.default_rng(1).integers(0, 4, rows) * 0.5
    model = network(
        sizes, "silu", batch_size=batch, epochs=3, shuffle=False, dtype="float64", random_state=3, **settings
    )
    twin = Twin(model, "silu")
    curve = trained_in_torch(twin, x, y, batch, settings, weights)
    model.fit(x, y, sample_weight=weights)
    assert model.loss_curve_ == pytest.approx(curve, rel=1e-10)
    for ours, theirs in zip(parts(model), twin.parts):
        assert ours == pytest.approx(theirs.detach().numpy(), rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("loss", "torchs", "factor"), [("squared_error", "mse", 0.5), ("log_loss", "logits", 1.0)])
def test_losses_that_outputs_add_up_to(network: Network, loss: str, torchs: str, factor: float, size: str) -> None:
    """Of a step of all rows: so many times the mean that torch takes."""
    sizes, rows, _ = SIZES[size]
    x, y = data(rows, sizes[0], sizes[-1])
    model = network(sizes, "tanh", loss=loss, learning_rate=1.0, batch_size=None, dtype="float64", random_state=3)
    twin = Twin(model, "tanh")
    value = factor * sizes[-1] * twin.loss({"logits": "binary_cross_entropy_with_logits"}.get(torchs, torchs), x, y)
    value.backward()
    steps = step_of(model, x, y)
    assert model.loss_curve_ == pytest.approx([value.item()], rel=1e-11)
    for ours, theirs in zip(steps, twin.parts):
        assert ours == pytest.approx(theirs.grad.numpy(), rel=1e-10, abs=1e-13)


@pytest.mark.parametrize("loss", ["squared_error", "log_loss", "cross_entropy"])
def test_a_row_that_counts_two_is_there_twice(network: Network, loss: str) -> None:
    x, y = data(20)
    counts = np.arange(20) % 3
    models = [
        network(
            [5, 8, 3], "tanh", loss=loss, batch_size=None, epochs=5, optimizer="adam", dtype="float64", random_state=1
        )
        for _ in range(2)
    ]
    models[0].fit(x, y, sample_weight=counts)
    models[1].fit(np.repeat(x, counts, axis=0), np.repeat(y, counts, axis=0))
    assert models[0].loss_curve_ == pytest.approx(models[1].loss_curve_, rel=1e-12)
    for ours, theirs in zip(*map(parts, models)):
        assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-12)


@compiled_only
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", SIZES)
def test_backends_shuffle_weights_alike(size: str, dtype: str) -> None:
    sizes, rows, batch = SIZES[size]
    x, y = data(rows, sizes[0], sizes[-1])
    weights = np.random.default_rng(1).uniform(size=rows)
    settings: Any = {"batch_size": batch, "epochs": 3, "alpha": 0.1, "max_grad_norm": 0.05, "learning_rate": 0.05}
    ours, theirs = (
        made(sizes, "tanh", dtype=dtype, random_state=7, **settings).fit(x, y, sample_weight=weights)
        for made in (fastact.MLP, fastact.fallback.MLP)
    )
    tolerance = 1e-4 if dtype == "float32" else 1e-11
    assert ours.loss_curve_ == pytest.approx(theirs.loss_curve_, rel=tolerance)
    for a, b in zip(parts(ours), parts(theirs)):
        assert a == pytest.approx(b, rel=tolerance, abs=tolerance)


def test_a_step_of_rows_that_count_nothing(network: Network) -> None:
    x, y = data(8)
    model = network([5, 3], batch_size=4, epochs=1, shuffle=False, alpha=0.1, dtype="float64", random_state=0)
    same = network([5, 3], batch_size=4, epochs=1, shuffle=False, alpha=0.1, dtype="float64", random_state=0)
    model.fit(x, y, sample_weight=[0, 0, 0, 0, 1, 1, 1, 1])
    same.fit(x[4:], y[4:])
    assert model.loss_curve_ == pytest.approx(same.loss_curve_ / 2, rel=1e-12)
    assert parts(model)[0] == pytest.approx(parts(same)[0], rel=1e-12)


# -- from epoch to epoch ------------------------------------------------------------------------------


def rates(model: Any, x: np.ndarray, y: np.ndarray) -> list[float]:
    """How far each epoch's one step of plain descent goes along a gradient that is always the same."""
    seen = [parts(model)[1].copy()]
    model.fit(x, y, callback=lambda m, epoch, loss: seen.append(m.biases[0].copy()))
    return [float(after[0] - before[0]) for before, after in pairwise(seen)]


@pytest.mark.parametrize(
    ("settings", "torchs", "arguments"),
    [
        ({"schedule": "constant"}, "ConstantLR", {"factor": 1.0}),
        ({"schedule": "step", "step_size": 3, "gamma": 0.5}, "StepLR", {"step_size": 3, "gamma": 0.5}),
        ({"schedule": "cosine"}, "CosineAnnealingLR", {"T_max": 8}),
        ({"schedule": "invscaling", "power_t": 0.7}, "LambdaLR", {"lr_lambda": lambda epoch: (1 + 2 * epoch) ** -0.7}),
    ],
    ids=["constant", "step", "cosine", "invscaling"],
)
def test_schedules_like_torch(network: Network, settings: Any, torchs: str, arguments: Any) -> None:
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    schedule, expected = getattr(torch.optim.lr_scheduler, torchs)(optimizer, **arguments), []
    for _ in range(8):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    model = network([1, 1], loss="l1", learning_rate=0.3, batch_size=None, epochs=8, dtype="float64", **settings)
    model.weights[0], model.biases[0] = [[0.0]], [0.0]
    assert rates(model, np.zeros((2, 1)), np.full((2, 1), 100.0)) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("weighted", [False, True])
def test_a_schedule_goes_on_in_partial_fit(network: Network, weighted: bool) -> None:
    """Also where rows have weights now and then, which plain descent cannot have."""
    model = network(
        [1, 1], loss="l1", learning_rate=0.3, batch_size=None, dtype="float64", schedule="step", step_size=2
    )
    model.weights[0], model.biases[0] = [[0.0]], [0.0]
    seen = [0.0]
    for i in range(5):
        model.partial_fit([[0.0]], [100.0], sample_weight=[2.0] if weighted and i % 2 else None)
        seen.append(float(model.biases[0][0]))
    assert np.diff(seen) == pytest.approx([0.3, 0.3, 0.03, 0.03, 0.003], rel=1e-10)


def test_training_stops_early(network: Network) -> None:
    """Once the loss has not come down for more than so many epochs: the first epoch's is the lowest here."""
    x, y = data(10)
    model = network([5, 3], learning_rate=0.0, epochs=50, early_stopping=True, n_iter_no_change=4).fit(x, y)
    assert len(model.loss_curve_) == 6


def test_adaptive_rates(network: Network) -> None:
    """Instead of stopping, a fifth of the rate, until it is too small."""
    model = network(
        [1, 1], learning_rate=1.0, loss="l1", schedule="adaptive", early_stopping=True, n_iter_no_change=1, epochs=99,
        dtype="float64", tol=1e-9, batch_size=None,
    )  # fmt: skip
    model.weights[0], model.biases[0] = [[0.0]], [0.1]
    moved = np.abs(rates(model, np.zeros((1, 1)), np.zeros((1, 1))))
    assert moved.max() == pytest.approx(1.0)
    assert moved.min() == pytest.approx(5.0**-9)
    assert len(moved) < 99


def test_the_best_weights_for_validation_data_are_kept(network: Network) -> None:
    """A bias on its way from 0 to 1 passes what validation data want."""
    model = network(
        [1, 1], loss="l1", learning_rate=0.05, batch_size=None, epochs=60, early_stopping=True, n_iter_no_change=5
    )
    model.weights[0], model.biases[0] = [[0.0]], [0.0]
    losses: list[float] = []
    validation = [[0.0]], [0.5]
    model.fit(
        [[0.0]], [1.0], validation_data=validation, callback=lambda m, *_: losses.append(abs(m.biases[0][0] - 0.5))
    )
    assert model.validation_curve_ == pytest.approx(losses, abs=1e-6)
    assert len(losses) == 16
    assert model.biases[0] == pytest.approx([0.5], abs=1e-6)


def test_epochs_are_printed(network: Network, capsys: pytest.CaptureFixture[str]) -> None:
    x, y = data(10)
    model = network([5, 3], epochs=2).fit(x, y, validation_data=(x, y), verbose=True)
    losses = zip(model.loss_curve_, model.validation_curve_)
    lines = [f"epoch {i + 1}: loss {a:.6g}, validation loss {b:.6g}\n" for i, (a, b) in enumerate(losses)]
    assert capsys.readouterr().out == "".join(lines)


@pytest.mark.parametrize(
    ("error", "message", "given"),
    [
        (ValueError, r"sample_weight must have shape \(6,\)", {"sample_weight": np.ones(5)}),
        (ValueError, "at least 0", {"sample_weight": [1, 1, 1, 1, 1, -1]}),
        (ValueError, "not all of them 0", {"sample_weight": np.zeros(6)}),
        (ValueError, "sample_weight has values that are not finite", {"sample_weight": np.full(6, np.nan)}),
        (TypeError, "sample_weight must be real numbers", {"sample_weight": ["1"] * 6}),
        (ValueError, "must be a pair", {"validation_data": np.ones(3)}),
        (ValueError, "validation_data does not fit: x must have shape", {"validation_data": (np.ones((2, 4)), [1])}),
        (ValueError, "validation_data does not fit: y must have shape", {"validation_data": (np.ones((2, 5)), [1])}),
    ],
)
def test_what_does_not_fit(network: Network, error: type[Exception], message: str, given: dict[str, Any]) -> None:
    x, y = data(6)
    model = network([5, 3])
    before = parts(model)
    with pytest.raises(error, match=message):
        model.fit(x, y, **given)
    assert all((a == b).all() for a, b in zip(before, parts(model)))


@pytest.mark.parametrize(
    ("error", "message", "settings"),
    [
        (ValueError, "alpha must be at least 0", {"alpha": -1.0}),
        (ValueError, "max_grad_norm must be above 0", {"max_grad_norm": 0}),
        (ValueError, "schedule must be one of constant", {"schedule": "linear"}),
        (ValueError, "schedule 'adaptive' needs early_stopping", {"schedule": "adaptive"}),
        (ValueError, "step_size must be at least 1", {"step_size": 0}),
        (ValueError, "tol must be at least 0", {"tol": -1}),
        (TypeError, "n_iter_no_change must be a whole number", {"n_iter_no_change": 1.5}),
        (ValueError, "momentum belongs to optimizer 'sgd'; adamw", {"optimizer": "adamw", "momentum": 0.9}),
    ],
)
def test_settings_that_make_no_sense(
    network: Network, error: type[Exception], message: str, settings: dict[str, Any]
) -> None:
    with pytest.raises(error, match=message):
        network([3, 2], **settings)


# -- sparse inputs ------------------------------------------------------------------------------------


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("loss", ["mse", "labels"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("batch", ["few", "many", "all"])
def test_sparse_inputs(network: Network, size: str, batch: str, loss: str, shuffle: bool) -> None:
    """The bits of dense ones: where several batches are made dense at a time, one, and all."""
    sparse = pytest.importorskip("scipy.sparse")
    sizes, rows, most = SIZES[size]
    rows = 3 * rows
    x, y = data(rows, sizes[0], sizes[-1])
    x[abs(x) < 0.8] = 0
    y = y.argmax(axis=1) if loss == "labels" else y
    settings: Any = {
        "loss": "cross_entropy" if loss == "labels" else loss, "epochs": 3, "random_state": 1, "shuffle": shuffle,
        "batch_size": {"few": 7, "many": most, "all": None}[batch],
    }  # fmt: skip
    weights = np.random.default_rng(1).uniform(size=rows) if shuffle else None
    dense = network(sizes, "tanh", **settings).fit(x, y, sample_weight=weights)
    given = sparse.csc_array(x)
    ours = network(sizes, "tanh", **settings).fit(given, y, sample_weight=weights, validation_data=(given, y))
    assert all((a == b).all() for a, b in zip(parts(ours), parts(dense)))
    assert (ours.loss_curve_ == dense.loss_curve_).all()
    assert ours.predict(given) == pytest.approx(dense.predict(x), rel=1e-5)
    assert ours.score(given, y) == pytest.approx(dense.score(x, y))
    assert network([sizes[0], 1]).predict(given[:0]).shape == (0, 1)


def test_sparse_inputs_that_do_not_fit(network: Network) -> None:
    sparse = pytest.importorskip("scipy.sparse")
    x, y = data(6)
    with pytest.raises(ValueError, match=r"x must have shape \(rows, 4\); got \(6, 5\)"):
        network([4, 3]).fit(sparse.csr_array(x), y)
    with pytest.raises(ValueError, match="not finite"):
        network([5, 3]).fit(sparse.csr_array(x * np.nan), y)
    with pytest.raises(TypeError, match="complex"):
        network([5, 3]).fit(sparse.csr_array(x * 1j), y)


# -- dropout ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["tanh", "identity"])
@pytest.mark.parametrize("size", SIZES)
def test_dropout_like_torch(network: Network, size: str, activation: str) -> None:
    """One epoch, with the units left out that are said to be."""
    sizes, rows, batch = SIZES[size]
    x, y = data(rows, sizes[0], sizes[-1])
    model = network(
        sizes, activation, dropout=0.4, learning_rate=0.5, batch_size=batch, epochs=1, shuffle=False, dtype="float64",
        random_state=3,
    )  # fmt: skip
    twin = Twin(model, activation)
    seed = int(copy.deepcopy(model._random).integers(2**62))
    model.fit(x, y)
    torch, (weight, bias, last, shift) = twin.torch, twin.parts
    optimizer = torch.optim.SGD(twin.parts, lr=0.5)
    for first in range(0, rows, batch):
        kept = Dropout(0.4, seed).kept(0, 0, first, len(x[first : first + batch]), sizes[1])
        hidden = torch.tensor(x[first : first + batch]) @ weight.T + bias
        hidden = torch.where(torch.tensor(kept), (torch.tanh(hidden) if activation == "tanh" else hidden) / 0.6, 0.0)
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(hidden @ last.T + shift, torch.tensor(y[first : first + batch])).backward()
        optimizer.step()
    for ours, theirs in zip(parts(model), twin.parts):
        assert ours == pytest.approx(theirs.detach().numpy(), rel=1e-10, abs=1e-12)


@compiled_only
def test_backends_leave_the_same_units_out() -> None:
    x, y = data(700, 20, 10)
    settings: Any = {"dropout": 0.3, "batch_size": 300, "epochs": 3, "learning_rate": 0.05, "dtype": "float64"}
    for weights in (None, np.arange(700) % 4):
        ours, theirs = (
            made([20, 30, 20, 10], ["identity", "silu"], random_state=7, **settings).fit(x, y, sample_weight=weights)
            for made in (fastact.MLP, fastact.fallback.MLP)
        )
        assert ours.loss_curve_ == pytest.approx(theirs.loss_curve_, rel=1e-11)
        for a, b in zip(parts(ours), parts(theirs)):
            assert a == pytest.approx(b, rel=1e-10, abs=1e-12)


def test_units_that_are_left_out() -> None:
    """Each as often as any other, and independently of its neighbours in rows, units, layers and epochs."""
    dropout = Dropout(0.25, 12345)
    kept = np.stack([dropout.kept(epoch, layer, 10, 400, 50) for epoch in range(4) for layer in range(2)])
    assert abs(kept.mean() - 0.75) < 4 * np.sqrt(0.75 * 0.25 / kept.size)
    for axis in range(3):
        assert abs(kept.mean(axis=axis) - 0.75).max() < 5 * np.sqrt(0.75 * 0.25 / kept.shape[axis])
        a, b = kept.take(range(1, kept.shape[axis]), axis), kept.take(range(kept.shape[axis] - 1), axis)
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 5 / np.sqrt(a.size)
    assert (dropout.kept(0, 0, 15, 20, 50) == dropout.kept(0, 0, 10, 400, 50)[5:25]).all()


def test_predictions_leave_nothing_out(network: Network) -> None:
    x, y = data(40)
    model = network([5, 30, 3], dropout=0.5, epochs=3, random_state=0).fit(x, y)
    plain = network([5, 30, 3])
    plain.weights, plain.biases = model.weights, model.biases
    assert (model.predict(x) == plain.predict(x)).all()
    with pytest.raises(ValueError, match="dropout must be at least 0 and below 1"):
        network([5, 3], dropout=1.0)

"""Pictures: what is drawn, where, and what it is called."""

from __future__ import annotations

import doctest
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import fastact
from fastact.catalogue import ACTIVATIONS, SPECIAL
from fastact.functions.parameters import sample_parameters
from fastact.names import functions
from fastact.rows.gates import GATES
from tests.conftest import Network

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("agg")

from matplotlib import mathtext, pyplot  # noqa: E402
from matplotlib.colors import to_rgb  # noqa: E402

from fastact import plotting  # noqa: E402
from fastact.plotting import activations as curves  # noqa: E402
from fastact.plotting import gates, losses, rows  # noqa: E402
from fastact.plotting.features import asymptotes, jumps  # noqa: E402
from fastact.plotting.gradients import gradient_sizes  # noqa: E402
from fastact.plotting.mathematics import mathematics  # noqa: E402

X, Y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 0, 0, 1])


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    pyplot.close("all")


def rendered(axes: Any) -> None:
    """Layout and mathematics are looked at only now, and warnings are errors; no title or label is cut off, and none
    covers another."""
    figure = np.ravel(axes)[0].figure
    figure.canvas.draw()
    renderer, paper = figure.canvas.get_renderer(), figure.bbox
    texts = [text for axes in figure.axes for text in (axes.title, *(axis.label for axis in axes._axis_map.values()))]
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in texts if text.get_text()]
    for i, (said, box) in enumerate(boxes):
        assert paper.x0 <= box.x0 < box.x1 <= paper.x1, said
        assert paper.y0 <= box.y0 < box.y1 <= paper.y1, said
        assert not any(box.overlaps(axes.patch.get_window_extent()) for axes in figure.axes if axes.name != "3d"), said
        assert [(said, other) for other, there in boxes[:i] if box.overlaps(there)] == []


# -- what is behind them ----------------------------------------------------------------------------


def contrast(one: Any, other: Any) -> float:
    """As accessibility guidelines count it; 3 is what they ask of graphics."""

    def luminance(colour: Any) -> float:
        red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour))
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    brighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_curves_stand_out_from_what_is_behind_them(style: str) -> None:
    """Black on white, and on black not black; of the pale colours on white, orange and purple stay below 3."""
    with matplotlib.style.context(style):
        eight = ["relu", "elu", "gelu", "softplus", "silu", "mish", "tanh", "selu"]
        axes = plotting.plot_activations(eight, same_axes=True)
        curves = [line for line in axes.lines if line.get_label() in eight or line.get_label()[:3] in ("elu", "sof")]
        looks = {(line.get_color(), line.get_linewidth()) for line in curves}
        assert len(looks) == len(curves) == 8
        assert min(contrast(line.get_color(), axes.get_facecolor()) for line in curves) > 2
        marks = plotting.plot_activations("hardtanh").lines
        assert all(contrast(mark.get_color(), axes.get_facecolor()) > 3 for mark in marks)


# -- curves -----------------------------------------------------------------------------------------


def test_every_formula_is_set_as_mathematics() -> None:
    parser = mathtext.MathTextParser("agg")
    for entry in ACTIVATIONS.values():
        parser.parse(f"${mathematics(entry.formula)}$")
    assert mathematics("x / (1 + exp(-x))") == r"\dfrac{x}{1 + e^{-x}}"
    assert mathematics("where(x > 0, x, alpha * (exp(x / alpha) - 1))").count("alpha") == 2
    assert mathematics("maximum(x, 0)**2") == r"\max\left(x, 0\right)^{2}"


@pytest.mark.parametrize(
    ("name", "kinks"),
    [("relu", [0]), ("hardtanh", [-1, 1]), ("hardswish", [-3, 3]), ("elu", []), ("selu", [0]), ("silu", [])],
)
def test_kinks(name: str, kinks: list[float]) -> None:
    entry = ACTIVATIONS[name]
    assert np.allclose(jumps(entry.derivative, -5, 5), kinks, rtol=0, atol=1e-12)
    assert jumps(entry.value, -5, 5) == []


@pytest.mark.parametrize("name", ["gelu_tanh", "silu", "elu"])
def test_curves_without_a_jump_are_looked_through_in_few_calls(name: str) -> None:
    """Nearly every interval of the grid may hide one, until a few halvings show that it does not; each by itself,
    halved to its end, took 50 000 calls."""
    calls = []

    def counted(x: np.ndarray) -> np.ndarray:
        calls.append(x.size)
        return np.asarray(ACTIVATIONS[name].value(x))

    assert jumps(counted, -5, 5) == []
    assert len(calls) <= 20


def test_poles_are_drawn_without_a_warning() -> None:
    for entry in SPECIAL.values():
        rendered(plotting.plot_activations(entry))


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("sigmoid", [(-1, 0, 0), (1, 0, 1)]),
        ("softsign", [(-1, 0, -1), (1, 0, 1)]),
        ("tanhshrink", [(-1, 1, 1), (1, 1, -1)]),
        ("gelu", [(-1, 0, 0), (1, 1, 0)]),
        ("gelu_tanh", [(-1, 0, 0), (1, 1, 0)]),
        ("sparse_plus", []),
        ("relu6", []),
        ("exponential", [(-1, 0, 0)]),
    ],
)
def test_asymptotes(name: str, lines: list[tuple[float, float, float]]) -> None:
    entry = ACTIVATIONS[name]
    assert asymptotes(entry.value, entry.derivative) == lines


def test_a_curve_is_the_function() -> None:
    axes = plotting.plot_activations("elu")
    rendered(axes)
    x, y = axes.get_lines()[2].get_data()
    assert np.array_equal(y, fastact.elu(x))
    assert axes.get_title().startswith(r"elu, $\alpha = 1$")
    assert axes.get_xlabel() == "x"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["value", "derivative", "asymptote"]


def test_all_of_them_with_nothing_on_top_of_anything() -> None:
    axes = plotting.plot_activations()
    rendered(axes)
    assert sum(panel.get_visible() for panel in axes.flat) == len(ACTIVATIONS)
    for panel, entry in zip(axes.flat, ACTIVATIONS.values()):
        assert panel.get_title().startswith(entry.name)
        assert all(name in sample_parameters(entry) for name in entry.parameters)


def test_where_one_says() -> None:
    _, one = pyplot.subplots()
    assert plotting.plot_activations(["relu", "gelu"], same_axes=True, ax=one) is one
    _, two = pyplot.subplots(1, 2)
    assert plotting.plot_activations(["relu", "gelu"], ax=two) is two
    with pytest.raises(ValueError, match="3 activations need as many axes; there are 2"):
        plotting.plot_activations(["relu", "gelu", "elu"], ax=two)


def test_parameters_and_ones_own() -> None:
    @fastact.activation
    def bent(x: Any, slope: float = 1.0) -> Any:
        return x + slope * (np.sqrt(x * x + 1) - 1) / 2

    axes = plotting.plot_activations(bent, parameters={"slope": [0.5, 2]}, derivative=False)
    rendered(axes)
    assert len(axes.get_legend().get_texts()) == 2
    with pytest.raises(ValueError, match="none of these activations has a parameter 'alpha'"):
        plotting.plot_activations(bent, parameters={"alpha": 1})
    with pytest.raises(ValueError, match="no activation is called"):
        plotting.plot_activations("sigmiod")


# -- rows, gates and losses -----------------------------------------------------------------------------


def heights(axes: Any) -> list[np.ndarray]:
    """Of each set of bars."""
    return [np.array([bar.get_height() for bar in bars]) for bars in axes.containers]


def test_rows_over_temperature() -> None:
    row = np.array([3.0, 1.0, 0.5])
    axes = plotting.plot_rows("softmax", row, temperatures=[0.5, 2])
    rendered(axes)
    assert np.allclose(heights(axes), [fastact.softmax(row / 0.5), fastact.softmax(row / 2)])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["$T = 0.5$", "$T = 2$"]
    assert len({bars[0].get_hatch() for bars in axes.containers}) == 2  # apart in grey, too
    assert len(heights(plotting.plot_rows("hardmax", row))) == 1  # any temperature
    sums = plotting.plot_rows("logsumexp", row, temperatures=[2])
    assert any(np.allclose(line.get_ydata(), 2 * fastact.logsumexp(row / 2)) for line in sums.get_lines())


def test_every_function_of_rows_has_its_formula() -> None:
    own = {name for name in functions() if functions()[name].__module__.startswith("fastact.rows.")}
    assert set(rows.FORMULAS) == {name for name in own - set(GATES) if not name.endswith("_backward")}
    axes = plotting.plot_rows()
    rendered(axes)
    for panel, name in zip(axes.flat, rows.FORMULAS):
        assert panel.get_title().splitlines() == [name, f"${rows.FORMULAS[name]}$"]


def test_gates_over_the_half_that_opens_them() -> None:
    axes = plotting.plot_gates(["swiglu", "reglu", "tanh"], halves=[3])
    rendered(axes)
    for panel, name in zip(axes.flat, ("swiglu", "reglu")):
        b, drawn = panel.get_lines()[2].get_data()
        there = np.isfinite(drawn)
        gate = getattr(fastact, name)(np.stack([np.full_like(b, 3.0), b], axis=1))[:, 0]
        assert np.allclose(drawn[there], gate[there])
    assert axes.flat[0].get_title() == "swiglu\n" + r"$\dfrac{a\, b}{1 + e^{-b}}$"
    assert axes.flat[2].get_title().startswith("a gate that tanh opens")
    assert plotting.plot_gates("glu", ax=axes.flat[0]) is axes.flat[0]


def test_every_loss_is_drawn_with_its_derivative() -> None:
    axes = plotting.plot_loss_functions()
    rendered(axes)
    for panel, name in zip(axes.flat, losses.loss_names()):
        assert panel.get_title().startswith(name)
        curves = [line.get_data() for line in panel.get_lines() if len(line.get_xdata()) > 900]
        for (x, value), (_, slope) in zip(curves[::2], curves[1::2]):
            rises = np.gradient(value[:500], x[:500])
            smooth = np.isfinite(rises) & (abs(np.gradient(rises)) < 0.1) & np.isfinite(slope[:500])
            assert smooth.any()
            assert np.allclose(rises[smooth], slope[:500][smooth], atol=0.05), name


def test_losses_for_targets_and_numbers() -> None:
    axes = plotting.plot_loss_functions("huber_loss", targets=[1], parameters={"delta": 0.5})
    rendered(axes)
    x, drawn = next(line.get_data() for line in axes.get_lines() if len(line.get_xdata()) > 900)
    assert np.allclose(drawn, fastact.huber_loss(x, np.ones_like(x), reduction="none", delta=0.5))
    assert r"$\delta = 0.5$" in axes.get_title()
    folded = plotting.plot_loss_functions("l1_loss", targets=[1], derivative=False)
    assert any(
        np.allclose(line.get_data(), [[1], [0]], atol=1e-9) for line in folded.get_lines() if line.get_marker() == "o"
    )
    for call, message in (
        (lambda: plotting.plot_loss_functions("huber"), "no loss is called 'huber'; there are mse_loss"),
        (lambda: plotting.plot_loss_functions("mse_loss", parameters={"delta": 1}), "has a parameter 'delta'"),
        (lambda: plotting.plot_rows("softmx"), "no function of rows is called 'softmx'"),
        (lambda: plotting.plot_rows("softmax", temperatures=[0]), "temperatures must be positive"),
        (lambda: plotting.plot_rows("softmax", [[1]]), "one dimension"),
        (lambda: plotting.plot_gates("nosuch"), "no activation is called 'nosuch'"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_losses_and_rows_of_ones_own() -> None:
    def pinball(pred: Any, target: Any, share: float = 0.9) -> Any:
        d = target - pred
        return np.maximum(share * d, (share - 1) * d)

    axes = plotting.plot_loss_functions(pinball, targets=[2])
    rendered(axes)
    assert any(
        np.allclose(line.get_data(), [[2], [0]], atol=1e-9) for line in axes.get_lines() if line.get_marker() == "o"
    )

    def by_python(pred: Any, target: Any) -> Any:  # no formula: its slope is found by differences
        return np.array([(float(p) - float(t)) ** 2 for p, t in zip(pred, target)])

    axes = plotting.plot_loss_functions(by_python, targets=[0])
    x, slope = axes.get_lines()[3].get_data()
    assert np.allclose(slope, 2 * x, atol=1e-6)

    def length(x: Any, axis: int = -1) -> Any:
        return np.sqrt((x * x).sum(axis))

    axes = plotting.plot_rows(length, [3, 4], temperatures=[1])
    assert axes.get_title() == "length"
    assert any(np.allclose(line.get_ydata(), 5) for line in axes.get_lines())


# -- networks -----------------------------------------------------------------------------------------


def test_surface(network: Network) -> None:
    gate = network([2, 1], output_activation="relu", random_state=0)
    axes = plotting.plot_surface(gate, X, Y)
    rendered(axes)
    assert axes.name == "3d"
    _, three = pyplot.subplots(ncols=3, figsize=(15, 5), layout="constrained", subplot_kw={"projection": "3d"})
    for panel in three:
        plotting.plot_surface(gate, X, Y, ax=panel).set_title("relu")
    rendered(three)
    classes = network([2, 4, 1], loss="binary_cross_entropy_with_logits", random_state=0)
    _, mine = pyplot.subplots()
    assert plotting.plot_surface(classes, X, Y, kind="regions", ax=mine) is mine
    assert [text.get_text() for text in mine.get_legend().get_texts()] == ["class 0", "class 1"]
    with pytest.raises(ValueError, match="over two inputs; the network has 3"):
        plotting.plot_surface(network([3, 1]))
    with pytest.raises(ValueError, match="kind must be surface or regions, not 'flat'"):
        plotting.plot_surface(gate, kind="flat")


def test_loss(network: Network) -> None:
    one, two = (network([2, 4, 1], name, random_state=0, epochs=5).fit(X, Y) for name in ("relu", "tanh"))
    axes = plotting.plot_loss({"folded": one, "round": two})
    rendered(axes)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["folded", "round"]
    assert np.array_equal(axes.get_lines()[1].get_ydata(), two.loss_curve_)
    assert plotting.plot_loss(one, ax=axes) is axes


def test_gradients_are_those_of_the_loss(network: Network) -> None:
    net = network([2, 3, 1], "tanh", dtype="float64", random_state=0)
    kept = [weight.copy() for weight in net.weights]
    sizes = gradient_sizes(net, X, Y)
    for layer, weight in enumerate(net.weights):
        slopes = []
        for place in np.ndindex(weight.shape):
            ends = []
            for step in (1e-5, -1e-5):
                twin = net.__copy__()
                twin.weights[layer][place] += step
                ends.append(np.mean((twin.predict(X).ravel() - Y) ** 2))
            slopes.append((ends[0] - ends[1]) / 2e-5)
        assert sizes[layer] == pytest.approx(np.sqrt(np.mean(np.square(slopes))), rel=1e-6)
    axes = plotting.plot_gradients(net, X, Y)
    rendered(axes)
    assert np.array_equal(axes.get_lines()[0].get_ydata(), sizes)
    assert all(np.array_equal(a, b) for a, b in zip(kept, net.weights))


def test_gradients_that_vanish() -> None:
    deep = fastact.MLP([2, *[8] * 12, 1], "sigmoid", random_state=0)
    sizes = gradient_sizes(deep, X, Y)
    assert 0 < sizes[0] < 1e-8 * sizes[-1]  # and not lost in the rounding of weights


def test_digits(network: Network) -> None:
    images, labels = np.random.default_rng(0).random((30, 16)), np.arange(30) % 3
    net = network([16, 3], loss="cross_entropy", random_state=0)
    axes = plotting.plot_digits(net, images, labels, most=10)
    rendered(axes)
    right = int((net.predict(images) == labels).sum())
    assert axes.get_title().startswith(f"{right} of 30 right; first the {30 - right} that are wrong")
    assert len(axes.get_images()) == 10
    said = [text.get_text() for text in axes.texts]
    assert sum(" as " in text for text in said) == min(10, 30 - right)
    with pytest.raises(ValueError, match="images must be square; these have 15 pixels"):
        plotting.plot_digits(net, images[:, :15], labels)


def test_animation_learns_as_fit_does(network: Network, tmp_path: Any) -> None:
    x = np.linspace(0, 1, 12)
    settings: dict[str, Any] = {"output_activation": "sigmoid", "learning_rate": 0.5, "epochs": 50, "random_state": 0}
    shown, fitted = network([1, 1], **settings), network([1, 1], **settings).fit(x[:, None], x > 0.4)
    animation = plotting.animate_fit(shown, x, x > 0.4, frames=5)
    assert np.array_equal(shown.weights[0], fitted.weights[0])
    animation.save(tmp_path / "learning.gif", writer="pillow")
    assert (tmp_path / "learning.gif").stat().st_size > 1000
    with pytest.raises(ValueError, match="over one input; the network has 2"):
        plotting.animate_fit(network([2, 1]), X, Y)


def test_examples() -> None:
    for module in (plotting, curves, gates, losses, rows):
        ran = doctest.testmod(module)
        assert ran.attempted > 0
        assert ran.failed == 0


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pictures are drawn by matplotlib: python -m pip install"):
        plotting.plot_activations("relu")

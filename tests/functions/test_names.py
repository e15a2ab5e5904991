"""Names: those that other libraries have for the same functions, and what is said of those that nobody has."""

from __future__ import annotations

import numpy as np
import pytest

import fastact
from fastact.catalogue import ACTIVATIONS

#: Names of torch, jax.nn, keras.activations, scipy.special, ONNX and transformers, where the defaults agree.
ELSEWHERE = {
    "torch": "relu relu6 leaky_relu prelu rrelu threshold hardtanh hardsigmoid hardswish hardshrink softshrink elu "
    "celu selu silu mish gelu softplus softsign tanhshrink logsigmoid sigmoid tanh ReLU6 LeakyReLU LogSigmoid GELU",
    "jax": "relu relu6 sigmoid softplus sparse_plus sparse_sigmoid soft_sign silu swish log_sigmoid leaky_relu "
    "hard_sigmoid hard_silu hard_swish hard_tanh elu celu selu gelu squareplus mish identity tanh",
    "keras": "celu elu exponential gelu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh linear log_sigmoid "
    "mish relu relu6 selu sigmoid silu soft_shrink softplus softsign sparse_plus sparse_sigmoid squareplus swish tanh "
    "tanh_shrink threshold",
    "scipy": "expit log_expit softplus",
    "onnx": "Celu Elu Gelu HardSwish Identity LeakyRelu Mish PRelu Relu Selu Sigmoid Softplus Softsign Swish Tanh "
    "ThresholdedRelu",
    "transformers": "gelu gelu_fast gelu_new gelu_python gelu_pytorch_tanh gelu_accurate leaky_relu linear mish "
    "quick_gelu relu relu2 relu6 sigmoid silu swish tanh prelu",
}


@pytest.mark.parametrize("library", ELSEWHERE)
def test_names_of_other_libraries(library: str) -> None:
    for name in ELSEWHERE[library].split():
        found = fastact.get(name)
        assert found in ACTIVATIONS.values(), name
        if name.islower():
            assert getattr(fastact, name) is found.value
            assert getattr(fastact, f"{name}_backward") is found.backward


def test_every_name_is_found_and_no_two_are_one_word() -> None:
    words: dict[str, str] = {}
    for name in ACTIVATIONS.names():
        found = fastact.get(name)
        assert name in (found.name, *found.aliases)
        assert words.setdefault(name.replace("_", ""), found.name) == found.name


def test_an_activation_is_found_by_itself() -> None:
    assert fastact.get(ACTIVATIONS["gelu"]) is ACTIVATIONS["gelu"]
    own = fastact.activation(lambda x: 2 * x)
    assert fastact.get(own) is own


def test_names_that_nobody_has() -> None:
    with pytest.raises(ValueError, match=r"is called 'swihs'; did you mean .*swish.*\?$"):
        fastact.get("swihs")
    with pytest.raises(KeyError, match="no activation is called 'Leaky_Relu6'; did you mean leaky_relu"):
        ACTIVATIONS["Leaky_Relu6"]
    with pytest.raises(ValueError, match="no activation is called 'qqq'; there are identity"):
        fastact.get("qqq")
    with pytest.raises(ValueError, match="'gelus'; did you mean gelu"):
        fastact.dense(np.ones((1, 1)), np.ones((1, 1)), activation="gelus")
    for wrong in (None, 3, np.tanh, ["relu"]):
        with pytest.raises(TypeError, match=f"found by its name, not by {type(wrong).__name__}"):
            fastact.get(wrong)


@pytest.mark.parametrize("kind", ["", "_derivative", "_backward", "_with_derivative"])
def test_whether_gelu_is_approximate(kind: str) -> None:
    x = np.linspace(-3, 3, 31)
    arrays = (np.ones(31), x) if kind == "_backward" else (x,)
    gelu, by_name = getattr(fastact, f"gelu{kind}"), getattr(fastact, f"gelu_tanh{kind}")
    assert np.array_equal(gelu(*arrays, approximate=True), by_name(*arrays))
    assert np.array_equal(gelu(*arrays, approximate=False), gelu(*arrays))
    with pytest.raises(TypeError, match="approximate must be one of none, tanh, True, False, not int"):
        gelu(*arrays, approximate=1)


def test_approximations_of_gelu_against_torch() -> None:
    torch = pytest.importorskip("torch")
    x = np.linspace(-6, 6, 101)
    expected = torch.nn.functional.gelu(torch.tensor(x), approximate="tanh")
    for name in ("gelu_new", "gelu_fast", "gelu_accurate", "gelu_pytorch_tanh"):
        assert np.allclose(getattr(fastact, name)(x), expected, rtol=1e-12, atol=1e-15)

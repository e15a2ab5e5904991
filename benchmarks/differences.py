"""What differs on purpose from torch, jax, Keras, SciPy and ONNX: a table for the README, and what shows that it is so.

benchmarks/generate.py writes the table; tests/test_differences.py evaluates the claims.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["DIFFERENCES", "Difference", "table"]


class Difference(NamedTuple):
    """Functions, what they do here and elsewhere, and an expression of ``fastact``, ``np`` and ``torch`` that is true
    because of it."""

    functions: str
    here: str
    elsewhere: str
    claim: str


DIFFERENCES = [
    Difference(
        "`softmax`, `log_softmax` and their kin", "`axis=-1`, as in jax and Keras",
        "SciPy: all axes; ONNX before opset 13: axis 1 and all behind it; torch chooses by the number of axes",
        "np.allclose(fastact.softmax(np.zeros((2, 4))), 1 / 4)",
    ),
    Difference(
        "`logsumexp`, `logmeanexp`", "`axis=None`: all, as in SciPy and jax", "torch: `dim` must be given",
        "np.ndim(fastact.logsumexp(np.zeros((2, 4)))) == 0",
    ),
    Difference(
        "`leaky_relu`", "`negative_slope=0.01`, as in torch, jax and ONNX", "Keras: 0.2",
        "fastact.leaky_relu(-1.0) == -0.01",
    ),
    Difference(
        "`gelu`", "`approximate=\"none\"`, as in torch and Keras; `True` and `False` are taken too",
        "jax: `approximate=True`, which is `gelu_tanh`",
        "fastact.gelu(1.0) != fastact.gelu(1.0, approximate=True) == fastact.gelu_tanh(1.0)",
    ),
    Difference(
        "`prelu`", "`weight` broadcasts as in NumPy: against the last axis, unless it has more",
        "torch: one weight for each channel, which is axis 1",
        "fastact.prelu(-np.ones((1, 2, 3)), np.arange(3.0))[0, 0].tolist() == [0, -1, -2]",
    ),
    Difference(
        "`softplus`", "the formula for every x, unless a `threshold` is given",
        "torch: x itself where `beta * x` is above `threshold=20`",
        "fastact.softplus(21.0) > 21 == float(torch.nn.functional.softplus(torch.tensor(21.0, dtype=torch.float64)))",
    ),
    Difference(
        "`hardsigmoid`", "slope 1/6, as in torch, jax and Keras 3", "ONNX's HardSigmoid and Keras 2: slope 0.2",
        "fastact.hardsigmoid_derivative(0.0) == 1 / 6",
    ),
    Difference(
        "`hardshrink`, `softshrink`", "the parameter is `lambd`, as in torch", "Keras: `threshold`",
        "fastact.hard_shrink(0.5, lambd=0.25) == 0.5",
    ),
    Difference(
        "`rrelu`", "each draw takes an `rng`", "torch: a global generator",
        "fastact.rrelu(-1.0, training=True, rng=1) == fastact.rrelu(-1.0, training=True, rng=1)",
    ),
    Difference(
        "`geglu`, `reglu`, `swiglu`", "the second half is activated, as in `glu` of torch, jax and Keras",
        "some implementations of transformers: the first half",
        "fastact.swiglu(np.array([2.0, 3.0])) == 2 * fastact.silu(3.0)",
    ),
    Difference(
        "losses", "`(pred, target)`, as in torch; `reduction=\"mean\"`", "Keras: `(y_true, y_pred)`; torchvision's "
        "`sigmoid_focal_loss`: `reduction=\"none\"`",
        "fastact.kl_div(-1.0, 0.0) == 0 != fastact.kl_div(0.0, 0.5)",
    ),
    Difference(
        "`cross_entropy`, `nll_loss`", "classes along axis 1, as in torch, or `axis`", "Keras, optax: the last axis",
        "fastact.cross_entropy(np.zeros((2, 4, 3)), np.zeros((2, 3), int), 'none').shape == (2, 3)",
    ),
    Difference(
        "losses with weights", "a weight of 0 takes out what is infinite or NaN", "torch: 0 times infinity is NaN",
        "fastact.binary_cross_entropy_with_logits([np.inf], [0.0], weight=[0.0]) == 0",
    ),
    Difference(
        "`kl_div`, `poisson_nll_loss`", "a probability or count of 0 costs nothing, whatever pred is",
        "torch: NaN where pred is -inf",
        "fastact.kl_div([-np.inf], [0.0]) == 0",
    ),
    Difference(
        "`gaussian_nll_loss`", "`var` broadcasts as in NumPy; where it is negative, the loss is NaN; backward gives "
        "both gradients", "torch: a `var` without pred's last axis is one for each row; a negative one is an error",
        "np.isnan(fastact.gaussian_nll_loss(0.0, 0.0, -1.0))",
    ),
    Difference(
        "`hinge_loss`", "targets are -1 or 1, and the slope at the margin is 0, as that of `relu`",
        "Keras: targets of 0 count as -1",
        "fastact.hinge_loss(3.0, 0.0) == 1 and fastact.hinge_loss_backward(1.0, 1.0) == 0",
    ),
    Difference(
        "`layer_norm`, `rms_norm`", "`axis=-1`, or more; `weight` has x's shape along them",
        "torch: `normalized_shape`; Keras: `epsilon=0.001`",
        "np.allclose(fastact.layer_norm(np.eye(2), axis=0, eps=0.0), [[1, -1], [-1, 1]])",
    ),
]  # fmt: skip


def table() -> str:
    rows = ["| function | here | elsewhere |", "|---|---|---|"]
    rows += [f"| {d.functions} | {d.here} | {d.elsewhere} |" for d in DIFFERENCES]
    return "\n".join(rows) + "\n"

"""Neural-network activations for NumPy at the speed of memory: compiled, parallel, SIMD ufuncs.

>>> import numpy as np, fastact
>>> fastact.relu(np.array([-1.0, 0.0, 2.5]))
array([0. , 0. , 2.5])

Every activation NAME comes with ``NAME_derivative(x)``, ``NAME_backward(grad, x)`` and ``NAME_with_derivative(x)``,
most other functions with ``NAME_backward``. Each has a docstring of its own: ``help(fastact.gelu)``.

All functions, as benchmarks/generate.py lists them.

Activations
-----------
identity                          x
step                              where(x > 0, 1, 0)
relu                              maximum(x, 0)
relu_squared                      maximum(x, 0)**2
relu6                             minimum(maximum(x, 0), 6)
leaky_relu                        where(x > 0, x, negative_slope * x)
prelu                             where(x > 0, x, weight * x)
rrelu                             where(x > 0, x, (lower + upper) / 2 * x)
thresholded_relu                  where(x > alpha, x, 0)
threshold                         where(x > threshold, x, value)
hardtanh                          minimum(maximum(x, min_val), max_val)
hardsigmoid                       minimum(maximum(x + 3, 0), 6) / 6
hardswish                         x * minimum(maximum(x + 3, 0), 6) / 6
hardshrink                        where(abs(x) > lambd, x, 0)
softshrink                        where(x > lambd, x - lambd, where(x < -lambd, x + lambd, 0))
sparse_plus                       where(x <= -1, 0, where(x >= 1, x, (x + 1)**2 / 4))
sparse_sigmoid                    minimum(maximum((x + 1) / 2, 0), 1)
sigmoid                           1 / (1 + exp(-x))
exponential                       exp(x)
tanh                              tanh(x)
logsigmoid                        -log(1 + exp(-x))
softsign                          x / (1 + abs(x))
tanhshrink                        x - tanh(x)
softplus                          where(beta * x > threshold, x, logaddexp(0, beta * x) / beta)
squareplus                        (x + sqrt(x**2 + b)) / 2
logcosh                           log(cosh(x))
lisht                             x * tanh(x)
elu                               where(x > 0, x, alpha * (exp(x) - 1))
celu                              where(x > 0, x, alpha * (exp(x / alpha) - 1))
selu                              1.0507009873554804934193349852946 * where(x > 0, x, 1.673263242354377284817042991 ...
silu                              x / (1 + exp(-x))
swish                             x / (1 + exp(-beta * x))
quick_gelu                        x / (1 + exp(-1.702 * x))
mish                              x * tanh(log(1 + exp(x)))
gelu_tanh                         x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))) / 2
gelu                              x * (1 + erf(x / sqrt(2))) / 2

Special functions
-----------------
logit                             log(x / (1 - x))
log1mexp                          log(1 - exp(-x))
xlogy                             where(x == 0, 0, x * log(y))

Layers
------
dense                             A dense layer: `activation(x @ weight.T + bias)`.

Losses
------
binary_cross_entropy              Cross entropy of probabilities, with logarithms no lower than -100.
binary_cross_entropy_with_logits  Cross entropy of the probabilities that belong to logits, which are never formed: ...
cross_entropy                     Cross entropy of logits with labels or probabilities.
dice_loss                         One less the share that two soft sets, masks of an image for instance, have in co ...
gaussian_nll_loss                 Negative logarithm of the density of a normal distribution with mean pred and var ...
hinge_loss                        What is missing from a margin of 1.
huber_loss                        Squared error near zero, absolute error beyond delta.
kl_div                            Relative entropy of the distribution target with respect to the one whose logarit ...
l1_loss                           Absolute error.
log_cosh_loss                     Half the squared error near zero, the absolute error less log(2) beyond.
mse_loss                          Squared error.
nll_loss                          Negative logarithm of the probability of labels: the cross entropy of what `log_s ...
poisson_nll_loss                  Negative logarithm of a count's probability under Poisson's distribution.
sigmoid_focal_loss                Cross entropy of logits that pays little attention to what is almost right.
smooth_l1_loss                    Absolute error, less half of beta, but a parabola below beta.
soft_margin_loss                  Logistic loss: a hinge without a kink.
softmax_focal_loss                Cross entropy of logits with labels that pays little attention to rows that are a ...
squared_hinge_loss                The square of what is missing from a margin of 1.

Rows
----
entmax15                          Between softmax and sparsemax: true zeros, and no kinks.
geglu                             Gated linear unit that gelu opens, in one pass over memory.
glu                               Gated linear unit that sigmoid opens, in one pass over memory.
gumbel_softmax                    A draw from the distribution that logits stand for, made soft so that it has a gr ...
hardmax                           1 at the first of the largest elements along an axis, 0 elsewhere.
layer_norm                        Rows brought to mean 0 and variance 1, then scaled and shifted.
log_softmax                       Logarithm of `softmax`, right also where a probability is next to 1 or vanishes.
logmeanexp                        Logarithm of the mean of exponentials, without overflow.
logsumexp                         Logarithm of the sum of exponentials, without overflow.
reglu                             Gated linear unit that relu opens, in one pass over memory.
rms_norm                          Rows brought to a mean square of 1, then scaled.
softmax                           Probabilities that belong to logits, along an axis.
softmin                           softmax of -x: the smallest element gets the largest share.
sparsemax                         The nearest point to x on the simplex of probabilities: softmax with true zeros.
swiglu                            Gated linear unit that silu opens, in one pass over memory.

Networks and settings
---------------------
MLP                small networks that train in one compiled call
MLPClassifier      the same as an estimator of scikit-learn's, for classes
MLPRegressor       and for numbers
activation         make an activation of a formula of your own; an Activation has the four callables, and more
elementwise        make one ufunc of an expression of several arrays
ACTIVATIONS        the catalogue by name
get                an activation by any name it has somewhere
backend            which backend computes, "numba" or "numpy"
fallback           the NumPy versions of every function
get_num_threads    how many threads a call may use
set_num_threads    say so
kept_memory        a context in which memory of large arrays is used again
"""

from __future__ import annotations

from typing import Any

from fastact.runtime import limiters as _limiters

__version__ = "0.1.0"

#: Public names that are not functions of arrays, and the modules they live in.
_HOMES = {
    "ACTIVATIONS": "catalogue",
    "MLP": "networks.mlp",
    "MLPClassifier": "estimators.public",
    "MLPRegressor": "estimators.public",
    "Activation": "catalogue",
    "Elementwise": "functions.elementwise",
    "activation": "catalogue",
    "backend": "runtime.backends",
    "elementwise": "functions.elementwise",
    "fallback": "",
    "get": "catalogue",
    "get_num_threads": "runtime.control",
    "kept_memory": "ufuncs.memory",
    "set_num_threads": "runtime.control",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _HOMES:
        home = _HOMES[name]
        module = import_module(f"fastact.{home or name}")
        value = getattr(module, name) if home else module
    elif name == "__all__":
        from fastact.names import public_names

        return sorted([*_HOMES, *public_names()])
    else:
        value = None
        if not name.startswith("_"):
            from fastact.names import public_callable

            value = public_callable(name)
        if value is None:
            raise AttributeError(f"module 'fastact' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__getattr__("__all__"), "__version__"]


_limiters.follow()

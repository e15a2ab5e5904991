"""Type stubs of the public names. Written by benchmarks/generate.py from the registry."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastact import fallback as fallback
from fastact.activations import Activation as Activation
from fastact.activations import activation as activation
from fastact.backends import backend as backend
from fastact.threads import get_num_threads as get_num_threads
from fastact.threads import set_num_threads as set_num_threads

__version__: str
__all__: list[str]
ACTIVATIONS: Mapping[str, Activation]

identity: np.ufunc
identity_derivative: np.ufunc
identity_backward: np.ufunc
identity_with_derivative: np.ufunc
linear: np.ufunc
linear_derivative: np.ufunc
linear_backward: np.ufunc
linear_with_derivative: np.ufunc
step: np.ufunc
step_derivative: np.ufunc
step_backward: np.ufunc
step_with_derivative: np.ufunc
relu: np.ufunc
relu_derivative: np.ufunc
relu_backward: np.ufunc
relu_with_derivative: np.ufunc
relu6: np.ufunc
relu6_derivative: np.ufunc
relu6_backward: np.ufunc
relu6_with_derivative: np.ufunc
def leaky_relu(x: ArrayLike, negative_slope: ArrayLike = 0.01, **keywords: Any) -> Any: ...
def leaky_relu_derivative(x: ArrayLike, negative_slope: ArrayLike = 0.01, **keywords: Any) -> Any: ...
def leaky_relu_backward(grad: ArrayLike, x: ArrayLike, negative_slope: ArrayLike = 0.01, **keywords: Any) -> Any: ...
def leaky_relu_with_derivative(x: ArrayLike, negative_slope: ArrayLike = 0.01, **keywords: Any) -> tuple[Any, Any]: ...
def prelu(x: ArrayLike, weight: ArrayLike, **keywords: Any) -> Any: ...
def prelu_derivative(x: ArrayLike, weight: ArrayLike, **keywords: Any) -> Any: ...
def prelu_backward(grad: ArrayLike, x: ArrayLike, weight: ArrayLike, **keywords: Any) -> tuple[Any, Any]: ...
def prelu_with_derivative(x: ArrayLike, weight: ArrayLike, **keywords: Any) -> tuple[Any, Any]: ...
sigmoid: np.ufunc
sigmoid_derivative: np.ufunc
sigmoid_backward: np.ufunc
sigmoid_with_derivative: np.ufunc
expit: np.ufunc
expit_derivative: np.ufunc
expit_backward: np.ufunc
expit_with_derivative: np.ufunc
tanh: np.ufunc
tanh_derivative: np.ufunc
tanh_backward: np.ufunc
tanh_with_derivative: np.ufunc
def softplus(x: ArrayLike, beta: ArrayLike = 1.0, **keywords: Any) -> Any: ...
def softplus_derivative(x: ArrayLike, beta: ArrayLike = 1.0, **keywords: Any) -> Any: ...
def softplus_backward(grad: ArrayLike, x: ArrayLike, beta: ArrayLike = 1.0, **keywords: Any) -> Any: ...
def softplus_with_derivative(x: ArrayLike, beta: ArrayLike = 1.0, **keywords: Any) -> tuple[Any, Any]: ...
def elu(x: ArrayLike, alpha: ArrayLike = 1.0, **keywords: Any) -> Any: ...
def elu_derivative(x: ArrayLike, alpha: ArrayLike = 1.0, **keywords: Any) -> Any: ...
def elu_backward(grad: ArrayLike, x: ArrayLike, alpha: ArrayLike = 1.0, **keywords: Any) -> Any: ...
def elu_with_derivative(x: ArrayLike, alpha: ArrayLike = 1.0, **keywords: Any) -> tuple[Any, Any]: ...
silu: np.ufunc
silu_derivative: np.ufunc
silu_backward: np.ufunc
silu_with_derivative: np.ufunc
def swish(x: ArrayLike, beta: ArrayLike = 1.0, **keywords: Any) -> Any: ...
def swish_derivative(x: ArrayLike, beta: ArrayLike = 1.0, **keywords: Any) -> Any: ...
def swish_backward(grad: ArrayLike, x: ArrayLike, beta: ArrayLike = 1.0, **keywords: Any) -> Any: ...
def swish_with_derivative(x: ArrayLike, beta: ArrayLike = 1.0, **keywords: Any) -> tuple[Any, Any]: ...
gelu_tanh: np.ufunc
gelu_tanh_derivative: np.ufunc
gelu_tanh_backward: np.ufunc
gelu_tanh_with_derivative: np.ufunc
def gelu(x: ArrayLike, approximate: str = "none", **keywords: Any) -> Any: ...
def gelu_derivative(x: ArrayLike, approximate: str = "none", **keywords: Any) -> Any: ...
def gelu_backward(grad: ArrayLike, x: ArrayLike, approximate: str = "none", **keywords: Any) -> Any: ...
def gelu_with_derivative(x: ArrayLike, approximate: str = "none", **keywords: Any) -> tuple[Any, Any]: ...

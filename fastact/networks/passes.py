"""The forward and the backward pass of a network over some rows, in Numba's language."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from fastact.networks.loops import ONE, ZERO, layer_at
from fastact.networks.products import product_for
from fastact.simd.addresses import call
from fastact.simd.blocks import inline
from fastact.simd.layout import LARGE_PRODUCT, Layer, Mode, Network

__all__ = ["passes"]


def passes(words: SimpleNamespace, after: Any = None) -> SimpleNamespace:
    """``forward``, from inputs to outputs, and ``backward``, from the loss's gradient to those of all parameters.

    ``after(network, index, rows)`` may change what a layer gives, and its derivative."""
    matrices = SimpleNamespace(matrix=matrix_for(words), transposed=transposed_for(words), product=product_for(words))
    return SimpleNamespace(
        forward=forward_for(words, matrices, after or nothing_for()), backward=backward_for(words, matrices)
    )


def matrix_for(words: SimpleNamespace) -> Any:
    size = words.size

    @inline
    def matrix(address, columns):
        """A matrix of so many columns, as a product takes it: the bytes from row to row, and from column to column."""
        return address, columns * size, size

    return matrix


def transposed_for(words: SimpleNamespace) -> Any:
    size = words.size

    @inline
    def transposed(address, columns):
        """The transpose of a matrix of so many columns."""
        return address, size, columns * size

    return transposed


def nothing_for() -> Any:
    @inline
    def nothing(network, index, rows):
        pass

    return nothing


def forward_for(words: SimpleNamespace, matrices: SimpleNamespace, after: Any) -> Any:
    apply, product, matrix = words.apply, matrices.product, matrices.matrix

    @inline
    def forward(network, x, rows):
        """The last layer's outputs. Loops of activations leave the derivatives there in place of preactivations."""
        for index in range(network[Network.LAYERS]):
            layer = layer_at(network, index)
            inputs, outputs, z = layer[Layer.INPUTS], layer[Layer.OUTPUTS], layer[Layer.PREACTIVATION]
            weight, bias = matrix(layer[Layer.WEIGHT], outputs), layer[Layer.BIAS]
            product(network, (rows, outputs, inputs), matrix(x, inputs), weight, z, bias, Mode.ADD)
            x = layer[Layer.ACTIVATION]
            if layer[Layer.LOOP]:
                apply(network, layer[Layer.LOOP], rows * outputs, z, x, z)
            after(network, index, rows)
        return x

    return forward


def backward_for(words: SimpleNamespace, matrices: SimpleNamespace) -> Any:
    product, matrix, transposed = matrices.product, matrices.matrix, matrices.transposed
    input_gradient = input_gradient_for(words, matrices)

    @inline
    def backward(network, x, rows, mode):
        gradient, other = network[Network.GRADIENT], network[Network.OTHER_GRADIENT]
        for index in range(network[Network.LAYERS] - 1, -1, -1):
            layer = layer_at(network, index)
            below = x
            if index > 0:
                previous = layer_at(network, index - 1)
                below = previous[Layer.ACTIVATION]
                input_gradient(network, layer, previous, rows, gradient, other)
            parameter_gradients(network, layer, below, rows, gradient, mode)
            gradient, other = other, gradient

    @inline
    def parameter_gradients(network, layer, below, rows, gradient, mode):
        """Sums over rows: of the products of inputs and gradient, and of the gradient alone."""
        inputs, outputs, target = layer[Layer.INPUTS], layer[Layer.OUTPUTS], layer[Layer.WEIGHT_GRADIENT]
        slopes = matrix(gradient, outputs)
        product(network, (inputs, outputs, rows), transposed(below, inputs), slopes, target, target, mode)
        ones, target = (network[Network.ONE], ZERO, ZERO), layer[Layer.BIAS_GRADIENT]
        product(network, (ONE, outputs, rows), ones, slopes, target, target, mode)

    return backward


def input_gradient_for(words: SimpleNamespace, matrices: SimpleNamespace) -> Any:
    size, at, product = words.size, words.at, matrices.product
    matrix, transposed = matrices.matrix, matrices.transposed

    @inline
    def input_gradient(network, layer, previous, rows, gradient, target):
        """The gradient with respect to the preactivation of the layer before."""
        inputs, outputs = layer[Layer.INPUTS], layer[Layer.OUTPUTS]
        weight, slope = layer[Layer.WEIGHT], previous[Layer.PREACTIVATION]
        mode = Mode.SCALE if previous[Layer.LOOP] else Mode.STORE
        # A transposition costs about a cycle per weight, which only many rows repay.
        if rows * (outputs + 192) < 32 * outputs:
            call(
                network[Network.MULTIPLY_BY_ROWS], rows, inputs, outputs, gradient, outputs * size,
                weight, outputs * size, target, inputs * size, slope, inputs * size, mode,
            )  # fmt: skip
            return
        turned = transposed(weight, outputs)
        if rows * inputs * outputs < LARGE_PRODUCT:
            transpose(weight, network[Network.TRANSPOSED], inputs, outputs)
            turned = matrix(network[Network.TRANSPOSED], inputs)
        product(network, (rows, inputs, outputs), matrix(gradient, outputs), turned, target, slope, mode)

    @inline
    def transpose(source, target, rows, columns):
        a, b = at(source), at(target)
        for i in range(rows):
            for j in range(columns):
                b[j * rows + i] = a[i * columns + j]

    return input_gradient

"""What compiled training is made of: numbers and vectors at addresses, records of layers, loops run over buffers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastact.runtime.pool import call_loop, record_at, stack_record
from fastact.simd import blocks
from fastact.simd.blocks import LANES, inline
from fastact.simd.layout import Layer, Loop, Network, Optimizer, Setting
from fastact.simd.vectors import suffix

__all__ = ["ONE", "ZERO", "gradient_scale", "last_layer", "layer_at", "order_at", "real_at", "total", "words_for"]

#: Arguments that are no literals: for each literal Numba compiles what is called with it once more.
ZERO, ONE = np.int64(0), np.int64(1)


def words_for(name: str) -> SimpleNamespace:
    """What depends on the type of a network's numbers: what is at an address, loops run over buffers, vectors."""
    size, lanes = np.int64(np.dtype(name).itemsize), LANES[name]
    return SimpleNamespace(
        number=getattr(np, name),
        size=size,
        at=numbers_at(name),
        apply=apply_for(name),
        lanes=lanes,
        vector=size * lanes,
        load=getattr(blocks, f"load_whole_{name}"),
        store=getattr(blocks, f"store_whole_{name}"),
    )


def numbers_at(name: str) -> Any:
    """The numbers of that type at an address."""

    @intrinsic
    def pointer(typing_context, address):
        result = types.CPointer(getattr(types, name))

        def generate(context, builder, signature, args):
            return builder.inttoptr(args[0], context.get_value_type(result))

        return result(address), generate

    return pointer


real_at = numbers_at("float64")


@intrinsic
def total(typing_context, vector):
    """The sum of a vector's elements: halves are added to halves."""

    def generate(context, builder, signature, args):
        (value,) = args
        kind = value.type
        zero = ir.Constant(kind.element, -0.0)
        name = f"llvm.vector.reduce.fadd.{suffix(kind)}"
        function_type = ir.FunctionType(kind.element, [kind.element, kind])
        function = builder.module.globals.get(name) or ir.Function(builder.module, function_type, name)
        return builder.call(function, [zero, value], fastmath=("reassoc",))

    return vector.element(vector), generate


@inline
def layer_at(network, index):
    """The record of a layer."""
    return record_at(network[Network.TABLE] + 8 * Layer.SIZE * index)


@inline
def last_layer(network):
    return layer_at(network, network[Network.LAYERS] - 1)


@inline
def order_at(step, first):
    """Where the numbers of a step's rows stand, from so many rows on; only of a step that has an order."""
    epoch = step[Network.EPOCH] - step[Network.ORDER_FIRST]
    return step[Network.ORDER] + 8 * (epoch * step[Network.ROWS] + step[Network.POSITION] + first)


@inline
def gradient_scale(step):
    """What a row's gradient is multiplied with: plain descent adds the gradients to the parameters as they come."""
    rate = real_at(step[Network.SETTINGS])[Setting.LEARNING_RATE]
    return (-rate if step[Network.OPTIMIZER] == Optimizer.DIRECT else 1.0) / step[Network.STEP_ROWS]


def apply_for(name: str) -> Any:
    """What runs a loop over buffers of ``"float32"`` or ``"float64"``."""
    size, lanes = np.dtype(name).itemsize, LANES[name]

    @inline
    def apply(network, loop, count, first, second, third=0, fourth=0):
        """Run an elementwise loop of two to four operands over whole vectors: buffers have room behind them, and a last
        vector that is filled element by element costs as much as ten."""
        record = record_at(loop)
        pointers, steps, dimensions = stack_record(), stack_record(), stack_record()
        pointers[0], pointers[1], pointers[2], pointers[3] = first, second, third, fourth
        steps[0], steps[1], steps[2], steps[3] = size, size, size, size
        dimensions[0] = (count + lanes - 1) // lanes * lanes
        call_loop(
            network[Network.DRIVE] if count >= record[Loop.WORTH_SHARING] else record[Loop.FUNCTION],
            pointers,
            dimensions,
            steps,
            record,
        )

    return apply

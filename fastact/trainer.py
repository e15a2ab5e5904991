"""The compiled trainer as Python sees it: buffers, and the table that describes a network."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from fastact import matmul, threads
from fastact.activations import Activation
from fastact.layout import LARGE_PRODUCT, SLACK, Gemm, Layer, Network, Optimizer
from fastact.matmul import address
from fastact.memory import empty
from fastact.objectives import function_ufunc, loss_ufunc, product_ufunc
from fastact.plan import Parameters, Plan, Trainer, room, ufunc_of
from fastact.primitives import exp, log
from fastact.ufunc import loop_of

__all__ = ["CompiledTrainer", "predict"]


@cache
def compiled(dtype: str) -> dict[str, int]:
    """Addresses of the compiled functions of fastact.training for one type."""

    def functions() -> dict[str, tuple[Any, Any]]:
        from fastact import training

        return training.functions_for(dtype)

    from fastact import compiler

    here = Path(__file__).parent
    text = (here / "training.py").read_text() + (here / "products.py").read_text()
    return compiler.load(text + dtype, functions)


@cache
def entry_point(name: str, dtype: str) -> Any:
    return ctypes.CFUNCTYPE(None, ctypes.c_void_p)(compiled(dtype)[name])


def activation_record(activation: Activation, kind: str, dtype: np.dtype) -> int:
    return 0 if activation.name == "identity" else loop_of(ufunc_of(activation, kind, "numba"), dtype)[1]


class _Network:
    """The table that compiled code reads, and the buffers it points to.

    All buffers lie in one piece of memory, not yet written to: the C library keeps one such piece for the next network,
    where of many it gave some back to the system with every fit, which then cleared each page of them anew."""

    def __init__(
        self, parameters: Parameters, activations: Sequence[Activation], kind: str, x: np.ndarray, batch: int
    ) -> None:
        self.record = np.zeros(Network.SIZE, np.int64)
        self.table = np.zeros((len(activations), Layer.SIZE), np.int64)
        self.dtype = x.dtype
        self._kept: list[np.ndarray] = [x, parameters.flat]
        self._wanted: list[tuple[np.ndarray, int, int]] = []  # a record, a slot in it, and how many bytes it points to
        for layer, weight, bias, activation in zip(
            self.table, parameters.stored_weights, parameters.biases, activations
        ):
            layer[Layer.INPUTS], layer[Layer.OUTPUTS] = weight.shape
            layer[Layer.WEIGHT], layer[Layer.BIAS] = address(weight), address(bias)
            layer[Layer.LOOP] = activation_record(activation, kind, self.dtype)
            self.reserve(batch * len(bias), Layer.PREACTIVATION, layer)
            if layer[Layer.LOOP]:
                self.reserve(batch * len(bias), Layer.ACTIVATION, layer)
        self._fill_gemm(batch)
        self.fill(
            LAYERS=len(activations), TABLE=self.table, ROWS=len(x), BATCH=batch, X=x, ONE=np.ones(1, self.dtype),
            POOL=threads.pool(), DRIVE=threads.driver(), MULTIPLY_SMALL=compiled(self.dtype.name)["multiply_small"],
            MULTIPLY_BY_ROWS=compiled(self.dtype.name)["multiply_by_rows"],
        )  # fmt: skip

    def _fill_gemm(self, batch: int) -> None:
        """What the products need that are large enough to be packed."""
        needed = []
        for inputs, outputs in self.table[:, [Layer.INPUTS, Layer.OUTPUTS]].tolist():
            if inputs * outputs * batch >= LARGE_PRODUCT:
                sizes = (outputs, inputs), (inputs, outputs), (outputs, batch)
                needed += [matmul.workspace_bytes(n, k, self.dtype.itemsize) for n, k in sizes]
        record = np.zeros(Gemm.SIZE, np.int64)
        if needed:
            record = matmul.new_record(self.dtype.name)
            self.reserve(max(needed), Gemm.WORKSPACE, record, 1)
            self.fill(MULTIPLY=matmul.compiled(self.dtype.name)[f"multiply_{self.dtype.name}"])
        self.fill(GEMM=record)

    def reserve(self, count: int, slot: int, record: np.ndarray | None = None, size: int | None = None) -> None:
        """Have a slot, of this record if of no other, point to so many numbers."""
        self._wanted.append((self.record if record is None else record, slot, count * (size or self.dtype.itemsize)))

    def allocate(self) -> None:
        """Memory for what has been reserved, each on a cache line and with some behind it that vectors may read."""
        sizes = [-(-(size + SLACK) // 64) * 64 for _, _, size in self._wanted]
        memory = np.empty(sum(sizes) + 64, np.uint8)
        starts = np.cumsum([address(memory) + -address(memory) % 64, *sizes])
        for (record, slot, _), start in zip(self._wanted, starts):
            record[slot] = start
        self._kept.append(memory)
        linear = self.table[:, Layer.LOOP] == 0
        self.table[linear, Layer.ACTIVATION] = self.table[linear, Layer.PREACTIVATION]

    def fill(self, **slots: Any) -> None:
        for name, value in slots.items():
            if isinstance(value, np.ndarray):
                self._kept.append(value)
                value = address(value)
            self.record[getattr(Network, name)] = value

    def call(self, name: str) -> None:
        entry_point(name, self.dtype.name)(address(self.record))


class CompiledTrainer(Trainer):
    """Takes steps in compiled code."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        network = _Network(plan.parameters, plan.activations, "with_derivative", plan.x, self.batch)
        self._network = network
        outputs = plan.parameters.biases[-1].size
        labels = plan.y.dtype.kind == "i"
        network.fill(
            Y=plan.y, TARGETS=outputs, LABELS=labels, LOSSES=self.losses, OPTIMIZER=plan.optimizer.kind,
            SETTINGS=plan.optimizer.settings, PARAMETERS=plan.parameters.flat, COUNT=plan.parameters.flat.size,
            MOMENTS=plan.optimizer.moments, SQUARES=plan.optimizer.squares,
            UPDATE=compiled(network.dtype.name)["update"], PRODUCT=loop_of(product_ufunc(), network.dtype)[1],
        )  # fmt: skip
        widest = max(bias.size for bias in plan.parameters.biases)
        network.reserve(self.batch * widest, Network.GRADIENT)
        network.reserve(self.batch * widest, Network.OTHER_GRADIENT)
        network.reserve(self.batch * max(2, outputs), Network.LOSS_VALUES)
        inner = plan.parameters.stored_weights[1:]
        network.reserve(max((weight.size for weight in inner), default=0), Network.TRANSPOSED)
        if self._shuffle is not None:
            network.reserve(self.batch * plan.x.shape[1], Network.BATCH_X)
            network.reserve(self.batch * (1 if labels else outputs), Network.BATCH_Y, size=plan.y.itemsize)
        network.allocate()
        self._fill_loss()
        self._fill_gradients()

    def _fill_loss(self) -> None:
        network, objective = self._network, self.plan.objective
        if objective.formula:
            network.fill(LOSS=loop_of(loss_ufunc(objective.name, "numba"), network.dtype)[1])
        else:
            network.fill(EXPONENTIAL=loop_of(function_ufunc(exp), network.dtype)[1])
            network.fill(LOGARITHM=loop_of(function_ufunc(log), network.dtype)[1])

    def _fill_gradients(self) -> None:
        network, parameters = self._network, self.plan.parameters
        direct = self.plan.optimizer.kind == Optimizer.DIRECT
        flat = parameters.flat if direct else room(parameters.flat.size, network.dtype)
        network.fill(GRADIENTS=flat)
        shift = address(flat) - address(parameters.flat)
        network.table[:, Layer.WEIGHT_GRADIENT] = network.table[:, Layer.WEIGHT] + shift
        network.table[:, Layer.BIAS_GRADIENT] = network.table[:, Layer.BIAS] + shift

    def _take(self, steps: int) -> None:
        if self.order is not None:
            self._network.record[Network.ORDER] = address(self.order)
            self._network.record[Network.ORDER_FIRST] = self.order_first
        self._network.record[Network.STEPS] = steps
        self._network.call("train")


def predict(parameters: Parameters, activations: Sequence[Activation], x: np.ndarray) -> np.ndarray:
    """The network's outputs, a few hundred rows at a time."""
    batch = max(1, min(len(x), PREDICT_BATCH))
    network = _Network(parameters, activations, "value", x, batch)
    network.allocate()
    result = empty((len(x), parameters.biases[-1].size), x.dtype)
    network.fill(RESULT=result)
    network.call("predict")
    return result


#: Rows whose activations stay in the cache.
PREDICT_BATCH = 256

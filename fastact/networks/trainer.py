"""The compiled trainer as Python sees it: buffers, and the table that describes a network."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from fastact.catalogue import Activation
from fastact.formulas.primitives import exp, log
from fastact.layers import matmul
from fastact.layers.blocking import workspace_bytes
from fastact.layers.checks import is_identity
from fastact.networks.kept import Kept
from fastact.networks.objectives import function_ufunc, loss_ufunc, product_ufunc
from fastact.networks.plan import Parameters, Plan, Trainer, room
from fastact.networks.sparse import DENSE_ROWS, SparseRows
from fastact.runtime import threads
from fastact.runtime.control import get_num_threads
from fastact.runtime.numpy_api import address
from fastact.simd.layout import CHUNK, LARGE_PRODUCT, SLACK, Gemm, Layer, Network, Optimizer
from fastact.simd.registers import register_bytes
from fastact.ufuncs.memory import empty
from fastact.ufuncs.ufunc import loop_of

__all__ = ["CompiledTrainer", "predict"]

#: Parameters up to which a step is cut into parts, and how many nanoseconds of work there must be for two: measured
#: with networks from [2, 4, 2] to [784, 128, 10] and batches from 8 to 4096.
FEW_PARAMETERS, WORTH_PARTS = 32_768, 5_000

#: The same of narrow networks, with networks from [2, 4, 2] to [16, 16, 10] and batches from 128 to 4096.
WORTH_NARROW_PARTS = 2_500

#: Rows that a part takes at a time: their activations stay in the cache. With all of a part's at once, 4096 rows
#: through [64, 32, 10], [64, 128, 10] and [32, 32, 32, 10] took 1.0 to 1.2 times as long, 1.2 to 1.4 on a busy machine.
BLOCK_ROWS = 256

#: The same where products are shared instead: each block reads all weights anew. 4096 rows took 0.97 of the time that
#: they took at once in [784, 128, 10], and as long in [784, 512, 512, 10], but need a fourth of the memory.
LARGE_BLOCK_ROWS = 1024

#: Rows of narrow networks are filled up to whole vectors, of this many numbers at most.
NARROW_STEP = 64


def compiled(dtype: str, module: str = "training", *choices: Any) -> dict[str, int]:
    """Addresses of the compiled functions of a module of fastact.networks, for one type."""
    from fastact.runtime import compiler

    return compiler.compiled(f"fastact.networks.{module}", dtype, *choices)


@cache
def entry_point(name: str, *place: str) -> Any:
    return ctypes.CFUNCTYPE(None, ctypes.c_void_p)(compiled(*place)[name])


def activation_record(activation: Activation, kind: str, dtype: np.dtype) -> int:
    return 0 if is_identity(activation) else loop_of(activation.ufunc(kind, "numba", fixed=True), dtype)[1]


class _Network:
    """The table that compiled code reads, and the buffers it points to.

    All buffers lie in one piece of memory, not yet written to: the C library keeps one such piece for the next network,
    where of many it gave some back to the system with every fit, which then cleared each page of them anew."""

    def __init__(
        self,
        record: np.ndarray,
        parameters: Parameters,
        activations: Sequence[Activation],
        kind: str,
        batch: int,
    ) -> None:
        self.record = record
        self.table = np.zeros((len(activations), Layer.SIZE), np.int64)
        self.dtype, self.name = parameters.dtype, parameters.dtype.name  # NumPy makes the name anew, in 4 us
        self._kept: list[Any] = [parameters.flat]
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
        products = compiled(self.name, "products")
        self.fill(
            LAYERS=len(activations), TABLE=self.table, BATCH=batch, ONE=np.ones(1, self.dtype),
            POOL=threads.pool(), DRIVE=threads.driver(), MULTIPLY_SMALL=products["multiply_small"],
            MULTIPLY_BY_ROWS=products["multiply_by_rows"],
        )  # fmt: skip

    def give_loops(self, activations: Sequence[Activation]) -> None:
        """To all hidden layers, also those that are linear: what is left out there changes the derivative."""
        for layer, activation in zip(self.table[:-1], activations):
            if not layer[Layer.LOOP]:
                layer[Layer.LOOP] = loop_of(activation.ufunc("with_derivative", "numba", fixed=True), self.dtype)[1]
                self.reserve(self.record[Network.BATCH] * layer[Layer.OUTPUTS], Layer.ACTIVATION, layer)

    def _fill_gemm(self, batch: int) -> None:
        """What the products need that are large enough to be packed."""
        needed = []
        for inputs, outputs in self.table[:, [Layer.INPUTS, Layer.OUTPUTS]].tolist():
            if inputs * outputs * batch >= LARGE_PRODUCT:
                sizes = (outputs, inputs), (inputs, outputs), (outputs, batch)
                needed += [workspace_bytes(n, k, self.dtype.itemsize) for n, k in sizes]
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
        memory = empty((sum(sizes) + 64,), np.dtype(np.uint8))
        self.bytes = memory.size
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

    def call(self, name: str, module: str = "training") -> None:
        entry_point(name, self.name, module)(address(self.record))


def parts_of(parameters: Parameters, rows: int, narrow: bool) -> int:
    """Into how many parts to cut so many rows: one for each thread where that pays, which is where sums of gradients
    take little beside their computation, and products are too small to be shared themselves."""
    count = parameters.flat.size
    if count > FEW_PARAMETERS:
        return 1
    nanoseconds, worth = rows * (10 + 3 * count // 100), WORTH_PARTS
    if narrow:
        used = sum(weight.size + bias.size for weight, bias in zip(parameters.stored_weights, parameters.biases))
        nanoseconds, worth = rows * (1 + used // 16), WORTH_NARROW_PARTS
    return max(1, min(get_num_threads(), 2 * nanoseconds // worth, rows))


def is_narrow(plan: Plan, batch: int) -> bool:
    """Whether rows are taken transposed: if no layer would fill registers along a row. What is gained is less where
    each step must transpose other rows than the one before. Measured with layers from 1 x 64 to 32 x 32 and 16 to 256
    rows: 1.2 to 5 times as fast up to here, 0.9 beyond."""
    lanes, largest = register_bytes() // plan.x.itemsize, max(weight.size for weight in plan.parameters.stored_weights)
    anew = 2 if batch < len(plan.x) else 1
    return largest * anew <= lanes * lanes and batch >= 32 * anew


class CompiledTrainer(Trainer):
    """Takes steps in compiled code: of small networks in parts, one for each thread, whose gradients are summed."""

    _module = "training"

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._narrow = plan.weights is None and plan.dropout is None and is_narrow(plan, self.batch)
        self._records = np.zeros((parts_of(plan.parameters, self.batch, self._narrow), Network.SIZE), np.int64)
        self._parts = [self._part(record) for record in self._records]
        network = self._network = self._parts[0]  # and what there is once
        functions = compiled(network.dtype.name)
        parts_by = compiled(network.dtype.name, "narrow") if self._narrow else functions
        network.fill(
            BATCH=self.batch, Y=plan.y, LOSSES=self.losses, SETTINGS=plan.optimizer.settings,
            PARAMETERS=plan.parameters.flat, COUNT=plan.parameters.flat.size, MOMENTS=plan.optimizer.moments,
            SQUARES=plan.optimizer.squares, PART=self._records, PART_TASK=parts_by["part"],
            COMBINE=functions["combine"], GATHER=functions["gather"],
        )  # fmt: skip
        if plan.optimizer.kind in (Optimizer.SGD, Optimizer.ADAM):
            network.fill(UPDATE=compiled(network.dtype.name, "optimizers")["update"])
        if plan.has_extras:
            self._fill_extras(network)
        for part in self._parts:
            part.allocate()
        self._threads = get_num_threads()
        held = sum(part.bytes for part in self._parts) + getattr(plan.x, "nbytes", KEPT_BYTES) + plan.y.nbytes
        self.small = held <= KEPT_BYTES and not plan.has_extras

    def serves(self, x: Any, y: np.ndarray) -> bool:
        plan = self.plan
        same = type(x) is np.ndarray and (x.shape, y.shape, y.dtype) == (plan.x.shape, plan.y.shape, plan.y.dtype)
        return same and self._threads == get_num_threads()

    def begin(self, x: np.ndarray, y: np.ndarray) -> None:
        """Stand where training begins, with data of the shapes of those before."""
        self.plan.x, self.plan.y = x, y
        self.epoch = self.step = self.order_first = 0
        self.losses[:], self.order = 0, None
        for part in self._parts:
            part.record[Network.X], part.record[Network.Y] = address(x), address(y)
        self._network.record[Network.POSITION] = self._network.record[Network.EPOCH] = 0

    def _fill_extras(self, network: _Network) -> None:
        """What fastact.networks.extras does otherwise, or besides."""
        plan, functions = self.plan, compiled(network.dtype.name, "extras")
        self._module = "extras"
        network.fill(
            ADJUST=functions["adjust"],
            SCALE=functions["scale"],
            SUMS=np.zeros(2 * plan.parameters.flat.size // CHUNK + 2),
        )
        if plan.optimizer.kind == Optimizer.ADAMW:
            network.fill(UPDATE=functions["update"])
        if plan.weights is not None:
            network.fill(WEIGHTS=plan.weights)
        if plan.weights is not None or plan.dropout is not None:
            network.fill(PART_TASK=functions["part"])
            for part in self._parts:
                part.reserve(part.record[Network.BLOCK_ROWS], Network.BLOCK_WEIGHTS)
                if plan.dropout is not None:
                    part.fill(THRESHOLD=plan.dropout.threshold, SEED=plan.dropout.seed)

    def _part(self, record: np.ndarray) -> _Network:
        """What computes loss and gradients of a part of a step's rows."""
        plan, parts = self.plan, len(self._records)
        rows = -(-self.batch // parts)
        if self._narrow:
            rows = min(BLOCK_ROWS, -(-rows // NARROW_STEP) * NARROW_STEP)
        else:
            rows = min(BLOCK_ROWS if parts > 1 else LARGE_BLOCK_ROWS, rows)
        network = _Network(record, plan.parameters, plan.activations, "with_derivative", rows)
        network.fill(ROWS=self.rows, X=plan.x if isinstance(plan.x, np.ndarray) else 0)
        if plan.dropout is not None:
            network.give_loops(plan.activations)
        outputs = plan.parameters.biases[-1].size
        network.fill(
            TARGETS=outputs, LABELS=plan.y.dtype.kind == "i", OPTIMIZER=plan.optimizer.kind, PARTS=parts,
            SHARE=1 if plan.objective.summed else outputs, BLOCK_ROWS=rows, LOSS_SUM=np.zeros(1),
            PRODUCT=loop_of(product_ufunc(), network.dtype)[1],
            LOSS_OF=self._loss_of_block(network.dtype), **self._loss(network.dtype),
        )  # fmt: skip
        widest = max(bias.size for bias in plan.parameters.biases)
        network.reserve(rows * widest, Network.GRADIENT)
        network.reserve(rows * widest, Network.OTHER_GRADIENT)
        network.reserve(rows * max(3, outputs), Network.LOSS_VALUES)
        if self._narrow:
            kept = -(-self.batch // parts) + NARROW_STEP if self.batch == self.rows else rows
            network.reserve(kept * plan.x.shape[1], Network.BATCH_X)
            network.reserve(kept * outputs, Network.BATCH_Y)
        elif self._shuffle is not None:
            network.reserve(rows * plan.x.shape[1], Network.BATCH_X)
            network.reserve(plan.y[:rows].size, Network.BATCH_Y, size=plan.y.itemsize)
        inner = plan.parameters.stored_weights[1:]
        network.reserve(max((weight.size for weight in inner), default=0), Network.TRANSPOSED)
        self._fill_gradients(network)
        return network

    def _loss(self, dtype: np.dtype) -> dict[str, int]:
        """The records of the loss's loops."""
        objective = self.plan.objective
        if objective.formula:
            return {"LOSS": loop_of(loss_ufunc(objective.name, "numba"), dtype)[1]}
        functions = {"EXPONENTIAL": exp, "LOGARITHM": log}
        return {slot: loop_of(function_ufunc(function), dtype)[1] for slot, function in functions.items()}

    def _loss_of_block(self, dtype: np.dtype) -> int:
        """The function that computes the loss; narrow networks have theirs inside."""
        if self._narrow:
            return 0
        plan = self.plan
        counted = plan.weights is not None or plan.dropout is not None
        return compiled(dtype.name, "losses", not plan.objective.formula, counted)["loss"]

    def _fill_gradients(self, network: _Network) -> None:
        parameters = self.plan.parameters
        # Weights must not change before the last block of rows has been through them.
        alone = len(self._records) == 1 and not self._narrow and network.record[Network.BLOCK_ROWS] >= self.batch
        direct = self.plan.optimizer.kind == Optimizer.DIRECT and alone
        flat = parameters.flat if direct else room(parameters.flat.size, network.dtype)
        network.fill(GRADIENTS=flat)
        shift = address(flat) - address(parameters.flat)
        network.table[:, Layer.WEIGHT_GRADIENT] = network.table[:, Layer.WEIGHT] + shift
        network.table[:, Layer.BIAS_GRADIENT] = network.table[:, Layer.BIAS] + shift

    def _take(self, steps: int) -> None:
        if isinstance(self.plan.x, SparseRows):
            self._take_densely(steps)
            return
        if self.order is not None:
            self._network.record[Network.ORDER] = address(self.order)
            self._network.record[Network.ORDER_FIRST] = self.order_first
        self._network.record[Network.STEPS] = steps
        self._network.call("train", self._module)

    def _take_densely(self, steps: int) -> None:
        """Some of the steps at a time, whose rows are made dense for it, in the order in which they are taken."""
        most, done = max(1, DENSE_ROWS // self.batch), 0
        while done < steps:
            epoch, place = divmod(self.step + done, self.steps_per_epoch)
            count = min(most, steps - done, self.steps_per_epoch - place)
            self._lay_out(self.epoch + epoch, place * self.batch, min((place + count) * self.batch, self.rows))
            self._network.record[Network.STEPS] = count
            self._network.call("train", self._module)
            done += count

    def _lay_out(self, epoch: int, first: int, last: int) -> None:
        """Have the network find an epoch's rows, from first to last, where it looks for them."""
        plan, record = self.plan, self._network.record
        rows: Any = slice(first, last) if self.order is None else self.order[epoch - self.order_first, first:last]
        weights = None if plan.weights is None else plan.weights[rows]
        targets = room(plan.y[first:last].size, plan.y.dtype).reshape(plan.y[first:last].shape)
        targets[...] = plan.y[rows]
        self._laid_out = plan.x[rows], targets, weights
        for slot, array in zip((Network.X, Network.Y, Network.WEIGHTS), self._laid_out):
            if array is not None:
                record[slot] = address(array) - first * array.strides[0]


class _Predictor:
    """Outputs of a network, some rows at a time."""

    def __init__(self, parameters: Parameters, activations: list[Activation], batch: int) -> None:
        self._network = _Network(np.zeros(Network.SIZE, np.int64), parameters, activations, "value", batch)
        self._network.allocate()
        self._activations, self._outputs = activations, parameters.sizes[-1]
        self.batch, self.small = batch, self._network.bytes <= KEPT_BYTES

    def serves(self, activations: list[Activation], batch: int) -> bool:
        return batch <= self.batch and activations == self._activations

    def __call__(self, x: np.ndarray) -> np.ndarray:
        result = empty((len(x), self._outputs), x.dtype)
        record = self._network.record
        record[Network.ROWS], record[Network.X], record[Network.RESULT] = len(x), address(x), address(result)
        self._network.call("predict", "prediction")
        return result


def predict(parameters: Parameters, activations: list[Activation], x: np.ndarray, kept: list[_Predictor]) -> np.ndarray:
    """The network's outputs, a few hundred rows at a time."""
    batch, predictor = max(1, min(len(x), PREDICT_BATCH)), Kept.take(kept)
    if predictor is None or not predictor.serves(activations, batch):
        predictor = _Predictor(parameters, activations, batch)
    result = predictor(x)
    if predictor.small:
        kept.append(predictor)
    return result


#: Memory of a trainer or predictor that waits for the next call, at most.
KEPT_BYTES = 1 << 20

#: Rows whose activations stay in the cache.
PREDICT_BATCH = 256

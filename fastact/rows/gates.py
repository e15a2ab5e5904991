"""Gates: one half of an array, multiplied by an activation of the other half, in one pass over memory.

``y = a * f(b)`` for the halves a and b of x. Neither half is copied, and f(b) is never rounded by itself where it
is tiny: :func:`times` takes the factor inside, to where the exponential is scaled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastact.catalogue import ACTIVATIONS
from fastact.containers.recognition import as_array
from fastact.formulas.expressions import Expression, constant, substitute, variable
from fastact.formulas.primitives import exp_times_any, logistic_times_any, maximum, product_error, quotient, where
from fastact.functions.documentation import numpydoc
from fastact.functions.graphs import through
from fastact.functions.offered import Family, offered
from fastact.rows.shapes import OneAxis
from fastact.simd.layout import Loop
from fastact.ufuncs import nested
from fastact.ufuncs.direct import note, repeated
from fastact.ufuncs.known_loops import loop_work
from fastact.ufuncs.memory import empty_like, from_kept
from fastact.ufuncs.operands import as_operand, broadcasts, check_real, result_dtype
from fastact.ufuncs.targets import check_target, written
from fastact.ufuncs.ufunc import STORAGES, Definition, make_ufunc, records_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["GATES", "times"]


class Gate(NamedTuple):
    """What opens it: an activation; and numbers that have the sign of its value and of its derivative, or are 0 where
    those are, but do not vanish: an infinite factor times what is merely small is infinite. NaN where that is NaN."""

    activation: str
    sign: Callable[[Expression], Any]
    slope_sign: Callable[[Expression], Any] | None = None  # of none that is piecewise

    @staticmethod
    def from_below(root: float) -> Callable[[Expression], Any]:
        """The sign of what changes it at a root, and goes to 0 below."""
        return lambda b: where(b > -np.inf, b - root, np.nan)


GATES = {
    "glu": Gate("sigmoid", lambda b: where(b > -np.inf, 1, np.nan), lambda b: where(abs(b) < np.inf, 1, np.nan)),
    "reglu": Gate("relu", lambda b: maximum(b, 0)),
    "geglu": Gate("gelu", Gate.from_below(0), Gate.from_below(-0.7517915242)),
    "swiglu": Gate("silu", Gate.from_below(0), Gate.from_below(-1.2784645428)),
}

#: Elements from which rows are worth the driver of all rows; below, NumPy's call per row is cheaper.
MANY = 4096

REFERENCE = {"glu": "Dauphin et al., Language modeling with gated convolutional networks, arXiv:1612.08083"}

PARAMETERS = """x : array_like
    Its size along the axis is even. float16 is computed in float32, integers and bools give float64.
axis : int, default -1
    The axis to halve.
{gate}out : ndarray, optional
    Where to put the result; {shape}."""

RAISED = """TypeError
    If an argument is complex, an object, a string or a date.
ValueError
    If there is no such axis, if its size is odd, or if a shape does not fit; nothing has been written then."""

RETURNED = (
    "ndarray\n    Of the shape of a half.",
    "ndarray\n    Of the shape of x; with a gate, the pair of gradients with respect to x and gate.",
)

GATE = """gate : array_like, optional
    The second half where that is an array of its own, of the shape of x: x is the first then, and no axis counts.
"""


# -- what a gate computes -------------------------------------------------------------------------


def times(factor: Expression, node: Expression) -> Expression:
    """``factor * node``, rounded about once even where node alone would have been subnormal or zero."""
    operands = node.operands
    if node.operation == "where":
        return where(operands[0], times(factor, operands[1]), times(factor, operands[2]))
    if node.operation == "negative":
        return -times(factor, operands[0])
    if node.operation == "gauss_times":
        multiple, z = operands
        return _exp_times(factor, multiple, -0.5 * z * z, product_error(-0.5 * z, z))
    if node.operation == "logistic_times":
        multiple, z, low = operands
        scaled, power = (factor, constant(0.0)) if multiple is constant(1.0) else _without_overflow(factor)
        return logistic_times_any(scaled * multiple, z, low, power)
    if node.operation == "exp_times":
        return _exp_times(factor, *operands)
    if node.operation == "exp":
        return _exp_times(factor, constant(1.0), operands[0], constant(0.0))
    if node.operation == "quotient" and operands[1] is constant(0.0) and _may_vanish(operands[0]):
        return times(factor * quotient(1.0, 0.0, *operands[2:]), operands[0])
    return factor * node


def _exp_times(factor: Expression, multiple: Expression, x: Expression, low: Expression) -> Expression:
    scaled, power = _without_overflow(factor)
    return exp_times_any(scaled * multiple, x, low, power)


def _without_overflow(factor: Expression) -> tuple[Expression, Expression]:
    """The factor, and a power of 2 that is still to multiply it. Its product with a multiple of an exponential may be
    beyond all floats though the result is not: unless the factor starts lower, and the exponential higher."""
    huge = abs(factor) > 2.0**100
    return where(huge, factor * 2.0**-20, factor), where(huge, 20, 0)


def _may_vanish(node: Expression) -> bool:
    return node.operation == "exp" or (node.operation == "where" and any(map(_may_vanish, node.operands[1:])))


def opened(factor: Expression, node: Expression, sign: Expression) -> Expression:
    """``factor * node``, also where the factor is infinite and node has become 0 though it is not."""
    return where(abs(factor) == np.inf, factor * sign, times(factor, node))


@cache
def _ufunc(name: str, backward: bool, backend: str) -> np.ufunc:
    grad, a, b = map(variable, ("grad", "a", "b"))
    gate = GATES[name]
    value, derivative = substitute(ACTIVATIONS[gate.activation].expressions, {variable("x"): b})
    if not backward:
        definition = Definition(name, ["a", "b"], (opened(a, value, gate.sign(b)),), "")
        return make_ufunc(definition, backend)
    # The product of grad and a, where floats have it, or the larger one of them first.
    both, larger = grad * a, abs(grad) > abs(a)
    moderate = (abs(both) > 2.0**-100) & (abs(both) < np.inf)
    factor, rest = where(moderate, both, where(larger, grad, a)), where(moderate, 1, where(larger, a, grad))
    if gate.slope_sign is None:
        slope = through(grad * a, derivative)
    else:
        slope = rest * opened(factor, derivative, gate.slope_sign(b))
    results = opened(grad, value, gate.sign(b)), slope
    return make_ufunc(Definition(f"{name}_backward", ["grad", "a", "b"], results, ""), backend)


# -- halves of arrays -----------------------------------------------------------------------------


#: The dtypes of results, and which loop of a ufunc computes them.
FLOATS = {np.dtype(storage): i for i, storage in enumerate(STORAGES) if storage.startswith("float")}


def _halves(name: str, x: np.ndarray, axis: OneAxis) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Indices of the first and the second half."""
    if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)):
        raise TypeError(f"axis must be an integer, not {axis!r}")
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"axis {axis} is out of bounds for an array of {x.ndim} dimensions")
    axis = int(axis) % x.ndim
    size = x.shape[axis]
    if size % 2:
        raise ValueError(f"{name} halves axis {axis}, whose size must be even; it is {size} in shape {x.shape}")
    before, half = (slice(None),) * axis, size // 2
    return (*before, slice(0, half)), (*before, slice(half, size))


def _run(ufunc: np.ufunc, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray], given: np.ndarray) -> None:
    """Call a ufunc on rows: all at once where that is possible, or else row by row, as NumPy does.

    ``given``: the array, new or the caller's, that the outputs are parts of.
    """
    dtype, size = given.dtype, outputs[0].size
    plain = dtype in FLOATS and given.flags.writeable and all(a.dtype == dtype for a in inputs)
    if size >= MANY and plain and not any(np.may_share_memory(a, given) for a in inputs):
        record = records_of(ufunc)[FLOATS[dtype]]
        if record[Loop.POOL] and nested.run_rows(record, inputs, outputs):
            return
    ufunc(*inputs, out=tuple(outputs))


def _pair(name: str, x: Any, gate: Any) -> tuple[np.ndarray, np.ndarray]:
    """Both halves, given as arrays of their own."""
    a, b = as_array(x), as_array(gate)
    check_real("x", a.dtype)
    check_real("gate", b.dtype)
    if a.shape != b.shape:
        raise ValueError(f"{name} takes x and gate of one shape, not {a.shape} and {b.shape}")
    return a, b


def _value(backend: str, name: str, x: Any, axis: OneAxis, gate: Any, out: Any) -> Any:
    if gate is not None:
        a, b = _pair(name, x, gate)
        dtype = result_dtype(a, b)
        if out is not None:
            check_target("out", out, a.shape, dtype)
        size = a.size * dtype.itemsize if out is None else 0
        return from_kept(size, _ufunc(name, False, backend), a, b, out=out)
    x = as_array(x)
    check_real("x", x.dtype)
    dtype = x.dtype if x.dtype in FLOATS else result_dtype(x)
    first, second = _halves(name, x, axis)
    a, b = x[first], x[second]
    if out is None:
        out = empty_like(a, dtype)
    else:
        check_target("out", out, a.shape, dtype)
    ufunc = _ufunc(name, False, backend)
    _run(ufunc, (a, b), (out,), out)
    if backend == "numba":
        arrays, parts = {"x": x, "out": out}, [("x", a), ("x", b)]
        note(name, {"x": x, "axis": axis}, lambda: loop_work(ufunc, arrays, parts, [("out", out)]))
    return out


def _backward(backend: str, name: str, grad: Any, x: Any, axis: OneAxis, gate: Any, out: Any) -> Any:
    if gate is not None:
        a, b = _pair(name, x, gate)
        grad = as_operand("grad", grad)
        dtype, outs = result_dtype(grad, a, b), (None, None) if out is None else out
        if not isinstance(outs, tuple) or len(outs) != 2:
            raise TypeError(f"out must be a pair of arrays, for x and gate, not {type(out).__name__}")
        for array in outs:
            if array is not None:
                check_target("out", array, a.shape, dtype)
        _check_gradient(name, grad, a.shape)
        size = a.size * dtype.itemsize if out is None else 0
        return from_kept(size, _ufunc(name, True, backend), grad, a, b, out=outs)
    grad, x = as_operand("grad", grad), as_array(x)
    check_real("x", x.dtype)
    dtype = result_dtype(grad, x)
    first, second = _halves(name, x, axis)
    a, b = x[first], x[second]
    _check_gradient(name, grad, a.shape)
    grad = np.broadcast_to(grad, a.shape)
    if out is None:
        out = empty_like(x, dtype)
    else:
        check_target("out", out, x.shape, dtype)
    ufunc = _ufunc(name, True, backend)
    _run(ufunc, (grad.astype(dtype, copy=False), a, b), (out[first], out[second]), out)
    if backend == "numba":
        arrays, parts = {"grad": grad, "x": x, "out": out}, [("grad", grad), ("x", a), ("x", b)]
        outputs = [("out", out[first]), ("out", out[second])]
        note(f"{name}_backward", {"grad": grad, "x": x, "axis": axis}, lambda: loop_work(ufunc, arrays, parts, outputs))
    return written(out)


def _check_gradient(name: str, grad: Any, shape: tuple[int, ...]) -> None:
    if not broadcasts(np.shape(grad), shape):
        raise ValueError(f"grad of shape {np.shape(grad)} does not fit the output of {name}, of shape {shape}")


# -- the public functions -------------------------------------------------------------------------


def _documentation(name: str, backward: bool) -> str:
    activation = GATES[name].activation
    parts = "a and b are the first and the second half of x along an axis."
    if backward:
        headline = f"Gradient of {name} with respect to x, in one pass over memory."
        formula = f"dx = (grad * {activation}(b), grad * a * {activation}_derivative(b))"
        grad = "grad : array_like\n    Gradient with respect to the gate's value; broadcasts to its shape.\n"
        shape = "of the shape of x, which it may be; with a gate, a pair of arrays, for the gradients of both"
        parameters = grad + PARAMETERS.format(gate=GATE, shape=shape)
        example = f">>> fastact.{name}_backward(np.ones((1, 2)), x).shape\n(1, 4)"
    else:
        headline = f"Gated linear unit that {activation} opens, in one pass over memory."
        formula = f"{name}(x) = a * {activation}(b)"
        parameters = PARAMETERS.format(gate=GATE, shape="of the shape of a half")
        parts += f" The product is rounded once where {activation}(b) alone is too small for a float of full precision."
        example = f">>> bool(np.all(fastact.{name}(x) == [1, 2] * fastact.{activation}(np.array([[0.0, 3.0]]))))\nTrue"
    return numpydoc(
        f"{headline}\n\n    {formula}\n\n{parts}",
        Parameters=parameters,
        Returns=RETURNED[backward],
        Raises=RAISED,
        References=REFERENCE.get(name, "Shazeer, GLU variants improve transformer, arXiv:2002.05202"),
        Examples=f">>> import numpy as np, fastact\n>>> x = np.array([[1.0, 2.0, 0.0, 3.0]])\n{example}",
    )


def _offer(name: str) -> None:
    def value(
        backend: str,
        x: ArrayLike,
        axis: OneAxis = -1,
        *,
        gate: ArrayLike | None = None,
        out: NDArray[Any] | None = None,
    ) -> NDArray[Any]:
        return _value(backend, name, x, axis, gate, out)

    def backward(
        backend: str,
        grad: ArrayLike,
        x: ArrayLike,
        axis: OneAxis = -1,
        *,
        gate: ArrayLike | None = None,
        out: NDArray[Any] | tuple[NDArray[Any], NDArray[Any]] | None = None,
    ) -> NDArray[Any] | tuple[NDArray[Any], NDArray[Any]]:
        return _backward(backend, name, grad, x, axis, gate, out)

    for function, suffix in ((value, ""), (backward, "_backward")):
        function.__name__ = function.__qualname__ = name + suffix
        function.__doc__ = _documentation(name, bool(suffix))
        offered(Family.GATE)(repeated(function))


for _name in GATES:
    _offer(_name)

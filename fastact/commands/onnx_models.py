"""Models of an operator or two in the ONNX format, written out by hand: onnxruntime reads nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import fastact

__all__ = ["calls_of_operator", "message", "model", "value"]

#: The format's numbers of element types.
ELEMENT_TYPES = {"float32": 1, "float16": 10, "float64": 11}


def message(*fields: tuple[int, Any]) -> bytes:
    """A message of the ONNX format: numbers, texts and messages by their field's number."""

    def varint(value: int) -> bytes:
        return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + varint(value >> 7)

    parts = []
    for number, value in fields:
        if isinstance(value, int):
            parts.append(varint(number << 3) + varint(value % 2**64))
        else:
            data = value.encode() if isinstance(value, str) else value
            parts.append(varint(number << 3 | 2) + varint(len(data)) + data)
    return b"".join(parts)


def value(name: str, *shape: int, dtype: str = "float32") -> bytes:
    """An array's name, shape and dtype."""
    dimensions = message(*((1, message((1, n))) for n in shape))
    return message((1, name), (2, message((1, message((1, ELEMENT_TYPES[dtype]), (2, dimensions))))))


def model(*fields: tuple[int, Any]) -> bytes:
    """A model of one graph."""
    return message((1, 9), (7, message(*fields)), (8, message((1, ""), (2, 20))))


def calls_of_operator(operator: str, x: np.ndarray, **attributes: int) -> Iterator[Callable[[], Any]]:
    """What has onnxruntime compute an operator, on as many threads as we; nothing if it cannot in that dtype."""
    import onnxruntime
    from onnxruntime.capi.onnxruntime_pybind11_state import InvalidGraph, NotImplemented

    named = [(5, message((1, key), (3, number), (20, 2))) for key, number in attributes.items()]
    node = message((1, "x"), (2, "y"), (4, operator), *named)
    given, result = (value(name, *x.shape, dtype=x.dtype.name) for name in "xy")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = fastact.get_num_threads()
    whole = model((1, node), (2, operator), (11, given), (12, result))
    try:
        session = onnxruntime.InferenceSession(whole, options, providers=["CPUExecutionProvider"])
    except (InvalidGraph, NotImplemented):
        return
    yield lambda: session.run(None, {"x": x})

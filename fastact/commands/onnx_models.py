"""Models of an operator or two in the ONNX format, written out by hand: onnxruntime reads nothing else."""

from __future__ import annotations

from typing import Any

__all__ = ["message", "model", "single_operator", "value"]


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


def value(name: str, *shape: int) -> bytes:
    """A float32 array's name and shape."""
    dimensions = message(*((1, message((1, n))) for n in shape))
    return message((1, name), (2, message((1, message((1, 1), (2, dimensions))))))


def model(*fields: tuple[int, Any]) -> bytes:
    """A model of one graph."""
    return message((1, 9), (7, message(*fields)), (8, message((1, ""), (2, 20))))


def single_operator(operator: str, shape: tuple[int, ...], **attributes: int) -> bytes:
    """From x to y, both of that shape."""
    named = [(5, message((1, key), (3, number), (20, 2))) for key, number in attributes.items()]
    node = message((1, "x"), (2, "y"), (4, operator), *named)
    return model((1, node), (2, operator), (11, value("x", *shape)), (12, value("y", *shape)))

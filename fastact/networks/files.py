"""Networks in files: one .npz of plain arrays, the settings as JSON text among them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["read", "write"]

#: What the file says it is.
FORMAT = "fastact MLP 1"

#: Settings that a file holds as they are; activations are held by name.
SETTINGS = (
    "sizes", "loss", "optimizer", "learning_rate", "batch_size", "epochs", "shuffle", "momentum", "nesterov",
    "weight_decay", "betas", "eps",
)  # fmt: skip


def _plain(value: Any) -> Any:
    """A setting as JSON knows it."""
    return value.item() if isinstance(value, np.generic) else value


def _name(activation: Any) -> Any:
    if isinstance(activation, (list, tuple)):
        return [_name(a) for a in activation]
    return activation if isinstance(activation, str) else activation.name


def write(path: str | os.PathLike[str], network: Any) -> None:
    settings = {name: _plain(getattr(network, name)) for name in SETTINGS} | {"dtype": network.dtype.name}
    settings["betas"] = [_plain(beta) for beta in network.betas]
    settings |= {name: _name(getattr(network, name)) for name in ("activation", "output_activation")}
    arrays = {"format": np.array(FORMAT), "settings": np.array(json.dumps(settings)), "loss_curve": network.loss_curve_}
    arrays["flat"] = np.array(network._flat)
    for i, (weight, bias) in enumerate(zip(network.weights, network.biases)):
        arrays |= {f"weight_{i}": np.ascontiguousarray(weight), f"bias_{i}": bias}
    target = Path(path)
    draft = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with draft.open("xb") as file:
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def read(path: str | os.PathLike[str], kind: Callable[..., Any], replaced: Mapping[str, Any]) -> Any:
    with open(path, "rb") as opened:
        try:
            with np.load(opened, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
        except Exception as error:  # whatever zipfile, zlib and NumPy raise over bytes that anything can stand in
            raise ValueError(f"{path} is cut short or no .npz file: {error}") from None
    if str(arrays.get("format")) != FORMAT:
        raise ValueError(
            f"{path} holds no network of this kind: its format is {arrays.get('format')!s}, not {FORMAT!r}"
        )
    try:
        network = kind(**{**json.loads(str(arrays["settings"])), **replaced})
        count = len(network.sizes) - 1
        network.weights = [arrays[f"weight_{i}"] for i in range(count)]
        network.biases = [arrays[f"bias_{i}"] for i in range(count)]
        network.loss_curve_, network._flat = arrays["loss_curve"].astype(float), bool(arrays["flat"])
        network._collect()
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} holds a network that cannot be restored: {error}") from None
    return network

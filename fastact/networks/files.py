"""Networks in files: one .npz of plain arrays, the settings as JSON text among them."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any, BinaryIO
from zipfile import ZipFile

import numpy as np

from fastact.catalogue import ACTIVATIONS
from fastact.networks.checks import sizes_of
from fastact.runtime.files import ArrayHeader, array_header, written_whole

__all__ = ["read", "write"]

#: What the file says it is.
FORMAT = "fastact MLP 1"

#: Settings that a file holds as they are; activations are held by name.
SETTINGS = (
    "sizes", "loss", "optimizer", "learning_rate", "batch_size", "epochs", "shuffle", "momentum", "nesterov",
    "weight_decay", "betas", "eps", "alpha", "max_grad_norm", "schedule", "step_size", "gamma", "power_t",
    "early_stopping", "tol", "n_iter_no_change", "dropout", "learn_parameters",
)  # fmt: skip

#: Bytes of text that are read: settings of many thousand layers take less.
LONGEST_TEXT = 1 << 24

#: How many times as large as the file what is packed in it can be: no deflated byte stands for more.
LARGEST_EXPANSION = 1032


def _plain(value: Any) -> Any:
    """A setting as JSON knows it."""
    return value.item() if isinstance(value, np.generic) else value


def _name(activation: Any) -> Any:
    if isinstance(activation, (list, tuple)):
        return [_name(a) for a in activation]
    if isinstance(activation, str):
        return activation
    if ACTIVATIONS.get(activation.name, activation) is not activation:
        raise ValueError(f"{activation.name} is not the catalogue's, as which it would be read; it needs another name")
    return activation.name


def write(path: str | os.PathLike[str], network: Any) -> None:
    settings = {name: _plain(getattr(network, name)) for name in SETTINGS} | {"dtype": network.dtype.name}
    settings["betas"] = [_plain(beta) for beta in network.betas]
    settings |= {name: _name(getattr(network, name)) for name in ("activation", "output_activation")}
    arrays = {"format": np.array(FORMAT), "settings": np.array(json.dumps(settings)), "loss_curve": network.loss_curve_}
    arrays["flat"] = np.array(network._flat)
    for i, (weight, bias) in enumerate(zip(network.weights, network.biases)):
        arrays |= {f"weight_{i}": np.ascontiguousarray(weight), f"bias_{i}": bias}
    for i, values in enumerate(network._parameters.of_activations):
        if values.size:
            arrays[f"activation_parameters_{i}"] = values
    with written_whole(path) as file:
        np.savez(file, **arrays)


def read(path: str | os.PathLike[str], kind: Callable[..., Any], replaced: Mapping[str, Any]) -> Any:
    with open(path, "rb") as file:
        members = _Members(path, file)
        given = members.text("format")
        if given != FORMAT:
            raise ValueError(f"{path} holds no network of this kind: its format is {given}, not {FORMAT!r}")
        try:
            settings = {**json.loads(str(members.text("settings"))), **replaced}
            shapes = list(pairwise(sizes_of(settings["sizes"])))
            for i, (inputs, outputs) in enumerate(shapes):  # before anything is made for them
                members.check(f"weight_{i}", (outputs, inputs), "fiub")
                members.check(f"bias_{i}", (outputs,), "fiub")
            members.check("flat", (), "b")
            members.check("loss_curve", (None,), "fiub")
            network = kind(**settings)
            network.weights = [members.array(f"weight_{i}") for i in range(len(shapes))]
            network.biases = [members.array(f"bias_{i}") for i in range(len(shapes))]
            for i, layer in enumerate(network.activation_parameters_):
                if layer:
                    members.check(f"activation_parameters_{i}", (len(layer),), "fiub")
                    layer.update(zip(layer, members.array(f"activation_parameters_{i}").tolist()))
            network.loss_curve_, network._flat = members.array("loss_curve").astype(float), bool(members.array("flat"))
            network._collect()
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"{path} holds a network that cannot be restored: {error}") from None
    return network


class _Members:
    """What is in a .npz file; nothing is read but what is asked for, and no more than the file can hold."""

    def __init__(self, path: str | os.PathLike[str], file: BinaryIO) -> None:
        self.path, self.most = path, LARGEST_EXPANSION * os.fstat(file.fileno()).st_size
        with self._open_to_anything():
            self.archive = ZipFile(file)

    @contextlib.contextmanager
    def _open_to_anything(self) -> Iterator[None]:
        try:
            yield
        except MemoryError:
            raise
        except Exception as error:  # whatever zipfile, zlib and NumPy raise over bytes that anything can stand in
            raise ValueError(f"{self.path} is cut short or no .npz file: {error}") from None

    def _header(self, name: str) -> tuple[ArrayHeader, int]:
        """What a member says of itself, and how many bytes there can be at most."""
        with self._open_to_anything(), self.archive.open(f"{name}.npy") as member:
            size = self.archive.getinfo(f"{name}.npy").file_size
            return array_header(member), min(size, self.most)

    def check(self, name: str, shape: tuple[int | None, ...], kinds: str) -> None:
        """That it has this shape, None standing for any length, and that so much can be there."""
        if f"{name}.npy" not in self.archive.namelist():
            raise ValueError(f"it has no {name}")
        header, most = self._header(name)
        fits = len(header.shape) == len(shape) and all(n in (None, m) for n, m in zip(shape, header.shape))
        if not fits or header.dtype.kind not in kinds:
            wanted = "(n,)" if shape == (None,) else shape
            raise ValueError(f"{name} has shape {header.shape} and type {header.dtype}, where {wanted} belongs")
        if header.nbytes > most:
            raise ValueError(f"{name} is cut short: it promises {header.nbytes} bytes")

    def array(self, name: str) -> np.ndarray:
        with self._open_to_anything(), self.archive.open(f"{name}.npy") as member:
            result: np.ndarray = np.lib.format.read_array(member, allow_pickle=False)
            return result

    def text(self, name: str) -> str | None:
        """What a member says; None if there is no such member."""
        if f"{name}.npy" not in self.archive.namelist():
            return None
        header, _ = self._header(name)
        if header.shape or header.dtype.kind != "U" or header.nbytes > LONGEST_TEXT:
            raise ValueError(f"{self.path} is no network: {name} has shape {header.shape} and type {header.dtype}")
        return str(self.array(name))

"""Who computes for a network: compiled code, or NumPy around the ufuncs of a backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastact.catalogue import Activation
from fastact.networks import numpy_trainer
from fastact.networks.plan import Plan, Trainer
from fastact.networks.sparse import DENSE_ROWS, SparseRows
from fastact.runtime.backends import do_without
from fastact.runtime.notices import UnavailableError

__all__ = ["predict", "trainer_of"]


def predict(network: Any, x: Any, activations: list[Activation]) -> np.ndarray:
    """The network's outputs."""
    if isinstance(x, SparseRows):
        starts = range(0, max(1, len(x)), DENSE_ROWS)
        return np.concatenate([predict(network, x[start : start + DENSE_ROWS], activations) for start in starts])
    parameters = network._parameters
    if _is_compiled(network):
        from fastact.networks import trainer

        try:
            return trainer.predict(parameters, activations, x, network._kept.predictors)
        except UnavailableError as error:
            do_without(error)
    return _in_numpy(network, lambda backend: numpy_trainer.predict(parameters, activations, x, backend))


def trainer_of(network: Any, plan: Plan) -> Trainer:
    """What carries out a plan."""
    if _is_compiled(network):
        from fastact.networks.trainer import CompiledTrainer

        try:
            return CompiledTrainer(plan)
        except UnavailableError as error:
            do_without(error)
    return _in_numpy(network, lambda backend: numpy_trainer.NumpyTrainer(plan, backend))


def _is_compiled(network: Any) -> bool:
    """As a whole; that has no place for what activations learn."""
    return network._chosen() == "numba" and not network._learns()


def _in_numpy(network: Any, made: Callable[[str], Any]) -> Any:
    """What is made in Python, of compiled ufuncs if activations learn."""
    if not network._learns():
        return made("numpy")
    try:
        return made(network._chosen())
    except UnavailableError as error:
        return made(do_without(error))

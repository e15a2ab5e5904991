"""The NumPy versions of every function, whatever the backend, so that both can be compared in one process.

>>> import numpy as np, fastact
>>> x = np.linspace(-5, 5, 11)
>>> bool(np.allclose(fastact.sigmoid(x), fastact.fallback.sigmoid(x), rtol=1e-15))
True
"""

from __future__ import annotations

import sys
from typing import Any


def __getattr__(name: str) -> Any:
    from fastact.names import public_callable, public_names

    if name == "__all__":
        return sorted([*_CLASSES, *public_names()])
    value = _CLASSES[name](name) if name in _CLASSES else public_callable(name, "numpy")
    if value is None:
        raise AttributeError(f"module 'fastact.fallback' has no attribute {name!r}")
    globals()[name] = value
    return value


def _network(name: str) -> type:
    from fastact.networks.mlp import MLP

    return type(name, (MLP,), {"_backend": "numpy", "__module__": __name__, "__doc__": MLP.__doc__})


def _estimator(name: str) -> type:
    from fastact.estimators import public

    kind = getattr(public, name)
    own = {"_network_class": sys.modules[__name__].MLP, "__module__": __name__, "__doc__": kind.__doc__}
    return type(name, (kind,), own)


_CLASSES = {"MLP": _network, "MLPClassifier": _estimator, "MLPRegressor": _estimator}


def __dir__() -> list[str]:
    return list(__getattr__("__all__"))

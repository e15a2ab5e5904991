"""Neural-network activations for NumPy at the speed of memory: compiled, parallel, SIMD ufuncs.

>>> import numpy as np, fastact
>>> fastact.relu(np.array([-1.0, 0.0, 2.5]))
array([0. , 0. , 2.5])

Every activation NAME comes with ``NAME_derivative``, ``NAME_backward`` and ``NAME_with_derivative``;
``fastact.ACTIVATIONS`` lists them. Names are made when they are first used, so importing is cheap.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"

#: Public names that are not functions of arrays, and the modules they live in.
_HOMES = {
    "ACTIVATIONS": "catalogue",
    "MLP": "networks.mlp",
    "Activation": "catalogue",
    "activation": "catalogue",
    "backend": "runtime.backends",
    "fallback": "",
    "get_num_threads": "runtime.control",
    "kept_memory": "ufuncs.memory",
    "set_num_threads": "runtime.control",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _HOMES:
        home = _HOMES[name]
        module = import_module(f"fastact.{home or name}")
        value = getattr(module, name) if home else module
    elif name == "__all__":
        from fastact.names import public_names

        return sorted([*_HOMES, *public_names()])
    else:
        value = None
        if not name.startswith("_"):
            from fastact.names import public_callable

            value = public_callable(name)
        if value is None:
            raise AttributeError(f"module 'fastact' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__getattr__("__all__"), "__version__"]

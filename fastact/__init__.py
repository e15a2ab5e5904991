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

#: Public names that are not activations, and the modules they live in.
_HOMES = {
    "ACTIVATIONS": "activations",
    "MLP": "networks",
    "Activation": "activations",
    "activation": "activations",
    "backend": "backends",
    "fallback": "",
    "get_num_threads": "threads",
    "kept_memory": "memory",
    "set_num_threads": "threads",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _HOMES:
        home = _HOMES[name]
        module = import_module(f"fastact.{home or name}")
        value = getattr(module, name) if home else module
    elif name == "__all__":
        from fastact.activations import ACTIVATIONS
        from fastact.functions import FUNCTIONS

        return sorted([*_HOMES, *ACTIVATIONS.public_names(), *FUNCTIONS])
    else:
        from os.path import exists, join

        # `from fastact import coefficients` asks here before it looks for the module of that name
        if name.startswith("_") or exists(join(__path__[0], f"{name}.py")):
            raise AttributeError(f"module 'fastact' has no attribute {name!r}")
        from fastact.functions import public_callable

        value = public_callable(name)
        if value is None:
            raise AttributeError(f"module 'fastact' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__getattr__("__all__"), "__version__"]

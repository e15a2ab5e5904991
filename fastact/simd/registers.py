"""The host's vector registers; needs llvmlite but not Numba."""

from __future__ import annotations

import os
from functools import cache

__all__ = ["host", "host_features", "register_bytes"]


@cache
def host() -> tuple[str, str]:
    """The processor's name and features, as LLVM calls them, or what of them is to be used.

    That is said to Numba by ``NUMBA_CPU_NAME`` and ``NUMBA_CPU_FEATURES``, and holds here too. What the processor has
    not is not taken from there: its instructions would end the process.
    """
    import llvmlite.binding as llvm

    own = llvm.get_host_cpu_features()
    name = os.environ.get("NUMBA_CPU_NAME") or llvm.get_host_cpu_name()
    features = os.environ.get("NUMBA_CPU_FEATURES", "" if name.lower() == "generic" else own.flatten())
    wanted = {f for f in features.replace(" ", "").split(",") if own.get(f[1:])}
    lacking = {f"-{feature}" for feature, has in own.items() if not has}
    return name, ",".join(sorted(wanted | lacking))


def host_features() -> set[str]:
    """The host's features as LLVM names them, with a plus sign in front."""
    return set(host()[1].split(","))


def register_bytes() -> int:
    """Bytes in the widest vector register."""
    features = host_features()
    return 64 if "+avx512f" in features else 32 if "+avx" in features else 16

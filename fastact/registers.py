"""The host's vector registers; needs llvmlite but not Numba."""

from __future__ import annotations

import llvmlite.binding as llvm

__all__ = ["host_features", "register_bytes"]


def host_features() -> set[str]:
    """The host's features as LLVM names them, with a plus sign in front."""
    return set(llvm.get_host_cpu_features().flatten().split(","))


def register_bytes() -> int:
    """Bytes in the widest vector register."""
    features = host_features()
    return 64 if "+avx512f" in features else 32 if "+avx" in features else 16

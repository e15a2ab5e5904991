"""The host's vector registers; needs llvmlite but not Numba."""

from __future__ import annotations

from functools import cache

__all__ = ["host", "host_features", "register_bytes"]


@cache
def host() -> tuple[str, str]:
    """The processor's name and features, as LLVM calls them."""
    import llvmlite.binding as llvm

    return llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()


def host_features() -> set[str]:
    """The host's features as LLVM names them, with a plus sign in front."""
    return set(host()[1].split(","))


def register_bytes() -> int:
    """Bytes in the widest vector register."""
    features = host_features()
    return 64 if "+avx512f" in features else 32 if "+avx" in features else 16

"""The host's vector registers; needs llvmlite but not Numba."""

from __future__ import annotations

import os
from functools import cache

__all__ = ["host", "host_features", "register_bytes"]


#: What is lost with which other features on x86-64: LLVM takes it away with them. Lowest first.
RESTS_ON = {
    "ssse3": {"sse3"},
    "sse4.1": {"ssse3"},
    "sse4.2": {"sse4.1"},
    "avx": {"sse4.2"},
    "f16c": {"avx"},
    "fma": {"avx"},
    "avx2": {"avx"},
    "avx512f": {"avx2", "f16c", "fma"},
    "avx512bw": {"avx512f"},
}


@cache
def host() -> tuple[str, str]:
    """The processor's name and features, as LLVM calls them, or what of them is to be used.

    That is said to Numba by ``NUMBA_CPU_NAME`` and ``NUMBA_CPU_FEATURES``, and holds here too. The features change
    those of the processor where its name stays, as in LLVM, which knows them by the name; of a processor that is named
    otherwise, they are those listed. What the processor has not is not taken from there: its instructions would end
    the process.
    """
    import llvmlite.binding as llvm

    own, own_name = llvm.get_host_cpu_features(), llvm.get_host_cpu_name()
    name = os.environ.get("NUMBA_CPU_NAME") or own_name
    listed = os.environ.get("NUMBA_CPU_FEATURES")
    if name == own_name or (listed is None and name.lower() != "generic"):
        listed = f"{own.flatten()},{listed or ''}"
    signs = {f[1:]: f[0] for f in (listed or "").replace(" ", "").split(",") if f[1:] in own}  # the last word counts
    gone = {feature for feature in own if not own[feature] or signs.get(feature) == "-"}
    for feature, below in RESTS_ON.items():
        if below & gone:
            gone.add(feature)
    wanted = {feature for feature, sign in signs.items() if sign == "+"} - gone
    return name, ",".join(sorted({"+" + feature for feature in wanted} | {"-" + feature for feature in gone}))


def host_features() -> set[str]:
    """The host's features as LLVM names them, with a plus sign in front."""
    return set(host()[1].split(","))


def register_bytes() -> int:
    """Bytes in the widest vector register."""
    features = host_features()
    return 64 if "+avx512f" in features else 32 if "+avx" in features else 16

"""``python -m benchmarks.narrow benchmarks.peers ...``: another benchmark, as on a processor without AVX-512.

fastact, NumPy and its BLAS, torch and jax are told by their own settings to leave those instructions alone, so that all
are compared as on most people's processors; onnxruntime cannot be told, and is left out.
"""

from __future__ import annotations

import argparse
import os
import runpy
import sys

__all__ = ["settings"]


def settings() -> dict[str, str]:
    """Environment variables; to be set before anything reads them."""
    import llvmlite.binding as llvm
    from numpy._core._multiarray_umath import __cpu_dispatch__ as dispatched

    ours = (
        ("-" if feature.startswith(("avx512", "evex512", "avx10")) or not has else "+") + feature
        for feature, has in llvm.get_host_cpu_features().items()
    )
    return {
        "NUMBA_CPU_NAME": "x86-64-v3",
        "NUMBA_CPU_FEATURES": ",".join(ours),
        "NPY_DISABLE_CPU_FEATURES": " ".join(name for name in dispatched if name.startswith(("AVX512", "X86_V4"))),
        "OPENBLAS_CORETYPE": "Haswell",
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("module", help="benchmarks.peers, for instance")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="the benchmark's own")
    chosen = parser.parse_args()
    wanted = settings()
    if wanted.items() <= os.environ.items():
        sys.modules["onnxruntime"] = None  # type: ignore[assignment]  # cannot be imported
        sys.argv = [chosen.module, *chosen.arguments]
        runpy.run_module(chosen.module, run_name="__main__")
    else:  # NumPy has read its own by now
        again = [sys.executable, "-m", "benchmarks.narrow", chosen.module, *chosen.arguments]
        os.execve(sys.executable, again, {**os.environ, **wanted})


if __name__ == "__main__":
    main()

"""Matrix products from Python: how they are cut up for this machine's caches, and which library computes them."""

from __future__ import annotations

import os
from functools import cache

import numpy as np

from fastact.layers.blocking import blocking
from fastact.runtime import threads
from fastact.simd.layout import Gemm

__all__ = ["BLOCK_BYTES", "choice", "compiled", "multiplies_here", "new_record"]

#: Bytes of a block of intermediate results that stays in the third-level cache, in the backward pass and where another
#: library multiplies: large beside the weights, which are packed once for each.
BLOCK_BYTES = 4 << 20


@cache
def compiled(name: str) -> dict[str, int]:
    """Addresses of the compiled functions for ``"float32"`` or ``"float64"``."""
    from fastact.runtime import compiler

    tiles = compiler.compiled("fastact.layers.tiles", name, assemble=compiler.assemble_object)
    return tiles | compiler.compiled("fastact.layers.gemm", name, blocking(np.dtype(name).itemsize))


def new_record(name: str) -> np.ndarray:
    """A record for a product of that element type, to be filled in."""
    record = np.zeros(Gemm.SIZE, np.int64)
    addresses = compiled(name)
    for function in ("pack", "multiply", "dot", "tile", "dots", "transpose"):
        record[getattr(Gemm, function.upper())] = addresses[function]
    record[Gemm.POOL] = threads.pool().ctypes.data
    return record


def _wish() -> str:
    return os.environ.get("FASTACT_MATMUL", "auto").strip().lower() or "auto"


@cache
def choice() -> tuple[str, str]:
    """Which library multiplies, ``"jit"`` (compiled here) or ``"blas"`` (NumPy's), and why.

    ``FASTACT_MATMUL`` chooses: ``jit``, ``blas`` or, by default, ``auto``, which below 512 bits is only said of large
    layers' gradients (:func:`multiplies_here`). Measured on a Zen 5 (4096 x 784 x 512, float32): 380-405 GFLOPS here,
    210-400 in OpenBLAS, by the kernels it chooses.
    """
    wish = _wish()
    if wish not in ("auto", "jit", "blas"):
        raise ValueError(f"FASTACT_MATMUL must be one of auto, jit, blas, not {wish!r}")
    if wish != "auto":
        return wish, f"FASTACT_MATMUL={wish}"
    from fastact.simd.registers import register_bytes

    if register_bytes() < 64:
        return (
            "blas",
            "below 512 bits OpenBLAS is faster in large gradients, measured with AVX2; all else is compiled here",
        )
    return "jit", "with 512 bits at least as fast as OpenBLAS, activation included"


#: With fewer than 512 bits: bytes of multiplications up to which a layer's gradients are computed here, and the
#: narrowest matrix that is left to BLAS. Of a Zen 4 held to AVX2, relu's layers in float32, in multiples of the time by
#: way of BLAS: 32 and 128 rows of 784 x 128 took 0.63 and 0.74, 65536 of 64 x 64 0.25; the gradients of 1024 of
#: 784 x 512 1.04, their forward pass 0.94, that of 8192 0.90, of 1024 of 1024 x 1024 1.02; in float64 0.90 to 0.95.
SMALL_BYTES, THIN = 80_000_000, 64


@cache
def always_here() -> bool | None:
    """Whether every product is computed here, or none; None if that depends on its size."""
    library, _ = choice()
    return None if library == "blas" and _wish() == "auto" else library == "jit"


def multiplies_here(rows: int, weight: np.ndarray, gradients: bool = False) -> bool:
    """Whether a layer's product, of so many rows with that weight, or those of its gradients, are compiled here rather
    than BLAS's."""
    always = always_here()
    if always is not None:
        return always
    return not gradients or rows * weight.nbytes <= SMALL_BYTES or max(weight.shape) <= THIN

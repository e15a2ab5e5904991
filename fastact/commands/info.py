"""``fastact info``: what runs here, and what could run faster."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

import numpy as np

import fastact
from fastact.runtime import backends

__all__ = ["run_info"]

#: OpenBLAS kernels by the vector width they use, narrow first: a hint is due where the CPU has more.
BLAS_WIDTHS = {"Haswell": 256, "Zen": 256, "SkylakeX": 512, "Cooperlake": 512, "SapphireRapids": 512}


def run_info() -> int:
    rows = list(_rows())
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:{width}}  {value}")
    return 0


def _rows() -> Iterator[tuple[str, str]]:
    yield "fastact", fastact.__version__
    yield "python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    for package in ("numpy", "numba", "llvmlite"):
        yield package, _version(package)
    yield "backend", f"{fastact.backend()} ({backends.reason()})"
    yield "threads", f"{fastact.get_num_threads()} of {os.cpu_count()} cores"
    if fastact.backend() == "numba":
        yield from _compiled_rows()
    yield "matrix products", _matrix_products()
    yield from _blas_rows()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _matrix_products() -> str:
    if fastact.backend() == "numpy":
        return "NumPy's BLAS (NumPy backend)"
    from fastact.layers import matmul

    library, reason = matmul.choice()
    name = {"jit": "compiled here", "blas": "NumPy's BLAS"}[library]
    return f"{name} ({reason})"


def _compiled_rows() -> Iterator[tuple[str, str]]:
    from fastact.runtime import cache
    from fastact.simd.registers import host, register_bytes

    name, _ = host()
    yield "threading layer", "fastact's own pool (POSIX threads)" if hasattr(os, "fork") else "none on this platform"
    yield "vector width", f"{8 * register_bytes()} bits ({name})"
    folder = cache.directory()
    entries = len(list(folder.glob("*.o"))) if folder else 0
    problem = cache.problem()
    about = f"{folder} ({entries} compiled)" if folder else "none"
    yield "cache", f"{about}; compiling in memory: {problem}" if problem else about


def _blas_rows() -> Iterator[tuple[str, str]]:
    from threadpoolctl import threadpool_info

    np.ones((2, 2)) @ np.ones((2, 2))  # makes sure that the library is loaded
    libraries = [library for library in threadpool_info() if library.get("user_api") == "blas"]
    # SciPy may have brought a second one; NumPy's stands in NumPy's folder, unless the system provides both.
    for library in [x for x in libraries if "numpy" in x["filepath"]] or libraries[:1]:
        kernels = library.get("architecture", "unknown")
        yield "BLAS", f"{library['internal_api']} {library.get('version')}, kernels for {kernels}"
        hint = _blas_hint(kernels)
        if hint:
            yield "hint", hint


def _blas_hint(kernels: str) -> str | None:
    if sys.platform != "linux" or BLAS_WIDTHS.get(kernels, 512) >= 512:
        return None
    with open("/proc/cpuinfo") as file:
        if "avx512f" not in file.read():
            return None
    forced = os.environ.get("OPENBLAS_CORETYPE")
    if forced:
        return f"this CPU has AVX-512, but OPENBLAS_CORETYPE={forced} holds NumPy's BLAS to 256 bits; unset it"
    return (
        "this CPU has AVX-512 but NumPy's BLAS chose 256 bits; OPENBLAS_CORETYPE=SkylakeX may speed up matrix products"
    )

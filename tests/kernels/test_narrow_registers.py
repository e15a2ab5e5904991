"""Kernels for hosts that lack some of this one's instructions: compiled and run here as if it lacked them."""

from __future__ import annotations

import platform
from collections.abc import Callable

import pytest

from tests.conftest import compiled_only
from tests.processes import run

on_x86 = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="this machine is no x86-64")

#: Hosts to be taken for: LLVM's name, their kernels, and beginnings of the features that they have not.
HOSTS = {
    "AVX2": ("x86-64-v3", "AVX2", ("avx512", "evex512", "avx10")),
    "AVX without FMA": (
        "x86-64",
        "any",
        ("avx512", "evex512", "avx10", "avx2", "fma", "bmi", "f16c", "avxvnni", "avxifma"),
    ),
    "SSE2": (
        "x86-64",
        "any",
        ("avx", "evex512", "fma", "bmi", "f16c", "sse3", "ssse3", "sse4", "vaes", "vpclmul", "gfni"),
    ),
}

#: A program's start.
TAKEN_FOR = """
import numpy as np
from fastact.simd.variants import variant

assert variant().name == {kernels!r}
"""

NARROW = """
from itertools import product

from benchmarks.accuracy import ulp_errors
from benchmarks.wide import exact_enough
from fastact.catalogue import ACTIVATIONS
from fastact.functions.parameters import sample_parameters
from tests.catalogue.test_accuracy import points

for entry, dtype, kind in product(ACTIVATIONS.values(), (np.float32, np.float64), ("value", "derivative")):
    x, given = points(dtype)[::{step}], sample_parameters(entry)
    given = {{name: dtype(value) for name, value in given.items()}}
    truth = exact_enough(entry, kind, x.astype(np.float64), **given)
    result = entry.callable(kind, "numba")(x, **given)
    errors = ulp_errors(result, truth)
    near = (abs(truth) < 0.04) & (-4 < x) & (x < 0) & (abs(result - truth) < np.finfo(dtype).eps)
    errors[near & (kind == "derivative")] = 0
    worst = np.argmax(errors)
    assert errors[worst] <= entry.ulp, (entry.name, dtype, kind, errors[worst], x[worst], result[worst], truth[worst])
print("within bounds")
"""


WAVES = """
from tests.kernels import test_trigonometric as waves

for dtype in (np.float32, np.float64):
    for name in waves.WAVES:
        waves.test_to_the_last_bit(name, "compiled", dtype)
        waves.test_beside_elements_far_out(name, "compiled", dtype)
    for name in waves.ANGLES:
        waves.test_angles(name, "compiled", dtype)
waves.test_ends_of_angles("compiled")
print("within bounds")
"""


FACTORS = """
from tests.kernels import test_exponentials as exponentials

for dtype in (np.float32, np.float64):
    for name in ("elu", "celu"):
        exponentials.test_factors_all_over_an_octave(name, "compiled", dtype)
print("within bounds")
"""


WITHOUT_HALF = """
import numpy as np
import fastact

x = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
with np.errstate(all="ignore"):
    for slope in (np.float16(0.3), np.float16(3)):
        truth = np.where(x > 0, x, np.float16(np.float32(x) * np.float32(slope)))
        np.testing.assert_array_equal(fastact.leaky_relu(x, slope), truth)
rows = fastact.softmax(np.zeros((8, 100), np.float16))
assert rows.dtype == np.float16 and (rows == np.float16(0.01)).all()
print("right")
"""


@compiled_only
@on_x86
@pytest.mark.parametrize("host", HOSTS)
def test_results_are_as_accurate_on_lesser_hosts(host: str) -> None:
    name, kernels, missing = HOSTS[host]
    start, host_is = TAKEN_FOR.format(kernels=kernels), taken_for(name, lambda f: not f.startswith(missing))
    narrow = NARROW.format(step=1 if host == "AVX2" else 3)
    assert said_by(start + narrow + WAVES + FACTORS, host_is) == 3 * "within bounds\n"


@compiled_only
@on_x86
def test_float16_needs_no_instructions_for_it() -> None:
    first = {"64bit", "cmov", "cx8", "fxsr", "mmx", "sse", "sse2"}
    assert said_by(WITHOUT_HALF, taken_for("x86-64", first.__contains__)) == "right\n"


ADDING = """
define void @add(ptr %a) {
  %x = load <16 x float>, ptr %a
  %y = fadd <16 x float> %x, %x
  store <16 x float> %y, ptr %a
  ret void
}
"""


def compiled_width(name: str, features: str) -> int:
    """Bytes of the registers in which LLVM adds numbers."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(cpu=name, features=features, opt=3, jit=True)
    module = llvm.parse_assembly(ADDING)
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    code = machine.emit_assembly(module)
    return next(size for register, size in (("%zmm", 64), ("%ymm", 32), ("%xmm", 16)) if register in code)


@compiled_only
@on_x86
@pytest.mark.parametrize("features", ["", "-avx512f", "+sse2,-avx512f", "-avx2", "-fma", "-avx", "-sse4.1"])
def test_features_change_those_of_the_processor(features: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in LLVM, which is told the same by Numba, and takes away what rests on them."""
    from fastact.simd.registers import host
    from fastact.simd.variants import VARIANTS

    monkeypatch.delenv("NUMBA_CPU_NAME", raising=False)
    monkeypatch.setenv("NUMBA_CPU_FEATURES", features)
    name, used = host.__wrapped__()
    kernels = next(row.name for row in VARIANTS if row.needs <= set(used.split(",")))
    lacking = [f for f in host()[1].split(",") if f.startswith("-")]  # LLVM may know it of the name all the same
    width = compiled_width(name, ",".join([features, *lacking]).strip(","))
    assert compiled_width(name, used) == width
    assert kernels == {64: "AVX-512", 32: "any" if features in ("-avx2", "-fma") else "AVX2", 16: "any"}[width]
    assert ("+avx" in used.split(",")) == (width > 16)
    assert "+avx512bw" not in used or width == 64


@compiled_only
def test_what_the_processor_has_not_is_not_used() -> None:
    """Numba would end the process."""
    from fastact.simd.registers import host

    lacking = ",".join("+" + f[1:] for f in host()[1].split(",") if f.startswith("-"))
    code = "import numpy as np, fastact; print(*fastact.sigmoid(np.zeros(3, np.float32)))"
    assert said_by(code, {"NUMBA_CPU_FEATURES": f"{lacking},+nothing"}) == "0.5 0.5 0.5\n"
    assert said_by(code, {"NUMBA_CPU_FEATURES": "-avx512f"}) == "0.5 0.5 0.5\n"
    assert said_by(code, {"NUMBA_CPU_NAME": "generic"}) == "0.5 0.5 0.5\n"


def taken_for(name: str, has: Callable[[str], bool]) -> dict[str, str]:
    """Settings with which a program takes the host for one of that name, with what it has of this one's features."""
    from fastact.simd.registers import host

    features = (f if has(f[1:]) else "-" + f[1:] for f in host()[1].split(","))
    return {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": ",".join(features)}


def said_by(program: str, settings: dict[str, str]) -> str:
    done = run(program, **settings)
    return done.stdout or f"{done.returncode}: {done.stderr[-2000:]}"

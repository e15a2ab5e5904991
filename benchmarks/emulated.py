"""``python -m benchmarks.emulated``: every function's values and derivatives on an Arm processor that qemu emulates.

Before a release. Results are computed under emulation, with Debian's Python and the wheels that users of such a machine
get, and compared here: with the bounds, and with the bits that this machine has for the same inputs. Once, as root:

    dpkg --add-architecture arm64 && apt-get update && apt-get install qemu-user

What else it needs is downloaded into the folder given, and stays there, compiled functions too. Numba itself is
emulated, which takes minutes until the first function is compiled: name a few functions, or leave it a night.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

import fastact
from benchmarks import wide
from benchmarks.accuracy import parameters_of, roots
from benchmarks.errors import ROOT_DISTANCE, ROOT_ERROR, ulp_errors
from fastact.catalogue import ACTIVATIONS, SPECIAL, Activation

ROOT = Path(__file__).parent.parent

#: The system's packages that an emulated Python is made of, with all that they depend on.
SYSTEM = ["libpython3-stdlib:arm64", "python3-minimal:arm64", "libstdc++6:arm64"]

WHEELS = ["numpy", "numba", "filelock", "platformdirs", "threadpoolctl", "tqdm", "mpmath"]

#: Oldest last: what a wheel may be called that runs there.
PLATFORMS = ["manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64"]

KINDS = ("value", "derivative")


def said_by(*command: str | Path, folder: Path = ROOT) -> str:
    return subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=True).stdout


def system_in(folder: Path) -> Path:
    """A folder with an emulated machine's files; gives its Python."""
    root = folder / "root"
    if not root.exists():
        unwanted = ["recommends", "suggests", "conflicts", "breaks", "replaces", "enhances"]
        listed = said_by("apt-cache", "depends", "--recurse", *[f"--no-{kind}" for kind in unwanted], *SYSTEM)
        packages = sorted(set(re.findall(r"^[a-z0-9][^\s:]*:arm64$", listed, re.MULTILINE)))
        archives = folder / "archives"
        archives.mkdir(parents=True, exist_ok=True)
        said_by("apt-get", "download", *packages, folder=archives)
        for archive in sorted(archives.glob("*.deb")):
            said_by("dpkg", "-x", archive, root)
        if not (root / "lib").exists():  # where the system has it, and a package of its own makes it so
            (root / "lib").symlink_to("usr/lib")
    return min((root / "usr/bin").glob("python3.*"), key=lambda path: len(path.name))


def wheels_in(folder: Path, python: Path) -> Path:
    """What users there would install."""
    site = folder / "site"
    if not site.exists():
        version = python.name.removeprefix("python")
        platforms = [f"--platform={name}" for name in PLATFORMS]
        options = ["--quiet", "--only-binary=:all:", f"--python-version={version}", f"--target={site}"]
        said_by(sys.executable, "-m", "pip", "install", *options, *platforms, *WHEELS)
    return site


def inputs(dtype: str) -> np.ndarray:
    """Numbers of all sizes, and more where functions bend."""
    rng = np.random.default_rng(5)
    kind = np.dtype(dtype)
    unsigned = {4: np.uint32, 8: np.uint64}[kind.itemsize]
    bits = rng.integers(0, 1 << (8 * kind.itemsize), 20_000, dtype=unsigned, endpoint=False).view(kind)
    near = [rng.uniform(-12, 12, 40_000), rng.uniform(-750, 750, 5_000)]
    return np.concatenate([bits[np.isfinite(bits)], *[x.astype(kind) for x in near]])


def compute(names: Sequence[str], target: Path) -> None:
    """The results here, whatever machine this is, in one file."""
    assert fastact.backend() == "numba"
    results = {}
    for name in names:
        entry = activation(name)
        for kind in KINDS:
            for dtype in ("float32", "float64"):
                parameters = [np.dtype(dtype).type(value) for value in parameters_of(entry, {}).values()]
                results[f"{name} {kind} {dtype}"] = entry.callable(kind)(inputs(dtype), *parameters)
        print(name, flush=True)
    np.savez(target, **results)


def activation(name: str) -> Activation:
    found: Activation = (ACTIVATIONS if name in ACTIVATIONS else SPECIAL)[name]
    return found


def compute_emulated(names: Sequence[str], folder: Path) -> Path:
    python = system_in(folder)
    site = wheels_in(folder, python)
    target = folder / "results.npz"
    environment = {
        "PYTHONPATH": f"{ROOT}:{site}",
        "FASTACT_CACHE_DIR": str(folder / "cache"),
        "FASTACT_BACKEND": "numba",
    }
    command = [
        "qemu-aarch64",
        "-L",
        str(folder / "root"),
        str(python),
        "-m",
        "benchmarks.emulated",
        "--compute",
        str(target),
        *names,
    ]
    with subprocess.Popen(
        command, cwd=ROOT, env=os.environ | environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for _ in tqdm(process.stdout, total=len(names), desc="under emulation"):
            pass
    if process.returncode:
        raise SystemExit(f"the emulated process ended with {process.returncode}")
    return target


def compared(name: str, kind: str, dtype: str, result: np.ndarray) -> tuple[float, int]:
    """The largest error in ulp, and how many results have other bits than here."""
    entry, x = activation(name), inputs(dtype)
    given = parameters_of(entry, {})
    same = entry.callable(kind)(x, *[np.dtype(dtype).type(value) for value in given.values()])
    exact = {value: float(np.dtype(dtype).type(value)) for value in given.values()}
    rounded = {parameter: exact[value] for parameter, value in given.items()}
    if dtype == "float32":
        truth = np.asarray(entry.callable(kind)(x.astype(np.float64), **rounded))
    else:
        truth = wide.exact_enough(entry, kind, x, **rounded)
    errors = ulp_errors(result, truth)
    none = ROOT_ERROR if dtype == "float32" else 2.3e-16
    for root in roots(entry, given) if kind == "derivative" else []:
        errors[(abs(x - root) < ROOT_DISTANCE) & (abs(result - truth) <= none)] = 0
    both = np.isnan(result) & np.isnan(same)
    unsigned = {4: np.uint32, 8: np.uint64}[result.itemsize]
    return float(errors.max()), int(np.count_nonzero((result.view(unsigned) != same.view(unsigned)) & ~both))


def rows(names: Sequence[str], target: Path) -> Iterator[tuple[str, bool]]:
    with np.load(target) as results:
        for name in names:
            for key in (f"{name} {kind} {dtype}" for kind in KINDS for dtype in ("float32", "float64")):
                kind, dtype = key.split()[1:]
                largest, different = compared(name, kind, dtype, results[key])
                within = largest <= activation(name).ulp
                verdict = "" if within else f"  beyond {activation(name).ulp}"
                yield f"{key:40} {largest:7.2f} ulp, {different:6} of other bits than here{verdict}", within


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*", help="functions, all by default")
    parser.add_argument("--folder", type=Path, default=Path("emulated"), help="for what is downloaded and compiled")
    parser.add_argument("--compute", type=Path, metavar="FILE", help="only compute, on this machine")
    arguments = parser.parse_args()
    names = arguments.names or [*ACTIVATIONS]
    if arguments.compute:
        compute(names, arguments.compute)
        return 0
    good = True
    for row, within in rows(names, compute_emulated(names, arguments.folder.absolute())):
        print(row)
        good &= within
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

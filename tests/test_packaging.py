"""What is published: built here without the network, installed into fresh environments, and tried there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement

import fastact
from tests.processes import PATIENCE, ROOT

NAME = f"fastact-{fastact.__version__}"


#: Tests that compile nothing, of a few folders.
QUICK = "common_subexpressions or module_to_read or registry or generated or make_no_sense"


class Published(NamedTuple):
    sdist: Path
    wheel: Path


def said_by(python: str, *arguments: str | Path, folder: Path) -> str:
    """What a Python prints that runs in a folder and finds nothing of this run there."""
    ours = ("PYTHONPATH", "PYTEST_ADDOPTS", "FASTACT_TESTS_SHARE")
    env = {name: value for name, value in os.environ.items() if name not in ours}
    pipe = subprocess.PIPE
    done = subprocess.run(
        [python, *arguments], cwd=folder, env=env, stdout=pipe, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    """The wheel is built from the source distribution."""
    folder = tmp_path_factory.mktemp("published")
    said_by(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, folder=folder)
    return Published(folder / f"{NAME}.tar.gz", folder / f"{NAME}-py3-none-any.whl")


def files_in(*folders: str) -> set[str]:
    """What the project holds there, as an archive names it."""
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    return {path.relative_to(ROOT).as_posix() for path in paths if path.is_file() and path.suffix != ".pyc"}


def test_the_wheel_is_the_package_and_no_more(published: Published) -> None:
    with zipfile.ZipFile(published.wheel) as archive:
        held = set(archive.namelist())
    about = {name for name in held if name.startswith(f"{NAME}.dist-info/")}
    assert held - about == files_in("fastact") - files_in("fastact/docs")
    assert {"fastact/py.typed", "fastact/__init__.pyi", "fastact/fallback.pyi"} <= held
    assert f"{NAME}.dist-info/licenses/fastact/LICENSE" in about


def test_the_source_distribution_is_the_whole_tree(published: Published) -> None:
    with tarfile.open(published.sdist) as archive:
        held = {name.removeprefix(f"{NAME}/") for name in archive.getnames()}
    expected = files_in("fastact", "benchmarks", "tests") | {"README.md", "pyproject.toml", "PKG-INFO"}
    assert {"tests/conftest.py", "tests/reference.py", "benchmarks/wide.py", "fastact/docs/index.md"} <= expected
    assert {name for name in held if not name.startswith(".")} == expected


def environment(folder: Path) -> str:
    """The Python of a new environment, which finds what this one has installed after what is installed there."""
    builder = venv.EnvBuilder()
    context = builder.ensure_directories(folder)
    builder.create(folder)
    python = str(context.env_exe)
    place = said_by(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", folder=folder)
    Path(place.strip(), "others.pth").write_text("{purelib}\n{platlib}\n".format(**sysconfig.get_paths()))
    return python


@pytest.mark.parametrize("kind", Published._fields)
def test_it_can_be_installed(kind: str, published: Published, tmp_path: Path) -> None:
    python = environment(tmp_path)
    offline = ["--no-index", "--no-deps", "--no-build-isolation", "--ignore-installed"]
    said_by(python, "-m", "pip", "install", *offline, getattr(published, kind), folder=tmp_path)
    assert said_by(python, "-m", "fastact", "info", folder=tmp_path).split()[:2] == ["fastact", fastact.__version__]
    code = "import fastact; print(fastact.__file__, fastact.relu(3.0))"
    place, result = said_by(python, "-c", code, folder=tmp_path).split()
    assert Path(place).is_relative_to(tmp_path)
    assert result == "3.0"


@pytest.mark.either_backend
def test_the_source_distribution_can_be_tested(published: Published, tmp_path: Path) -> None:
    """All tests are found, and a few of those that take no time pass."""
    with tarfile.open(published.sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    said = said_by(sys.executable, "-m", "pytest", "-q", "-k", QUICK, folder=tmp_path / NAME)
    assert " passed" in said.splitlines()[-1]
    assert "skipped" not in said.splitlines()[-1]


def requirements() -> list[Requirement]:
    """What the package needs, as its own file says."""
    tomllib = pytest.importorskip("tomllib", reason="this machine has a Python before 3.11")
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return [Requirement(line) for line in tomllib.loads(text)["project"]["dependencies"]]


#: Systems, machines and Pythons, and whether there are wheels of Numba 0.66 or later for them.
ENVIRONMENTS = [
    ("linux", "x86_64", "cpython", "3.10", True),
    ("linux", "x86_64", "cpython", "3.15", True),
    ("linux", "x86_64", "cpython", "3.16", False),
    ("linux", "aarch64", "cpython", "3.14", True),
    ("linux", "x86_64", "pypy", "3.11", False),
    ("linux", "i686", "cpython", "3.12", False),
    ("linux", "x86", "cpython", "3.12", False),
    ("linux", "armv7l", "cpython", "3.12", False),
    ("linux", "ppc64le", "cpython", "3.12", False),
    ("linux", "riscv64", "cpython", "3.13", False),
    ("darwin", "arm64", "cpython", "3.10", True),
    ("darwin", "arm64", "cpython", "3.15", True),
    ("darwin", "x86_64", "cpython", "3.12", False),
    ("win32", "AMD64", "cpython", "3.10", True),
    ("win32", "AMD64", "cpython", "3.15", True),
    ("win32", "AMD64", "pypy", "3.11", False),
    ("win32", "x86", "cpython", "3.12", False),
    ("win32", "ARM64", "cpython", "3.11", False),
    ("win32", "ARM64", "cpython", "3.12", True),
    ("win32", "ARM64", "cpython", "3.14", True),
    ("win32", "ARM64", "cpython", "3.15", False),
    ("freebsd14", "amd64", "cpython", "3.12", False),
    ("emscripten", "wasm32", "cpython", "3.13", False),
]


@pytest.mark.parametrize(("system", "machine", "implementation", "python", "wheels"), ENVIRONMENTS)
def test_numba_is_wished_for_where_there_are_wheels(
    system: str, machine: str, implementation: str, python: str, wheels: bool
) -> None:
    names = {"cpython": "CPython", "pypy": "PyPy"}
    environment = default_environment() | {
        "sys_platform": system,
        "platform_machine": machine,
        "implementation_name": implementation,
        "platform_python_implementation": names[implementation],
        "python_version": python,
        "python_full_version": f"{python}.0",
    }
    needed = {wish.name for wish in requirements() if wish.marker is None or wish.marker.evaluate(environment)}
    assert ("numba" in needed) == wheels
    assert "numpy" in needed


def test_the_readme_says_how_to_install_it_without_numba() -> None:
    """With everything else that it needs."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    command = re.search(r"pip install (.*) && python -m pip install --no-deps \.", readme)
    assert command is not None
    assert set(command[1].split()) == {wish.name for wish in requirements()} - {"numba"}

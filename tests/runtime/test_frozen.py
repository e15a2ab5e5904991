"""Programs that are shipped as archives or as byte code alone: both backends compute, and the cache knows them."""

from __future__ import annotations

import ast
import compileall
import shutil
import sys
import zipfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

import fastact
from fastact.runtime import sources
from tests.conftest import compiled_only
from tests.processes import run

PACKAGE = Path(fastact.__file__).parent

COMPUTE = """
import numpy as np
import fastact
x = np.linspace(-4, 4, 10, dtype=np.float32).reshape(2, 5)
network = fastact.MLP([5, 1], epochs=1, random_state=0).fit(x, x[:, 0])
results = fastact.sigmoid(x), fastact.elu(x, 0.5), fastact.softmax(x), fastact.fallback.tanh(x), network.predict(x)
print(fastact.__file__, fastact.backend(), "numba" in sys.modules, *np.ravel(results[:4]).tolist(), *results[4])
"""


def as_source(folder: Path) -> None:
    shutil.copytree(PACKAGE, folder / "fastact", ignore=shutil.ignore_patterns("__pycache__"))


def as_byte_code(folder: Path) -> None:
    as_source(folder)
    compileall.compile_dir(folder, quiet=1, legacy=True)
    for path in folder.rglob("*.py"):
        path.unlink()


def zipped(ship: Callable[[Path], None], folder: Path) -> Path:
    ship(folder)
    archive = folder.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w") as file:
        for path in folder.rglob("*.*"):
            file.write(path, path.relative_to(folder))
    return archive


def in_folder(ship: Callable[[Path], None], folder: Path) -> Path:
    ship(folder)
    return folder


def computed(place: Path, cache: Path, backend: str) -> tuple[str, list[str]]:
    """Where the package is that such a program finds, and what it computes."""
    code = f"import sys\nsys.path.insert(0, {str(place)!r})\n{COMPUTE}"
    result = run(code, FASTACT_CACHE_DIR=str(cache), FASTACT_BACKEND=backend, FASTACT_NUM_THREADS="1")
    assert (result.returncode, result.stderr) == (0, "")
    home, *rest = result.stdout.split()
    assert Path(home).is_relative_to(place)
    return rest[0], rest[1:]


@pytest.mark.parametrize("pack", [in_folder, zipped])
@pytest.mark.parametrize("ship", [as_source, as_byte_code])
@pytest.mark.parametrize("backend", [pytest.param("numba", marks=compiled_only), "numpy"])
def test_shipped_programs(tmp_path: Path, ship: Callable[..., None], pack: Callable[..., Path], backend: str) -> None:
    """The second process finds in the cache what the first has compiled."""
    place, cache = pack(ship, tmp_path / "program"), tmp_path / "cache"
    found, first = computed(place, cache, backend)
    assert found == backend
    assert computed(place, cache, backend) == (backend, ["False", *first[1:]])
    usual = computed(PACKAGE.parent, cache, backend)
    assert usual[1][1:] == first[1:]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_byte_code_says_what_a_module_imports(path: Path) -> None:
    tree = ast.parse(path.read_text())
    statements = "\n".join(ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
    assert sources.imported(sources._stand_in(compile(tree, "module", "exec"))) == sources.imported(statements)


def test_byte_code_that_differs_is_told_apart() -> None:
    texts = ["x = 1", "x = 2", "def f():\n    return 1", "def f():\n    return 2"]
    found = {sources._stand_in(compile(text, "module", "exec")) for text in texts}
    assert len(found) == len(texts)
    assert sources._stand_in(compile("x = 1", "module", "exec")) in found


def test_versions_without_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a frozen program, where packages' records are left behind."""

    def version(package: str) -> str:
        raise metadata.PackageNotFoundError(package)

    assert sources.version_of("numpy") == metadata.version("numpy")
    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr(sources, "listdir", lambda folder: [])
    assert sources.version_of("numpy") == sys.modules["numpy"].__version__

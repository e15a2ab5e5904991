"""The key under which compiled code is kept: it follows from imports, and misses nothing that had a part in it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fastact
from fastact.runtime import sources
from tests.conftest import compiled_only

PACKAGE = Path(fastact.__file__).parent

#: Modules that are compiled: they say what of them is.
COMPILED = sorted(
    ".".join(("fastact", *path.relative_to(PACKAGE).with_suffix("").parts))
    for path in PACKAGE.glob("*/*.py")
    if "\ndef functions(" in path.read_text()
)


def test_imports_are_found_as_another_reader_of_python_finds_them() -> None:
    graph = pytest.importorskip("grimp").build_graph("fastact")
    assert len(COMPILED) >= 9
    for module in (*COMPILED, "fastact.runtime.compiler", "fastact.networks.mlp"):
        found = set(sources.reached(sources.text_of(module)))
        rooms = {name for name in graph.modules if (PACKAGE.parent / name.replace(".", "/")).is_dir()}
        assert found - rooms == graph.find_upstream_modules(module) - rooms - {module}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from fastact.simd.blocks import *\n", {"fastact.simd.blocks"}),
        (
            "from fastact.simd import layout, vectors as words  # both\n",
            {"fastact.simd.layout", "fastact.simd.vectors"},
        ),
        (
            "def f():\n    from fastact.simd.layout import (\n        Pool,\n        Loop,\n    )\n",
            {"fastact.simd.layout"},
        ),
        ("from fastact.functions import registry\n", {"fastact.functions.registry"}),
        ("from fastact import simd\nimport numpy\n", set()),
    ],
)
def test_ways_to_import(text: str, expected: set[str]) -> None:
    assert sources.imported(text) == expected


CHANGE_EACH = """
from pathlib import Path
import fastact
from fastact.runtime import compiler, sources

def keys():
    sources._text.cache_clear()
    compiler.toolchain.cache_clear()
    return [compiler.key_of(source) for source in texts]

texts = [fastact.ACTIVATIONS["gelu"].source(), *map(sources.text_of, ["fastact.rows.kernels", "fastact.layers.gemm"])]
common = {*sources.reached(sources.text_of(compiler.__name__)), compiler.__name__}
parts = [{*sources.reached(text), *common} for text in texts]
before, root = keys(), Path(fastact.__file__).parent
for path in sorted(root.rglob("*.py")):
    module = ".".join(("fastact", *path.relative_to(root).with_suffix("").parts))
    kept = path.read_bytes()
    path.write_bytes(kept + b"\\n")
    changed = [new != old for new, old in zip(keys(), before)]
    assert changed == [module in part for part in parts], (module, changed)
    path.write_bytes(kept)
assert keys() == before
print(*map(len, parts))
"""


@compiled_only
def test_one_byte_in_any_source_changes_the_key(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "fastact", ignore=shutil.ignore_patterns("__pycache__"))
    run = subprocess.run([sys.executable, "-c", CHANGE_EACH], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert min(map(int, run.stdout.split())) > 10


#: Computes with an empty cache and notes each of our functions that runs while code is made.
WATCH = """
import sys
from pathlib import Path
import numpy as np
import fastact
from fastact.runtime import compiler, imports, sources

ROOT = Path(fastact.__file__).parent
load, seen = compiler.load, 0

def watched(source, functions, assemble=None):
    files = set()

    def noting(function):
        def called(*arguments):
            own = getattr(function, "__code__", None)  # hands the text over, no more
            sys.setprofile(lambda frame, *_: frame.f_code is own or files.add(frame.f_code.co_filename))
            try:
                return function(*arguments)
            finally:
                sys.setprofile(None)
        return called

    addresses = load(source, noting(functions), noting(assemble or compiler.compile_object))
    known = {compiler.__name__, *sources.reached(source), *sources.reached(sources.text_of(compiler.__name__))}
    known.add(imports.__name__)  # is asked for every module that is imported meanwhile, and knows but one
    for path in map(Path, files):
        if ROOT in path.parents and path.name != "__init__.py" and not source.startswith(path.read_text()):
            module = ".".join(("fastact", *path.relative_to(ROOT).with_suffix("").parts))
            assert module in known, f"{module} has a part in what is kept under a key without it"
    global seen
    seen += bool(files)
    return addresses

compiler.load = watched
x = np.ones((3, 40), np.float32)
fastact.gelu(x), fastact.softmax(x), fastact.mse_loss(x, x), fastact.dense(x, x)
print(seen)
"""


@compiled_only
def test_whatever_runs_while_code_is_made_is_in_its_key(tmp_path: Path) -> None:
    environment = {"FASTACT_CACHE_DIR": str(tmp_path), "FASTACT_MATMUL": "jit", "PATH": ""}
    command = [sys.executable, "-c", WATCH]
    run = subprocess.run(command, cwd=PACKAGE.parent, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) >= 8

"""The package as such: what importing costs, documentation, and that what exists twice is in step."""

from __future__ import annotations

import doctest
from pathlib import Path

import numpy as np
import pytest

import fastact
from benchmarks import coefficients, generate
from fastact.runtime import backends
from tests.conftest import compiled_only
from tests.processes import ROOT, run


def printed_by(code: str) -> str:
    done = run(code)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_loads_no_compiler() -> None:
    heavy = "{'numba', 'llvmlite', 'inspect', 'ctypes.util', 'scipy', 'tqdm', 'filelock', 'importlib.metadata'}"
    before = "import numpy, sys; before = set(sys.modules)"
    assert printed_by(f"{before}; import fastact; print((set(sys.modules) - before) & {heavy})") == "set()"


@compiled_only
def test_an_old_compiler_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """LLVM would abort the process."""
    monkeypatch.setattr(backends, "version_of", lambda package: "0.62.1")
    assert backends._problem_with_numba() == "numba 0.62.1 is older than 0.66"


def test_registry_needs_no_compiler() -> None:
    code = "import fastact, sys; fastact.ACTIVATIONS['gelu'].source(); fastact.__all__; print('numba' in sys.modules)"
    assert printed_by(code) == "False"


@pytest.mark.parametrize("name", fastact.__all__)
def test_docstring_examples(name: str) -> None:
    thing = getattr(fastact, name)
    tests = doctest.DocTestFinder(recurse=False).find(thing, name, module=False, globs={"fastact": fastact, "np": np})
    if not tests:  # the finder does not see ufuncs
        parsed = doctest.DocTestParser().get_doctest(thing.__doc__, {"fastact": fastact, "np": np}, name, None, 0)
        tests = [parsed]
    if name != "ACTIVATIONS":
        assert sum(len(test.examples) for test in tests) > 0, "no example"
    for test in tests:
        failures = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test)
        assert failures.failed == 0
    fastact.set_num_threads(2)


def test_module_examples() -> None:
    for module in (fastact, fastact.fallback):
        assert doctest.testmod(module).failed == 0


@pytest.mark.either_backend
def test_coefficients_are_in_step_with_their_derivation() -> None:
    assert coefficients.TARGET.read_text() == coefficients.source()


@pytest.mark.parametrize("path", generate.generated())
def test_generated_files_are_in_step(path: Path) -> None:
    assert path.read_text() == generate.generated()[path], "run python -m benchmarks.generate"


def test_files_speak_of_the_project_alone() -> None:
    tracked = [p for folder in ("fastact", "tests", "benchmarks") for p in (ROOT / folder).rglob("*.py")]
    for path in [*tracked, ROOT / "README.md", *(ROOT / "fastact" / "docs").rglob("*.md")]:
        words = path.read_text().lower().replace("test_files_speak", "")
        assert "pypi" + ".org" not in words, path

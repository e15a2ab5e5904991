"""The command line among others: pipes, and standard streams that are closed or full."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastact
from tests.conftest import needs_posix
from tests.processes import PATIENCE

pytestmark = needs_posix
needs_full = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this machine has no /dev/full")

GRID = np.random.default_rng(3).normal(0, 3, (300, 41)).astype(np.float32)


def shell(line: str, folder: Path, given: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    """A line of the shell's, in which $fastact is the command line."""
    command = f'fastact="{sys.executable} -m fastact"; {line}'
    root = Path(__file__).parent.parent.parent
    environment = os.environ | {"PYTHONPATH": str(root)}
    return subprocess.run(
        ["sh", "-c", command], cwd=folder, env=environment, input=given, capture_output=True, timeout=PATIENCE
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    np.save(tmp_path / "in.npy", GRID)
    return tmp_path


def output_of(folder: Path) -> bool:
    """Whether there is one, whole, and nothing else."""
    assert {path.name for path in folder.iterdir()} == {"in.npy", "out.npy"}
    return np.array_equal(np.load(folder / "out.npy"), fastact.gelu(GRID))


@pytest.mark.parametrize(
    "line",
    [
        "$fastact apply gelu - out.npy < in.npy",
        "cat in.npy | $fastact apply gelu - out.npy",
        "$fastact apply gelu in.npy - > out.npy",
        "$fastact apply gelu - - < in.npy | cat > out.npy",
        "cat in.npy | $fastact apply gelu /dev/fd/0 /dev/fd/1 | cat > out.npy",
        "mkfifo f; cat f > out.npy & $fastact apply gelu in.npy f && wait && rm f",
        "mkfifo f; cat in.npy > f & $fastact apply gelu f out.npy && wait && rm f",
    ],
)
def test_pipes(line: str, folder: Path) -> None:
    finished = shell(line, folder)
    assert (finished.returncode, finished.stderr) == (0, b"")
    assert output_of(folder)


@pytest.mark.parametrize("end", ["2>&-", ">&-", "<&-", "<&- >&- 2>&-", pytest.param("2>/dev/full", marks=needs_full)])
def test_apply_needs_no_streams(end: str, folder: Path) -> None:
    """Not the progress bar either, which is shown from the start here."""
    code = """
import sys
from fastact.commands import apply, parser
bar = apply.progress_bar
apply.progress_bar = lambda delay, **settings: bar(mininterval=0, **settings)
apply.BLOCK_BYTES = 4000
sys.exit(parser.main(sys.argv[1:]))
"""
    (folder / "in.npy").rename(folder / "x.npy")
    finished = shell(f"{sys.executable} -c '{code}' apply gelu x.npy out.npy {end}", folder)
    assert finished.returncode == 0
    (folder / "x.npy").rename(folder / "in.npy")
    assert output_of(folder)


@needs_full
@pytest.mark.parametrize("command", ["info", "bench --size 10 --repeat 1 relu", "apply gelu in.npy -"])
def test_a_disk_that_is_full(command: str, folder: Path) -> None:
    finished = shell(f"$fastact {command} >/dev/full", folder)
    lines = finished.stderr.decode().splitlines()
    assert finished.returncode == 2
    assert lines[-1].startswith("fastact: cannot write standard output: ")
    assert "Traceback" not in finished.stderr.decode()


@needs_full
def test_complaints_that_nobody_can_hear(folder: Path) -> None:
    for end in ("2>&-", "2>/dev/full"):
        finished = shell(f"$fastact apply nosuch in.npy out.npy {end}", folder)
        assert (finished.returncode, finished.stdout) == (2, b"")


@pytest.mark.parametrize(("command", "what"), [("- out.npy <&-", "input"), ("in.npy - >&-", "output")])
def test_streams_that_are_closed(command: str, what: str, folder: Path) -> None:
    finished = shell(f"$fastact apply gelu {command}", folder)
    assert finished.returncode == 2
    assert finished.stderr.decode().splitlines() == [finished.stderr.decode().strip()]
    assert f"standard {what}: it is closed" in finished.stderr.decode()


def test_a_pipe_that_ends_early(folder: Path) -> None:
    finished = shell("head -c 4000 in.npy | $fastact apply gelu - out.npy", folder)
    assert finished.returncode == 2
    assert b"standard input is cut short" in finished.stderr
    assert {path.name for path in folder.iterdir()} == {"in.npy"}


def test_a_reader_that_stops_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "fastact", "info"]
    run = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, timeout=PATIENCE)
    os.close(write)
    assert (run.returncode, run.stderr) == (1, "")


@pytest.mark.parametrize("stream", ["None", pytest.param("open('/dev/full', 'w')", marks=needs_full)])
def test_progress_of_fits_that_nobody_sees(stream: str, folder: Path) -> None:
    code = f"""
import sys, numpy as np, fastact
sys.stderr = {stream}
model = fastact.fallback.MLP([2, 1], epochs=3).fit(np.ones((4, 2)), np.ones((4, 1)), progress=True)
print(len(model.loss_curve_), flush=True)
__import__("os")._exit(0)  # Python would write what is left to the full disk
"""
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=PATIENCE)
    assert (finished.returncode, finished.stdout) == (0, b"3\n")

"""``fastact cache``: what it says, and that nothing is left to compile of what it has warmed."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastact.commands import cache as command
from fastact.commands.parser import main
from fastact.names import public_names
from tests.conftest import compiled_only
from tests.processes import finish, start

#: Calls functions, and says how many entries the cache has before and after.
COUNTED = """
import sys
from pathlib import Path

import numpy as np
import fastact

def entries():
    return sorted(p.name for p in Path(sys.argv[1]).glob("*.o"))

fastact.backend()
before = entries()
x = np.linspace(-1, 1, 300_000, dtype=np.float32).reshape(1000, 300)
fastact.gelu(x), fastact.elu(x), fastact.elu(x, 0.3), fastact.elu(x, x[:, :1]), fastact.elu_backward(x, x)
fastact.softmax(x), fastact.softmax(x[:3]), fastact.softmax(x, axis=0)
fastact.dense(x, x, activation="gelu"), fastact.cross_entropy(x, np.zeros(1000, int))
fastact.MLP([300, 50, 4], loss="cross_entropy", epochs=1, dtype="float32").fit(x, x[:, :4] ** 2)
print(len(before), set(entries()) - set(before))
"""


@compiled_only
def test_nothing_is_left_to_compile(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    names = ["gelu", "elu", "elu_backward", "softmax", "dense", "cross_entropy", "MLP"]
    environment = {"FASTACT_CACHE_DIR": str(folder)}
    warmed = finish(start("-m", "fastact", "cache", "--warm", *names, "--dtype", "float32", **environment))
    assert warmed.returncode == 0, warmed.stderr
    said = dict(line.split(maxsplit=1) for line in warmed.stdout.splitlines())
    assert said["folder"] == str(folder)
    assert int(said["entries"]) == len(list(folder.glob("*.o"))) > 10
    assert float(said["size"].removesuffix(" MB")) > 0.1
    counted = finish(start("-c", COUNTED, str(folder), **environment))
    assert counted.stdout == f"{said['entries']} set()\n", counted.stderr


@compiled_only
def test_clear(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one.o", "two.o", "03.lock", "mine.txt"):
        (tmp_path / name).write_bytes(b"")
    monkeypatch.setattr("fastact.runtime.cache.directory", lambda: tmp_path)
    assert main(["cache", "--clear"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    assert "entries  0" in capsys.readouterr().out


def test_mistakes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "--warm", "sigmund"]) == 2
    assert capsys.readouterr().err.startswith("fastact: no function is called 'sigmund'; did you mean sigmoid")


@pytest.mark.parametrize("name", public_names())
def test_every_function_can_be_called_ahead(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "SHAPES", ((4, 6),))
    command.warm(name, "float32")


def test_networks_can_be_called_ahead() -> None:
    command.warm(command.NETWORK, "float64")

"""Files that are written whole or not at all: beside other writers, through links, and where no file is."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from fastact.runtime.files import written_whole
from tests.conftest import needs_posix
from tests.threads import at_once

LARGE = 1 << 20


def write(path: Path | str, content: bytes) -> None:
    with written_whole(path) as file:
        file.write(content)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_new_file_has_the_usual_mode(tmp_path: Path) -> None:
    write(tmp_path / "ours", b"1")
    (tmp_path / "plain").write_bytes(b"1")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode
    assert names(tmp_path) == ["ours", "plain"]


def test_writers_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None fails, and whoever reads meanwhile finds all of what one of them wrote."""
    monkeypatch.setattr(os, "fsync", lambda number: None)  # which slows them down until they hardly meet
    path, running, failed, whole = tmp_path / "file", [True], list[Any](), bytes(20_000)

    def save() -> None:
        for i in range(250):
            try:
                write(path, bytes([i]) * len(whole))
            except OSError as error:
                failed.append(error)

    def read() -> None:
        while running:
            content = path.read_bytes() if path.exists() else whole
            if (len(content), len(set(content))) != (len(whole), 1):
                failed.append(len(content))

    reader = threading.Thread(target=read)
    reader.start()
    at_once(4, save)
    running.clear()
    reader.join()
    assert failed == []
    assert names(tmp_path) == ["file"]


@needs_posix
@pytest.mark.parametrize("mode", [0o400, 0o600, 0o644, 0o664])
def test_modes_stay(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(mode)
    write(path, b"new")
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert path.read_bytes() == b"new"


@needs_posix
def test_owners_stay(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("this machine does not let us give files away")
    path = tmp_path / "file"
    path.write_bytes(b"old")
    os.chown(path, 12, 34)
    write(path, b"new")
    assert (path.stat().st_uid, path.stat().st_gid) == (12, 34)


@needs_posix
@pytest.mark.parametrize("there", [True, False])
def test_links_are_followed(there: bool, tmp_path: Path) -> None:
    """To a file in another folder, by two links, whether it is there yet or not."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    if there:
        (folder / "file").write_bytes(b"old")
    (tmp_path / "second").symlink_to("elsewhere/file")
    (tmp_path / "first").symlink_to("second")
    write(tmp_path / "first", b"new")
    assert (folder / "file").read_bytes() == b"new"
    assert names(tmp_path) == ["elsewhere", "first", "second"]
    assert (tmp_path / "first").is_symlink()
    assert names(folder) == ["file"]


@needs_posix
def test_devices_are_written_to(tmp_path: Path) -> None:
    """A terminal, in whose folder nothing can be made or replaced, whoever runs this."""
    import tty  # not everywhere

    master, terminal = os.openpty()
    tty.setraw(terminal)
    (tmp_path / "link").symlink_to(os.ttyname(terminal))
    for path in (os.ttyname(terminal), tmp_path / "link"):
        write(path, b"new")
        assert os.read(master, 10) == b"new"
    assert stat.S_ISCHR(os.stat(os.ttyname(terminal)).st_mode)
    assert names(tmp_path) == ["link"]
    os.close(master)
    os.close(terminal)


@needs_posix
def test_pipes_are_written_to(tmp_path: Path) -> None:
    path, read = tmp_path / "pipe", []
    os.mkfifo(path)
    reader = threading.Thread(target=lambda: read.append(path.read_bytes()))
    reader.start()
    write(path, bytes(LARGE))
    reader.join()
    assert read == [bytes(LARGE)]
    assert stat.S_ISFIFO(path.stat().st_mode)


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"

    def give_up() -> None:
        with written_whole(path) as file:
            file.write(b"some")
            raise RuntimeError("half done")

    for before in ([], ["file"]):
        with pytest.raises(RuntimeError, match="half"):
            give_up()
        assert names(tmp_path) == before
        path.write_bytes(b"old")
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("name", ["", ".", "folder", "missing/file", "x" * 300])
def test_places_where_no_file_can_be(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError) as raised:  # noqa: PT011  which one, the system says
        write(name, b"new")
    assert raised.value.filename == name
    assert names(tmp_path) == ["folder"]


def test_the_longest_name_that_there_is(tmp_path: Path) -> None:
    write(tmp_path / ("x" * 255), b"new")
    assert names(tmp_path) == ["x" * 255]

"""Code that others may have planted in the cache is neither run nor waited for, and nothing of theirs is written."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from fastact.runtime import trust
from tests.conftest import compiled_only, needs_posix
from tests.processes import run
from tests.runtime.test_cache import COMPUTE, Outcome, Warm, compute, entries, loops, outcome, own, warm

__all__ = ["own", "warm"]  # fixtures

pytestmark = [compiled_only, needs_posix]

STRANGER = 4321

needs_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="this machine's user is not root and cannot give files away"
)


def warned(folder: Path, before: str = "") -> tuple[Outcome, str]:
    """What COMPUTE finds in a process of its own, and the one warning that it gives."""
    result = run(before + COMPUTE, FASTACT_CACHE_DIR=str(folder))
    assert result.returncode == 0, result.stderr
    warnings = [line for line in result.stderr.splitlines() if "RuntimeWarning: fastact: " in line]
    assert len(warnings) == 1, result.stderr
    return outcome(result.stdout), warnings[0].partition("fastact: ")[2]


def give_away(path: Path) -> None:
    os.chown(path, STRANGER, STRANGER)


def open_to_all(path: Path) -> None:
    path.chmod(0o666)


def link_to_a_copy(path: Path) -> None:
    path.symlink_to(path.rename(path.with_suffix(".elsewhere")))


def replace_by_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


PLANTED: dict[Callable[[Path], None], str] = {
    open_to_all: "can be written by others",
    link_to_a_copy: "is a symbolic link",
    replace_by_a_pipe: "is no regular file",
}


@pytest.mark.parametrize("plant", [pytest.param(give_away, marks=needs_root), *PLANTED])
def test_planted_entries_are_not_run(own: Warm, plant: Callable[[Path], None]) -> None:
    """They are compiled anew, and what is right takes their place."""
    for path in entries(own.folder):
        plant(path)
    found, warning = warned(own.folder)
    assert found == own.first
    assert PLANTED.get(plant, f"belongs to user {STRANGER}") in warning
    assert str(own.folder) in warning
    assert compute(own.folder) == Outcome(False, own.first.bits)


@needs_root
def test_a_strangers_directory_is_not_used(own: Warm) -> None:
    """Even if every file in it is ours: others may be put in their place while we look."""
    give_away(own.folder)
    before = sorted(own.folder.iterdir())
    found, warning = warned(own.folder)
    assert found == own.first
    assert f"{own.folder} belongs to user {STRANGER}" in warning
    assert sorted(own.folder.iterdir()) == before


def test_a_directory_for_everybodys_files_is_not_used(own: Warm) -> None:
    """It stays open: /tmp is such a one, and root's."""
    own.folder.chmod(0o1777)
    found, warning = warned(own.folder)
    assert found == own.first
    assert f"{own.folder} can be written by others" in warning
    assert stat.S_IMODE(own.folder.stat().st_mode) == 0o1777


def test_a_link_in_place_of_the_directory(own: Warm, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(own.folder)
    found, warning = warned(link)
    assert found == own.first
    assert f"{link} is a symbolic link" in warning


@pytest.mark.parametrize("mode", [0o777, 0o775])
def test_an_open_directory_of_ours_is_closed(own: Warm, tmp_path: Path, mode: int) -> None:
    """What was put there while it was open is not written to: a lock that is a link to a letter."""
    own.folder.chmod(mode)
    letter = tmp_path / "letter"
    letter.write_text("mine")
    for number in range(64):
        lock = own.folder / f"{number:02}.lock"
        lock.unlink(missing_ok=True)
        lock.symlink_to(letter)
    loops(own.folder)[0].unlink()
    assert compute(own.folder) == own.first
    assert compute(own.folder) == Outcome(False, own.first.bits)
    assert stat.S_IMODE(own.folder.stat().st_mode) == 0o700
    assert letter.read_text() == "mine"


#: Another user, whom nothing here lets write.
AS_A_STRANGER = f"""
import os
os.geteuid, access = lambda: {STRANGER}, os.access
os.access = lambda path, mode: not mode & os.W_OK and access(path, mode)
"""


@needs_root
def test_roots_cache_is_read_by_all(own: Warm) -> None:
    """As one that is part of an image. What is missing there is compiled in memory, without trying to write."""
    own.folder.chmod(0o755)
    code = AS_A_STRANGER + COMPUTE
    result = run(code, FASTACT_CACHE_DIR=str(own.folder))
    assert (result.stderr, outcome(result.stdout)) == ("", Outcome(False, own.first.bits))
    loops(own.folder)[0].unlink()
    before = sorted(own.folder.iterdir())
    result = run(code, FASTACT_CACHE_DIR=str(own.folder))
    assert (result.stderr, outcome(result.stdout)) == ("", own.first)
    assert sorted(own.folder.iterdir()) == before


def test_entries_can_be_read_by_others_and_written_by_none(warm: Warm) -> None:
    for path in entries(warm.folder):
        assert stat.S_IMODE(path.stat().st_mode) & ~stat.S_IROTH & ~stat.S_IRGRP == 0o600


def test_drafts_take_no_name_that_exists(own: Warm, tmp_path: Path) -> None:
    """Whatever has the draft's name is neither followed nor removed."""
    letter = tmp_path / "letter"
    letter.write_text("mine")
    (tmp_path / "link").symlink_to(letter)
    for path in letter, tmp_path / "link":
        with pytest.raises((FileExistsError, trust.RefusedError)):
            trust.create(path)
    drafts = [entry.with_suffix(".same") for entry in entries(own.folder)]
    for entry, draft in zip(entries(own.folder), drafts):
        entry.unlink()
        draft.symlink_to(letter)
    result = run(
        f"import secrets\nsecrets.token_hex = lambda count: 'same'\n{COMPUTE}", FASTACT_CACHE_DIR=str(own.folder)
    )
    assert (result.stderr, outcome(result.stdout)) == ("", own.first)
    assert all(draft.is_symlink() for draft in drafts)
    assert letter.read_text() == "mine"


def test_a_warning_that_is_an_error_is_printed(own: Warm) -> None:
    """It must not strike where code is compiled."""
    shutil.rmtree(own.folder)
    own.folder.mkdir()
    own.folder.chmod(0o1777)
    result = run("import warnings\nwarnings.simplefilter('error')\n" + COMPUTE, FASTACT_CACHE_DIR=str(own.folder))
    assert outcome(result.stdout) == own.first
    assert result.stderr.startswith(f"fastact: {own.folder} can be written by others")

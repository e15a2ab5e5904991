"""The documentation as pages: made without a warning, with all that is public, and links that lead somewhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from filelock import FileLock

import fastact
from fastact import plotting
from fastact.catalogue import ACTIVATIONS, SPECIAL
from tests.processes import finish, start

pytest.importorskip("tomllib", reason="this machine has a Python before 3.11")
pytest.importorskip("sphinx")

from benchmarks import machines
from benchmarks.pages import compose, rooms

pytestmark = pytest.mark.either_backend  # NumPy computes what they show


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made as one makes them, by one of the processes that share the tests; a warning would be an error."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "pages"
    with FileLock(f"{folder}.lock"):
        if not (folder / "made").exists():
            done = finish(start("-m", "benchmarks.pages", str(folder), FASTACT_BACKEND="numpy"))
            assert done.returncode == 0, done.stderr
            (folder / "made").touch()
    return folder / "html"


@pytest.mark.filterwarnings("default")  # Sphinx has some for authors of extensions
def test_a_link_that_leads_nowhere_is_an_error(tmp_path: Path) -> None:
    """As it is if a docstring or a page names what there is not."""
    page = tmp_path / "source" / "index.md"
    page.parent.mkdir()
    for text, code in (("# Title\n", 0), ("# Title\n\n[nowhere](nowhere.md)\n", 1)):
        page.write_text(text)
        assert compose.render(tmp_path / "source", tmp_path / "html") == code


def test_every_public_name_is_described(pages: Path) -> None:
    places = set().union(*(_Links(path.read_text()).names for path in pages.rglob("*.html")))
    names = {place.removeprefix("module-") for place in places}
    public = {f"fastact.{name}" for name in fastact.__all__} | {f"fastact.plotting.{name}" for name in plotting.__all__}
    assert public - names == set()


@pytest.mark.parametrize("entry", [*ACTIVATIONS.values(), *SPECIAL.values()], ids=lambda entry: entry.name)
def test_every_activation_is_in_the_gallery(pages: Path, entry: fastact.Activation) -> None:
    text = (pages / "gallery" / f"{entry.name}.html").read_text()
    assert f'src="../_images/{entry.name}.svg"' in text
    assert (pages / "_images" / f"{entry.name}.svg").stat().st_size > 1000
    assert f'<mi mathvariant="normal">{entry.name}</mi>' in text
    assert f"{entry.ulp:g} ulp" in text
    assert machines.speed(entry.name) in text
    assert f'href="{entry.name}.html"' in (pages / "gallery" / "index.html").read_text()


def test_every_room_is_described(pages: Path) -> None:
    text = (pages / "internals" / "rooms.html").read_text()
    title = '<span class="pre">{}</span></code><a class="headerlink"'
    assert [room for storey in rooms.storeys() for room in storey if title.format(room) not in text] == []


class _Links(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.targets: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for key, value in attrs:
            if key in ("href", "src") and value:
                self.targets.add(value)
            if key == "id" and value:
                self.names.add(value)


def leading_nowhere(folder: Path) -> Iterator[str]:
    """Links from any page to a file or to a place in a page that is not there."""
    links = {path.resolve(): _Links(path.read_text()) for path in folder.rglob("*.html")}
    for path, found in links.items():
        for target in found.targets:
            parts = urlsplit(target)
            place = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            known = place.exists() and (
                not parts.fragment or place not in links or parts.fragment in links[place].names
            )
            if not parts.netloc and not known:
                yield f"{path.name}: {target}"


def test_links_lead_somewhere(pages: Path) -> None:
    assert list(leading_nowhere(pages)) == []


def test_pages_load_nothing_from_elsewhere(pages: Path) -> None:
    for path in pages.rglob("*.html"):
        loaded = [target for target in _Sources(path.read_text()).targets if urlsplit(target).netloc]
        assert loaded == [], path


class _Sources(_Links):
    """Scripts, pictures and styles."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "img", "link"):
            super().handle_starttag(tag, attrs)

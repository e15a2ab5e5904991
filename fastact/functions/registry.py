"""The activations that have a name. It knows no formula: whoever wants the catalogue's imports it from there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["ACTIVATIONS", "KINDS"]

#: What every activation offers, by the suffix of the name.
KINDS = {"": "value", "_derivative": "derivative", "_backward": "backward", "_with_derivative": "with_derivative"}


class _Registry(Mapping[str, Any]):
    """The catalogue's activations by name; aliases find theirs too, but are not listed."""

    def __init__(self) -> None:
        self._by_name: dict[str, Any] = {}
        self._aliases: dict[str, str] = {}

    def add(self, entry: Any) -> None:
        self._by_name[entry.name] = entry
        self._aliases |= dict.fromkeys(entry.aliases, entry.name)

    def __getitem__(self, name: str) -> Any:
        try:
            return self._by_name[self._aliases.get(name, name)]
        except KeyError:
            raise KeyError(f"no activation is called {name!r}; there are {', '.join(self)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def __repr__(self) -> str:
        return f"<activations: {', '.join(self)}>"

    def public_names(self) -> dict[str, tuple[Any, str]]:
        """Every public callable's name, aliases included: its activation and kind."""
        return {
            name + suffix: (entry, kind)
            for entry in self.values()
            for name in (entry.name, *entry.aliases)
            for suffix, kind in KINDS.items()
        }


ACTIVATIONS = _Registry()

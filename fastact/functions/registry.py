"""The activations that have a name. It knows no formula: whoever wants the catalogue's imports it from there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fastact.ufuncs import direct

__all__ = ["ACTIVATIONS", "KINDS", "SPECIAL", "Registry", "get", "unknown"]

#: What every activation offers, by the suffix of the name.
KINDS = {"": "value", "_derivative": "derivative", "_backward": "backward", "_with_derivative": "with_derivative"}


class Registry(Mapping[str, Any]):
    """The catalogue's activations by name, and those that were registered; aliases find theirs too, unlisted."""

    def __init__(self) -> None:
        self._by_name: dict[str, Any] = {}
        self._aliases: dict[str, str] = {}
        self.changes = 0  # how often what a name stands for may have become another

    def add(self, entry: Any) -> None:
        self.changes += 1
        direct.forget()
        self._by_name[entry.name] = entry
        self._aliases |= dict.fromkeys(entry.aliases, entry.name)

    def register(self, entry: Any) -> None:
        """Enter somebody's own. What it is called may be called so by an earlier one of the same name alone."""
        for name in (entry.name, *entry.aliases):
            known = next((known for known in self.names() if plain(known) == plain(name)), name)
            other = self.get(known)
            if other is not None and (other.catalogued or other.name != entry.name):
                raise ValueError(f"{name} cannot be registered: it is a name of {other!r}")
        if entry.name in self._by_name:
            self._aliases = {alias: name for alias, name in self._aliases.items() if name != entry.name}
        self.add(entry)

    def __getitem__(self, name: str) -> Any:
        try:
            return self._by_name[self._aliases.get(name, name)]
        except KeyError:
            raise KeyError(unknown(name)) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def __repr__(self) -> str:
        return f"<activations: {', '.join(self)}>"

    def names(self) -> Iterator[str]:
        """All names, aliases included."""
        return (name for entry in self.values() for name in (entry.name, *entry.aliases))

    def public_names(self) -> dict[str, tuple[Any, str]]:
        """Every public callable's name, aliases included: its activation and kind."""
        return {
            name + suffix: (entry, kind)
            for entry in self.values()
            if entry.catalogued
            for name in (entry.name, *entry.aliases)
            for suffix, kind in KINDS.items()
        }


ACTIVATIONS = Registry()

#: Functions of the catalogue that are made as activations are, but would be of no use in a layer.
SPECIAL = Registry()


def unknown(name: Any, others: Iterable[str] = (), what: str = "activation") -> str:
    """What to say of a name that no activation has, nor any of others that would do: those near it, or else all."""
    from difflib import get_close_matches

    others = list(others)
    byplain = {plain(known): known for known in [*ACTIVATIONS.names(), *others]}
    close = [byplain[match] for match in get_close_matches(plain(str(name)), byplain)]
    known = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join([*ACTIVATIONS, *others])}"
    return f"no {what} is called {name!r}; {known}"


def plain(name: str) -> str:
    """As the same word may be spelled by others: LeakyReLU is leaky_relu."""
    return name.lower().replace("_", "").replace("-", "")


def get(name: Any) -> Any:
    """The activation that a name stands for, in any library's spelling.

    Parameters
    ----------
    name : str or Activation
        A name or an alias of the catalogue, or of an activation's class in torch, Keras or ONNX: neither capitals nor
        underscores count. An activation is returned as it is.

    Returns
    -------
    Activation

    Raises
    ------
    TypeError
        If it is neither.
    ValueError
        If no activation is called so; names like it are mentioned.

    Examples
    --------
    >>> import fastact
    >>> fastact.get("LeakyReLU")
    <activation leaky_relu: where(x > 0, x, negative_slope * x)>
    >>> fastact.get("gelu_new").name
    'gelu_tanh'
    """
    if not isinstance(name, str):
        if callable(getattr(name, "with_derivative", None)):
            return name
        raise TypeError(f"an activation is found by its name, not by {type(name).__name__}")
    for known in ACTIVATIONS.names():
        if plain(known) == plain(name):
            return ACTIVATIONS[known]
    raise ValueError(unknown(name))

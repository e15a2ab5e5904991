"""Graphs of operations: nodes that are equal are one object, and walks over what lies below them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, TypeVar
from weakref import WeakValueDictionary

__all__ = ["Node", "from_table", "table_of", "topological"]

N = TypeVar("N", bound="Node")


class Node:
    """One operation on other nodes, a named variable, or a constant. Equal nodes are identical."""

    __slots__ = ("__weakref__", "operands", "operation")
    operation: str
    operands: tuple[Any, ...]
    _known: ClassVar[WeakValueDictionary[tuple[Any, ...], Any]] = WeakValueDictionary()

    def __new__(cls: type[N], operation: str, operands: tuple[Any, ...]) -> N:
        # By identity for nodes (an expression's == builds another), by repr for numbers (0.0 == -0.0).
        key = (operation, *(id(o) if isinstance(o, Node) else repr(o) for o in operands))
        known: N | None = cls._known.get(key)
        if known is None:
            known = super().__new__(cls)
            known.operation, known.operands = operation, operands
            cls._known[key] = known
        return known


def topological(*roots: N) -> Iterator[N]:
    """Every node below the roots, operands before what uses them."""
    seen: set[N] = set()
    stack: list[tuple[N, bool]] = [(root, False) for root in reversed(roots)]
    while stack:
        node, expanded = stack.pop()
        if expanded:
            yield node
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((o, False) for o in reversed(node.operands) if isinstance(o, type(node)))


def table_of(*roots: Node) -> list[tuple[str, list[Any]]]:
    """A graph as plain data: each node's operation and operands, where nodes stand as (their place,)."""
    places: dict[Node, tuple[int]] = {}
    table = []
    for node in topological(*roots):
        places[node] = (len(places),)
        table.append((node.operation, [places[o] if isinstance(o, Node) else o for o in node.operands]))
    return [*table, ("", [places[root] for root in roots])]


def from_table(kind: type[N], table: list[tuple[str, list[Any]]]) -> tuple[N, ...]:
    """The roots of the graph, as nodes of some kind."""
    made: list[N] = []
    for operation, operands in table[:-1]:
        made.append(kind(operation, tuple(made[o[0]] if isinstance(o, tuple) else o for o in operands)))
    return tuple(made[place] for (place,) in table[-1][1])

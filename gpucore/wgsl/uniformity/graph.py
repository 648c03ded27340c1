"""The graph of one function: from a value or a place in control flow to what it depends on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

NON_UNIFORM: Final = 0
"""The node of what may differ from invocation to invocation."""

START: Final = 1
"""The node of the control flow in which the function is called."""


class Graph:
    """Nodes are numbers; `new` makes one that depends on others."""

    def __init__(self) -> None:
        self._edges: list[list[int]] = [[], []]

    def new(self, *targets: int) -> int:
        """Return a new node that depends on ``targets``."""
        self._edges.append(list(targets))
        return len(self._edges) - 1

    def add(self, node: int, *targets: int) -> None:
        """Let a node depend on more."""
        self._edges[node] += targets

    def reach(self, node: int) -> set[int]:
        """Return all nodes that ``node`` depends on, itself included."""
        found, waiting = {node}, [node]
        while waiting:
            for target in self._edges[waiting.pop()]:
                if target not in found:
                    found.add(target)
                    waiting.append(target)
        return found


@dataclass(frozen=True)
class Influence:
    """The sources of a result: non-uniform values, parameters, contents of pointers."""

    non_uniform: bool = False
    values: frozenset[int] = frozenset()
    contents: frozenset[int] = frozenset()


@dataclass
class Summary:
    """The needs and effects of a call of a function."""

    requires_flow: str = ""  # the built-in function that needs uniform control flow
    required: dict[int, str] = field(default_factory=dict)  # parameters that must be uniform
    required_contents: dict[int, str] = field(default_factory=dict)
    result: Influence = field(default_factory=Influence)
    outputs: dict[int, Influence] = field(default_factory=dict)  # contents of pointers afterwards

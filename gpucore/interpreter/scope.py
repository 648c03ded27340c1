"""What the compiler of a kernel knows: types, slots, memories, and what names mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any, Final

from gpucore.interpreter.errors import UnsupportedWgslError
from gpucore.interpreter.lanes import Lanes
from gpucore.interpreter.places import Place
from gpucore.interpreter.trees import Leaf, Tree
from gpucore.wgsl.errors import locate
from gpucore.wgsl.syntax import Call, Node
from gpucore.wgsl.types.facts import Facts, Symbol
from gpucore.wgsl.types.kinds import Type

__all__ = ["BARRIERS", "Context", "MemoryPlan", "Names", "Run"]

BARRIERS: Final = ("workgroupBarrier", "storageBarrier", "textureBarrier", "workgroupUniformLoad")

Run = Callable[[Lanes], None]


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """A variable in memory: its address space, and its leaves."""

    name: str
    space: str
    access: str
    tree: Tree
    leaves: list[Leaf]


Names = dict[Symbol, "int | Place"]
"""The slot of a value, or the place of a variable."""


@dataclass(slots=True)
class Context:
    """What all functions of a kernel share."""

    facts: Facts
    source: str
    slots: int = 0
    memories: list[MemoryPlan] = field(default_factory=list)
    module_names: Names = field(default_factory=dict)
    functions: dict[Any, Any] = field(default_factory=dict)

    def new_slot(self) -> int:
        """Return the number of a new slot."""
        self.slots += 1
        return self.slots - 1

    def new_memory(self, plan: MemoryPlan) -> int:
        """Return the number of a new memory."""
        self.memories.append(plan)
        return len(self.memories) - 1

    def has_barrier(self, node: Node) -> bool:
        """Tell whether a statement, or a function that it calls, has a barrier."""
        bodies = {function.name: function.body for function in self.facts.functions}
        open_nodes, seen = [node], set[str]()
        while open_nodes:
            each = open_nodes.pop()
            if isinstance(each, Call):
                name = each.function.name
                if name in BARRIERS:
                    return True
                if name in bodies and name not in seen:
                    seen.add(name)
                    open_nodes.append(bodies[name])
            open_nodes += _children(each)
        return False

    def refusal(self, what: str, node: Node) -> UnsupportedWgslError:
        """Return the error for WGSL that the interpreter does not know."""
        line, _, text = locate(self.source, node.at)
        return UnsupportedWgslError(
            f"the interpreter does not know {what}, line {line}: {text.strip()}"
        )

    def type_of(self, node: Any) -> Type:
        """Return the type of an expression."""
        return self.facts.type_of(node)


def _children(node: Node) -> Iterator[Node]:
    for each in fields(node):
        value = getattr(node, each.name)
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, Node):
                yield part

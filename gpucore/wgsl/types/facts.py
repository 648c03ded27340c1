"""What the typed pass finds out, by the identity of the nodes of the tree."""

from __future__ import annotations

from dataclasses import dataclass, field

from gpucore.wgsl.syntax import Expression, Function, Name, Node, Variable
from gpucore.wgsl.types.kinds import Structure, Type
from gpucore.wgsl.values import Constant

__all__ = ["Facts", "Symbol", "Value"]

Value = Constant | tuple["Value", ...]
"""What is known of an expression before the shader runs: a scalar, or the parts of a composite."""


@dataclass(frozen=True, slots=True, eq=False)
class Symbol:
    """A declared name: ``number`` tells apart those of one function that share a name.

    ``kind`` is const, override, let, parameter or function, or the address space of a variable.
    """

    name: str
    kind: str
    type: Type
    value: Value | None = None
    number: int = 0


@dataclass(slots=True)
class Facts:
    """The types of a module, each found by `gpucore.wgsl.types.inference`.

    ``types`` has the type of each expression after the conversions that WGSL makes by itself,
    ``values`` its value where that is known. ``symbols`` has what a name means, and
    ``declared`` the symbol that a variable or a parameter declares. ``constructed`` has the type
    that a call constructs, where it calls no function. ``operands`` are the types of template
    arguments that are types, as in ``bitcast<u32>``. ``used`` are the module's symbols in use by
    the entry point.
    """

    types: dict[int, Type] = field(default_factory=dict)
    values: dict[int, Value] = field(default_factory=dict)
    symbols: dict[int, Symbol] = field(default_factory=dict)
    declared: dict[int, Symbol] = field(default_factory=dict)
    constructed: dict[int, Type] = field(default_factory=dict)
    structures: dict[str, Structure] = field(default_factory=dict)
    functions: list[Function] = field(default_factory=list)
    results: dict[str, Type | None] = field(default_factory=dict)
    variables: list[tuple[Variable, Symbol]] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    """Keeps every node alive, so that its identity stays its own."""

    def type_of(self, expression: Expression) -> Type:
        """Return the type of an expression."""
        return self.types[id(expression)]

    def value_of(self, expression: Expression) -> Value | None:
        """Return the value of an expression, or None where it is not known."""
        return self.values.get(id(expression))

    def symbol_of(self, name: Name) -> Symbol:
        """Return what a name means."""
        return self.symbols[id(name)]

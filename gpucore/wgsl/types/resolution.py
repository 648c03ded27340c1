"""From the names of types to types: aliases, structures, and predeclared names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from gpucore.wgsl.syntax import Alias, Declaration, Expression, Name, Struct
from gpucore.wgsl.types.errors import WgslTypeError, type_error
from gpucore.wgsl.types.kinds import (
    BOOL,
    F16,
    F32,
    I32,
    U32,
    Array,
    Atomic,
    Matrix,
    Pointer,
    Scalar,
    Structure,
    Type,
    Units,
    Vector,
)

__all__ = ["MATRIX", "VECTOR", "Resolver"]

SCALARS: Final = {each.name: each for each in (BOOL, F16, F32, I32, U32)}
VECTOR: Final = re.compile(r"vec([234])([fhiu])?\Z")
MATRIX: Final = re.compile(r"mat([234])x([234])([fh])?\Z")
_SHORT: Final = {"f": F32, "h": F16, "i": I32, "u": U32}
_SIDES: Final = {f"subgroup_matrix_{side}": side for side in ("left", "right", "result")}


class Resolver:
    """The types that a module's names mean; ``count`` evaluates the size of an array."""

    def __init__(
        self, names: Mapping[str, Declaration], source: str, count: Callable[[Expression], int]
    ) -> None:
        self._names = names
        self._source = source
        self._count = count
        self.structures: dict[str, Structure] = {}
        self._known: dict[str, Type] = {}

    def error(self, message: str, node: Expression) -> WgslTypeError:
        """Return an error at a node."""
        return type_error(message, self._source, node.at)

    def is_type(self, name: str) -> bool:
        """Tell whether a name is that of a type, as far as no local name hides it."""
        declared = self._names.get(name)
        if declared is not None:
            return isinstance(declared, Alias | Struct)
        return (
            name in SCALARS
            or name in ("array", "atomic", "ptr")
            or bool(VECTOR.match(name) or MATRIX.match(name) or name in _SIDES)
        )

    def resolve(self, node: Expression) -> Type:
        """Return the type that a name means. Raises `WgslTypeError`."""
        if not isinstance(node, Name):
            raise self.error("expected a type here", node)
        declared = self._names.get(node.name)
        if declared is None:
            return self._predeclared_type(node)
        if node.name not in self._known:
            self._known[node.name] = self._declared_type(declared, node)
        return self._known[node.name]

    def generic(self, node: Name) -> Name:
        """Return the predeclared name that a name without template arguments stands for."""
        declared = self._names.get(node.name)
        while isinstance(declared, Alias):
            node = declared.type
            declared = self._names.get(node.name)
        return node

    def _declared_type(self, declared: Declaration, node: Name) -> Type:
        if isinstance(declared, Alias):
            return self.resolve(declared.type)
        if isinstance(declared, Struct):
            members = tuple((m.name, self.resolve(m.type)) for m in declared.members)
            found = self.structures[declared.name] = Structure(declared.name, members)
            return found
        raise self.error(f"'{node.name}' is not a type", node)

    def _predeclared_type(self, node: Name) -> Type:
        name, arguments = node.name, node.arguments
        if name in SCALARS:
            return SCALARS[name]
        if (match := VECTOR.match(name)) is not None:
            return Vector(int(match[1]), self._component(node, match[2]))
        if (match := MATRIX.match(name)) is not None:
            return Matrix(int(match[1]), int(match[2]), self._component(node, match[3]))
        if name in _SIDES and len(arguments) == 3:
            columns, rows = self._count(arguments[1]), self._count(arguments[2])
            return Units(_SIDES[name], self._scalar(arguments[0]), columns, rows)
        if name == "array" and len(arguments) in (1, 2):
            count = self._count(arguments[1]) if len(arguments) == 2 else None
            return Array(self.resolve(arguments[0]), count)
        if name == "atomic" and len(arguments) == 1:
            return Atomic(self._scalar(arguments[0]))
        if name == "ptr" and len(arguments) in (2, 3):
            space, access = arguments[0], arguments[2:]
            default = "read" if self._word(space) in ("storage", "uniform") else "read_write"
            given = self._word(access[0]) if access else default
            return Pointer(self._word(space), self.resolve(arguments[1]), given)
        raise self.error(f"'{name}' is not a type that can stand here", node)

    def _word(self, node: Expression) -> str:
        if not isinstance(node, Name):
            raise self.error("expected an address space or an access mode", node)
        return node.name

    def _component(self, node: Name, short: str | None) -> Scalar:
        if short is not None:
            return _SHORT[short]
        if len(node.arguments) != 1:
            raise self.error(f"'{node.name}' needs one element type: {node.name}<f32>", node)
        return self._scalar(node.arguments[0])

    def _scalar(self, node: Expression) -> Scalar:
        found = self.resolve(node)
        if not isinstance(found, Scalar):
            raise self.error("the element type must be a scalar", node)
        return found

"""Types as trees whose leaves are the numbers, vectors and matrices that memory holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from gpucore.wgsl import layout
from gpucore.wgsl.types.kinds import (
    Array,
    Atomic,
    Matrix,
    Scalar,
    Structure,
    Type,
    Units,
    Vector,
)

__all__ = ["Cell", "Group", "Leaf", "LeafType", "Row", "Tree", "leaf_places", "tree_of"]

LeafType = Scalar | Vector | Matrix | Atomic | Units


@dataclass(frozen=True, slots=True)
class Leaf:
    """A number, vector or matrix, and the extents of the arrays that it is in; -1 for any."""

    type: LeafType
    extents: tuple[int, ...]

    @property
    def components(self) -> int:
        """The numbers that it has."""
        match self.type:
            case Vector(count=count):
                return count
            case Matrix(columns=columns, rows=rows) | Units(columns=columns, rows=rows):
                return columns * rows
            case _:
                return 1


@dataclass(frozen=True, slots=True)
class Cell:
    """One leaf, by its number."""

    leaf: int
    type: LeafType


@dataclass(frozen=True, slots=True)
class Row:
    """An array of ``count`` elements, or of as many as the memory has (None)."""

    element: Tree
    count: int | None


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """A structure."""

    members: Mapping[str, Tree]


Tree = Cell | Row | Group


def tree_of(type_: Type) -> tuple[Tree, list[Leaf]]:
    """Return the tree of a type, and its leaves."""
    leaves: list[Leaf] = []

    def build(node: Type, extents: tuple[int, ...]) -> Tree:
        match node:
            case Array(element=element, count=count):
                return Row(build(element, (*extents, -1 if count is None else count)), count)
            case Structure(members=members):
                return Group({name: build(member, extents) for name, member in members})
            case Scalar() | Vector() | Matrix() | Atomic() | Units():
                leaves.append(Leaf(node, extents))
                return Cell(len(leaves) - 1, node)
            case _:
                raise TypeError(f"{node} cannot be in memory")

    return build(type_, ()), leaves


def leaf_places(tree: Tree, given: layout.Layout) -> list[tuple[int, tuple[int, ...]]]:
    """Return the offset of each leaf of a type in bytes, and the strides of its arrays."""
    found: list[tuple[int, tuple[int, ...]]] = []

    def walk(node: Tree, of: layout.Layout, offset: int, strides: tuple[int, ...]) -> None:
        match node, of:
            case Group(members=members), layout.Record(members=places):
                for place in places:
                    walk(members[place.name], place.layout, offset + place.offset, strides)
            case Row(element=element), layout.Array(element=inner, stride=stride):
                walk(element, inner, offset, (*strides, stride))
            case Row(element=element, count=int(count)), layout.Word():
                part = replace(of, size=of.size // count)
                walk(element, part, offset, (*strides, part.size))
            case _:
                found.append((offset, strides))

    walk(tree, given, 0, ())
    return found

"""Where local variables are declared: where they get their one value, or before what needs them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from gpucore.compiler import ir
from gpucore.compiler.walking import blocks_of, expressions_of, walk_expression

__all__ = ["Placement", "place_variables"]

_Path = tuple[int, ...]


@dataclass(slots=True)
class _Uses:
    assigns: list[tuple[_Path, ir.Assign]] = field(default_factory=list)
    reads: list[_Path] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Placement:
    """How variables are declared.

    ``constants`` get their only value where they are declared. ``at_first`` are the statements that
    declare a variable. ``at_start`` lists those that are declared at the start of a block, by the
    block's identity, of a while loop that of its body.
    """

    constants: frozenset[ir.Variable]
    at_first: dict[int, ir.Variable]
    at_start: dict[int, list[ir.Variable]]


def place_variables(body: ir.Block) -> Placement:
    """Decide how each variable of a function is declared."""
    walk = _Walk()
    walk.collect(body, ())
    constants: set[ir.Variable] = set()
    at_first: dict[int, ir.Variable] = {}
    at_start: dict[int, list[ir.Variable]] = {}
    for variable, found in walk.uses.items():
        if variable in walk.counters:
            continue
        if _is_constant(found):
            constants.add(variable)
            at_first[id(found.assigns[0][1])] = variable
            continue
        path = _common([*(p for p, _ in found.assigns), *found.reads])
        first = _first_mention(walk.blocks[path], variable)
        if first is not None:
            at_first[id(first)] = variable
        else:
            at_start.setdefault(walk.keys[path], []).append(variable)
    return Placement(frozenset(constants), at_first, at_start)


class _Walk:
    """Finds the uses of each variable, and the block of each path."""

    def __init__(self) -> None:
        self.uses: dict[ir.Variable, _Uses] = {}
        self.blocks: dict[_Path, ir.Block] = {}
        self.keys: dict[_Path, int] = {}
        self.counters: set[ir.Variable] = set()

    def collect(self, block: ir.Block, path: _Path) -> None:
        """Walk a block."""
        self.blocks.setdefault(path, block)
        self.keys.setdefault(path, id(block))
        for number, statement in enumerate(block):
            if not isinstance(statement, ir.While):
                self._note_reads(statement, path)
            if isinstance(statement, ir.Assign):
                self.uses.setdefault(statement.variable, _Uses()).assigns.append((path, statement))
            if isinstance(statement, ir.While):
                self._while(statement, (*path, number, 0))
                continue
            if isinstance(statement, ir.For):
                self.counters.add(statement.counter)
            for part, inner in enumerate(blocks_of(statement)):
                self.collect(inner, (*path, number, part))

    def _while(self, loop: ir.While, path: _Path) -> None:
        """Walk a loop: its test and its body are one block of WGSL, the test first."""
        self.blocks[path] = [*loop.before, *loop.body]
        self.keys[path] = id(loop.body)
        self._note_reads(loop, path)
        self.collect(self.blocks[path], path)

    def _note_reads(self, statement: ir.Statement, path: _Path) -> None:
        for variable in _reads(statement):
            self.uses.setdefault(variable, _Uses()).reads.append(path)


def _reads(statement: ir.Statement) -> Iterator[ir.Variable]:
    for node in expressions_of(statement):
        for each in walk_expression(node):
            if isinstance(each, ir.Read):
                yield each.variable


def _is_constant(found: _Uses) -> bool:
    if len(found.assigns) != 1:
        return False
    path, assign = found.assigns[0]
    return not assign.path and all(read[: len(path)] == path for read in found.reads)


def _common(paths: list[_Path]) -> _Path:
    """Return the path of the innermost block that contains all of them."""
    first, *others = paths
    length = len(first)
    for path in others:
        same = 0
        while same < min(length, len(path)) and first[same] == path[same]:
            same += 1
        length = same
    return first[: length - length % 2]


def _first_mention(block: ir.Block, variable: ir.Variable) -> ir.Assign | None:
    """Return the assignment that comes first in a block, if no other mention does."""
    for statement in block:
        if isinstance(statement, ir.Assign) and statement.variable is variable:
            mentions = variable in _reads(statement)
            return None if statement.path or mentions else statement
        if _mentions(statement, variable):
            return None
    return None


def _mentions(statement: ir.Statement, variable: ir.Variable) -> bool:
    if variable in _reads(statement):
        return True
    return any(
        _mentions(each, variable) or (isinstance(each, ir.Assign) and each.variable is variable)
        for block in blocks_of(statement)
        for each in block
    )

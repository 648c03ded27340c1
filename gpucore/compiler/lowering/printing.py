"""``print(...)`` in a kernel: its texts and values, computed only where lines are shown."""

from __future__ import annotations

import ast

from gpucore.compiler import ir
from gpucore.compiler.compiled import PrintPiece
from gpucore.compiler.errors import KernelSyntaxError
from gpucore.compiler.flexible import Flexible, describe_type, seen
from gpucore.compiler.lowering.scope import Scope
from gpucore.compiler.lowering.values import Known, Value, Values
from gpucore.compiler.passes.dead_code import has_effect
from gpucore.compiler.walking import expressions_of, walk_statements
from gpucore.wgsl.types.kinds import Scalar, Vector

__all__ = ["read_print"]

_AS_TEXT = 114  # f"{x!r}", and f"{x=}"


def read_print(scope: Scope, node: ast.Call) -> Value:
    """Read a print; it is checked, too, where lines are not shown. Raises `PythonKernelError`."""
    program = scope.program
    if node.keywords:
        raise scope.syntax_error("print in a kernel takes no sep, end, file or flush", node)
    if program.prints is None:
        raise scope.syntax_error("an operator has no print: print in a kernel", node)
    for each in ast.walk(node):
        if isinstance(each, ast.NamedExpr):
            raise scope.syntax_error("print cannot assign: assign before it", each)
    functions, variants = list(program.functions), dict(program.variants)
    with scope.collect() as block:
        reader = _Reader(scope)
        for number, each in enumerate(node.args):
            if number:
                reader.add_text(" ")
            reader.add(each)
    if any(map(_acts, walk_statements(block))) or any(map(has_effect, reader.words)):
        raise _no_effects(scope, node)
    if program.prints:
        line = ir.Print(tuple(reader.pieces), tuple(reader.words), scope.place(node))
        scope.block += [*block, line]
    else:
        program.functions, program.variants = functions, variants
    return Known(None)


def _acts(statement: ir.Statement) -> bool:
    stores = isinstance(statement, ir.Store | ir.Clear | ir.Print)
    return stores or any(map(has_effect, expressions_of(statement)))


def _no_effects(scope: Scope, node: ast.Call) -> KernelSyntaxError:
    return scope.syntax_error(
        "print cannot change anything, since it is left out where lines are not shown: compute "
        "the value before it",
        node,
    )


class _Reader:
    """Collects the pieces of a line, and the numbers in it."""

    def __init__(self, scope: Scope) -> None:
        self.pieces: list[PrintPiece] = []
        self.words: list[ir.Expression] = []
        self._scope = scope

    def add_text(self, text: str) -> None:
        """Add a text to the line."""
        if text:
            self.pieces.append(PrintPiece(text))

    def add(self, node: ast.expr) -> None:
        """Add an argument. Raises `PythonKernelError`."""
        if isinstance(node, ast.JoinedStr):
            for part in node.values:
                self._add_part(part)
        else:
            self._add_value(self._scope.expression_value(node), node, "")

    def _add_part(self, part: ast.expr) -> None:
        match part:
            case ast.Constant(value=str(text)):
                self.add_text(text)
            case ast.FormattedValue(value=value, conversion=conversion, format_spec=form):
                if conversion not in (-1, _AS_TEXT):
                    raise self._scope.syntax_error("print has no !s and !a", part)
                read = self._scope.expression_value(value)
                self._add_value(read, value, self._form(form))

    def _form(self, node: ast.expr | None) -> str:
        match node:
            case None:
                return ""
            case ast.JoinedStr(values=[ast.Constant(value=str(text))]):
                return text
        raise self._scope.syntax_error("a format must be a plain text, such as .3f", node)

    def _add_value(self, value: Value, node: ast.expr, form: str) -> None:
        if isinstance(value, Known) and isinstance(value.object, str):
            self.add_text(value.object)
        elif isinstance(value, Values):
            self.add_text("(")
            for number, item in enumerate(value.items):
                self.add_text(", " if number else "")
                self._add_value(item, node, form)
            self.add_text(")")
        elif isinstance(value, ir.Expression):
            self._add_numbers(value, node, form)
        else:
            what = f"the array {value.name}" if isinstance(value, ir.ArrayRef) else str(value)
            raise self._refuse(what, node)

    def _add_numbers(self, value: ir.Expression, node: ast.expr, form: str) -> None:
        kind, scope = seen(value.type), self._scope
        kept = value if isinstance(value, ir.Constant) else scope.keep(value, "printed")
        match kind:
            case Scalar() | Flexible():
                self.words.append(kept)
                self.pieces.append(PrintPiece(count=1, form=form))
            case Vector(count=count, scalar=scalar):
                place = value.place
                self.words += [ir.Member(scalar, place, kept, each) for each in "xyzw"[:count]]
                self.pieces.append(PrintPiece(count=count, form=form))
            case _:
                raise self._refuse(describe_type(kind), node)

    def _refuse(self, what: str, node: ast.expr) -> KernelSyntaxError:
        return self._scope.syntax_error(
            f"print shows texts, numbers and vectors, got {what}: print its parts", node
        )

"""A Python function as text: its syntax tree, the places of its nodes, and what its names mean."""

from __future__ import annotations

import ast
import builtins
import inspect
import textwrap
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any, Final

from gpucore.compiler.errors import KernelNameError, KernelSyntaxError, Place

__all__ = ["MISSING", "FunctionSource", "read_function"]

MISSING: Final = object()
"""Stands for a name that means nothing."""


class FunctionSource:
    """The text of a function, and the names that it can see.

    Attributes:
        name: of the function. file: where it stands. tree: its syntax tree. text: its source.
        variables: what its closure and its module name, which the compiler only reads.
    """

    def __init__(
        self, text: str, file: str, first_line: int, variables: Mapping[str, object]
    ) -> None:
        dedented = textwrap.dedent(text)
        self._lines = text.splitlines()
        self._dedented = [line.encode() for line in dedented.splitlines()]
        self._indent = len(self._lines[0]) - len(dedented.splitlines()[0]) if self._lines else 0
        self.file, self.first_line, self.text = file, first_line, dedented
        self.variables = variables
        self.tree = self._function()
        self.name = self.tree.name

    def _function(self) -> ast.FunctionDef:
        start = Place(self.file, self.first_line, 1, self._lines[0] if self._lines else "")
        try:
            body = ast.parse(self.text).body
        except SyntaxError:
            body = []
        if len(body) != 1 or not isinstance(body[0], ast.FunctionDef):
            raise KernelSyntaxError(
                "a kernel must be a function that starts with def on a line of its own", start
            )
        return body[0]

    def place(self, node: ast.AST) -> Place:
        """Return where a node stands in the file."""
        line = getattr(node, "lineno", 1)
        offset = getattr(node, "col_offset", 0)
        text = self._lines[line - 1] if line <= len(self._lines) else ""
        raw = self._dedented[line - 1] if line <= len(self._dedented) else b""
        column = len(raw[:offset].decode(errors="replace")) + 1
        inside = len(text) - len(raw.decode(errors="replace"))
        return Place(self.file, self.first_line + line - 1, column + inside, text)

    def look_up(self, name: str) -> object:
        """Return what a name means outside of the function, or `MISSING`."""
        if name in self.variables:
            return self.variables[name]
        return getattr(builtins, name, MISSING)

    def evaluate(self, node: ast.expr) -> object:
        """Return the object that an annotation means: names, attributes, subscripts, numbers.

        Raises `KernelNameError`, `KernelSyntaxError`.
        """
        match node:
            case ast.Constant(value=str(text)):
                return self._evaluate_text(text, node)
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                found = self.look_up(name)
                if found is MISSING:
                    raise KernelNameError(
                        f"{name} is not defined where the kernel is: import it", self.place(node)
                    )
                return found
            case ast.Attribute(value=value, attr=attribute):
                return self._attribute(node, self.evaluate(value), attribute)
            case ast.Subscript(value=value, slice=index):
                return self._subscript(node, self.evaluate(value), self.evaluate(index))
            case ast.Tuple(elts=elements):
                return tuple(self.evaluate(each) for each in elements)
        raise KernelSyntaxError("a type must be a name such as f32 or Array[f32]", self.place(node))

    def _evaluate_text(self, text: str, node: ast.expr) -> object:
        """Return what an annotation in quotes means."""
        try:
            inner = ast.parse(text, mode="eval").body
        except SyntaxError:
            raise KernelSyntaxError(f"{text!r} is no type", self.place(node)) from None
        return self.evaluate(ast.copy_location(_place_at(inner, node), node))

    def _attribute(self, node: ast.expr, value: object, name: str) -> object:
        found = getattr(value, name, MISSING)
        if found is MISSING:
            owner = getattr(value, "__name__", type(value).__name__)
            raise KernelNameError(f"{owner} has no {name}", self.place(node))
        return found

    def _subscript(self, node: ast.expr, value: Any, index: object) -> object:
        try:
            return value[index]
        except (TypeError, ValueError) as error:
            raise KernelSyntaxError(str(error), self.place(node)) from None


def _place_at(tree: ast.expr, node: ast.expr) -> ast.expr:
    """Return a tree whose nodes all stand where ``node`` does."""
    for each in ast.walk(tree):
        ast.copy_location(each, node)
    return tree


def read_function(function: Callable[..., object]) -> FunctionSource:
    """Return the source of a Python function. Raises `KernelSyntaxError` where there is none."""
    if not isinstance(function, FunctionType):
        kind = type(function).__name__
        raise KernelSyntaxError(
            f"a kernel must be a function, got {kind}", Place("<unknown>", 1, 1, "")
        )
    file = inspect.getsourcefile(function) or function.__code__.co_filename
    try:
        lines, first = inspect.getsourcelines(function)
    except (OSError, TypeError):
        place = Place(file, function.__code__.co_firstlineno, 1, "")
        raise KernelSyntaxError(
            f"the source of {function.__name__} cannot be found: define the kernel in a file or "
            "in a cell of a notebook",
            place,
        ) from None
    return FunctionSource("".join(lines), file, max(first, 1), _Variables(function))


class _Variables(Mapping[str, object]):
    """The names that a function sees: its closure, then its module, as they are now."""

    def __init__(self, function: FunctionType) -> None:
        self._globals = function.__globals__
        cells = function.__closure__ or ()
        self._cells = dict(zip(function.__code__.co_freevars, cells, strict=True))
        self._own = function.__name__

    def __getitem__(self, name: str) -> object:
        if name in self._cells:
            try:
                return self._cells[name].cell_contents
            except ValueError:  # the name is assigned after the function is defined
                raise KeyError(name) from None
        return self._globals[name]

    def __iter__(self) -> Any:
        return iter({**self._globals, **self._cells})

    def __len__(self) -> int:
        return len({**self._globals, **self._cells})

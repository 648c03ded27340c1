"""Turns the WGSL of the matrix products into Python, for `tests.gpustd.workgroup_interpreter`.

Every WGSL function becomes a Python one, the entry point a generator that yields at each barrier.
Arrays in memory are made by functions ``read``, ``read_write`` and ``workgroup``, variables of a
thread by ``private``; the caller adds these to `OPERATIONS` with ``Operand`` and ``Result``, types
of matrices, and their built-ins.
Names get numbers, since Python has no block scope: 0 at module scope. u32 is ``int``, f32 and f16
are NumPy scalars, a vector is an array; `OPERATIONS` has the built-ins that need no memory. What
the matrix products do not use (i32, private arrays, break, ...) is refused.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpucore.wgsl import parse, syntax

__all__ = ["OPERATIONS", "UntranslatedError", "translate"]

Vector = NDArray[Any]

ROW_MAJOR = syntax.Name("row_major")
# A Python expression for each WGSL operator; u32 wraps.
BINARY = {
    **{sign: f"wrapped({{}} {sign} {{}})" for sign in ("+", "-", "*", "<<")},
    **{sign: f"({{}} {sign} {{}})" for sign in ("&", "|", "^", ">>", "%")},
    **{sign: f"({{}} {sign} {{}})" for sign in ("==", "!=", "<", "<=", ">", ">=")},
    "/": "divided({}, {})",
    "&&": "({} and {})",
    "||": "({} or {})",
}
UNARY = {"-": "(-{})", "!": "(not {})", "~": "wrapped(~{})"}


class UntranslatedError(ValueError):
    """The shader uses something that has no translation."""


def translate(source: str) -> str:
    """Python of rendered WGSL: besides what that declares, ``entry``, ``threads`` and ``inputs``.

    ``inputs`` names the built-in values that the entry point takes. Raises `UntranslatedError`.
    """
    return "\n".join(_Translator(source).module())


def _matrix(side: str, scalar: str) -> syntax.Name:
    extent = syntax.Literal("16")
    return syntax.Name(f"subgroup_matrix_{side}", (syntax.Name(scalar), extent, extent))


MATRICES = {
    _matrix("left", "f16"): "Operand",
    _matrix("right", "f16"): "Operand",
    _matrix("result", "f32"): "Result",
}


class _Translator:
    """The way through one module; every method gives lines or an expression of Python."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.scopes: list[dict[str, str]] = [{}]
        self.memories: set[str] = set()
        self.count = 0
        self.in_entry = False

    def module(self) -> Iterator[str]:
        """Types before what is made of them, values last."""
        order = (syntax.Alias, syntax.Struct, syntax.Function, syntax.Variable)
        declarations = parse(self.source).declarations
        for declaration in declarations:
            if not isinstance(declaration, order):
                raise self._error(declaration)
            self.scopes[0][declaration.name] = f"{declaration.name}_0"
            if isinstance(declaration, syntax.Variable) and declaration.address_space == "private":
                self.scopes[0][declaration.name] += ".value"
            elif isinstance(declaration, syntax.Variable) and declaration.kind == "var":
                self.memories.add(declaration.name)
        for kind in order:
            for declaration in declarations:
                if isinstance(declaration, kind):
                    yield from self._declaration(declaration)

    def _declaration(self, node: syntax.Declaration) -> Iterator[str]:
        match node:
            case syntax.Alias(name, aliased):
                yield f"{name}_0 = {self._type(aliased)}"
            case syntax.Struct(name, members):
                listed = ", ".join(f"{m.name}={self._type(m.type)}" for m in members)
                yield f"{name}_0 = structure({listed})"
            case syntax.Function():
                yield from self._function(node)
            case syntax.Variable("const", name, None, value) if value:
                yield f"{name}_0 = {self._value(value)}"
            case syntax.Variable("var", name, syntax.Name("u32", ()) as kind, None, "private"):
                yield f"{name}_0 = private({self._type(kind)})"
            case syntax.Variable(
                "var", name, syntax.Name("array", (kind, *length)), None, "storage" | "workgroup"
            ):
                place = ", ".join([repr(name), self._type(kind), *map(self._value, length)])
                yield f"{name}_0 = {node.access or node.address_space}({place})"
            case _:
                raise self._error(node)

    def _function(self, node: syntax.Function) -> Iterator[str]:
        attributes = {a.name: a.arguments for a in node.attributes}
        self.in_entry = "compute" in attributes
        self.scopes.append({})
        names = [self._declare(p.name) for p in node.parameters]
        yield f"def {node.name}_0({', '.join(names)}):"
        yield from self._block(node.body, "    ")
        self.scopes.pop()
        if self.in_entry:
            yield "    return"
            yield "    yield"
            built_in = [b for p in node.parameters for a in p.attributes for b in a.arguments]
            inputs = [b.name for b in built_in if isinstance(b, syntax.Name)]
            threads = " * ".join(map(self._value, attributes["workgroup_size"]))
            yield f"entry, threads, inputs = {node.name}_0, {threads}, {inputs}"

    # Statements

    def _block(self, block: syntax.Block, indent: str) -> Iterator[str]:
        self.scopes.append({})
        yield indent + "pass"
        for statement in block.statements:
            yield from self._statement(statement, indent)
        self.scopes.pop()

    def _statement(self, node: syntax.Statement, indent: str) -> Iterator[str]:
        deeper = indent + "    "
        match node:
            case syntax.Block():
                yield from self._block(node, indent)
            case syntax.If(clauses, otherwise):
                for i, clause in enumerate(clauses):
                    yield f"{indent}{'elif' if i else 'if'} {self._value(clause.condition)}:"
                    yield from self._block(clause.body, deeper)
                if otherwise:
                    yield indent + "else:"
                    yield from self._block(otherwise, deeper)
            case syntax.While(condition, body):
                yield f"{indent}while {self._value(condition)}:"
                yield from self._block(body, deeper)
            case syntax.For(start, condition, update, body) if start and condition and update:
                self.scopes.append({})
                yield from self._statement(start, indent)
                yield f"{indent}while {self._value(condition)}:"
                yield from self._block(body, deeper)
                yield from self._statement(update, deeper)
                self.scopes.pop()
            case _:
                yield indent + self._line(node)

    def _line(self, node: syntax.Statement) -> str:
        match node:
            case syntax.Variable("let" | "var" | "const", name, None, value) if value:
                given = self._value(value)
                return f"{self._declare(name)} = {given}"
            case syntax.Variable("var", name, kind, None) if kind:
                return f"{self._declare(name)} = {self._type(kind)}()"
            case syntax.Assign(syntax.Name() | syntax.Index() as target, operator, value):
                if operator != "=":
                    value = syntax.Binary(operator[:-1], target, value, at=node.at)
                return f"{self._value(target)} = {self._value(value)}"
            case syntax.Step(syntax.Name() as target, operator):
                return f"{self._value(target)} = wrapped({self._value(target)} {operator[0]} 1)"
            case syntax.Return(value):
                return f"return {self._value(value) if value else ''}"
            case syntax.CallStatement(syntax.Call(syntax.Name("workgroupBarrier"))):
                if self.in_entry:
                    return "yield"
            case syntax.CallStatement(call):
                return self._value(call)
        raise self._error(node)

    # Expressions and types

    def _value(self, node: syntax.Expression) -> str:
        match node:
            case syntax.Literal(text):
                return self._literal(node, text)
            case syntax.Name(name, ()):
                return self._known(node, name)
            case syntax.Call(function, arguments):
                return self._call(function, ", ".join(map(self._value, arguments)))
            case syntax.Index(syntax.Name(name), index) if name in self.memories:
                return f"{self._known(node, name)}[{self._value(index)}]"
            case syntax.Member(value, name):
                return f"member({self._value(value)}, {name!r})"
            case syntax.Unary("&", syntax.Name(name)) if name in self.memories:
                return self._known(node, name)
            case syntax.Unary(operator, operand) if operator in UNARY:
                return UNARY[operator].format(self._value(operand))
            case syntax.Binary(operator, left, right) if operator in BINARY:
                return BINARY[operator].format(self._value(left), self._value(right))
        raise self._error(node)

    def _call(self, function: syntax.Name, given: str) -> str:
        name, template = function.name, function.arguments
        if name.startswith("subgroupMatrix"):
            kinds = [self._type(part) for part in template if part != ROW_MAJOR]
            if kinds != ["Operand"] * (name == "subgroupMatrixLoad"):
                raise self._error(function)
            return f"{name}({given})"
        if name == "bitcast":
            return f"bitcast({self._type(template[0])}, {given})"
        return f"{name if name in BUILT_INS else self._type(function)}({given})"

    def _type(self, node: syntax.Expression) -> str:
        """Return the constructor of a type. Without arguments it makes the type's zero."""
        match node:
            case syntax.Name("vec2" | "vec3" | "vec4" as name, (scalar,)):
                return f"vector({name[3]}, {self._type(scalar)})"
            case syntax.Name(name, ()):
                return self._known(node, name)
            case syntax.Name() if node in MATRICES:
                return MATRICES[node]
        raise self._error(node)

    def _literal(self, node: syntax.Node, text: str) -> str:
        if text in ("true", "false"):
            return text.title()
        if re.fullmatch(r"(0x[0-9a-fA-F]+|\d+)u?", text):
            return text.rstrip("u")
        if re.fullmatch(r"[\d.]+(e[+-]?\d+)?f?", text):
            return f"f32({text.rstrip('f')})"
        raise self._error(node)

    def _declare(self, name: str) -> str:
        self.count += 1
        self.scopes[-1][name] = f"{name}_{self.count}"
        return self.scopes[-1][name]

    def _known(self, node: syntax.Node, name: str) -> str:
        for scope in reversed(self.scopes):
            if name in scope:
                return scope[name]
        if name in SCALARS:
            return name
        raise self._error(node)

    def _error(self, node: syntax.Node) -> UntranslatedError:
        line = self.source.count("\n", 0, node.at)
        text = self.source.splitlines()[line].strip()
        return UntranslatedError(f"no {type(node).__name__} like that, line {line + 1}: {text}")


# What the Python text calls


def u32(value: Any = 0) -> int:
    return int(value) & 0xFFFFFFFF


SCALARS: dict[str, Callable[..., Any]] = {"u32": u32, "f32": np.float32, "f16": np.float16}


def _dtype(kind: Callable[..., Any]) -> np.dtype[Any]:
    return np.dtype(np.uint32) if kind is u32 else np.asarray(kind()).dtype


def wrapped(value: Any) -> Any:
    return value & 0xFFFFFFFF if type(value) is int else value


def divided(a: Any, b: Any) -> Any:
    return a // b if type(a) is int else a / b


@functools.cache
def vector(width: int, scalar: Callable[..., Any]) -> Callable[..., Vector]:
    """Return the constructor of a vector type: from parts, one scalar for all, or nothing."""
    dtype = _dtype(scalar)

    def construct(*parts: Any) -> Vector:
        given = np.concatenate([np.atleast_1d(part) for part in parts or (0,)])
        return np.broadcast_to(given, width).astype(dtype)

    return construct


def structure(**members: Callable[..., Any]) -> Callable[..., SimpleNamespace]:
    """Return the constructor of a structure: from all members' values, or from nothing."""

    def construct(*values: Any) -> SimpleNamespace:
        given = values or [kind() for kind in members.values()]
        return SimpleNamespace(**dict(zip(members, given, strict=True)))

    return construct


def member(value: Any, name: str) -> Any:
    """Return a structure's member, or a swizzle."""
    if not isinstance(value, np.ndarray):
        return getattr(value, name)
    found = value[["xyzw".index(letter) for letter in name]]
    return found if len(name) > 1 else _scalar(found[0])


def _scalar(value: Any) -> Any:
    return int(value) if isinstance(value, np.uint32) else value


def bitcast(kind: Callable[..., Any], value: Any) -> Any:
    """Bits of a scalar or vector as those of one of the same shape."""
    given = np.asarray(value, np.uint32 if type(value) is int else None)
    return _scalar(given.view(_dtype(kind))[()])


def pack2x16float(pair: Vector) -> int:
    return int(pair.astype(np.float16).view(np.uint32)[0])


def unpack2x16float(word: int) -> Vector:
    return np.array([word], np.uint32).view(np.float16).astype(np.float32)


BUILT_INS: dict[str, Callable[..., Any]] = {
    "abs": abs,
    "exp": np.exp,
    "fma": lambda a, b, c: a * b + c,
    "max": max,
    "min": min,
    "pack2x16float": pack2x16float,
    "select": lambda otherwise, chosen, condition: chosen if condition else otherwise,
    "unpack2x16float": unpack2x16float,
}
OPERATIONS: dict[str, Callable[..., Any]] = {
    **BUILT_INS,
    **SCALARS,
    "bitcast": bitcast,
    "divided": divided,
    "member": member,
    "structure": structure,
    "vector": vector,
    "wrapped": wrapped,
}

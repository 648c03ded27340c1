"""The translation of WGSL into Python, for `run_workgroups`.

Every WGSL function becomes a Python function, the entry point a generator that yields at each
barrier. The functions ``read``, ``read_write`` and ``workgroup`` make arrays in memory, ``private``
makes the variables of an invocation; `run_workgroups` provides them, the matrix types ``Operand``
and ``Result``, and the matrix functions. Names get numbers, since Python has no block scope: 0 at
module scope. Values and the other built-in functions are those of `gpucore.interpreter.operations`.
WGSL that has no translation (i32, private arrays, break, ...) is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gpucore.interpreter.errors import UnsupportedWgslError
from gpucore.interpreter.operations import BUILT_INS, SCALARS
from gpucore.wgsl import parse, syntax

__all__ = ["translate"]

ROW_MAJOR = syntax.Name("row_major")
# A Python expression for each WGSL operator; u32 wraps.
BINARY = {
    **{sign: f"wrap({{}} {sign} {{}})" for sign in ("+", "-", "*", "<<")},
    **{sign: f"({{}} {sign} {{}})" for sign in ("&", "|", "^", ">>", "%")},
    **{sign: f"({{}} {sign} {{}})" for sign in ("==", "!=", "<", "<=", ">", ">=")},
    "/": "divide({}, {})",
    "&&": "({} and {})",
    "||": "({} or {})",
}
UNARY = {"-": "(-{})", "!": "(not {})", "~": "wrap(~{})"}


def translate(source: str) -> str:
    """Return Python that declares what the WGSL declares, and three names of its entry point.

    ``entry`` is the entry point's function, ``workgroup_size`` its sizes, and ``inputs`` names the
    built-in values that it takes. Raises `UnsupportedWgslError`.
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
    """Translates one module; each method returns lines or an expression of Python."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._scopes: list[dict[str, str]] = [{}]
        self._memories: set[str] = set()
        self._count = 0
        self._in_entry = False

    def module(self) -> Iterator[str]:
        """Yield the lines of the module: types before their uses, values last."""
        order = (syntax.Alias, syntax.Struct, syntax.Function, syntax.Variable)
        declarations = parse(self._source).declarations
        for declaration in declarations:
            if not isinstance(declaration, order):
                raise self._error(declaration)
            self._scopes[0][declaration.name] = f"{declaration.name}_0"
            if isinstance(declaration, syntax.Variable) and declaration.address_space == "private":
                self._scopes[0][declaration.name] += ".value"
            elif isinstance(declaration, syntax.Variable) and declaration.kind == "var":
                self._memories.add(declaration.name)
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
        self._in_entry = "compute" in attributes
        self._scopes.append({})
        names = [self._declare(p.name) for p in node.parameters]
        yield f"def {node.name}_0({', '.join(names)}):"
        yield from self._block(node.body, "    ")
        self._scopes.pop()
        if self._in_entry:
            yield "    return"
            yield "    yield"
            built_in = [b for p in node.parameters for a in p.attributes for b in a.arguments]
            inputs = [b.name for b in built_in if isinstance(b, syntax.Name)]
            sizes = "".join(f"{self._value(size)}, " for size in attributes["workgroup_size"])
            yield f"entry, workgroup_size, inputs = {node.name}_0, ({sizes}), {inputs}"

    # Statements

    def _block(self, block: syntax.Block, indent: str) -> Iterator[str]:
        self._scopes.append({})
        yield indent + "pass"
        for statement in block.statements:
            yield from self._statement(statement, indent)
        self._scopes.pop()

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
                self._scopes.append({})
                yield from self._statement(start, indent)
                yield f"{indent}while {self._value(condition)}:"
                yield from self._block(body, deeper)
                yield from self._statement(update, deeper)
                self._scopes.pop()
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
                return f"{self._value(target)} = wrap({self._value(target)} {operator[0]} 1)"
            case syntax.Return(value):
                return f"return {self._value(value) if value else ''}"
            case syntax.CallStatement(syntax.Call(syntax.Name("workgroupBarrier"))):
                if self._in_entry:
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
            case syntax.Index(syntax.Name(name), index) if name in self._memories:
                return f"{self._known(node, name)}[{self._value(index)}]"
            case syntax.Member(value, name):
                return f"member({self._value(value)}, {name!r})"
            case syntax.Unary("&", syntax.Name(name)) if name in self._memories:
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
        """Return the constructor of a type; called without arguments it makes zero."""
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
        self._count += 1
        self._scopes[-1][name] = f"{name}_{self._count}"
        return self._scopes[-1][name]

    def _known(self, node: syntax.Node, name: str) -> str:
        for scope in reversed(self._scopes):
            if name in scope:
                return scope[name]
        if name in SCALARS:
            return name
        raise self._error(node)

    def _error(self, node: syntax.Node) -> UnsupportedWgslError:
        line = self._source.count("\n", 0, node.at)
        text = self._source.splitlines()[line].strip()
        return UnsupportedWgslError(
            f"the interpreter does not know this {type(node).__name__}, line {line + 1}: {text}"
        )

"""Statements: from the typed form to WGSL's syntax tree."""

from __future__ import annotations

from collections.abc import Iterator

from gpucore.compiler import ir
from gpucore.compiler.emission.expressions import ExpressionWriter, Outside
from gpucore.compiler.emission.placement import place_variables
from gpucore.compiler.emission.printing import print_statement
from gpucore.compiler.emission.trees import array_type, call, number, type_name
from gpucore.compiler.emission.wgsl_names import Names
from gpucore.compiler.flexible import close
from gpucore.compiler.walking import walk_expressions, walk_statements
from gpucore.wgsl.syntax import (
    Assign,
    Binary,
    Block,
    Break,
    Call,
    CallStatement,
    Continue,
    Expression,
    For,
    If,
    IfClause,
    Index,
    Loop,
    Member,
    Name,
    Return,
    Statement,
    Unary,
    Variable,
    While,
)
from gpucore.wgsl.types.kinds import U32, Scalar

__all__ = ["StatementWriter"]


class StatementWriter:
    """Writes the body of one function."""

    def __init__(self, body: ir.Block, outside: Outside, names: Names) -> None:
        self._outside = outside
        self._placement = place_variables(body)
        self._names: dict[ir.Variable, str] = {}
        for variable in _variables(body):
            self._names[variable] = names.unique(variable.name)
        self.expressions = ExpressionWriter(outside, self._names)

    def block(self, statements: ir.Block, key: int | None = None) -> tuple[Statement, ...]:
        """Return a block's statements, after the declarations that it needs."""
        declared = self._placement.at_start.get(id(statements) if key is None else key, ())
        found: list[Statement] = [self._declaration(each) for each in declared]
        for statement in statements:
            found += self._statement(statement)
        return tuple(found)

    def _declaration(self, variable: ir.Variable) -> Variable:
        at = self._outside.at(variable.place)
        return Variable("var", self._names[variable], type_name(variable.type), at=at)

    def _statement(self, statement: ir.Statement) -> Iterator[Statement]:
        at = self._outside.at(statement.place)
        match statement:
            case ir.Assign():
                yield self._assign(statement, at)
            case ir.Store():
                if statement.element.array.packed:
                    yield from self._store_packed(statement, at)
                else:
                    yield self._store(statement, at)
            case ir.Clear(array=array):
                target = self._outside.array(array)
                yield Assign(target, "=", Call(array_type(array), (), at=at), at=at)
            case ir.Print():
                site, names = self._outside.print_site(statement)
                yield print_statement(statement, self.expressions, names, site, at)
            case ir.Evaluate(value=value):
                yield from self._evaluate(value, at)
            case ir.If():
                yield self._if(statement, at)
            case ir.For():
                yield self._for(statement, at)
            case ir.While():
                yield from self._while(statement, at)
            case ir.Break():
                yield Break(at=at)
            case ir.Continue():
                yield Continue(at=at)
            case ir.Return(value=value):
                result = None if value is None else self.expressions.write(value)
                yield Return(result, at=at)

    def _assign(self, node: ir.Assign, at: int) -> Statement:
        value = self.expressions.write(node.value)
        name = self._names[node.variable]
        if self._placement.at_first.get(id(node)) is node.variable:
            constant = node.variable in self._placement.constants
            kind = "let" if constant else "var"
            type_ = None if constant else type_name(node.variable.type)
            return Variable(kind, name, type_, value, at=at)
        return Assign(self._part(Name(name, at=at), node.path, at), "=", value, at=at)

    def _part(
        self, target: Expression, path: tuple[str | ir.Expression, ...], at: int
    ) -> Expression:
        """Return a part of what is assigned to."""
        for part in path:
            if isinstance(part, str):
                target = Member(target, part, at=at)
            else:
                target = Index(target, self.expressions.write(part), at=at)
        return target

    def _store_packed(self, node: ir.Store, at: int) -> Iterator[Statement]:
        """Yield what stores a vector of 3, or one component of it."""
        value = self.expressions.write(node.value)
        if node.path:
            (part,) = node.path
            component = (
                number("xyzrgb".index(part) % 3, U32)
                if isinstance(part, str)
                else call("u32", self.expressions.write(part), at=at)
            )
            yield Assign(self.expressions.component_of(node.element, component), "=", value, at=at)
            return
        for k, name in enumerate("xyz"):
            target = self.expressions.component_of(node.element, number(k, U32))
            yield Assign(target, "=", Member(value, name, at=at), at=at)

    def _store(self, node: ir.Store, at: int) -> Statement:
        target = self.expressions.place_of(node.element)
        if node.element.array in self._outside.atomics:
            bits = self.expressions.atomic_value(node.value)
            address = Unary("&", target, at=at)
            return CallStatement(call("atomicStore", address, bits, at=at), at=at)
        value = self.expressions.write(node.value)
        return Assign(self._part(target, node.path, at), "=", value, at=at)

    def _evaluate(self, value: ir.Expression, at: int) -> Iterator[Statement]:
        if isinstance(value, ir.Call) and value.function == "barrier":
            yield CallStatement(call("workgroupBarrier", at=at), at=at)
            if value.place in self._outside.storage_barriers:
                yield CallStatement(call("storageBarrier", at=at), at=at)
            return
        written = self.expressions.write(value)
        nothing = isinstance(value, ir.Invoke) and value.function.result is None
        called = isinstance(written, Call) and written.function.name != "bitcast"
        if (nothing or isinstance(value, ir.Atomic)) and called and isinstance(written, Call):
            yield CallStatement(written, at=at)
        else:
            yield Assign(None, "=", written, at=at)

    def _if(self, node: ir.If, at: int) -> If:
        clauses = [self._clause(node, at)]
        rest = node.otherwise
        while len(rest) == 1 and isinstance(rest[0], ir.If) and not self._needs_block(rest):
            inner = rest[0]
            clauses.append(self._clause(inner, self._outside.at(inner.place)))
            rest = inner.otherwise
        otherwise = Block(self.block(rest), at=at) if rest else None
        return If(tuple(clauses), otherwise, at=at)

    def _needs_block(self, block: ir.Block) -> bool:
        return id(block) in self._placement.at_start

    def _clause(self, node: ir.If, at: int) -> IfClause:
        condition = self.expressions.write(node.condition)
        return IfClause(condition, Block(self.block(node.body), at=at), at=at)

    def _for(self, node: ir.For, at: int) -> For:
        name = Name(self._names[node.counter], at=at)
        type_ = close(node.counter.type)
        assert isinstance(type_, Scalar)
        start = Variable(
            "var", name.name, type_name(type_), self.expressions.write(node.start), at=at
        )
        stop = self.expressions.write(node.stop)
        body = Block(self.block(node.body), at=at)
        if isinstance(node.step, int):
            sign, operator = ("<", "+=") if node.step > 0 else (">", "-=")
            condition = Binary(sign, name, stop, at=at)
            update = Assign(name, operator, number(abs(node.step), type_), at=at)
            return For(start, condition, update, body, at=at)
        step = self.expressions.write(node.step)
        update = Assign(name, "+=", step, at=at)
        return For(start, _short_of(name, stop, step, type_, at), update, body, at=at)

    def _while(self, node: ir.While, at: int) -> Iterator[Statement]:
        endless = isinstance(node.condition, ir.Constant)
        body = Block(self.block(node.body), at=at)
        if endless:
            yield Loop(body, at=at)
            return
        condition = self.expressions.write(node.condition)
        if not node.before:
            yield While(condition, body, at=at)
            return
        declared = tuple(
            self._declaration(each) for each in self._placement.at_start.get(id(node.body), ())
        )
        test = self.block(node.before)
        leave = If(
            (IfClause(Unary("!", condition, at=at), Block((Break(at=at),), at=at), at=at),), at=at
        )
        rest = body.statements[len(declared) :]
        yield Loop(Block((*declared, *test, leave, *rest), at=at), at=at)


def _short_of(
    name: Expression, stop: Expression, step: Expression, type_: Scalar, at: int
) -> Expression:
    """Return the condition of a loop whose step may have any sign; 0 ends it."""
    zero = number(0, type_)
    up = Binary("&&", Binary(">", step, zero, at=at), Binary("<", name, stop, at=at), at=at)
    if type_ == U32:
        return up
    down = Binary("&&", Binary("<", step, zero, at=at), Binary(">", name, stop, at=at), at=at)
    return Binary("||", up, down, at=at)


def _variables(body: ir.Block) -> Iterator[ir.Variable]:
    """Yield the variables of a function, each once, in the order of their places."""
    found: dict[ir.Variable, None] = {}
    for statement in walk_statements(body):
        if isinstance(statement, ir.Assign):
            found[statement.variable] = None
        elif isinstance(statement, ir.For):
            found[statement.counter] = None
    for node in walk_expressions(body):
        if isinstance(node, ir.Read):
            found.setdefault(node.variable, None)
    yield from found

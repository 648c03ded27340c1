"""The module-scope names that a function uses, itself or through functions that it calls."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from gpucore.wgsl.syntax import (
    Assign,
    Binary,
    Block,
    BreakIf,
    Call,
    CallStatement,
    ConstAssert,
    Declaration,
    Expression,
    For,
    Function,
    If,
    Index,
    Literal,
    Loop,
    Member,
    Name,
    Return,
    Statement,
    Step,
    Switch,
    Unary,
    Variable,
    While,
)


def names_used(entry: Function, declarations: dict[str, Declaration]) -> set[str]:
    """Return all module-scope names that ``entry`` uses, itself or through called functions."""
    reached: set[str] = {entry.name}
    waiting: list[Function] = [entry]
    while waiting:
        for name in own_names(waiting.pop(), declarations) - reached:
            reached.add(name)
            declaration = declarations[name]
            if isinstance(declaration, Function):
                waiting.append(declaration)
    return reached


def own_names(function: Function, module_names: Collection[str]) -> set[str]:
    """Return the module-scope names in a function, except where local names hide them."""
    mentions, declares = function.mentions, function.declares
    if mentions is not None and declares is not None:
        found = {name for name in mentions if name in module_names}
        if found.isdisjoint(declares):
            return found
    walk = _Walk()
    walk.function(function)
    return {name for name in walk.found if name in module_names}


class _Walk:
    """Collects the names in a function that no local declaration hides."""

    def __init__(self) -> None:
        self.found: set[str] = set()

    def function(self, function: Function) -> None:
        hidden: set[str] = set()
        for parameter in function.parameters:
            self._expressions((parameter.type,), hidden)
        if function.result is not None:
            self._expressions((function.result,), hidden)
        hidden.update(parameter.name for parameter in function.parameters)
        self._block(function.body, hidden)

    def _block(self, block: Block, hidden: set[str]) -> set[str]:
        """Walk a block; return the names that are hidden at its end."""
        inner = set(hidden)
        for statement in block.statements:
            self._statement(statement, inner)
        return inner

    def _statement(self, statement: Statement, hidden: set[str]) -> None:
        match statement:
            case Block():
                self._block(statement, hidden)
            case Variable(name=name, type=type_, value=value):
                self._expressions((type_, value), hidden)
                hidden.add(name)
            case If(clauses=clauses, otherwise=otherwise):
                for clause in clauses:
                    self._expressions((clause.condition,), hidden)
                    self._block(clause.body, hidden)
                if otherwise is not None:
                    self._block(otherwise, hidden)
            case Switch(selector=selector, clauses=cases):
                self._expressions((selector,), hidden)
                for case_ in cases:
                    self._expressions(case_.selectors, hidden)
                    self._block(case_.body, hidden)
            case Loop(body=body, continuing=continuing):
                inner = self._block(body, hidden)
                if continuing is not None:
                    self._block(continuing, inner)
            case For():
                self._for(statement, set(hidden))
            case While(condition=condition, body=body):
                self._expressions((condition,), hidden)
                self._block(body, hidden)
            case _:
                self._expressions(_expressions_of(statement), hidden)

    def _for(self, statement: For, hidden: set[str]) -> None:
        if statement.start is not None:
            self._statement(statement.start, hidden)
        self._expressions((statement.condition,), hidden)
        if statement.update is not None:
            self._statement(statement.update, hidden)
        self._block(statement.body, hidden)

    def _expressions(self, roots: Iterable[Expression | None], hidden: set[str]) -> None:
        waiting = [root for root in roots if root is not None]
        while waiting:
            match waiting.pop():
                case Name(name=name, arguments=arguments):
                    if name not in hidden:
                        self.found.add(name)
                    waiting += arguments
                case Call(function=function, arguments=arguments):
                    waiting.append(function)
                    waiting += arguments
                case Index(value=value, index=index):
                    waiting += (value, index)
                case Member(value=value) | Unary(operand=value):
                    waiting.append(value)
                case Binary(left=left, right=right):
                    waiting += (left, right)
                case Literal():
                    pass


def _expressions_of(statement: Statement) -> tuple[Expression | None, ...]:
    """Return the expressions of a statement that contains no other statement."""
    match statement:
        case Assign(target=target, value=value):
            return target, value
        case Step(target=target):
            return (target,)
        case CallStatement(call=call):
            return (call,)
        case Return(value=value):
            return (value,)
        case ConstAssert(condition=condition) | BreakIf(condition=condition):
            return (condition,)
        case _:
            return ()

"""Recursive descent over the statements of a function body: the middle of the parser."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Final

from gpucore.wgsl.errors import locate
from gpucore.wgsl.expressions import MAX_SELECTORS, ExpressionParser
from gpucore.wgsl.syntax import (
    Assign,
    Attribute,
    Block,
    Break,
    BreakIf,
    Call,
    CallStatement,
    CaseClause,
    ConstAssert,
    Continue,
    Discard,
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
    Step,
    Switch,
    Unary,
    Variable,
    While,
)

_ASSIGNMENTS: Final = frozenset("= += -= *= /= %= &= |= ^= <<= >>=".split())
_LOCALS: Final = frozenset(("var", "let", "const"))
_COMPOUND: Final = frozenset(("{", "if", "switch", "loop", "for", "while"))


class StatementParser(ExpressionParser):
    """The rules of statements; ``declares`` collects the names that a function declares."""

    def __init__(self, source: str) -> None:
        super().__init__(source)
        self.declares: list[str] = []
        self.continuing_depth = -1

    def block(self, what: str) -> Block:
        """Parse ``@attributes { statements }``."""
        attributes = self.attributes()
        at = self.offsets[self.i]
        if self.kinds[self.i] != "{":
            raise self.missing(f"expected '{{' to open {what}, found {self.describe_token()}")
        return Block(self._statements(at), attributes, at=at)

    def _statements(self, opened: int) -> tuple[Statement, ...]:
        """Parse ``{ statements }``."""
        self.enter()
        self.i += 1
        statements = self._until(("}",), opened)
        self.i += 1
        self.depth -= 1
        return statements

    def _until(self, ends: tuple[str, ...], opened: int) -> tuple[Statement, ...]:
        """Parse statements up to a token of ``ends``; ``opened`` is the offset of their ``{``."""
        found: list[Statement] = []
        while (kind := self.kinds[self.i]) not in ends:
            if kind == "end":
                line, column, _ = locate(self.source, opened)
                raise self.error(f"the '{{' of line {line}, column {column} is never closed")
            if kind == ";":
                self.i += 1
            else:
                found.append(self.statement())
        return tuple(found)

    def statement(self) -> Statement:
        """Parse one statement with the ``;`` that ends it."""
        kind = self.kinds[self.i]
        attributes: tuple[Attribute, ...] = ()
        if kind == "@":
            attributes = self.attributes()
            kind = self.kinds[self.i]
            if kind not in _COMPOUND:
                raise self.error(f"attributes are not allowed before {self.describe_token()}")
        compound = self.COMPOUND.get(kind)
        if compound is not None:
            return compound(self, attributes)
        simple = self.SIMPLE.get(kind)
        value = self.update() if simple is None else simple(self)
        if self.kinds[self.i] != ";":
            raise self.missing(f"expected ';' to end the statement, found {self.describe_token()}")
        self.i += 1
        return value

    def update(self) -> Statement:
        """Parse an assignment, increment, decrement or call, without its ``;``."""
        at = self.offsets[self.i]
        if self.accept("_"):
            self.expect("=", "after '_'")
            return Assign(None, "=", self.expression(), at=at)
        if self.kinds[self.i] not in ("ident", "(", "*", "&"):
            raise self.error(f"expected a statement, found {self.describe_token()}")
        start = self.i
        target = self.unary()
        operator = self.kinds[self.i]
        if operator in _ASSIGNMENTS:
            self._check_target(target, start)
            self.i += 1
            return Assign(target, operator, self.expression(), at=at)
        if operator in ("++", "--"):
            self._check_target(target, start)
            self.i += 1
            return Step(target, operator, at=at)
        if isinstance(target, Call) and self.kinds[start] == "ident":
            return CallStatement(target, at=at)
        raise self.error(f"expected an assignment or a call, found {self.describe_token()}")

    def _check_target(self, target: Expression, start: int) -> None:
        """Raise an error unless the target is a variable, a part of one, or behind a pointer."""
        while not isinstance(target, Name):
            match target:
                case Index(value=inner) | Member(value=inner):
                    target = inner
                case Unary(operator="*" | "&", operand=inner):
                    target = inner
                case _:
                    raise self.error("this cannot be assigned to", start)
        if target.arguments:
            raise self.error("this cannot be assigned to", start)

    def variable(self, attributes: tuple[Attribute, ...] = ()) -> Variable:
        """Parse ``var``, ``let``, ``const`` or ``override`` without its ``;``."""
        start = self.i
        kind = self.kinds[start]
        self.i += 1
        space = access = None
        if kind == "var" and self.accept("template<"):
            space, access = self._address_space()
        name = self.identifier(f"a name after '{kind}'")
        self.declares.append(name)
        type_ = self.type(f"'{name}'") if self.accept(":") else None
        value = self.expression() if self.accept("=") else None
        if value is None and kind in ("let", "const"):
            raise self.error(
                f"expected '=' and a value for '{kind} {name}', found {self.describe_token()}"
            )
        if value is None and type_ is None:
            raise self.error(f"'{name}' needs a type or a value, found {self.describe_token()}")
        at = attributes[0].at if attributes else self.offsets[start]
        end = self.offsets[self.i - 1] + len(self.texts[self.i - 1])
        return Variable(kind, name, type_, value, space, access, attributes, at=at, end=end)

    def _address_space(self) -> tuple[str, str | None]:
        """Parse ``storage, read>`` of ``var<storage, read>``."""
        space = self.identifier("an address space")
        access = None
        if self.accept(",") and self.kinds[self.i] != "template>":
            access = self.identifier("an access mode")
            self.accept(",")
        self.expect("template>", "to close 'var<'")
        return space, access

    def const_assert(self) -> ConstAssert:
        """Parse ``const_assert condition`` without its ``;``."""
        at = self.offsets[self.i]
        self.i += 1
        return ConstAssert(self.expression(), at=at)

    def _return(self) -> Return:
        at = self.offsets[self.i]
        self.i += 1
        return Return(None if self.kinds[self.i] == ";" else self.expression(), at=at)

    def _break(self) -> Break | BreakIf:
        start = self.i
        at = self.offsets[start]
        self.i += 1
        if not self.accept("if"):
            return Break(at=at)
        condition = self.expression()
        last = self.kinds[self.i] != ";" or self.kinds[self.i + 1] == "}"
        if self.depth != self.continuing_depth or not last:
            raise self.error("'break if' may only end a 'continuing' block", start)
        return BreakIf(condition, at=at)

    def _continue(self) -> Continue:
        self.i += 1
        return Continue(at=self.offsets[self.i - 1])

    def _discard(self) -> Discard:
        self.i += 1
        return Discard(at=self.offsets[self.i - 1])

    def _block(self, attributes: tuple[Attribute, ...]) -> Block:
        at = self.offsets[self.i]
        return Block(self._statements(at), attributes, at=at)

    def _if(self, attributes: tuple[Attribute, ...]) -> If:
        at = self.offsets[self.i]
        clauses: list[IfClause] = []
        otherwise: Block | None = None
        while True:
            clause_at = self.offsets[self.i]
            self.i += 1
            condition = self.expression()
            clauses.append(IfClause(condition, self.block("the body of 'if'"), at=clause_at))
            if not self.accept("else"):
                break
            if self.kinds[self.i] != "if":
                otherwise = self.block("the body of 'else'")
                break
        return If(tuple(clauses), otherwise, attributes, at=at)

    def _switch(self, attributes: tuple[Attribute, ...]) -> Switch:
        start = self.i
        at = self.offsets[start]
        self.i += 1
        selector = self.expression()
        body_attributes = self.attributes()
        self.expect("{", "to open the body of 'switch'")
        clauses: list[CaseClause] = []
        while not self.accept("}"):
            clauses.append(self._clause())
        count = sum(len(clause.selectors) for clause in clauses)
        self.require_count(count, MAX_SELECTORS, "a switch has", "case selectors", start)
        return Switch(selector, tuple(clauses), attributes, body_attributes, at=at)

    def _clause(self) -> CaseClause:
        at = self.offsets[self.i]
        selectors: list[Expression | None] = [None]
        if self.accept("case"):
            selectors = [self._selector()]
            while self.accept(",") and self.kinds[self.i] not in (":", "{", "@"):
                selectors.append(self._selector())
        elif not self.accept("default"):
            raise self.error(f"expected 'case', 'default' or '}}', found {self.describe_token()}")
        self.accept(":")
        return CaseClause(tuple(selectors), self.block("the body of the case"), at=at)

    def _selector(self) -> Expression | None:
        return None if self.accept("default") else self.expression()

    def _loop(self, attributes: tuple[Attribute, ...]) -> Loop:
        at = self.offsets[self.i]
        self.i += 1
        body_attributes = self.attributes()
        opened = self.offsets[self.i]
        self.expect("{", "to open the body of 'loop'")
        self.enter()
        statements = self._until(("}", "continuing"), opened)
        continuing = self._continuing() if self.accept("continuing") else None
        self.expect("}", "to close the body of 'loop'")
        self.depth -= 1
        body = Block(statements, body_attributes, at=opened)
        return Loop(body, continuing, attributes, at=at)

    def _continuing(self) -> Block:
        outer, self.continuing_depth = self.continuing_depth, self.depth + 1
        body = self.block("the body of 'continuing'")
        self.continuing_depth = outer
        return body

    def _for(self, attributes: tuple[Attribute, ...]) -> For:
        at = self.offsets[self.i]
        self.i += 1
        self.expect("(", "after 'for'")
        start = condition = update = None
        if self.kinds[self.i] != ";":
            start = self.variable() if self.kinds[self.i] in _LOCALS else self.update()
        self.expect(";", "after the start of 'for'")
        if self.kinds[self.i] != ";":
            condition = self.expression()
        self.expect(";", "after the condition of 'for'")
        if self.kinds[self.i] != ")":
            update = self.update()
        self.expect(")", "to close the head of 'for'")
        body = self.block("the body of 'for'")
        return For(start, condition, update, body, attributes, at=at)

    def _while(self, attributes: tuple[Attribute, ...]) -> While:
        at = self.offsets[self.i]
        self.i += 1
        condition = self.expression()
        return While(condition, self.block("the body of 'while'"), attributes, at=at)

    SIMPLE: ClassVar[dict[str, Callable[[StatementParser], Statement]]] = {
        "var": variable,
        "let": variable,
        "const": variable,
        "const_assert": const_assert,
        "return": _return,
        "break": _break,
        "continue": _continue,
        "discard": _discard,
    }
    COMPOUND: ClassVar[dict[str, Callable[[StatementParser, tuple[Attribute, ...]], Statement]]] = {
        "{": _block,
        "if": _if,
        "switch": _switch,
        "loop": _loop,
        "for": _for,
        "while": _while,
    }

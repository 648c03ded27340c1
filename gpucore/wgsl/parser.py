"""Recursive descent over module scope: directives and declarations, the top of the parser."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from gpucore.wgsl.expressions import MAX_MEMBERS, MAX_PARAMETERS
from gpucore.wgsl.statements import StatementParser
from gpucore.wgsl.syntax import (
    Alias,
    Attribute,
    Declaration,
    Diagnostic,
    Directive,
    Enable,
    Function,
    Module,
    Parameter,
    Requires,
    Struct,
    StructMember,
)


def parse(source: str) -> Module:
    """Parse a WGSL source. Raises ``WgslSyntaxError`` with line and column."""
    parser = Parser(source)
    try:
        return parser.module()
    except RecursionError:
        raise parser.error("nested too deep for the stack that is left") from None


class Parser(StatementParser):
    """The complete grammar, applied to one source."""

    def module(self) -> Module:
        """Parse all directives, then all declarations, to the end of the source."""
        directives: list[Directive] = []
        while True:
            if (directive := self.DIRECTIVES.get(self.kinds[self.i])) is not None:
                directives.append(directive(self))
            elif not self.accept(";"):
                break
        declarations: list[Declaration] = []
        while self.kinds[self.i] != "end":
            if not self.accept(";"):
                declarations.append(self._declaration())
        return Module(tuple(directives), tuple(declarations), self.source, at=0)

    def _declaration(self) -> Declaration:
        attributes = self.attributes()
        kind = self.kinds[self.i]
        if kind in ("var", "override"):
            variable = self.variable(attributes)
            self.expect(";", f"after the declaration of '{variable.name}'")
            return variable
        if kind == "fn":
            return self._function(attributes)
        if attributes:
            raise self.error(f"attributes are not allowed before {self.describe_token()}")
        if kind == "const":
            constant = self.variable()
            self.expect(";", f"after the declaration of '{constant.name}'")
            return constant
        if kind == "const_assert":
            assertion = self.const_assert()
            self.expect(";", "after 'const_assert'")
            return assertion
        if kind == "alias":
            return self._alias()
        if kind == "struct":
            return self._struct()
        if kind in self.DIRECTIVES:
            raise self.error(f"'{kind}' must come before all declarations")
        raise self.error(f"expected a declaration, found {self.describe_token()}")

    def _alias(self) -> Alias:
        at = self.offsets[self.i]
        self.i += 1
        name = self.identifier("a name after 'alias'")
        self.expect("=", "after the name of the alias")
        type_ = self.type(f"alias '{name}'")
        self.expect(";", "after the alias")
        return Alias(name, type_, at=at)

    def _struct(self) -> Struct:
        start = self.i
        at = self.offsets[start]
        self.i += 1
        name = self.identifier("a name after 'struct'")
        self.expect("{", f"to open struct '{name}'")
        members: list[StructMember] = []
        while self.kinds[self.i] != "}":
            members.append(self._member())
            if not self.accept(",") and self.kinds[self.i] != "}":
                raise self.missing(
                    f"expected ',' or '}}' in struct '{name}', found {self.describe_token()}"
                )
        self.require_count(len(members), MAX_MEMBERS, "a struct has", "members", start)
        if not members:
            raise self.error(f"struct '{name}' needs at least one member")
        self.i += 1
        return Struct(name, tuple(members), at=at)

    def _member(self) -> StructMember:
        at = self.offsets[self.i]
        attributes = self.attributes()
        name = self.identifier("a member name")
        self.expect(":", f"after the member name '{name}'")
        return StructMember(name, self.type(f"member '{name}'"), attributes, at=at)

    def _function(self, attributes: tuple[Attribute, ...]) -> Function:
        start = self.i
        at = attributes[0].at if attributes else self.offsets[start]
        self.i += 1
        name = self.identifier("a name after 'fn'")
        self.mentions, self.declares = [], []
        self.expect("(", f"after 'fn {name}'")
        parameters: list[Parameter] = []
        while not self.accept(")"):
            parameters.append(self._parameter())
            if not self.accept(",") and self.kinds[self.i] != ")":
                expected = f"expected ',' or ')' in the parameters of '{name}'"
                raise self.missing(f"{expected}, found {self.describe_token()}")
        self.require_count(len(parameters), MAX_PARAMETERS, "a function has", "parameters", start)
        result_attributes: tuple[Attribute, ...] = ()
        result = None
        if self.accept("->"):
            result_attributes = self.attributes()
            result = self.type(f"the result of '{name}'")
        body = self.block(f"the body of '{name}'")
        return Function(
            name,
            tuple(parameters),
            body,
            result,
            result_attributes,
            attributes,
            at=at,
            mentions=frozenset(self.mentions),
            declares=frozenset(self.declares),
        )

    def _parameter(self) -> Parameter:
        at = self.offsets[self.i]
        attributes = self.attributes()
        name = self.identifier("a parameter name")
        self.expect(":", f"after the parameter name '{name}'")
        self.declares.append(name)
        return Parameter(name, self.type(f"parameter '{name}'"), attributes, at=at)

    def _words(self) -> tuple[str, ...]:
        """Parse ``keyword word, word;`` of ``enable`` and ``requires``."""
        keyword = self.texts[self.i]
        self.i += 1
        words = [self.word(f"a name after '{keyword}'")]
        while self.accept(",") and self.kinds[self.i] != ";":
            words.append(self.word(f"a name after '{keyword}'"))
        self.expect(";", f"after '{keyword}'")
        return tuple(words)

    def _enable(self) -> Enable:
        at = self.offsets[self.i]
        return Enable(self._words(), at=at)

    def _requires(self) -> Requires:
        at = self.offsets[self.i]
        return Requires(self._words(), at=at)

    def _diagnostic(self) -> Diagnostic:
        at = self.offsets[self.i]
        self.i += 1
        self.expect("(", "after 'diagnostic'")
        severity = self.word("'off', 'info', 'warning' or 'error'")
        self.expect(",", "after the severity")
        rule = self.word("the name of a rule")
        if self.accept("."):
            rule += "." + self.word("the second part of the rule")
        self.accept(",")
        self.expect(")", "to close 'diagnostic('")
        self.expect(";", "after 'diagnostic(...)'")
        return Diagnostic(severity, rule, at=at)

    DIRECTIVES: ClassVar[dict[str, Callable[[Parser], Directive]]] = {
        "enable": _enable,
        "requires": _requires,
        "diagnostic": _diagnostic,
    }

"""Recursive descent over expressions, names and attributes: the lower half of the parser.

The grammar is the specification's: ``a & b == c``, ``a << b + c`` and ``a && b || c`` need
parentheses.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from gpucore.wgsl.errors import WgslSyntaxError, locate, syntax_error
from gpucore.wgsl.lexer import tokenize
from gpucore.wgsl.syntax import (
    Attribute,
    Binary,
    Call,
    Expression,
    Index,
    Literal,
    Member,
    Name,
    Unary,
)

MAX_NESTING: Final = 127
"""The deepest nesting of brackets, prefix operators and blocks: the specification's for blocks."""

MAX_ELEMENTS: Final = 2047
MAX_MEMBERS: Final = 1023
MAX_PARAMETERS: Final = 255
MAX_SELECTORS: Final = 1023
"""Limits of the specification (section 2.4). Beyond them engines may take seconds, or crash."""

MAX_CHAIN: Final = 512
"""The most operators or accessors of one chain; Dawn accepts trees this deep."""

_PREFIX: Final = frozenset("-!~*&")
_MULTIPLICATIVE: Final = frozenset("*/%")
_ADDITIVE: Final = frozenset("+-")
_SHIFT: Final = frozenset(("<<", ">>"))
_RELATIONAL: Final = frozenset(("<", ">", "<=", ">=", "==", "!="))
_LOGICAL: Final = frozenset(("&&", "||"))
_BITWISE: Final = frozenset("&|^")
_LITERALS: Final = frozenset(("number", "true", "false"))
_ACCESSORS: Final = frozenset(".[")
_ATTRIBUTES_OF_WORDS: Final = frozenset(("builtin", "diagnostic", "interpolate", "blend_src"))
"""Attributes whose arguments are fixed words, not names of the module."""
_BINARY: Final = _MULTIPLICATIVE | _ADDITIVE | _SHIFT | _RELATIONAL | _LOGICAL | _BITWISE


class ExpressionParser:
    """A cursor over the tokens of one source, and the expression rules."""

    def __init__(self, source: str) -> None:
        tokens = tokenize(source)
        self.source = source
        self.kinds = tokens.kinds
        self.texts = tokens.texts
        self.offsets = tokens.offsets
        self.i = 0
        self.depth = 0
        self.mentions: list[str] = []

    def error(self, message: str, index: int | None = None) -> WgslSyntaxError:
        """Return an error at token ``index``, by default the current one."""
        place = self.offsets[self.i if index is None else index]
        return syntax_error(message, self.source, place)

    def missing(self, message: str) -> WgslSyntaxError:
        """Return an error for a missing token: after the last if the next is on a new line."""
        last = max(self.i - 1, 0)
        end = self.offsets[last] + len(self.texts[last])
        same_line = locate(self.source, end)[0] == locate(self.source, self.offsets[self.i])[0]
        return self.error(message) if same_line else syntax_error(message, self.source, end)

    def describe_token(self) -> str:
        """Return the current token in words, for messages."""
        kind, text = self.kinds[self.i], self.texts[self.i]
        if kind == "end":
            return "the end of the source"
        return f"the reserved word '{text}'" if kind == "reserved" else f"'{text}'"

    def expect(self, kind: str, where: str) -> None:
        """Skip a token of ``kind``. Raises an error that names ``where`` for another token."""
        if self.kinds[self.i] != kind:
            mark = kind.removeprefix("template")
            raise self.missing(f"expected '{mark}' {where}, found {self.describe_token()}")
        self.i += 1

    def accept(self, kind: str) -> bool:
        """Skip a token of ``kind`` if it is the current one; tell whether it was."""
        if self.kinds[self.i] != kind:
            return False
        self.i += 1
        return True

    def identifier(self, what: str) -> str:
        """Parse an identifier, which is neither keyword nor reserved word."""
        if self.kinds[self.i] != "ident":
            raise self.error(f"expected {what}, found {self.describe_token()}")
        self.i += 1
        return self.texts[self.i - 1]

    def word(self, what: str) -> str:
        """Parse any word, where the grammar has its own list of names."""
        text = self.texts[self.i]
        if not text.isidentifier():
            raise self.error(f"expected {what}, found {self.describe_token()}")
        self.i += 1
        return text

    def enter(self) -> None:
        """Go one level deeper. Raises an error where that could exhaust the stack."""
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise self.error(f"nested deeper than {MAX_NESTING} levels")

    def expression(self) -> Expression:
        """Parse an expression."""
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise self.error(f"nested deeper than {MAX_NESTING} levels")
        value = self.unary()
        operator = self.kinds[self.i]
        if operator in _BINARY:
            value = self._binary(value, operator)
        self.depth -= 1
        return value

    def _binary(self, left: Expression, operator: str) -> Expression:
        if operator in _BITWISE:
            value = self._chain(left, (operator,), self.unary)
        else:
            value = self._relational(left)
            operator = self.kinds[self.i]
            if operator in _LOGICAL:
                value = self._chain(value, (operator,), self._relational)
        if (other := self.kinds[self.i]) in _BINARY:
            raise self.error(f"'{other}' needs parentheses around the operation before it")
        return value

    def _chain(
        self, left: Expression, operators: Collection[str], operand: Callable[[], Expression]
    ) -> Expression:
        """Parse ``left op operand op operand ...``, grouped from the left."""
        length = 0
        while (operator := self.kinds[self.i]) in operators:
            length += 1
            if length > MAX_CHAIN:
                raise self.error(f"more than {MAX_CHAIN} operators in a row: split the expression")
            self.i += 1
            left = Binary(operator, left, operand(), at=left.at)
        return left

    def _relational(self, left: Expression | None = None) -> Expression:
        """Parse at most one comparison of shifts and sums; ``left`` is its first operand."""
        left = self._shift(left)
        operator = self.kinds[self.i]
        if operator not in _RELATIONAL:
            return left
        self.i += 1
        return Binary(operator, left, self._shift(), at=left.at)

    def _shift(self, left: Expression | None = None) -> Expression:
        left = left or self.unary()
        operator = self.kinds[self.i]
        if operator not in _SHIFT:
            return self._chain(self._product(left), _ADDITIVE, self._product)
        self.i += 1
        return Binary(operator, left, self.unary(), at=left.at)

    def _product(self, left: Expression | None = None) -> Expression:
        left = left or self.unary()
        if self.kinds[self.i] not in _MULTIPLICATIVE:
            return left
        return self._chain(left, _MULTIPLICATIVE, self.unary)

    def unary(self) -> Expression:
        """Parse prefix operators, then a name, call, literal or parenthesis, then its accessors."""
        i = self.i
        kind = self.kinds[i]
        value: Expression
        if kind == "ident":
            value = self.name()
            if self.kinds[self.i] == "(":
                value = Call(value, self.arguments(), at=value.at)
        elif kind in _LITERALS:
            self.i += 1
            value = Literal(self.texts[i], at=self.offsets[i])
        elif kind == "(":
            self.i += 1
            value = self.expression()
            self.expect(")", "to close '('")
        elif kind in _PREFIX:
            self.enter()
            self.i += 1
            value = Unary(kind, self.unary(), at=self.offsets[i])
            self.depth -= 1
            return value
        else:
            raise self.error(f"expected an expression, found {self.describe_token()}")
        if self.kinds[self.i] in _ACCESSORS:
            value = self._accessors(value)
        return value

    def _accessors(self, value: Expression) -> Expression:
        """Parse any number of ``.member`` and ``[index]`` after ``value``."""
        length = 0
        while (kind := self.kinds[self.i]) in _ACCESSORS:
            length += 1
            if length > MAX_CHAIN:
                raise self.error(f"more than {MAX_CHAIN} accessors in a row")
            self.i += 1
            if kind == ".":
                value = Member(value, self.identifier("a member name after '.'"), at=value.at)
            else:
                value = Index(value, self.expression(), at=value.at)
                self.expect("]", "to close '['")
        return value

    def name(self) -> Name:
        """Parse an identifier with template arguments: a type, variable or function name."""
        i = self.i
        text = self.identifier("a name")
        self.mentions.append(text)
        if self.kinds[self.i] != "template<":
            return Name(text, at=self.offsets[i])
        self.i += 1
        arguments = self.expression_list("template>", "a template list")
        if not arguments:
            raise self.error("a template list cannot be empty", self.i - 1)
        return Name(text, arguments, at=self.offsets[i])

    def type(self, what: str) -> Name:
        """Parse a type, which is a name."""
        if self.kinds[self.i] != "ident":
            raise self.error(f"expected the type of {what}, found {self.describe_token()}")
        return self.name()

    def arguments(self) -> tuple[Expression, ...]:
        """Parse ``( expression, ... )``."""
        start = self.i
        self.expect("(", "before the arguments")
        values = self.expression_list(")", "the arguments")
        self.require_count(len(values), MAX_ELEMENTS, "a value or call takes", "arguments", start)
        return values

    def require_count(self, count: int, most: int, owner: str, parts: str, start: int) -> None:
        """Raise an error at token ``start`` for more parts than WGSL promises."""
        if count > most:
            raise self.error(
                f"{owner} at most {most} {parts} (a limit of WGSL), got {count}", start
            )

    def expression_list(self, close: str, what: str) -> tuple[Expression, ...]:
        """Parse expressions separated by commas up to ``close``; a last comma is allowed."""
        values: list[Expression] = []
        while self.kinds[self.i] != close:
            values.append(self.expression())
            if self.kinds[self.i] == ",":
                self.i += 1
            elif self.kinds[self.i] != close:
                mark = close.removeprefix("template")
                raise self.missing(
                    f"expected ',' or '{mark}' in {what}, found {self.describe_token()}"
                )
        self.i += 1
        return tuple(values)

    def attributes(self) -> tuple[Attribute, ...]:
        """Parse any number of ``@name`` and ``@name(arguments)``."""
        if self.kinds[self.i] != "@":
            return ()
        found: list[Attribute] = []
        while self.kinds[self.i] == "@":
            at = self.offsets[self.i]
            self.i += 1
            name = self.word("the name of an attribute after '@'")
            mentioned = len(self.mentions)
            arguments = self.arguments() if self.kinds[self.i] == "(" else ()
            if name in _ATTRIBUTES_OF_WORDS:
                del self.mentions[mentioned:]
            found.append(Attribute(name, arguments, at=at))
        return tuple(found)

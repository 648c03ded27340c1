"""Evaluation of const- and override-expressions, such as the sizes of arrays and workgroups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gpucore.wgsl.errors import ConstantError, MissingOverrideError, layout_error, locate
from gpucore.wgsl.syntax import (
    Alias,
    Attribute,
    Binary,
    Call,
    Declaration,
    Expression,
    Literal,
    Name,
    Unary,
    Variable,
)
from gpucore.wgsl.values import (
    FLOATS,
    INTEGERS,
    Constant,
    Number,
    call_built_in,
    combine,
    convert,
    convert_override,
    fit_value,
    parse_literal,
    type_text,
)

_CONCRETE: Final = {"int": "i32", "float": "f32"}
_MAX_DEPTH: Final = 64


class Constants:
    """The values of a module's ``const`` and ``override`` names, each evaluated at its first use.

    ``given`` are pipeline constants by override name or ``@id`` number. With ``None`` an override
    has no value, as in the size of a buffer's type. With ``guess`` an override without a default
    is 1, which is enough to find the type of an expression. All errors are ``WgslLayoutError``.
    """

    def __init__(
        self,
        names: Mapping[str, Declaration],
        source: str = "",
        given: Mapping[str, Number] | None = None,
        *,
        guess: bool = False,
    ) -> None:
        self._names = names
        self._source = source
        self._given = given
        self._guess = guess
        self._known: dict[str, Constant] = {}
        self._open: set[str] = set()

    def evaluate(self, expression: Expression) -> Constant:
        """Evaluate an expression. Raises ``WgslLayoutError`` at the part that has no value."""
        try:
            return self._value(expression)
        except ConstantError as error:
            raise layout_error(error.message, self._source, expression.at) from None
        except (ValueError, OverflowError, RecursionError) as error:
            message = f"the expression has no value: {error}"
            raise layout_error(message, self._source, expression.at) from None

    def count(self, expression: Expression, what: str) -> int:
        """Evaluate a positive integer: the size of an array or a workgroup, or an alignment."""
        constant = self.evaluate(expression)
        if constant.type not in ("i32", "u32", "int"):
            message = f"{what} is of type {type_text(constant.type)}, not an integer"
            raise layout_error(message, self._source, expression.at)
        if constant.value < 1:
            message = f"{what} is {constant.value}, but must be at least 1"
            raise layout_error(message, self._source, expression.at)
        return int(constant.value)

    def _value(self, expression: Expression) -> Constant:
        match expression:
            case Literal(text=text):
                return parse_literal(text)
            case Name(name=name, arguments=()):
                return self._value_of_name(name, expression.at)
            case Unary(operator=symbol, operand=operand):
                return self._unary(symbol, self._value(operand))
            case Binary():
                return self._binary(expression)
            case Call(function=function, arguments=arguments):
                return self._call(function, [self._value(a) for a in arguments])
            case _:
                raise ConstantError("only numbers and bools can be evaluated here")

    def _unary(self, symbol: str, operand: Constant) -> Constant:
        if symbol == "-" and operand.type != "bool" and operand.type[0] != "u":
            return fit_value(-operand.value, operand.type)
        if symbol == "!" and operand.type == "bool":
            return Constant("bool", not operand.value)
        if symbol == "~" and operand.type in INTEGERS:
            return fit_value(~int(operand.value), operand.type)
        raise ConstantError(f"'{symbol}' does not work on {type_text(operand.type)}")

    def _binary(self, expression: Binary) -> Constant:
        """Evaluate operands from the left, without recursion: sums may have hundreds of terms."""
        spine: list[Binary] = []
        left: Expression = expression
        while isinstance(left, Binary):
            spine.append(left)
            left = left.left
        value = self._value(left)
        for node in reversed(spine):
            if node.operator in ("&&", "||"):
                if convert(value, "bool").value == (node.operator == "&&"):
                    value = convert(self._value(node.right), "bool")
            else:
                value = combine(node.operator, value, self._value(node.right))
        return value

    def _call(self, function: Name, arguments: list[Constant]) -> Constant:
        name = self._type_name(function)
        if name in INTEGERS or name in FLOATS or name == "bool":
            if not arguments:
                return convert(Constant("int", 0), name, explicit=True)
            if len(arguments) == 1:
                return convert(arguments[0], name, explicit=True)
        return call_built_in(name, arguments)

    def _type_name(self, name: Name) -> str:
        """Return the name of a type, with aliases resolved."""
        for _ in range(_MAX_DEPTH):
            declaration = self._names.get(name.name)
            if not isinstance(declaration, Alias):
                break
            name = declaration.type
        return name.name

    def _value_of_name(self, name: str, at: int) -> Constant:
        if name in self._known:
            return self._known[name]
        declaration = self._names.get(name)
        if not isinstance(declaration, Variable) or declaration.kind not in ("const", "override"):
            raise layout_error(f"'{name}' is not a constant", self._source, at)
        if name in self._open or len(self._open) >= _MAX_DEPTH:
            raise layout_error(f"'{name}' is defined through itself", self._source, at)
        self._open.add(name)
        try:
            if declaration.kind == "const":
                value = self._declared_value(declaration, declaration.value)
            else:
                value = self._override_value(declaration, at)
        except ConstantError as error:
            raise layout_error(f"'{name}': {error}", self._source, declaration.at) from None
        finally:
            self._open.discard(name)
        self._known[name] = value
        return value

    def _declared_value(self, declaration: Variable, value: Expression | None) -> Constant:
        if value is None:
            raise ConstantError("it has no value")
        constant = self.evaluate(value)
        if declaration.type is not None:
            return convert(constant, self._type_name(declaration.type))
        return constant

    def _override_value(self, declaration: Variable, at: int) -> Constant:
        name = declaration.name
        if self._given is None:
            message = f"'{name}' is an override, its value is not known here; use a const"
            raise layout_error(message, self._source, at)
        given = self._given.get(name, self._given.get(self.override_key(declaration)))
        if given is not None:
            type_ = self.override_type(declaration)
            return convert_override(given, type_)
        if declaration.value is None and self._guess:
            return convert(Constant("int", 1), self.override_type(declaration), explicit=True)
        if declaration.value is None:
            message = f"override '{name}' has no default: give it a value in constants"
            raise MissingOverrideError(message, *locate(self._source, at))
        value = self._declared_value(declaration, declaration.value)
        return convert(value, _CONCRETE.get(value.type, value.type))

    def override_key(self, declaration: Variable) -> str:
        """Return the pipeline's name of an override: the number of its ``@id``, else its name."""
        mark = find_attribute(declaration.attributes, "id")
        if mark is None or not mark.arguments:
            return declaration.name
        return str(self.evaluate(mark.arguments[0]).value)

    def override_type(self, declaration: Variable) -> str:
        """Return the scalar type of an override: as declared, else that of its default."""
        if declaration.type is not None:
            return self._type_name(declaration.type)
        if declaration.value is None:
            message = f"override '{declaration.name}' has neither type nor value"
            raise layout_error(message, self._source, declaration.at)
        guess = Constants(self._names, self._source, {}, guess=True)
        type_ = guess.evaluate(declaration.value).type
        return _CONCRETE.get(type_, type_)


def find_attribute(attributes: tuple[Attribute, ...], name: str) -> Attribute | None:
    """Return the attribute of that name, or None."""
    return next((a for a in attributes if a.name == name), None)

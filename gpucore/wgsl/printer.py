"""The printer: WGSL text of a syntax tree, so that ``parse(print_module(m)) == m``.

It writes parentheses where the grammar requires them, and where a ``<`` before a comma could be
read as the start of a template list.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from gpucore.wgsl.syntax import (
    Alias,
    Assign,
    Attribute,
    Binary,
    Block,
    Break,
    BreakIf,
    Call,
    CallStatement,
    CaseClause,
    ConstAssert,
    Continue,
    Declaration,
    Diagnostic,
    Directive,
    Discard,
    Enable,
    Expression,
    For,
    Function,
    If,
    Index,
    Literal,
    Loop,
    Member,
    Module,
    Name,
    Parameter,
    Requires,
    Return,
    Statement,
    Step,
    Struct,
    StructMember,
    Switch,
    Unary,
    Variable,
    While,
)

_INDENT: Final = "    "

# How tightly an operator binds: an operand whose level is high enough needs no parentheses.
_ANY, _COMPARISON, _SUM, _PRODUCT, _UNARY, _PRIMARY = range(6)
_LEVELS: Final = {
    **dict.fromkeys(("&&", "||", "&", "|", "^"), _ANY),
    **dict.fromkeys(("<", ">", "<=", ">=", "==", "!="), _ANY),
    **dict.fromkeys(("<<", ">>"), _COMPARISON),
    **dict.fromkeys(("+", "-"), _SUM),
    **dict.fromkeys(("*", "/", "%"), _PRODUCT),
}
_LEFT: Final = {
    **dict.fromkeys(("&&", "||"), _COMPARISON),
    **dict.fromkeys(("&", "|", "^", "<<", ">>"), _UNARY),
    **dict.fromkeys(("<", ">", "<=", ">=", "==", "!="), _COMPARISON),
    **dict.fromkeys(("+", "-"), _SUM),
    **dict.fromkeys(("*", "/", "%"), _PRODUCT),
}
_RIGHT: Final = {
    **_LEFT,
    **dict.fromkeys(("+", "-"), _PRODUCT),
    **dict.fromkeys(("*", "/", "%"), _UNARY),
}
_KEYWORD_STATEMENTS: Final[Mapping[type, str]] = {
    Break: "break",
    Continue: "continue",
    Discard: "discard",
}
_LOGICAL: Final = frozenset(("&&", "||"))
_CHAINS: Final = frozenset(("&&", "||", "&", "|", "^"))
_COMPARE: Final = frozenset(("<", ">", "<=", ">=", "==", "!="))
_CLOSES_TEMPLATE: Final = _COMPARE | _LOGICAL | {">>", "<<"}


def print_module(module: Module) -> str:
    """Return the WGSL text of a module, with indents of four blanks."""
    parts = ["\n".join(_directive(d) for d in module.directives)] if module.directives else []
    parts += [print_declaration(d) for d in module.declarations]
    return "\n\n".join(parts) + "\n" if parts else ""


def print_declaration(declaration: Declaration) -> str:
    """Return the WGSL text of one declaration."""
    return "\n".join(_declaration(declaration))


def print_expression(expression: Expression) -> str:
    """Return the WGSL text of an expression or a type."""
    match expression:
        case Literal(text=text):
            return text
        case Name():
            return _name(expression)
        case Call(function=function, arguments=arguments):
            return f"{_name(function)}({_expression_list(arguments)})"
        case Index(value=value, index=index):
            return f"{_primary(value)}[{print_expression(index)}]"
        case Member(value=value, name=name):
            return f"{_primary(value)}.{name}"
        case Unary(operator=operator, operand=operand):
            bare = _level(operand) >= _UNARY
            doubled = isinstance(operand, Unary) and operand.operator == operator in "-&"
            inner = print_expression(operand)
            return f"{operator}{inner}" if bare and not doubled else f"{operator}({inner})"
        case Binary():
            return _binary(expression)


def _level(expression: Expression) -> int:
    if isinstance(expression, Binary):
        return _LEVELS[expression.operator]
    return _UNARY if isinstance(expression, Unary) else _PRIMARY


def _enclose(expression: Expression, bare: bool) -> str:
    text = print_expression(expression)
    return text if bare else f"({text})"


def _primary(value: Expression) -> str:
    """Return an operand of ``.`` or ``[``, in parentheses where needed."""
    bare = isinstance(value, Name | Call | Index | Member)
    return _enclose(value, bare)


def _binary(expression: Binary) -> str:
    """Print operands from the right, without recursion: sums may have hundreds of terms."""
    tail: list[str] = []
    node = expression
    while True:
        operator, left = node.operator, node.left
        right = _enclose(node.right, _is_bare(node.right, operator, _RIGHT[operator]))
        tail.append(f" {operator} {right}")
        same = operator in _CHAINS and isinstance(left, Binary) and left.operator == operator
        bare = same or _is_bare(left, operator, _LEFT[operator])
        if not bare or not isinstance(left, Binary):
            return _enclose(left, bare) + "".join(reversed(tail))
        node = left


def _is_bare(operand: Expression, operator: str, least: int) -> bool:
    """Tell whether an operand needs no parentheses; ``a < b >> c`` would read as ``a<b> > c``."""
    if operator == "<" and isinstance(operand, Binary) and operand.operator == ">>":
        return False
    if operator in _LOGICAL and isinstance(operand, Binary) and operand.operator in _COMPARE:
        return True
    return _level(operand) >= least


def _opens_template(expression: Expression) -> bool:
    """Tell whether a ``<`` outside of parentheses could pair with a later ``>``."""
    while isinstance(expression, Binary) and expression.operator in _CLOSES_TEMPLATE:
        if expression.operator == "<" or _opens_template(expression.right):
            return True
        expression = expression.left
    return False


def _expression_list(expressions: tuple[Expression, ...]) -> str:
    last = len(expressions) - 1
    return ", ".join(
        _enclose(e, i == last or not _opens_template(e)) for i, e in enumerate(expressions)
    )


def _name(name: Name) -> str:
    if not name.arguments:
        return name.name
    arguments = ", ".join(
        _enclose(a, not (isinstance(a, Binary) and a.operator in _CLOSES_TEMPLATE))
        for a in name.arguments
    )
    return f"{name.name}<{arguments}>"


def _attributes(attributes: tuple[Attribute, ...]) -> str:
    """Return ``@a @b(1) `` with a blank at the end, or nothing."""
    return "".join(
        f"@{a.name}({_expression_list(a.arguments)}) " if a.arguments else f"@{a.name} "
        for a in attributes
    )


def _variable(variable: Variable) -> str:
    space = variable.address_space
    if space is not None and variable.access is not None:
        space = f"{space}, {variable.access}"
    template = f"<{space}>" if space is not None else ""
    type_ = f": {_name(variable.type)}" if variable.type is not None else ""
    value = f" = {print_expression(variable.value)}" if variable.value is not None else ""
    return (
        f"{_attributes(variable.attributes)}{variable.kind}{template} {variable.name}{type_}{value}"
    )


def _directive(directive: Directive) -> str:
    match directive:
        case Enable(names=names):
            return f"enable {', '.join(names)};"
        case Requires(names=names):
            return f"requires {', '.join(names)};"
        case Diagnostic(severity=severity, rule=rule):
            return f"diagnostic({severity}, {rule});"


def _declaration(declaration: Declaration) -> Iterator[str]:
    match declaration:
        case Variable():
            yield f"{_variable(declaration)};"
        case ConstAssert(condition=condition):
            yield f"const_assert {print_expression(condition)};"
        case Alias(name=name, type=type_):
            yield f"alias {name} = {_name(type_)};"
        case Struct(name=name, members=members):
            yield f"struct {name} {{"
            yield from (f"{_INDENT}{_typed_name(member)}," for member in members)
            yield "}"
        case Function():
            yield from _function(declaration)


def _typed_name(member: StructMember | Parameter) -> str:
    return f"{_attributes(member.attributes)}{member.name}: {_name(member.type)}"


def _function(function: Function) -> Iterator[str]:
    if function.attributes:
        yield _attributes(function.attributes).rstrip()
    parameters = ", ".join(_typed_name(parameter) for parameter in function.parameters)
    result = ""
    if function.result is not None:
        result = f" -> {_attributes(function.result_attributes)}{_name(function.result)}"
    yield from _block(f"fn {function.name}({parameters}){result} ", function.body)


def _indent(lines: Iterable[str]) -> Iterator[str]:
    return (_INDENT + line for line in lines)


def _block(head: str, block: Block, tail: Block | None = None) -> Iterator[str]:
    """Yield ``head { statements }``, with a ``continuing`` block at the end if given."""
    yield f"{head}{_attributes(block.attributes)}{{"
    for statement in block.statements:
        yield from _indent(_statement(statement))
    if tail is not None:
        yield from _indent(_block("continuing ", tail))
    yield "}"


def _statement(statement: Statement) -> Iterator[str]:
    match statement:
        case Block(attributes=attributes):
            yield from _block("", statement)
        case If():
            yield from _if(statement)
        case Switch():
            yield from _switch(statement)
        case Loop(body=body, continuing=continuing, attributes=attributes):
            yield from _block(f"{_attributes(attributes)}loop ", body, continuing)
        case For(body=body, attributes=attributes):
            yield from _block(f"{_attributes(attributes)}for ({_for_head(statement)}) ", body)
        case While(condition=condition, body=body, attributes=attributes):
            head = f"{_attributes(attributes)}while {print_expression(condition)} "
            yield from _block(head, body)
        case _:
            yield f"{_simple(statement)};"


def _simple(statement: Statement) -> str:
    """Return a statement of one line, without its ``;``."""
    match statement:
        case Variable():
            return _variable(statement)
        case ConstAssert(condition=condition):
            return f"const_assert {print_expression(condition)}"
        case Assign(target=target, operator=operator, value=value):
            left = "_" if target is None else print_expression(target)
            return f"{left} {operator} {print_expression(value)}"
        case Step(target=target, operator=operator):
            return f"{print_expression(target)}{operator}"
        case CallStatement(call=call):
            return print_expression(call)
        case Return(value=value):
            return "return" if value is None else f"return {print_expression(value)}"
        case BreakIf(condition=condition):
            return f"break if {print_expression(condition)}"
        case _:
            return _KEYWORD_STATEMENTS[type(statement)]


def _for_head(statement: For) -> str:
    start = "" if statement.start is None else _simple(statement.start)
    condition = "" if statement.condition is None else f" {print_expression(statement.condition)}"
    update = "" if statement.update is None else f" {_simple(statement.update)}"
    return f"{start};{condition};{update}"


def _if(statement: If) -> Iterator[str]:
    head = _attributes(statement.attributes)
    for clause in statement.clauses:
        *lines, last = _block(f"{head}if {print_expression(clause.condition)} ", clause.body)
        yield from lines
        head = f"{last} else "
    if statement.otherwise is not None:
        yield from _block(head, statement.otherwise)
    else:
        yield "}"


def _switch(statement: Switch) -> Iterator[str]:
    head = f"{_attributes(statement.attributes)}switch {print_expression(statement.selector)} "
    yield f"{head}{_attributes(statement.body_attributes)}{{"
    for clause in statement.clauses:
        yield from _indent(_block(f"{_selectors(clause)}: ", clause.body))
    yield "}"


def _selectors(clause: CaseClause) -> str:
    if clause.selectors == (None,):
        return "default"
    last = len(clause.selectors) - 1
    shown = (
        "default" if s is None else _enclose(s, i == last or not _opens_template(s))
        for i, s in enumerate(clause.selectors)
    )
    return f"case {', '.join(shown)}"

"""The syntax tree: frozen dataclasses; equal where programs differ in white space alone.

``at`` is the offset of a node's first token in the source (-1 in a tree built by hand); comparisons
ignore it. Parentheses are not kept, since the shape of the tree expresses them.
Types are names with template arguments, as in the WGSL grammar: ``array<vec4<f32>, 8>`` is
``Name("array", (Name("vec4", (Name("f32"),)), Literal("8")))``.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Node:
    """The base of every node: the offset at which it starts in the source."""

    at: int = field(default=-1, compare=False, repr=False, kw_only=True)


# Expressions


@dataclass(frozen=True, slots=True)
class Literal(Node):
    """A number, ``true`` or ``false``, as written."""

    text: str


@dataclass(frozen=True, slots=True)
class Name(Node):
    """An identifier, with its template arguments; every type is one."""

    name: str
    arguments: tuple[Expression, ...] = ()


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A function call, value constructor or conversion."""

    function: Name
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Index(Node):
    """``value[index]``."""

    value: Expression
    index: Expression


@dataclass(frozen=True, slots=True)
class Member(Node):
    """``value.name``: a structure member or a swizzle."""

    value: Expression
    name: str


@dataclass(frozen=True, slots=True)
class Unary(Node):
    """A prefix operator: ``-``, ``!``, ``~``, ``*`` (indirection) or ``&`` (address of)."""

    operator: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """An infix operator between two values."""

    operator: str
    left: Expression
    right: Expression


Expression = Literal | Name | Call | Index | Member | Unary | Binary


@dataclass(frozen=True, slots=True)
class Attribute(Node):
    """``@name(arguments)``."""

    name: str
    arguments: tuple[Expression, ...] = ()


# Statements


@dataclass(frozen=True, slots=True)
class Variable(Node):
    """``var``, ``let``, ``const`` or ``override``, at module scope or in a function."""

    kind: str
    name: str
    type: Name | None = None
    value: Expression | None = None
    address_space: str | None = None
    access: str | None = None
    attributes: tuple[Attribute, ...] = ()
    end: int = field(default=-1, compare=False, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class ConstAssert(Node):
    """``const_assert condition;``."""

    condition: Expression


@dataclass(frozen=True, slots=True)
class Assign(Node):
    """``target operator value;`` with ``=`` or a compound operator; no target means ``_``."""

    target: Expression | None
    operator: str
    value: Expression


@dataclass(frozen=True, slots=True)
class Step(Node):
    """``target++;`` or ``target--;``."""

    target: Expression
    operator: str


@dataclass(frozen=True, slots=True)
class CallStatement(Node):
    """A call whose result is not used."""

    call: Call


@dataclass(frozen=True, slots=True)
class Return(Node):
    """``return value;``."""

    value: Expression | None = None


@dataclass(frozen=True, slots=True)
class Break(Node):
    """``break;``."""


@dataclass(frozen=True, slots=True)
class BreakIf(Node):
    """``break if condition;``, the last statement of a ``continuing`` block."""

    condition: Expression


@dataclass(frozen=True, slots=True)
class Continue(Node):
    """``continue;``."""


@dataclass(frozen=True, slots=True)
class Discard(Node):
    """``discard;``."""


@dataclass(frozen=True, slots=True)
class Block(Node):
    """``{ statements }``."""

    statements: tuple[Statement, ...]
    attributes: tuple[Attribute, ...] = ()


@dataclass(frozen=True, slots=True)
class IfClause(Node):
    """One condition of an ``if`` and the block it guards."""

    condition: Expression
    body: Block


@dataclass(frozen=True, slots=True)
class If(Node):
    """``if``, any number of ``else if``, and at most one ``else``."""

    clauses: tuple[IfClause, ...]
    otherwise: Block | None = None
    attributes: tuple[Attribute, ...] = ()


@dataclass(frozen=True, slots=True)
class CaseClause(Node):
    """A clause of a ``switch``; ``None`` among the selectors means ``default``."""

    selectors: tuple[Expression | None, ...]
    body: Block


@dataclass(frozen=True, slots=True)
class Switch(Node):
    """``switch selector { clauses }``."""

    selector: Expression
    clauses: tuple[CaseClause, ...]
    attributes: tuple[Attribute, ...] = ()
    body_attributes: tuple[Attribute, ...] = ()


@dataclass(frozen=True, slots=True)
class Loop(Node):
    """``loop { body continuing { ... } }``."""

    body: Block
    continuing: Block | None = None
    attributes: tuple[Attribute, ...] = ()


@dataclass(frozen=True, slots=True)
class For(Node):
    """``for (start; condition; update) body``."""

    start: Statement | None
    condition: Expression | None
    update: Statement | None
    body: Block
    attributes: tuple[Attribute, ...] = ()


@dataclass(frozen=True, slots=True)
class While(Node):
    """``while condition body``."""

    condition: Expression
    body: Block
    attributes: tuple[Attribute, ...] = ()


Statement = (
    Variable
    | ConstAssert
    | Assign
    | Step
    | CallStatement
    | Return
    | Break
    | BreakIf
    | Continue
    | Discard
    | Block
    | If
    | Switch
    | Loop
    | For
    | While
)


# Module scope


@dataclass(frozen=True, slots=True)
class Enable(Node):
    """``enable f16, subgroups;``."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Requires(Node):
    """``requires language_feature;``."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Diagnostic(Node):
    """``diagnostic(severity, rule);``; the rule may have two parts with a dot."""

    severity: str
    rule: str


@dataclass(frozen=True, slots=True)
class Alias(Node):
    """``alias name = type;``."""

    name: str
    type: Name


@dataclass(frozen=True, slots=True)
class StructMember(Node):
    """One member of a structure."""

    name: str
    type: Name
    attributes: tuple[Attribute, ...] = ()


@dataclass(frozen=True, slots=True)
class Struct(Node):
    """``struct name { members }``."""

    name: str
    members: tuple[StructMember, ...]


@dataclass(frozen=True, slots=True)
class Parameter(Node):
    """One formal parameter of a function."""

    name: str
    type: Name
    attributes: tuple[Attribute, ...] = ()


@dataclass(frozen=True, slots=True)
class Function(Node):
    """A function; an entry point if it has a stage attribute.

    ``mentions`` and ``declares`` are the names that the parser found in it, so that reflection need
    not walk the tree; ``None`` in a tree built by hand.
    """

    name: str
    parameters: tuple[Parameter, ...]
    body: Block
    result: Name | None = None
    result_attributes: tuple[Attribute, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    mentions: frozenset[str] | None = field(default=None, compare=False, repr=False, kw_only=True)
    declares: frozenset[str] | None = field(default=None, compare=False, repr=False, kw_only=True)


Directive = Enable | Requires | Diagnostic
Declaration = Variable | ConstAssert | Alias | Struct | Function


@dataclass(frozen=True, slots=True)
class Module(Node):
    """A complete source: directives, then declarations in their order."""

    directives: tuple[Directive, ...]
    declarations: tuple[Declaration, ...]
    source: str = field(default="", compare=False, repr=False)

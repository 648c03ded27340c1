"""The typed intermediate form between Python's syntax tree and WGSL's.

Each expression has a type, which may be open until the function has been read, and a place in the
Python source. Statements stand in lists, since expressions may put statements before theirs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeAlias

from gpucore.compiler.compiled import Neighbourhood, PrintPiece
from gpucore.compiler.errors import Place
from gpucore.compiler.flexible import AnyType, seen
from gpucore.wgsl.types.kinds import Structure, Vector

__all__ = [
    "INSIDE",
    "Argument",
    "ArrayRef",
    "Assign",
    "Atomic",
    "Binary",
    "Block",
    "Break",
    "BuiltIn",
    "Call",
    "Clear",
    "Constant",
    "Construct",
    "Continue",
    "Convert",
    "Element",
    "Evaluate",
    "Expression",
    "Extent",
    "For",
    "Function",
    "If",
    "Invoke",
    "Item",
    "Load",
    "Member",
    "Parameter",
    "Print",
    "Program",
    "Read",
    "Return",
    "Statement",
    "Store",
    "Table",
    "Unary",
    "Variable",
    "While",
]


INSIDE: Final = "inside"
"""A call of it is its first argument where all neighbours are inside of the array, else the second.

It is in stencils of several rows alone, which have a function for each of the two.
"""


@dataclass(slots=True, eq=False)
class Variable:
    """A local name: ``assignments`` counts the statements that give it a value.

    ``constant`` is its number where it is known before the kernel runs. A ``temporary`` one has no
    name in Python.
    """

    name: str
    type: AnyType
    place: Place
    assignments: int = 0
    constant: int | float | bool | None = None
    temporary: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class ArrayRef:
    """An array: a parameter (``space`` is storage), shared (workgroup), or one's own (private).

    ``extents`` are the sizes of what is no parameter; those of one are known at the launch.
    Vectors of 3 lie ``packed`` in a parameter's memory, without the gaps that WGSL puts between.
    ``neighbours`` says how offsets from the element are read, where indices are such.
    """

    name: str
    element: AnyType
    rank: int
    space: str
    place: Place
    extents: tuple[int, ...] = ()
    neighbours: Neighbourhood | None = None

    @property
    def packed(self) -> bool:
        """True where the memory has single numbers, three for each element."""
        kind = seen(self.element)
        return self.space == "storage" and isinstance(kind, Vector) and kind.count == 3


@dataclass(frozen=True, slots=True)
class _Node:
    type: AnyType
    place: Place


@dataclass(frozen=True, slots=True)
class Constant(_Node):
    """A number or a truth value that is known."""

    value: int | float | bool


@dataclass(frozen=True, slots=True)
class Read(_Node):
    """The value of a local variable."""

    variable: Variable


@dataclass(frozen=True, slots=True)
class Argument(_Node):
    """The value of a parameter that is no array."""

    name: str


@dataclass(frozen=True, slots=True)
class Extent(_Node):
    """The size of a parameter's array along an axis; u32."""

    array: ArrayRef
    axis: int


@dataclass(frozen=True, slots=True)
class BuiltIn(_Node):
    """A value that the GPU gives each invocation, by WGSL's name (``global_invocation_id``)."""

    name: str


@dataclass(frozen=True, slots=True)
class Element(_Node):
    """A place in an array: one index for each axis."""

    array: ArrayRef
    indices: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Load(_Node):
    """The value at a place in an array."""

    element: Element


@dataclass(frozen=True, slots=True)
class Unary(_Node):
    """``-`` (negative), ``~`` (all bits inverted) or ``!`` (not)."""

    operator: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary(_Node):
    """An operator of WGSL between two values."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Call(_Node):
    """A call of a function of WGSL, or of one that the user defined."""

    function: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Invoke(_Node):
    """A call of a function of the user's; arrays are no arguments, its body names them."""

    function: Function
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Convert(_Node):
    """A conversion to the node's type; ``bits`` keeps the bits."""

    value: Expression
    bits: bool = False


@dataclass(frozen=True, slots=True)
class Construct(_Node):
    """A vector, matrix or structure of its parts."""

    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Member(_Node):
    """A member of a structure, or components of a vector."""

    value: Expression
    name: str


@dataclass(frozen=True, slots=True)
class Item(_Node):
    """A component of a vector, or a column of a matrix."""

    value: Expression
    index: Expression


@dataclass(frozen=True, slots=True)
class Table(_Node):
    """One of some known numbers, by an index."""

    numbers: tuple[Constant, ...]
    index: Expression


@dataclass(frozen=True, slots=True)
class Atomic(_Node):
    """An atomic function at a place in an array; the value that was there."""

    function: str
    element: Element
    arguments: tuple[Expression, ...]


Expression: TypeAlias = (
    Constant
    | Read
    | Argument
    | Extent
    | BuiltIn
    | Element
    | Load
    | Unary
    | Binary
    | Call
    | Invoke
    | Convert
    | Construct
    | Member
    | Item
    | Table
    | Atomic
)

Block: TypeAlias = "list[Statement]"


@dataclass(frozen=True, slots=True)
class Assign:
    """A new value of a variable; ``path`` names the component of a vector that changes."""

    variable: Variable
    value: Expression
    place: Place
    path: tuple[str | Expression, ...] = ()


@dataclass(frozen=True, slots=True)
class Store:
    """A new value of an element of an array; ``path`` names the part of it that changes."""

    element: Element
    value: Expression
    place: Place
    path: tuple[str | Expression, ...] = ()


@dataclass(frozen=True, slots=True)
class Clear:
    """An array of an invocation becomes zeros."""

    array: ArrayRef
    place: Place


@dataclass(frozen=True, slots=True)
class Evaluate:
    """An expression for its effect."""

    value: Expression
    place: Place


@dataclass(frozen=True, slots=True)
class Print:
    """A line of text: the ``words`` are the numbers of its pieces, whose types are still empty."""

    pieces: tuple[PrintPiece, ...]
    words: tuple[Expression, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class If:
    """Two blocks, of which one runs."""

    condition: Expression
    body: Block
    otherwise: Block
    place: Place


@dataclass(frozen=True, slots=True)
class For:
    """A loop whose counter goes from ``start`` by ``step``, short of ``stop``.

    A ``step`` that is no number is a value that does not change; of 0, the loop has no round.
    """

    counter: Variable
    start: Expression
    stop: Expression
    step: int | Expression
    body: Block
    place: Place


@dataclass(frozen=True, slots=True)
class While:
    """A loop: ``before`` runs before each test of the condition."""

    before: Block
    condition: Expression
    body: Block
    place: Place


@dataclass(frozen=True, slots=True)
class Break:
    """The end of the loop around it."""

    place: Place


@dataclass(frozen=True, slots=True)
class Continue:
    """The next round of the loop around it."""

    place: Place


@dataclass(frozen=True, slots=True)
class Return:
    """The end of the function, with its result if any."""

    value: Expression | None
    place: Place


Statement: TypeAlias = (
    Assign | Store | Clear | Evaluate | Print | If | For | While | Break | Continue | Return
)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter: ``array`` for an array, else a value of ``type``.

    ``kind`` tells how it is given: ``value`` is bound at the launch, ``constant`` known before, and
    ``record`` a dataclass whose fields are values.
    """

    name: str
    type: AnyType
    place: Place
    array: ArrayRef | None = None
    kind: str = "value"


@dataclass(slots=True, eq=False)
class Function:
    """A function: its parameters in order, and its statements.

    ``has_effect`` is true where a call does more than give a value.
    """

    name: str
    parameters: list[Parameter] = field(default_factory=list)
    body: Block = field(default_factory=list)
    result: AnyType | None = None
    has_effect: bool = False


@dataclass(slots=True)
class Program:
    """A kernel, the functions that it calls, its shared and private arrays, and its structures.

    ``variants`` has the functions by what they were made of, ``open_functions`` those that are
    being read. ``least`` are the extents that a stencil needs at least, by axis; ``reach`` the
    least and the greatest offset of its axes, None where one is not known. ``prints`` tells
    whether print(...) writes lines; None where it is refused.
    """

    kernel: Function
    functions: list[Function] = field(default_factory=list)
    shared: list[ArrayRef] = field(default_factory=list)
    private: list[ArrayRef] = field(default_factory=list)
    structures: dict[str, Structure] = field(default_factory=dict)
    variants: dict[object, Function] = field(default_factory=dict)
    open_functions: list[object] = field(default_factory=list)
    least: dict[int, int] = field(default_factory=dict)
    reach: dict[int, tuple[int, int] | None] = field(default_factory=dict)
    prints: bool | None = None

    @property
    def bodies(self) -> tuple[Block, ...]:
        """The statements of each function, those of the kernel last."""
        return (*(each.body for each in self.functions), self.kernel.body)

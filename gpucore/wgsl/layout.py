"""Sizes, alignments and strides of host-shareable types, by the rules of the WGSL spec.

All values are in bytes. A type that ends in a runtime-sized array counts with one element, which is
the smallest binding that WebGPU accepts. Source: WGSL specification, section 14.4 (memory layout),
tables "alignment and size", and 14.4.4 (constraints of the uniform address space).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gpucore.integers import ceil_div
from gpucore.wgsl.constants import Constants, find_attribute
from gpucore.wgsl.errors import WgslLayoutError, layout_error
from gpucore.wgsl.syntax import Alias, Declaration, Expression, Name, Struct, StructMember

SCALARS: Final[Mapping[str, int]] = {
    "f32": 4,
    "f16": 2,
    "i32": 4,
    "u32": 4,
    "f64": 8,
    "i64": 8,
    "u64": 8,
    "bool": 4,
}
"""Sizes of scalars; ``bool`` is for memory that no host sees, 64 bits are an extension of naga."""

PACKED: Final[Mapping[str, int]] = {
    "f32": 4,
    "f16": 2,
    "bf16": 2,
    "i32": 4,
    "u32": 4,
    "i16": 2,
    "u16": 2,
    "i8": 1,
    "u8": 1,
    "f64": 8,
    "i64": 8,
    "u64": 8,
    "c64": 8,
}
"""Item sizes of the dtypes that an alias named ``<dtype>x<count>`` may have."""

_SHORT = {"f": "f32", "h": "f16", "i": "i32", "u": "u32"}
_VECTOR = re.compile(r"vec([234])([fhiu])?\Z")
_MATRIX = re.compile(r"mat([234])x([234])([fh])?\Z")
_WORD = re.compile(r"([a-z]+[0-9]+)x([0-9]+)\Z")
_FOREIGN: Final[Mapping[str, str]] = (
    {"float": "f32", "double": "f32 (there is no f64)", "half": "f16", "float16_t": "f16"}
    | {"int": "i32", "uint": "u32", "unsigned": "u32", "size_t": "u32", "long": "i32"}
    | {f"{name}{n}": f"vec{n}{name[0]}" for name in ("float", "int", "uint") for n in (2, 3, 4)}
    | {f"{short}vec{n}": f"vec{n}{short}" for short in "iu" for n in (2, 3, 4)}
    | {f"mat{n}": f"mat{n}x{n}f" for n in (2, 3, 4)}
    | dict.fromkeys(("char", "uchar", "u8", "i8", "uint8_t", "int8_t"), "an alias, u8x4 = u32")
)
"""Types of other languages, and what WGSL has for them."""
_MAX_DEPTH: Final = 64
_MAX_SIZE: Final = 2**40
_SPEC_ALIGN: Final = 16


@dataclass(frozen=True, slots=True)
class Scalar:
    """A number, an atomic number, or a bool."""

    name: str
    size: int
    align: int


@dataclass(frozen=True, slots=True)
class Vector:
    """``count`` scalars next to each other."""

    scalar: Scalar
    count: int
    size: int
    align: int


@dataclass(frozen=True, slots=True)
class Word:
    """A packed word: an alias named ``<dtype>x<count>``, with the size of its type."""

    name: str
    dtype: str
    count: int
    size: int
    align: int


@dataclass(frozen=True, slots=True)
class Array:
    """``count`` elements ``stride`` bytes apart; ``None`` for a runtime-sized array."""

    element: Layout
    count: int | None
    stride: int
    size: int
    align: int


@dataclass(frozen=True, slots=True)
class Matrix:
    """``columns`` column vectors ``stride`` bytes apart."""

    column: Vector
    columns: int
    stride: int
    size: int
    align: int


@dataclass(frozen=True, slots=True)
class MemberPlace:
    """A member of a structure, with its offset."""

    name: str
    offset: int
    type: Name
    layout: Layout


@dataclass(frozen=True, slots=True)
class Record:
    """A structure."""

    name: str
    members: tuple[MemberPlace, ...]
    size: int
    align: int


@dataclass(frozen=True, slots=True)
class Bytes:
    """``buffer<size>``: untyped memory for ``bufferView``; size 0 if not given."""

    size: int
    align: int


Layout = Scalar | Vector | Word | Matrix | Array | Record | Bytes


def round_up(align: int, value: int) -> int:
    """Return the least multiple of ``align`` that is not below ``value``."""
    return ceil_div(value, align) * align


def runtime_array(layout: Layout) -> Array | None:
    """Return the runtime-sized array that a type is or ends in, or None."""
    if isinstance(layout, Array):
        return layout if layout.count is None else None
    return runtime_array(layout.members[-1].layout) if isinstance(layout, Record) else None


def fixed_size(layout: Layout) -> int:
    """Return the bytes of a type without the runtime-sized array that it may end in."""
    if runtime_array(layout) is None:
        return layout.size
    if isinstance(layout, Record):
        return layout.members[-1].offset + fixed_size(layout.members[-1].layout)
    return 0


def element_dtype(layout: Layout) -> str | None:
    """Return the one dtype of all scalars in a type; ``None`` where it mixes several."""
    match layout:
        case Scalar(name=name):
            return name
        case Vector(scalar=scalar):
            return scalar.name
        case Word(dtype=dtype):
            return dtype
        case Matrix(column=column):
            return column.scalar.name
        case Array(element=element):
            return element_dtype(element)
        case Record(members=members):
            found = {element_dtype(member.layout) for member in members}
            return found.pop() if len(found) == 1 else None
        case Bytes():
            return None


class Layouts:
    """The layouts of one module's types; each alias and structure is computed once."""

    def __init__(
        self, names: Mapping[str, Declaration], constants: Constants, source: str = ""
    ) -> None:
        self._names = names
        self._constants = constants
        self._source = source
        self._known: dict[str, Layout] = {}
        self._depth = 0

    def of(self, type_: Expression) -> Layout:
        """Return the layout of a type. Raises ``WgslLayoutError`` where it has none."""
        if not isinstance(type_, Name):
            raise layout_error("expected a type here", self._source, type_.at)
        self._depth += 1
        try:
            if self._depth > _MAX_DEPTH:
                raise self._error(f"types nest deeper than {_MAX_DEPTH}: '{type_.name}'", type_)
            layout = self._of(type_)
        finally:
            self._depth -= 1
        if layout.size > _MAX_SIZE:
            raise self._error(f"'{type_.name}' of {layout.size} bytes is too large", type_)
        return layout

    def _error(self, message: str, node: Name) -> WgslLayoutError:
        return layout_error(message, self._source, node.at)

    def _of(self, type_: Name) -> Layout:
        name = type_.name
        declaration = self._names.get(name)
        if declaration is not None:
            if name not in self._known:
                self._known[name] = self._declared_layout(type_, declaration)
            return self._known[name]
        if name in SCALARS:
            return Scalar(name, SCALARS[name], SCALARS[name])
        if (match := _VECTOR.match(name)) is not None:
            return self._vector(int(match[1]), self._component(type_, match[2]))
        if (match := _MATRIX.match(name)) is not None:
            scalar = self._component(type_, match[3])
            return self._matrix(int(match[1]), self._vector(int(match[2]), scalar))
        if name == "array":
            return self._array(type_)
        if name == "atomic":
            return self._component(type_, None)
        if name == "buffer":
            size = self._constants.count(type_.arguments[0], "size") if type_.arguments else 0
            return Bytes(size, _SPEC_ALIGN)
        if (meant := _FOREIGN.get(name)) is not None:
            raise self._error(f"'{name}' is no type of WGSL: write {meant}", type_)
        raise self._error(f"type '{name}' has no layout in memory", type_)

    def _component(self, type_: Name, short: str | None) -> Scalar:
        """Return the scalar type in ``vec3<f32>``, ``vec3f`` or ``atomic<u32>``."""
        if short is not None:
            name = _SHORT[short]
            return Scalar(name, SCALARS[name], SCALARS[name])
        if len(type_.arguments) != 1:
            raise self._error(f"'{type_.name}' needs one element type: {type_.name}<f32>", type_)
        scalar = self.of(type_.arguments[0])
        if not isinstance(scalar, Scalar):
            raise self._error(f"the element of '{type_.name}' must be a scalar", type_)
        return scalar

    def _vector(self, count: int, scalar: Scalar) -> Vector:
        return Vector(scalar, count, count * scalar.size, round_up(2, count) * scalar.size)

    def _matrix(self, columns: int, column: Vector) -> Matrix:
        stride = round_up(column.align, column.size)
        return Matrix(column, columns, stride, columns * stride, column.align)

    def _array(self, type_: Name) -> Array:
        if len(type_.arguments) not in (1, 2):
            raise self._error("'array' needs an element type, and a size or none", type_)
        element = self.of(type_.arguments[0])
        if runtime_array(element) is not None:
            raise self._error("an array cannot have elements of a runtime size", type_)
        stride = round_up(element.align, element.size)
        if len(type_.arguments) == 1:
            return Array(element, None, stride, stride, element.align)
        count = self._constants.count(type_.arguments[1], "the size of an array")
        return Array(element, count, stride, count * stride, element.align)

    def _declared_layout(self, type_: Name, declaration: Declaration) -> Layout:
        if isinstance(declaration, Alias):
            return self._alias(declaration)
        if isinstance(declaration, Struct):
            return self._record(declaration)
        raise self._error(f"'{type_.name}' is not a type", type_)

    def _alias(self, alias: Alias) -> Layout:
        layout = self.of(alias.type)
        match = _WORD.match(alias.name)
        if match is None or match[1] not in PACKED:
            return layout
        dtype, count = match[1], int(match[2])
        if count * PACKED[dtype] != layout.size:
            message = (
                f"alias '{alias.name}' names {count} items of {dtype}, {count * PACKED[dtype]} "
                f"bytes, but stands for a type of {layout.size} bytes"
            )
            raise layout_error(message, self._source, alias.at)
        return Word(alias.name, dtype, count, layout.size, layout.align)

    def _record(self, struct: Struct) -> Record:
        places: list[MemberPlace] = []
        end, align = 0, 1
        for member in struct.members:
            if places and runtime_array(places[-1].layout) is not None:
                message = f"only the last member of '{struct.name}' may have a runtime size"
                raise layout_error(message, self._source, places[-1].type.at)
            layout = self.of(member.type)
            member_align, size = self._align_and_size(member, layout)
            offset = round_up(member_align, end)
            places.append(MemberPlace(member.name, offset, member.type, layout))
            end, align = offset + size, max(align, member_align)
        return Record(struct.name, tuple(places), round_up(align, end), align)

    def _align_and_size(self, member: StructMember, layout: Layout) -> tuple[int, int]:
        """Return alignment and size of a member, with ``@align`` and ``@size`` applied."""
        align, size = layout.align, layout.size
        if (mark := find_attribute(member.attributes, "align")) is not None and mark.arguments:
            align = self._constants.count(mark.arguments[0], "@align")
            if align & (align - 1) or align % layout.align:
                message = (
                    f"@align({align}) of '{member.name}' must be a power of two and a multiple "
                    f"of {layout.align}"
                )
                raise layout_error(message, self._source, mark.at)
        if (mark := find_attribute(member.attributes, "size")) is not None and mark.arguments:
            size = self._constants.count(mark.arguments[0], "@size")
            if size < layout.size:
                message = f"@size({size}) of '{member.name}' is below its {layout.size} bytes"
                raise layout_error(message, self._source, mark.at)
        return align, size


def host_shareable(layout: Layout) -> bool:
    """Tell whether a buffer may hold the type, which then has no bool in it."""
    match layout:
        case Scalar(name=name):
            return name != "bool"
        case Vector(scalar=scalar):
            return scalar.name != "bool"
        case Array(element=element):
            return host_shareable(element)
        case Record(members=members):
            return all(host_shareable(member.layout) for member in members)
        case _:
            return True


def uniform_fault(layout: Layout) -> str | None:
    """Return why a type cannot be in the uniform address space; ``None`` where it can."""
    match layout:
        case Array(count=None):
            return "a runtime-sized array cannot be uniform"
        case Array(element=element, stride=stride):
            if stride % _SPEC_ALIGN:
                return f"array stride {stride} must be a multiple of 16: use a vec4 or @size(16)"
            return uniform_fault(element)
        case Record():
            return _record_fault(layout)
        case _:
            return None


def _record_fault(record: Record) -> str | None:
    previous: MemberPlace | None = None
    for place in record.members:
        named = f"'{record.name}.{place.name}'"
        inner = place.layout
        if isinstance(inner, Array | Record) and place.offset % _SPEC_ALIGN:
            return f"{named} is at offset {place.offset}, not a multiple of 16: use @align(16)"
        if previous is not None and isinstance(previous.layout, Record):
            least = previous.offset + round_up(_SPEC_ALIGN, previous.layout.size)
            if place.offset < least:
                return (
                    f"{named} is at offset {place.offset}, but after a structure it must be at "
                    f"{least} or later: use @align(16)"
                )
        if (fault := uniform_fault(inner)) is not None:
            return f"{named}: {fault}"
        previous = place
    return None

"""Packing of host values into the bytes of a uniform: its fields, and a packer for them.

Packing happens at every launch, so the format is compiled once, with the reflection.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Final, Protocol

from gpucore.wgsl.errors import PackError
from gpucore.wgsl.layout import (
    PACKED,
    Array,
    Layout,
    Matrix,
    Record,
    Scalar,
    Vector,
    Word,
)
from gpucore.wgsl.printer import print_expression

Number = int | float | bool
Value = Any
"""A number, a (nested) sequence or array of numbers, or a mapping of these for a nested struct."""

FORMATS: Final[Mapping[str, str]] = {
    "f32": "f",
    "f16": "e",
    "f64": "d",
    "i8": "b",
    "i16": "h",
    "i32": "i",
    "i64": "q",
    "u8": "B",
    "u16": "H",
    "u32": "I",
    "u64": "Q",
}
"""``struct`` codes of the dtypes that a uniform can hold."""

_MAX_RECORDS: Final = 1024


@dataclass(frozen=True, slots=True)
class Field:
    """A leaf of a structure: ``count`` scalars from ``offset`` on, in runs of ``run`` without gaps.

    Runs start ``stride`` bytes apart (the columns of a matrix, the elements of an array). ``size``
    is in bytes, with the padding between runs. Nested names are joined with dots, and an element of
    an array of structures is named by its number: ``lights.0.color``.
    """

    name: str
    offset: int
    size: int
    type_text: str
    scalar: str
    count: int
    run: int
    stride: int


class Uniform(Protocol):
    """The part of a binding that ``pack_struct`` uses."""

    @property
    def packer(self) -> Packer | None:
        """The compiled packer."""


class Packer:
    """Turns a mapping of field names to numbers into the bytes of one structure."""

    def __init__(self, name: str, fields: Sequence[Field], size: int) -> None:
        self.name = name
        self.fields = tuple(fields)
        self._names = tuple(field.name for field in fields)
        self._scalars = all(field.count == 1 for field in fields)
        self._struct = struct.Struct(_format(fields, size))

    def pack(self, values: Mapping[str, Value]) -> bytes:
        """Return the bytes, little-endian, padding zero. Raises ``PackError``."""
        if len(values) == len(self._names):
            try:
                if self._scalars:
                    return self._struct.pack(*[values[name] for name in self._names])
                return self._struct.pack(*self._flat(values))
            except (KeyError, TypeError, ValueError, OverflowError, struct.error):
                pass
        if (flat := dict(_leaves("", values))).keys() != values.keys():
            return self.pack(flat)
        raise PackError(self._fault(values))

    def _flat(self, values: Mapping[str, Value]) -> list[object]:
        numbers: list[object] = []
        for field in self.fields:
            found = list(_numbers(values[field.name]))
            if len(found) != field.count:
                raise ValueError
            numbers += found
        return numbers

    def _fault(self, values: Mapping[str, Value]) -> str:
        """Describe what is wrong with ``values``."""
        known = ", ".join(f"{field.name}: {field.type_text}" for field in self.fields)
        missing = [name for name in self._names if name not in values]
        unknown = [str(name) for name in values if name not in self._names]
        parts = [f"missing {', '.join(missing)}"] if missing else []
        parts += [f"unknown {', '.join(unknown)}"] if unknown else []
        if not parts:
            parts = [fault for f in self.fields if (fault := _field_fault(f, values[f.name]))]
        return f"uniform '{self.name}' ({known}): {'; '.join(parts)}"


def pack_struct(binding: Uniform, values: Mapping[str, Value]) -> bytes:
    """Pack the values of a uniform's fields; vectors and arrays are (nested) sequences.

    Return ``binding.size`` bytes, little-endian, padding zero. Raises ``PackError`` (a
    ``ValueError``), which names missing and unknown fields, and values that do not fit.
    """
    if binding.packer is None:
        raise PackError("this binding has no fields to pack")
    return binding.packer.pack(values)


@dataclass(frozen=True, slots=True)
class _Runs:
    """``runs`` runs of ``run`` scalars without gaps, ``stride`` bytes from one run to the next."""

    scalar: str
    run: int
    stride: int
    runs: int


def flatten(name: str, type_text: str, layout: Layout, offset: int = 0) -> Iterator[Field]:
    """Yield the leaves of a type at ``offset``; runtime-sized arrays and ``buffer`` have none.

    ``type_text`` is the type as written; ``name`` is empty for the outermost structure.
    """
    runs = _runs(layout)
    if runs is not None:
        count = runs.run * runs.runs
        yield Field(name, offset, layout.size, type_text, runs.scalar, count, runs.run, runs.stride)
    elif isinstance(layout, Record):
        for member in layout.members:
            joined = f"{name}.{member.name}" if name else member.name
            text = print_expression(member.type)
            yield from flatten(joined, text, member.layout, offset + member.offset)
    elif isinstance(layout, Array) and layout.count is not None:
        if layout.count > _MAX_RECORDS:
            raise PackError(f"'{name}' has {layout.count} elements, more than {_MAX_RECORDS}")
        for i in range(layout.count):
            place = offset + i * layout.stride
            yield from flatten(f"{name}.{i}", type_text, layout.element, place)


def _runs(layout: Layout) -> _Runs | None:
    """Describe a type as evenly spaced runs of one scalar; ``None`` if it contains structures."""
    match layout:
        case Scalar(name=name, size=size):
            return _Runs(name, 1, size, 1)
        case Vector(scalar=scalar, count=count, size=size):
            return _Runs(scalar.name, count, size, 1)
        case Word(dtype=dtype, count=count, size=size):
            return _Runs(dtype, count, size, 1)
        case Matrix(column=column, columns=columns, stride=stride):
            return _Runs(column.scalar.name, column.count, stride, columns)
        case Array(count=int()):
            return _array_runs(layout)
        case _:
            return None


def _array_runs(array: Array) -> _Runs | None:
    """Return the runs of an array, if its elements have runs with even spaces throughout."""
    inner = _runs(array.element)
    if inner is None or array.count is None:
        return None
    if inner.runs == 1:
        return _Runs(inner.scalar, inner.run, array.stride, array.count)
    if inner.runs * inner.stride != array.stride:
        return None
    return _Runs(inner.scalar, inner.run, inner.stride, inner.runs * array.count)


def _format(fields: Sequence[Field], size: int) -> str:
    """Return the ``struct`` format of fields in ``size`` bytes, with explicit padding."""
    parts = ["<"]
    end = 0
    for field in fields:
        itemsize, code = PACKED[field.scalar], FORMATS[field.scalar]
        for i in range(field.count // field.run):
            start = field.offset + i * field.stride
            if start > end:
                parts.append(f"{start - end}x")
            parts.append(code if field.run == 1 else f"{field.run}{code}")
            end = start + field.run * itemsize
    if size > end:
        parts.append(f"{size - end}x")
    return "".join(parts)


def _leaves(prefix: str, values: Mapping[str, Value]) -> Iterator[tuple[str, Value]]:
    """Yield values with the joined names of fields, out of nested mappings and lists of them."""
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _leaves(f"{name}.", value)
        elif isinstance(value, list | tuple) and value and isinstance(value[0], Mapping):
            yield from _leaves(f"{name}.", {str(i): one for i, one in enumerate(value)})
        else:
            yield name, value


def _numbers(value: object) -> Iterator[object]:
    """Yield the numbers of a (nested) sequence; NumPy arrays are read with ``tolist``."""
    if isinstance(value, int | float):
        yield value
        return
    listed = getattr(value, "tolist", None) if _is_on_host(value) else None
    plain = listed() if callable(listed) else value
    if isinstance(plain, str | bytes | Mapping):
        raise TypeError
    if isinstance(plain, Sequence):
        for one in plain:
            yield from _numbers(one)
    elif isinstance(plain, Real):
        yield plain
    else:  # its own conversion to a number could wait for a device
        raise TypeError


def _is_on_host(value: Any) -> bool:
    """Tell whether other code may look at the value's memory, as at that of NumPy's arrays.

    A device's buffers have a ``tolist``, too, which would wait for the device.
    """
    try:
        memoryview(value)
    except (BufferError, TypeError, ValueError):
        return False
    return True


def _field_fault(field: Field, value: object) -> str | None:
    """Describe why ``value`` does not fit ``field``; ``None`` if it does."""
    try:
        numbers = list(_numbers(value))
    except TypeError:
        return f"{field.name} of type {field.type_text} got {value!r}"
    if len(numbers) != field.count:
        return f"{field.name} of type {field.type_text} takes {field.count} numbers, got {value!r}"
    fault = next((one for one in numbers if not _fits(field.scalar, one)), None)
    if fault is None:
        return None
    shown = f"{value!r}" if field.count == 1 else f"{fault!r} in {value!r}"
    return f"{field.name} of type {field.type_text} got {shown}, not {_range_text(field.scalar)}"


def _fits(scalar: str, number: object) -> bool:
    try:
        struct.pack(f"<{FORMATS[scalar]}", number)
    except (struct.error, OverflowError, TypeError, ValueError):
        return False
    return True


def _range_text(scalar: str) -> str:
    """Return what a scalar type holds, for an error."""
    if scalar[0] == "f":
        return f"a number that {scalar} holds"
    bits = int(scalar[1:])
    low, high = (0, 2**bits - 1) if scalar[0] == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return f"a whole number from {low} to {high}"

"""Structs of WGSL as structured dtypes of NumPy, and the check that one fits the other.

A scalar is a field, a vector a field of shape (n,), a matrix one of shape (columns, rows), an array
one of shape (count, ...), a struct a nested dtype. NumPy has no gaps between the rows of a field.
So the columns of a matrix with 3 rows, and the elements of an array of 3-vectors, have 4 numbers,
the last of which is padding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import numpy as np

from gpucore.wgsl.layout import Array, Layout, Matrix, MemberPlace, Record, Scalar, Vector, Word
from gpucore.wgsl.printer import print_expression

__all__ = [
    "element_layout",
    "layout_text",
    "nested_structs",
    "record_text",
    "struct_dtype",
    "struct_fault",
]

_FORMATS: Final[dict[str, np.dtype[Any]]] = {
    **{f"f{8 * size}": np.dtype(f"<f{size}") for size in (2, 4, 8)},
    **{f"{kind}{8 * size}": np.dtype(f"<{kind}{size}") for kind in "iu" for size in (1, 2, 4, 8)},
    "bf16": np.dtype(np.uint16),
    "c64": np.dtype(np.complex64),
}
_RUNTIME: Final = 1  # elements that a runtime-sized array has in the dtype of a struct


class _Form(NamedTuple):
    """The dtype of one number or struct, and the extents around it."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...] = ()

    @property
    def nbytes(self) -> int:
        return self.dtype.itemsize * int(np.prod(self.shape, dtype=np.int64))


def struct_dtype(record: Record) -> np.dtype[Any]:
    """Return the dtype of a struct: its members at their offsets, and its size with padding.

    A runtime-sized array at its end has one element.
    """
    forms = [_form(place.layout) for place in record.members]
    return np.dtype(
        {
            "names": [place.name for place in record.members],
            "formats": [(form.dtype, form.shape) for form in forms],
            "offsets": [place.offset for place in record.members],
            "itemsize": record.size,
        }
    )


def _form(layout: Layout) -> _Form:
    match layout:
        case Scalar(name=name):
            return _Form(_FORMATS[name])
        case Vector(scalar=scalar, count=count):
            return _Form(_FORMATS[scalar.name], (count,))
        case Word(dtype=dtype, count=count):
            return _Form(_FORMATS[dtype], (count,) if count > 1 else ())
        case Matrix(column=column, columns=columns, stride=stride):
            return _Form(_FORMATS[column.scalar.name], (columns, stride // column.scalar.size))
        case Array(element=element, count=count, stride=stride):
            return _array_form(_form(element), _RUNTIME if count is None else count, stride)
        case Record():
            return _Form(struct_dtype(layout))
        case _:
            return _Form(np.dtype(np.uint8), (layout.size,))


def _array_form(inner: _Form, count: int, stride: int) -> _Form:
    """Return the form of an array; of 3-vectors, each element has its padding as a fourth."""
    if inner.nbytes != stride:
        *outer, last = inner.shape
        inner = _Form(inner.dtype, (*outer, last * stride // inner.nbytes))
    return _Form(inner.dtype, (count, *inner.shape))


def element_layout(layout: Layout | None) -> Record | None:
    """Return the struct that a binding holds, itself or as the element of its arrays, or None."""
    while isinstance(layout, Array):
        layout = layout.element
    return layout if isinstance(layout, Record) else None


def nested_structs(layout: Layout | None) -> Iterator[Record]:
    """Yield the structs in a type, the outermost first."""
    match layout:
        case Array(element=element):
            yield from nested_structs(element)
        case Record(members=members):
            yield layout
            for member in members:
                yield from nested_structs(member.layout)


def struct_fault(record: Record, dtype: np.dtype[Any], name: str = "") -> str | None:
    """Return the first difference between a struct and a structured dtype; None where it fits.

    Fields that WGSL does not have must lie in the struct's padding.
    """
    prefix = f"{name}." if name else ""
    fields: Mapping[str, Any] = dtype.fields or {}
    for place in record.members:
        if place.name not in fields:
            return f"'{prefix}{place.name}' is missing"
        kind, offset = fields[place.name][:2]
        if (fault := _field_fault(prefix + place.name, place, kind, offset)) is not None:
            return fault
    used = [(place.offset, place.offset + _form(place.layout).nbytes) for place in record.members]
    for extra in fields.keys() - {place.name for place in record.members}:
        kind, start = fields[extra][:2]
        if any(start < end and begin < start + kind.itemsize for begin, end in used):
            return f"'{prefix}{extra}' lies over another field, and is not in the struct"
        if start + kind.itemsize > record.size:
            return f"'{prefix}{extra}' is not in the struct"
    if dtype.itemsize != record.size and not _ends_at_runtime(record):
        owner = f"'{name}'" if name else "an element"
        return f"{owner} must have {record.size} bytes, got {dtype.itemsize}"
    return None


def _ends_at_runtime(record: Record) -> bool:
    last = record.members[-1].layout
    return isinstance(last, Array) and last.count is None


def _field_fault(name: str, place: MemberPlace, kind: np.dtype[Any], offset: int) -> str | None:
    """Return how a field differs from a member; the extents of a runtime-sized array may."""
    layout = place.layout
    expected, base, shape = _form(layout), kind.base, kind.shape
    free = isinstance(layout, Array) and layout.count is None
    same_shape = (
        shape[1:] == expected.shape[1:] and len(shape) > 0 if free else (shape == expected.shape)
    )
    if not same_shape:
        return f"'{name}' must have shape {expected.shape}, got {shape}"
    inner = element_layout(layout)
    if inner is not None and base.names:
        if (fault := struct_fault(inner, base, name)) is not None:
            return fault
    elif base != expected.dtype:
        wanted = "a struct" if inner is not None else str(expected.dtype)
        return f"'{name}' must be {wanted}, got {base}"
    if offset != place.offset:
        return f"'{name}' must be at byte {place.offset}, got byte {offset}"
    return None


def layout_text(record: Record) -> str:
    """Return a struct as WGSL lays it out: members, types, offsets and size."""
    members = (
        f"{place.name}: {print_expression(place.type)} at {place.offset}"
        for place in record.members
    )
    return f"{record.name} {{{', '.join(members)}}} of {record.size} bytes"


def record_text(dtype: np.dtype[Any]) -> str:
    """Return a structured dtype in the same way."""
    fields = (
        f"{name}: {_kind_text(kind)} at {offset}"
        for name, (kind, offset) in (
            (name, field[:2]) for name, field in (dtype.fields or {}).items()
        )
    )
    return f"{{{', '.join(fields)}}} of {dtype.itemsize} bytes"


def _kind_text(kind: np.dtype[Any]) -> str:
    base = "struct" if kind.base.names else str(kind.base)
    return base + (str(list(kind.shape)) if kind.shape else "")

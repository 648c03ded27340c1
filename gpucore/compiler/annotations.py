"""What annotations mean: arrays, scalars, vectors, matrices, structures, known numbers."""

from __future__ import annotations

import dataclasses
import sys
import typing
from collections.abc import MutableMapping
from typing import Any, Final

from gpucore.wgsl.types.kinds import (
    BOOL,
    F16,
    F32,
    I32,
    U32,
    Matrix,
    Scalar,
    Structure,
    Type,
    Vector,
)

__all__ = ["fields_of", "scalar_type", "type_of_object"]

_SCALARS: Final = {"f32": F32, "f16": F16, "i32": I32, "u32": U32}
_NUMPY: Final = {"float32": F32, "float16": F16, "int32": I32, "uint32": U32}
_PYTHON: Final[dict[object, Scalar]] = {int: I32, float: F32, bool: BOOL}


def scalar_type(marker: object) -> Scalar | None:
    """Return the scalar that a dtype marker, ``int``, ``float`` or ``bool`` means; None for others.

    A number of Python's is one of 32 bits here. NumPy's types of 32 and 16 bits are scalars, too.
    """
    if isinstance(marker, type) and (found := _PYTHON.get(marker)) is not None:
        return found
    if isinstance(marker, type) and marker.__module__ == "numpy":
        return _NUMPY.get(marker.__name__)
    name: object = getattr(marker, "wgsl", None)
    return _SCALARS.get(name) if isinstance(name, str) else None


def type_of_object(
    marker: object, structures: MutableMapping[str, Structure] | None = None
) -> Type | None:
    """Return the type of values that an annotation means; None where it means none.

    A dataclass is a structure, and is added to ``structures``.
    """
    shape: object = getattr(marker, "gpu_shape", None)
    match shape:
        case (int(count), str(name)):
            return Vector(count, _SCALARS[name])
        case (int(columns), int(rows), str(name)):
            return Matrix(columns, rows, _SCALARS[name])
    if isinstance(marker, type) and dataclasses.is_dataclass(marker) and structures is not None:
        return _structure(marker, structures)
    return scalar_type(marker)


def _structure(marker: type, structures: MutableMapping[str, Structure]) -> Structure | None:
    """Return a dataclass as a structure; None where a field has no type of WGSL."""
    members: list[tuple[str, Type]] = []
    for name, annotation in fields_of(marker).items():
        type_ = type_of_object(annotation, structures)
        if type_ is None or type_ == BOOL:
            return None
        members.append((name, type_))
    found = Structure(marker.__name__, tuple(members))
    if structures.setdefault(found.name, found) != found:
        raise TypeError(f"two dataclasses are called {found.name}: rename one")
    return found


def fields_of(marker: type) -> dict[str, Any]:
    """Return the annotations of a dataclass's fields by name; text is resolved in its module."""
    names = [each.name for each in dataclasses.fields(marker)]
    module = sys.modules.get(marker.__module__)
    try:
        hints = typing.get_type_hints(marker, vars(module) if module is not None else None)
    except NameError:
        hints = {each.name: each.type for each in dataclasses.fields(marker)}
    return {name: hints[name] for name in names}

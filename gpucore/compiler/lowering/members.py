"""The parts of values by name: components of vectors, members of structures, fields."""

from __future__ import annotations

from collections.abc import Iterable

from gpucore.compiler.flexible import AnyType, describe_type
from gpucore.compiler.suggestions import did_you_mean
from gpucore.wgsl.types.kinds import Matrix, Structure, Vector

__all__ = ["is_swizzle", "no_field", "no_member"]

_COMPONENTS = ("xyzw", "rgba")


def is_swizzle(name: str, count: int) -> bool:
    """Tell whether a name means components of a vector of ``count`` numbers."""
    return 1 <= len(name) <= 4 and any(set(name) <= set(s[:count]) for s in _COMPONENTS)


def no_member(kind: AnyType, name: str) -> str:
    """Return what is wrong with a name after a value's dot: a value of this type has others."""
    shown = describe_type(kind)
    match kind:
        case Vector(count=count):
            one, other = (", ".join(each[:count]) for each in _COMPONENTS)
            return f"{shown} has no {name}: its components are {one}, or {other}"
        case Matrix(columns=columns):
            return f"{shown} has no {name}: take a column, as m[0] to m[{columns - 1}]"
        case Structure(members=members):
            return no_field(shown, name, [each for each, _ in members])
    return f"{shown} has no {name}: it is one number"


def no_field(owner: str, name: str, fields: Iterable[str]) -> str:
    """Return what is wrong with a field that a dataclass does not have."""
    known = list(fields)
    advice = did_you_mean(name, known) or f": its fields are {', '.join(known)}"
    return f"{owner} has no field {name}{advice}"

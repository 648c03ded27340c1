"""What an expression of Python means besides a value of the GPU: objects known to the compiler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from gpucore.compiler import ir

__all__ = ["Fields", "Known", "Value", "Values"]


@dataclass(frozen=True, slots=True)
class Known:
    """An object of Python: a module, a function, a marker of a type."""

    object: object

    def __str__(self) -> str:
        return str(getattr(self.object, "__name__", repr(self.object)))


@dataclass(frozen=True, slots=True)
class Values:
    """A tuple."""

    items: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of a dataclass that a launch gives."""

    name: str
    items: Mapping[str, Value]


Value: TypeAlias = ir.Expression | ir.ArrayRef | Known | Values | Fields

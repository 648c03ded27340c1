"""Parameters of kernels from expressions: ``x: f32, y: T, table: array<f32>``.

A type is a dtype of gpucore, or a letter such as ``T`` that takes the dtype of the operand. In the
text, f16 is f32, i8 and i32 are i32, u8 and u32 are u32, and c64 is ``vec2<f32>``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpucore import ArgumentError, Buffer, Device, DType, DTypeError
from gpucore.dtypes import DTYPES
from gpustd.launch.elements import require_f16_support

__all__ = [
    "COMPUTED",
    "Parameter",
    "as_operands",
    "bind_types",
    "dtype_of_parameter",
    "parse_parameters",
    "require_text",
    "type_aliases",
]

COMPUTED = {
    "c64": "vec2<f32>",
    "f16": "f32",
    "f32": "f32",
    "i8": "i32",
    "i32": "i32",
    "u8": "u32",
    "u32": "u32",
}
"""What an element is in the text, by the name of its dtype."""

_PARAMETER = re.compile(r"\s*([A-Za-z]\w*)\s*:\s*(?:(array)\s*<\s*(\w+)\s*>|(\w+))\s*")
_VARIABLE = re.compile(r"[A-Z]\w*")
# What the text is given, and what the templates declare beside whole arrays.
_GIVEN = ("i", "n")
_DECLARED = re.compile(r"(?:operand|place|x)\d+|element|main|packed_bytes|pair_of|params")


@dataclass(frozen=True)
class Parameter:
    """A name, its type (a dtype's name or a variable), and whether it is a whole array."""

    name: str
    kind: str
    whole: bool = False

    @property
    def is_variable(self) -> bool:
        """True where the type is a letter that an operand's dtype replaces."""
        return self.kind not in DTYPES


def parse_parameters(op: str, text: str, *, whole: bool = False) -> list[Parameter]:
    """Return the parameters of a list such as ``x: f32, y: T``; arrays only where ``whole``.

    Raises `ArgumentError`.
    """
    found: list[Parameter] = []
    for part in text.split(",") if text.strip() else []:
        match = _PARAMETER.fullmatch(part)
        if match is None:
            raise ArgumentError(
                f"{op}: parameters must read like 'x: f32, y: T', got {part.strip()!r}"
            )
        name, array, inner, plain = match.groups()
        kind = inner or plain
        taken = name in (*_GIVEN, *(each.name for each in found)) or name.endswith("_")
        if taken or (array and _DECLARED.fullmatch(name)):
            raise ArgumentError(f"{op}: the name {name!r} is taken; choose another")
        if kind not in DTYPES and not _VARIABLE.fullmatch(kind):
            raise ArgumentError(
                f"{op}: the type of {name} must be one of {', '.join(DTYPES)}, or a letter such "
                f"as T, got {kind!r}"
            )
        if array and (not whole or kind in ("i8", "u8")):
            raise ArgumentError(f"{op}: {name} cannot be an array of {kind} here; give elements")
        found.append(Parameter(name, kind, bool(array)))
    return found


def require_text(op: str, name: str, text: Any) -> str:
    """Return an expression or statements without blanks around. Raises `ArgumentError`."""
    if not isinstance(text, str) or not text.strip():
        raise ArgumentError(f"{op}: {name} must be WGSL text, got {text!r}")
    return text.strip()


def as_operands(op: str, parameters: Sequence[Parameter], given: Sequence[Any]) -> list[Any]:
    """Return buffers as they are and NumPy's numbers as Python's.

    Raises `ArgumentError` for others, and for another count than that of the parameters.
    """
    if len(given) != len(parameters):
        names = ", ".join(each.name for each in parameters)
        raise ArgumentError(
            f"{op}: there must be {len(parameters)} operands ({names}), got {len(given)}"
        )
    operands: list[Any] = []
    for parameter, operand in zip(parameters, given, strict=True):
        value = operand.item() if isinstance(operand, np.generic) else operand
        wrong = parameter.whole and not isinstance(value, Buffer)
        if wrong or not isinstance(value, (Buffer, int, float, complex)):
            raise ArgumentError(
                f"{op}: {parameter.name} must be a Buffer{'' if parameter.whole else ' or number'}"
                f", got {type(operand).__name__}; upload an array with "
                "device.buffer_from_array(array)"
            )
        operands.append(value)
    if not any(isinstance(each, Buffer) for each in operands):
        raise ArgumentError(f"{op}: one operand must be a Buffer, got numbers")
    return operands


def bind_types(
    op: str, parameters: Sequence[Parameter], operands: Sequence[Any]
) -> dict[str, type[DType]]:
    """Return the dtype of each variable, from the buffers that have its type.

    Raises `DTypeError` where a buffer has another dtype, `ArgumentError` where none tells.
    """
    found: dict[str, type[DType]] = {}
    for parameter, operand in zip(parameters, operands, strict=True):
        if not isinstance(operand, Buffer):
            continue
        if parameter.is_variable:
            wanted = found.setdefault(parameter.kind, operand.dtype)
        else:
            wanted = DTYPES[parameter.kind]
        if operand.dtype is not wanted:
            raise DTypeError(
                f"{op}: {parameter.name} must be {wanted.name}, got {operand!r}; convert it with "
                "astype"
            )
        require_f16_support(op, operand.dtype.name, [operand])
    for parameter in parameters:
        if parameter.is_variable and parameter.kind not in found:
            raise ArgumentError(
                f"{op}: the type {parameter.kind} of {parameter.name} must follow from a Buffer, "
                "got numbers alone"
            )
    return found


def dtype_of_parameter(
    op: str, parameter: Parameter, types: Mapping[str, type[DType]], device: Device
) -> type[DType]:
    """Return the dtype of a parameter. Raises `ArgumentError`, `DTypeError`."""
    dtype = DTYPES.get(parameter.kind) or types.get(parameter.kind)
    if dtype is None:
        raise ArgumentError(
            f"{op}: the type {parameter.kind} of {parameter.name} must be that of an input"
        )
    if dtype.name == "f16" and not device.has_f16:
        raise DTypeError(f"{op}: {parameter.name} must be f32, since {device!r} has no f16")
    return dtype


def type_aliases(types: Mapping[str, type[DType]]) -> str:
    """Return the variables with what they are in the text, as ``T=f32``, by name."""
    return " ".join(f"{name}={COMPUTED[types[name].name]}" for name in sorted(types))

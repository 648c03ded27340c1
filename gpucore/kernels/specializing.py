"""What of a call makes a variant of a kernel: known numbers, and the types of type variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gpucore.buffer import Buffer
from gpucore.compiler.known_numbers import known_number
from gpucore.errors import ArgumentError, DTypeError

if TYPE_CHECKING:
    from gpucore.compiler.interface import KernelInterface

__all__ = ["constant_values", "type_values"]

_KINDS = ("f32", "f16", "i32", "u32")


def constant_values(
    kernel: str, interface: KernelInterface, call: Mapping[str, Any]
) -> tuple[tuple[str, int | float | bool], ...]:
    """Return the values of ``Const`` parameters. Raises `ArgumentError` for other values."""
    found: list[tuple[str, int | float | bool]] = []
    for name, kind in interface.constants.items():
        number = known_number(call[name])
        allowed = (int, float) if kind is float else (kind,)
        if type(number) not in allowed:
            raise ArgumentError(
                f"kernel {kernel}: {name} must be {kind.__name__}, known when the kernel is "
                f"compiled, got {call[name]!r}"
            )
        found.append((name, kind(number)))
    return tuple(found)


def type_values(
    kernel: str, interface: KernelInterface, call: Mapping[str, Any]
) -> tuple[tuple[str, str], ...]:
    """Return the scalar of each type variable: that of the arrays. Raises `DTypeError`."""
    found: dict[str, str] = {}
    for name, variable in interface.variables.items():
        value = call[name]
        if not isinstance(value, Buffer):
            continue
        dtype = value.dtype.name
        if dtype not in _KINDS:
            raise DTypeError(
                f"kernel {kernel}: {name} must have elements of {', '.join(_KINDS)}, got {value!r}"
            )
        if found.setdefault(variable, dtype) != dtype:
            raise DTypeError(
                f"kernel {kernel}: {name} must have elements of {found[variable]} as the other "
                f"arrays of {variable}, got {value!r}; convert it with .astype({found[variable]})"
            )
    return tuple(found.items())

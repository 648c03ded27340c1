"""The arguments of a call of a kernel in Python, compared with its parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gpucore.buffer import Buffer
from gpucore.compiler.compiled import ArrayBinding
from gpucore.device import Device
from gpucore.dtypes import u32
from gpucore.errors import ArgumentError, DTypeError, ShapeError

__all__ = ["Call", "bind_arguments", "bound_buffer", "require_arrays"]

Call = Mapping[str, Any]
"""The arguments of one call, by the names of the parameters."""


def bind_arguments(
    kernel: str, names: Sequence[str], arguments: Sequence[Any], named: Mapping[str, Any]
) -> dict[str, Any]:
    """Return arguments by name. Raises `ArgumentError` unless there is one for each parameter."""
    if len(arguments) > len(names):
        raise ArgumentError(
            f"kernel {kernel} takes {len(names)} arguments, got {len(arguments)}: "
            f"{kernel}({', '.join(names)})"
        )
    call = dict(zip(names, arguments, strict=False))
    for name, value in named.items():
        if name not in names:
            raise ArgumentError(
                f"kernel {kernel} has no argument {name}; there are: {', '.join(names)}"
            )
        if name in call:
            raise ArgumentError(
                f"kernel {kernel}: {name} must be given once, got both by place and by name"
            )
        call[name] = value
    if missing := [name for name in names if name not in call]:
        raise ArgumentError(
            f"kernel {kernel}: {', '.join(missing)} is missing: give {', '.join(names)}"
        )
    return call


def require_arrays(kernel: str, arrays: Sequence[ArrayBinding], call: Call) -> Device:
    """Return the device of a call's arrays, which must fit their annotations.

    Raises `ArgumentError`, `DTypeError`, `ShapeError`.
    """
    device: Device | None = None
    for array in arrays:
        value = call[array.name]
        if not isinstance(value, Buffer):
            raise ArgumentError(
                f"kernel {kernel}: {array.name} must be a Buffer, got {type(value).__name__}; "
                "upload an array with device.buffer_from_array(array)"
            )
        _require_elements(kernel, array, value)
        if device is not None and value.device is not device:
            raise ArgumentError(
                f"kernel {kernel}: {array.name} is on {value.device!r}, another array on "
                f"{device!r}; buffer.to(device) copies it there"
            )
        device = value.device
    if device is None:
        raise ArgumentError(f"kernel {kernel} has no arrays, so nothing tells its device")
    return device


def bound_buffer(array: ArrayBinding, call: Call) -> Buffer[Any]:
    """Return the buffer that a launch binds for an array: of atomic floats, their bits."""
    value: Buffer[Any] = call[array.name]
    return Buffer(value.device, u32, value.shape, value.storage) if array.as_bits else value


def _require_elements(kernel: str, array: ArrayBinding, value: Buffer[Any]) -> None:
    """Raise `DTypeError` or `ShapeError` unless dtype and shape are what the annotation says.

    A structure's layout is compared where the kernel is launched.
    """
    if array.dtype and value.dtype.name != array.dtype:
        raise DTypeError(
            f"kernel {kernel}: {array.name} must have elements of {array.dtype}, got {value!r}; "
            f"convert it with .astype({array.dtype})"
        )
    if array.width > 1 and (not value.shape or value.shape[-1] != array.width):
        raise ShapeError(
            f"kernel {kernel}: {array.name} has vectors of {array.width}, so its last axis must "
            f"have {array.width} elements, got shape {value.shape}"
        )
    axes = len(value.shape) - (array.width > 1)
    if array.rank and axes != array.rank:
        raise ShapeError(
            f"kernel {kernel}: {array.name} must have {array.rank} axes, got shape "
            f"{value.shape}; give it another with .view(...)"
        )

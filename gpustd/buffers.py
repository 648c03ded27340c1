"""What is no buffer, refused in plain words."""

from __future__ import annotations

from typing import Any

from gpucore import ArgumentError, Buffer

__all__ = ["refuse_others"]


def refuse_others(op: str, *operands: Any) -> None:
    """Raise `ArgumentError` for an operand that is no `Buffer`."""
    for each in operands:
        if not isinstance(each, Buffer):
            raise ArgumentError(
                f"{op}: got {type(each).__name__}, wants a Buffer: upload an array with "
                "device.buffer_from_array(array)"
            )

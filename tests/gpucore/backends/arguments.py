"""What ctypes checks of a call, for libraries that are no more than Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["check_arguments"]


def check_arguments(name: str, types: Sequence[Any], arguments: Sequence[Any]) -> None:
    """Check the number of arguments, and that ctypes can convert each to its parameter's type."""
    assert len(arguments) == len(types), f"{name} has {len(types)} parameters"
    for position, (kind, argument) in enumerate(zip(types, arguments, strict=True)):
        try:
            kind.from_param(argument)
        except TypeError as error:
            raise AssertionError(f"{name}, argument {position}: {error}") from None

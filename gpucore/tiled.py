"""Arguments of native kernels that the card's copy engine reads box by box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from gpucore.backends import BindingSpec, TileMap
from gpucore.errors import ArgumentError

__all__ = ["Tiled", "tiled_specs"]

_ITEM = 2  # bytes


class _TypedBuffer(Protocol):
    """The part of a `Buffer` that is looked at."""

    nbytes: int

    @property
    def dtype(self) -> Any:
        """The marker of the buffer's numbers."""


B = TypeVar("B", bound=_TypedBuffer)


class Tiled(NamedTuple, Generic[B]):
    """A buffer as an argument of a native kernel, which copies it box by box through ``tiles``."""

    buffer: B
    tiles: TileMap


def tiled_specs(
    specs: tuple[BindingSpec, ...], arguments: Sequence[object], *, is_native: bool
) -> tuple[BindingSpec, ...]:
    """Return the layout of a launch, with the tiles of its `Tiled` arguments.

    Raises `ArgumentError` for tiles that do not lie in their buffer, or where the kernel is WGSL.
    """
    if not any(isinstance(argument, Tiled) for argument in arguments):
        return specs
    if not is_native:
        raise ArgumentError("Tiled arguments are for native kernels: give WGSL the buffer itself")
    found = list(specs)
    for at, argument in enumerate(arguments):
        if isinstance(argument, Tiled):
            buffer, tiles = argument
            if buffer.dtype.itemsize != _ITEM or tiles.end > buffer.nbytes:
                raise ArgumentError(
                    f"binding {specs[at].binding}: tiles must lie in a buffer of 2-byte numbers, "
                    f"got {buffer!r}, of which they take {tiles.end} bytes"
                )
            found[at] = replace(specs[at], tiles=tiles)
    return tuple(found)

"""The layout of a launch, also with arguments that the card's copy engine reads box by box."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from gpucore.backends import BindingSpec, TileMap
from gpucore.errors import ArgumentError, KernelCompileError
from gpucore.wgsl import Binding

__all__ = ["Tiled", "binding_specs", "tiled_specs"]

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
            found[at] = specs[at]._replace(tiles=tiles)
    return tuple(found)


def binding_specs(bindings: tuple[Binding, ...]) -> tuple[BindingSpec, ...]:
    """Return the layout entries of reflected bindings. Raises `KernelCompileError`."""
    specs = []
    numbers: dict[int, str] = {}
    for b in bindings:
        if b.address_space == "handle":
            raise KernelCompileError(
                f"{b.name!r} is {b.type_text}: kernels bind buffers only, var<storage> and "
                "var<uniform>"
            )
        if b.group != 0:
            raise KernelCompileError(
                f"{b.name!r} is in @group({b.group}); kernels use @group(0): declare it there"
            )
        if (other := numbers.setdefault(b.binding, b.name)) != b.name:
            raise KernelCompileError(f"{other!r} and {b.name!r} are both @binding({b.binding})")
        # The engine finds the least size of a runtime-sized array: a matrix load needs more than
        # one element.
        least = b.min_size if b.stride is None else 0
        if b.address_space == "uniform":
            specs.append(BindingSpec(b.binding, "uniform", least))
        elif b.access == "read_write":
            specs.append(BindingSpec(b.binding, "storage", least))
        else:
            specs.append(BindingSpec(b.binding, "read-only-storage", least))
    return tuple(specs)

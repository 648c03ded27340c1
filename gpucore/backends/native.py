"""Kernels in an engine's own language: their code, and the tiles of buffers that they copy.

A native kernel takes the bindings that a WGSL text declares, as any kernel does. The engine hands
a `TileMap` on to the card's copy engine in place of the buffer's address.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["NativeCode", "TileMap"]


@dataclass(frozen=True, slots=True)
class NativeCode:
    """The text of one kernel in CUDA C++, and what a launch of it asks for.

    Attributes:
        text: the source; its one kernel has the name `gpucore.wgsl.c_family.KERNEL`.
        threads: threads of a block.
        memory: bytes of shared memory of a block.
        cluster: blocks that run together and see each other's shared memory.
        follows: it may start before the launch ahead of it is done, and waits by itself.
    """

    text: str
    threads: int
    memory: int
    cluster: int = 1
    follows: bool = True


@dataclass(frozen=True, slots=True)
class TileMap:
    """A buffer of 2-byte numbers as the copy engine sees it: an array, and the box of one copy.

    What a box has outside of the array is read as zeros.

    Attributes:
        extents: numbers along each axis, the innermost first.
        strides: bytes from one index to the next, of all axes but the innermost.
        box: numbers along each axis. In windows over images: channels, then pixels.
        row_bytes: bytes of a row of the box in shared memory, over which its words of 16 bytes
            are exchanged against bank conflicts: 32, 64 or 128.
        offset: byte of the buffer where the array begins.
        corners: None, or the array is images (channels, width, height, images). A copy then takes
            pixels one after the other, from a window's place for each: x and y of the first
            place, then how far behind the last pixels the last place is.
        step: pixels from one place to the next.
    """

    extents: tuple[int, ...]
    strides: tuple[int, ...]
    box: tuple[int, ...]
    row_bytes: int = 128
    offset: int = 0
    corners: tuple[int, int, int, int] | None = None
    step: int = 1

    @property
    def end(self) -> int:
        """The byte of the buffer behind the array's last number."""
        outer = zip(self.extents[1:], self.strides, strict=True)
        return self.offset + 2 * self.extents[0] + sum((n - 1) * stride for n, stride in outer)

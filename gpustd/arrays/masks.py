"""`Mask`: a buffer of truth values, which ``~ & | ^`` and indices treat as booleans."""

from __future__ import annotations

from typing import Any

from gpucore import Buffer, u8

__all__ = ["Mask", "as_mask"]


class Mask(Buffer[u8]):
    """Truth values, 0 and 1 in u8, as comparisons return them.

    A plain buffer of u8 holds numbers: ``~`` inverts their bits, and as an index they are places.
    """

    __slots__ = ()

    def view(self, shape: int | tuple[int, ...]) -> Mask:
        """Return a mask on the same memory in another shape. Raises `ShapeError`."""
        return as_mask(super().view(shape))

    def __copy__(self) -> Mask:
        """Return a new mask with the same contents."""
        return as_mask(super().__copy__())


def as_mask(flags: Buffer[Any]) -> Mask:
    """Return a mask on the memory of a buffer of u8 whose elements are 0 and 1."""
    return Mask(flags.device, u8, flags.shape, flags.storage)

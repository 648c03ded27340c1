"""The parts of a safetensors header: where each tensor lies, and the file's notes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from gpustd.quantization import BLOCK_FORMATS


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """The place of one tensor: ``offset`` is counted from the file's first byte.

    ``axes``: where the file holds the axes in another order, the stored axis that each axis of
    ``shape`` is (as in ``numpy.transpose``). ``scale``: the factors of an 8-bit float's values, of
    the shape (), or one for each row along the first axis that the file stores.
    """

    dtype: str
    shape: tuple[int, ...]
    offset: int
    nbytes: int
    axes: tuple[int, ...] | None = None
    scale: "TensorEntry | None" = None

    @property
    def stored_shape(self) -> tuple[int, ...]:
        """The shape in the file's own order of axes."""
        if self.axes is None:
            return self.shape
        return tuple(self.shape[self.axes.index(axis)] for axis in range(len(self.axes)))

    def can_split(self, count: int) -> bool:
        """Tell whether the first axis can be cut into ``count`` equal parts, of whole blocks."""
        if self.axes is not None or not self.shape or self.shape[0] % count:
            return False
        block = BLOCK_FORMATS.get(self.dtype.lower())
        return block is None or self.nbytes // count % block.nbytes == 0

    def part(self, index: int, count: int) -> "TensorEntry":
        """Return part ``index`` of ``count`` equal parts of the first axis.

        See `can_split`.
        """
        nbytes = self.nbytes // count
        shape = (self.shape[0] // count, *self.shape[1:])
        scale = self.scale.part(index, count) if self.scale and self.scale.shape else self.scale
        return replace(
            self, shape=shape, offset=self.offset + index * nbytes, nbytes=nbytes, scale=scale
        )

    def reshape(self, *shape: int) -> "TensorEntry":
        """Return the same bytes in another shape of as many elements.

        The entry must have no ``axes``.
        """
        return replace(self, shape=shape)

    def transpose(self) -> "TensorEntry":
        """Return a matrix with its two axes exchanged."""
        axes = (1, 0) if self.axes in (None, (0, 1)) else None
        return replace(self, shape=self.shape[::-1], axes=axes)


@dataclass(frozen=True, slots=True)
class Header:
    """All tensors in the order of the text, and the file's free-form notes."""

    tensors: Mapping[str, TensorEntry]
    metadata: Mapping[str, str]

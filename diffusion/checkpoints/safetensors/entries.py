"""The parts of a safetensors header: where each tensor lies, and the file's notes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """The place of one tensor: ``offset`` is counted from the file's first byte.

    ``axes``: where the file holds the axes in another order, the stored axis that each axis of
    ``shape`` is (as in ``numpy.transpose``).
    """

    dtype: str
    shape: tuple[int, ...]
    offset: int
    nbytes: int
    axes: tuple[int, ...] | None = None

    @property
    def stored_shape(self) -> tuple[int, ...]:
        """The shape in the file's own order of axes."""
        if self.axes is None:
            return self.shape
        return tuple(self.shape[self.axes.index(axis)] for axis in range(len(self.axes)))

    def part(self, index: int, count: int) -> "TensorEntry":
        """Return part ``index`` of ``count`` equal parts of the first axis.

        The entry must have no ``axes``.
        """
        nbytes = self.nbytes // count
        shape = (self.shape[0] // count, *self.shape[1:])
        return TensorEntry(self.dtype, shape, self.offset + index * nbytes, nbytes)

    def reshape(self, *shape: int) -> "TensorEntry":
        """Return the same bytes in another shape of as many elements.

        The entry must have no ``axes``.
        """
        return TensorEntry(self.dtype, shape, self.offset, self.nbytes)

    def transpose(self) -> "TensorEntry":
        """Return a matrix with its two axes exchanged."""
        axes = (1, 0) if self.axes in (None, (0, 1)) else None
        return TensorEntry(self.dtype, self.shape[::-1], self.offset, self.nbytes, axes)


@dataclass(frozen=True, slots=True)
class Header:
    """All tensors in the order of the text, and the file's free-form notes."""

    tensors: dict[str, TensorEntry]
    metadata: dict[str, str]

"""The inputs of a UNet that describe the picture: text embeddings, sizes and guidance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from diffusion.models.layers import Activations
from gpustd import concat, repeat_batch, slice_axis

__all__ = ["Conditioning", "Sizes", "copy_buffer"]

Pair = tuple[int, int]


@dataclass(frozen=True)
class Sizes:
    """The sizes in pixels that SDXL reads; pairs are (height, width) and (top, left).

    ``original``: the picture's size before training cropped it. ``crop``: where the crop began.
    ``target``: the size it has now. The refiner reads an aesthetic score (1 to 10) in place of the
    target, and another score with the negative prompt. (Podell et al. 2023, arXiv 2307.01952.)
    """

    original: Pair
    crop: Pair
    target: Pair
    score: float = 6.0
    negative_score: float = 2.5

    @classmethod
    def of(cls, height: int, width: int) -> Sizes:
        """Return the sizes of a picture that was never cropped or enlarged."""
        return cls((height, width), (0, 0), (height, width))

    def numbers(self, *, scored: bool, negative: bool) -> tuple[float, ...]:
        """Return the six numbers of SDXL, or with ``scored`` the five of its refiner."""
        score = self.negative_score if negative else self.score
        return (*self.original, *self.crop, *((score,) if scored else self.target))


@dataclass(frozen=True)
class Conditioning:
    """The description, with one row for each image and prompt; the negative prompt's come first.

    ``context``: text embeddings (rows, S, width). ``added``: SDXL's pooled text and sizes, embedded
    (rows, time width). ``guidance``: features (rows, C) of the guidance that a consistency model
    embeds. ``vectors``: what ``added`` is made of (rows, C), which control networks embed anew. The
    last three are None for models that have no such input.
    """

    context: Activations
    added: Activations | None = None
    guidance: Activations | None = None
    vectors: Activations | None = None

    def for_batch(self, images: int) -> Conditioning:
        """Return the same for ``images`` images, each row repeated."""
        if images == 1:
            return self
        return self._map(lambda rows: _repeat_rows(rows, images))

    def repeat_last(self, rows: int) -> Conditioning:
        """Return the same with its last rows once more after them."""
        return self._map(lambda each: _repeat_end(each, rows))

    def last(self, rows: int) -> Conditioning:
        """Return its last rows alone."""
        return self._map(lambda each: slice_axis(each, 0, each.shape[0] - rows, each.shape[0]))

    def first(self, rows: int) -> Conditioning:
        """Return its first rows alone."""
        return self._map(lambda each: slice_axis(each, 0, 0, rows))

    def copy(self) -> Conditioning:
        """Return the same numbers in new buffers."""
        return self._map(copy_buffer)

    def copy_from(self, other: Conditioning) -> None:
        """Take over the numbers of another conditioning of the same shapes."""
        for name in ("context", "added", "guidance", "vectors"):
            target, source = getattr(self, name), getattr(other, name)
            if target is not None:
                target.copy_from(source)

    def _map(self, change: Callable[[Activations], Activations]) -> Conditioning:
        rest = (self.added, self.guidance, self.vectors)
        changed = (None if each is None else change(each) for each in rest)
        return Conditioning(change(self.context), *changed)


def copy_buffer(rows: Activations) -> Activations:
    """Return a new buffer with the same numbers."""
    result: Activations = rows.device.buffer(rows.dtype, rows.shape)
    result.copy_from(rows)
    return result


def _repeat_end(x: Activations, rows: int) -> Activations:
    """Return ``x`` and its last rows once more."""
    return concat([x, slice_axis(x, 0, x.shape[0] - rows, x.shape[0])], 0)


def _repeat_rows(rows: Activations, times: int) -> Activations:
    """Return each row ``times`` times in a row."""
    each = [repeat_batch(slice_axis(rows, 0, i, i + 1), times) for i in range(rows.shape[0])]
    return each[0] if len(each) == 1 else concat(each, 0)

"""What a UNet is told of the pictures to make, beside their latents and the time step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from diffusion.models.layers import Activations
from gpustd import concat, repeat_batch, slice_axis

__all__ = ["Conditioning", "Sizes", "copied"]

Pair = tuple[int, int]


@dataclass(frozen=True)
class Sizes:
    """What SDXL is told of a picture's origin, in pixels; pairs are (height, width), (top, left).

    ``original``: the picture's size before training cropped it; ``crop``: where the crop began;
    ``target``: the size it has now. The refiner takes an aesthetic score (1 to 10) in place of the
    target, another one with the negative prompt. (Podell et al. 2023, arXiv 2307.01952.)
    """

    original: Pair
    crop: Pair
    target: Pair
    score: float = 6.0
    negative_score: float = 2.5

    @classmethod
    def of(cls, height: int, width: int) -> Sizes:
        """A picture that was never cut or enlarged."""
        return cls((height, width), (0, 0), (height, width))

    def numbers(self, *, scored: bool, negative: bool) -> tuple[float, ...]:
        """The six numbers of SDXL, or with ``scored`` the five of its refiner."""
        score = self.negative_score if negative else self.score
        return (*self.original, *self.crop, *((score,) if scored else self.target))


@dataclass(frozen=True)
class Conditioning:
    """One row for each image and prompt, all rows of the negative prompt first.

    ``context``: text embeddings (rows, S, width). ``added``: SDXL's pooled text and sizes, embedded
    (rows, time width). ``guidance``: features (rows, C) of the guidance that a consistency model
    embeds. The last two are None for models that take none.
    """

    context: Activations
    added: Activations | None = None
    guidance: Activations | None = None

    def for_batch(self, images: int) -> Conditioning:
        """The same for ``images`` images, each row repeated."""
        if images == 1:
            return self
        return self._each(lambda rows: _repeated(rows, images))

    def copied(self) -> Conditioning:
        """Buffers of its own with the same numbers."""
        return self._each(copied)

    def copy_from(self, other: Conditioning) -> None:
        """Take over the numbers of another one of the same shapes."""
        for name in ("context", "added", "guidance"):
            kept, new = getattr(self, name), getattr(other, name)
            if kept is not None:
                kept.copy_from(new)

    def _each(self, change: Callable[[Activations], Activations]) -> Conditioning:
        added = None if self.added is None else change(self.added)
        guidance = None if self.guidance is None else change(self.guidance)
        return Conditioning(change(self.context), added, guidance)


def copied(rows: Activations) -> Activations:
    """A buffer of its own with the same numbers."""
    made: Activations = rows.device.buffer(rows.dtype, rows.shape)
    made.copy_from(rows)
    return made


def _repeated(rows: Activations, times: int) -> Activations:
    each = [repeat_batch(slice_axis(rows, 0, i, i + 1), times) for i in range(rows.shape[0])]
    return each[0] if len(each) == 1 else concat(each, 0)

"""Prompt embeddings as arrays, which a caller may change or keep."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffusion.errors import SettingsError

__all__ = ["PromptEmbeddings"]

Array = NDArray[np.floating]


@dataclass(frozen=True, eq=False, repr=False)
class PromptEmbeddings:
    """The embeddings of a prompt and of a negative prompt.

    Args:
        prompt, negative: (tokens, width), of one shape; tokens are a multiple of the encoder's 77.
        pooled, negative_pooled: (width,), the pooled text of SDXL; None for other models.
    """

    prompt: Array
    negative: Array | None = None
    pooled: Array | None = None
    negative_pooled: Array | None = None

    @classmethod
    def from_rows(cls, context: Array, pooled: Array | None) -> PromptEmbeddings:
        """Return the embeddings in rows of the text encoders: a negative prompt's go first.

        ``context``: (1 or 2, tokens, width). ``pooled``: (1 or 2, width), or None.
        """
        negative = None if len(context) == 1 else context[0]
        if pooled is None:
            return cls(context[-1], negative)
        return cls(context[-1], negative, pooled[-1], None if len(pooled) == 1 else pooled[0])

    def check(self, width: int, pooled_width: int | None) -> None:
        """Raise `SettingsError` where an array does not fit a model.

        ``width``: of its embeddings. ``pooled_width``: of its pooled text; None where it has none.
        """
        for name in ("prompt", "negative"):
            _check(name, getattr(self, name), 2, width, needed=name == "prompt")
        if self.negative is not None and self.negative.shape != self.prompt.shape:
            hint = f"must have the prompt's shape {self.prompt.shape}"
            raise SettingsError("embeddings.negative", self.negative.shape, hint)
        has_negative = self.negative is not None
        for name, needed in (("pooled", True), ("negative_pooled", has_negative)):
            value = getattr(self, name)
            if pooled_width is None and value is not None:
                hint = "this model has one text encoder and no pooled text; leave it out"
                raise SettingsError(f"embeddings.{name}", value.shape, hint)
            if pooled_width is not None:
                _check(name, value, 1, pooled_width, needed=needed)

    def __repr__(self) -> str:
        names = ("prompt", "negative", "pooled", "negative_pooled")
        shapes = (f"{name}={getattr(self, name).shape}" for name in names if self._has(name))
        return f"PromptEmbeddings({', '.join(shapes)})"

    def _has(self, name: str) -> bool:
        return getattr(self, name) is not None


def _check(name: str, value: object, rank: int, width: int, *, needed: bool) -> None:
    """Raise `SettingsError` unless ``value`` is a finite array of ``rank`` whose rows fit."""
    field = f"embeddings.{name}"
    shape = f"(tokens, {width})" if rank == 2 else f"({width},)"
    if value is None:
        if needed:
            raise SettingsError(field, None, f"give an array {shape}")
        return
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
        raise SettingsError(field, type(value).__name__, f"must be an array of floats {shape}")
    if value.ndim != rank or value.shape[-1] != width or not value.shape[0]:
        raise SettingsError(field, value.shape, f"must have the shape {shape}")
    if not np.isfinite(value).all():
        raise SettingsError(field, "an array with infinities or NaN", "give finite numbers")

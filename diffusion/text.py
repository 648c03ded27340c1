"""Prompts to embeddings: one text encoder, or SDXL's two side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from diffusion.models.clip import ClipTextModel, ProjectedClipTextModel
from diffusion.models.layers import Activations
from diffusion.prompts import Chunk, Emphasis, weigh
from diffusion.tokenizer import ClipTokenizer
from gpucore import Device, DType, i32
from gpustd import concat, embedding

__all__ = ["EncodedText", "TextEncoder", "TextEncoders"]

_ROWS = 16
"""Chunks of text that are encoded at once; more would only take memory."""

Prompts = Sequence[Sequence[Chunk]]


class EncodedText(NamedTuple):
    """``context`` (texts, tokens, width); ``pooled`` (texts, width) or None."""

    context: Activations
    pooled: Activations | None


@dataclass(frozen=True)
class TextEncoder:
    """A tokenizer and its network.

    ``penultimate``: the states are those before the last layer, without the final norm, as SDXL
    was trained. (SD 2.x's are penultimate too, in a folder that leaves the last layer out.)
    """

    tokenizer: ClipTokenizer
    network: ClipTextModel
    penultimate: bool

    def encode(self, device: Device, rows: Sequence[Sequence[int]], skip: int) -> EncodedText:
        """Embeddings of rows of token ids, ``skip`` more layers left out."""
        ids = np.array(rows, np.int32)
        positions = np.broadcast_to(np.arange(ids.shape[1]), ids.shape)
        up = device.buffer_from_array
        on_device = up(ids, i32), up(positions, i32)
        left_out = skip + self.penultimate
        with device.region("text encoder"):
            if isinstance(self.network, ProjectedClipTextModel):
                # The first end token: transformers' rule, which old configs' eos_token_id 2 hides.
                ends = [row.index(self.tokenizer.end) for row in ids.tolist()]
                flat = np.array(ends) + np.arange(len(ends)) * ids.shape[1]
                return EncodedText(*self.network.encode(*on_device, up(flat, i32), left_out))
            states = self.network(*on_device, skip=left_out, normed=not self.penultimate)
            return EncodedText(states, None)


@dataclass(frozen=True)
class TextEncoders:
    """A model's text encoders. Their embeddings lie side by side; all share one vocabulary."""

    device: Device
    dtype: type[DType]
    encoders: tuple[TextEncoder, ...]

    @property
    def tokenizer(self) -> ClipTokenizer:
        """The first one's; the others differ in padding alone."""
        return self.encoders[0].tokenizer

    @property
    def most_skipped(self) -> int:
        """How many last layers can be left out; then no layer is left of the shortest encoder."""
        return min(
            len(each.network.text_model.encoder.layers) - each.penultimate for each in self.encoders
        )

    def encode_text(self, texts: Sequence[str]) -> EncodedText:
        """Embeddings of plain texts, cut where they are longer than the model takes."""
        return self._joined(
            [each.encode(self.device, each.tokenizer(texts), 0) for each in self.encoders]
        )

    def encode_prompts(self, prompts: Prompts, emphasis: Emphasis, skip: int = 0) -> EncodedText:
        """Embeddings (prompts, chunks * tokens, width), each token's times its weight.

        Shorter prompts are filled up with empty chunks. Weights are applied on the host, only
        where one is not 1, and not to the pooled text, which is the first chunk's. ``skip``: last
        layers left out (CLIP skip), none by default.
        """
        most = max(map(len, prompts))
        chunks = [chunk for each in prompts for chunk in (*each, *[Chunk()] * (most - len(each)))]
        found = [self._encode_chunks(each, chunks, emphasis, skip) for each in self.encoders]
        context, pooled = self._joined(found)
        if pooled is not None and most > 1:
            first = np.arange(len(prompts), dtype=np.int32) * most
            pooled = embedding(pooled, self.device.buffer_from_array(first, i32))
        shape = (len(prompts), most * context.shape[1], context.shape[2])
        return EncodedText(context.view(shape), pooled)

    def _encode_chunks(
        self, encoder: TextEncoder, chunks: Sequence[Chunk], emphasis: Emphasis, skip: int
    ) -> EncodedText:
        """Weighted states and pooled text of one encoder, a row for each chunk."""
        rows = [encoder.tokenizer.row(chunk.tokens) for chunk in chunks]
        groups = [
            encoder.encode(self.device, rows[i : i + _ROWS], skip)
            for i in range(0, len(rows), _ROWS)
        ]
        states = _stacked([group.context for group in groups])
        pooled = [group.pooled for group in groups if group.pooled is not None]
        weights = np.ones(states.shape[:2])
        for row, chunk in zip(weights, chunks, strict=True):
            row[1 : 1 + len(chunk.weights)] = chunk.weights
        if (weights != 1).any():
            weighed = weigh(states.read(), weights, emphasis.keeps_mean)
            states = self.device.buffer_from_array(weighed, self.dtype)
        return EncodedText(states, _stacked(pooled) if pooled else None)

    def _joined(self, found: Sequence[EncodedText]) -> EncodedText:
        """The encoders' states side by side, and the last one's pooled text."""
        context = _stacked([each.context for each in found], axis=2)
        return EncodedText(context, found[-1].pooled)


def _stacked(parts: Sequence[Activations], axis: int = 0) -> Activations:
    return parts[0] if len(parts) == 1 else concat(parts, axis)

"""Prompts to embeddings: one text encoder, or SDXL's two side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffusion.models.layers import Activations
from diffusion.prompts import Chunk, Emphasis, weigh_embeddings
from diffusion.text.encoder import EncodedText, TextEncoder, join_buffers
from diffusion.text.tokenizer import ClipTokenizer
from gpucore import Device, DType, i32
from gpustd import embedding

__all__ = ["TextEncoders"]

Prompts = Sequence[Sequence[Chunk]]


@dataclass(frozen=True)
class TextEncoders:
    """A model's text encoders. Their embeddings lie side by side; all share one vocabulary."""

    device: Device
    dtype: type[DType]
    encoders: tuple[TextEncoder, ...]

    @property
    def tokenizer(self) -> ClipTokenizer:
        """The tokenizer of the first encoder; the others differ in padding alone."""
        return self.encoders[0].tokenizer

    @property
    def most_skipped(self) -> int:
        """The most last layers that can be left out: all of the shortest encoder."""
        return min(
            len(each.network.text_model.encoder.layers) - each.penultimate for each in self.encoders
        )

    def encode_text(self, texts: Sequence[str]) -> EncodedText:
        """Encode plain texts, cut where they are longer than the model takes."""
        return self._join([each.encode(each.tokenizer(texts), 0) for each in self.encoders])

    def encode_prompts(self, prompts: Prompts, emphasis: Emphasis, skip: int = 0) -> EncodedText:
        """Encode prompts to (prompts, chunks * tokens, width), each token times its weight.

        Shorter prompts are filled up with empty chunks. Weights are applied on the host, only
        where one is not 1, and not to the pooled text, which is the first chunk's. ``skip``: number
        of last layers that are left out (CLIP skip).
        """
        most = max(map(len, prompts))
        chunks = [chunk for each in prompts for chunk in (*each, *[Chunk()] * (most - len(each)))]
        encoded = [
            self._encode_chunks(number, chunks, emphasis, skip)
            for number in range(len(self.encoders))
        ]
        context, pooled = self._join(encoded)
        if pooled is not None and most > 1:
            first = np.arange(len(prompts), dtype=np.int32) * most
            pooled = embedding(self.device.buffer_from_array(first, i32), pooled)
        shape = (len(prompts), most * context.shape[1], context.shape[2])
        return EncodedText(context.view(shape), pooled)

    def release(self) -> None:
        """Give the memory of all captured networks back. Call it after weights change, too."""
        for each in self.encoders:
            each.release()

    def _encode_chunks(
        self, number: int, chunks: Sequence[Chunk], emphasis: Emphasis, skip: int
    ) -> EncodedText:
        """Return weighted states and pooled text of encoder ``number``, a row for each chunk."""
        encoder = self.encoders[number]
        rows = [encoder.tokenizer.row(chunk.tokens) for chunk in chunks]
        # The start token stands before a chunk's own.
        vectors = [
            {1 + place: word.vectors[number] for place, word in chunk.words} for chunk in chunks
        ]
        states, pooled = encoder.encode(rows, skip, vectors)
        weights = np.ones(states.shape[:2])
        for row, chunk in zip(weights, chunks, strict=True):
            row[1 : 1 + len(chunk.weights)] = chunk.weights
        outputs = list(_outputs_of(number, chunks))
        if outputs or (weights != 1).any():
            values = states.read()
            for at, place, found in outputs:
                values[at, place : place + len(found)] = found
            weighted = weigh_embeddings(values, weights, emphasis.keeps_mean)
            states = self.device.buffer_from_array(weighted, self.dtype)
        return EncodedText(states, pooled)

    def _join(self, encoded: Sequence[EncodedText]) -> EncodedText:
        """Return the encoders' states side by side, and the last one's pooled text."""
        context: Activations = join_buffers([each.context for each in encoded], axis=2)
        return EncodedText(context, encoded[-1].pooled)


class _Output(NamedTuple):
    """Vectors of an encoder's output, and the row and place from which on they stand."""

    row: int
    place: int
    vectors: NDArray[np.float32]


def _outputs_of(number: int, chunks: Sequence[Chunk]) -> Iterator[_Output]:
    """Yield what words put in the place of encoder ``number``'s output."""
    for row, chunk in enumerate(chunks):
        for place, word in chunk.words:
            vectors = word.output(number)
            if vectors is not None:
                yield _Output(row, 1 + place, vectors)

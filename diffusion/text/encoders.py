"""Prompts to embeddings: one text encoder, or SDXL's two side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffusion.models.clip import ClipTextModel, ProjectedClipTextModel
from diffusion.models.layers import Activations
from diffusion.prompts import Chunk, Emphasis, weigh_embeddings
from diffusion.text.conditioning import copied
from diffusion.text.tokenizer import ClipTokenizer
from gpucore import Buffer, Device, DType, Graph, i32
from gpustd import concat, embedding

__all__ = ["EncodedText", "TextEncoder", "TextEncoders"]

_ROWS = 16
"""Chunks of text that are encoded at once; more would only take memory."""
_MOST_GRAPHS = 4
"""Kept for an encoder, those used last."""

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
    _graphs: dict[tuple[int, ...], _EncoderGraph] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def encode(self, device: Device, rows: Sequence[Sequence[int]], skip: int) -> EncodedText:
        """Embeddings of rows of token ids, ``skip`` more layers left out.

        The network is captured for each number of rows and of layers; graphs used last are kept.
        """
        ids = np.array(rows, np.int32)
        groups = [
            self._graph(device, group.shape, skip)(group)
            for group in (ids[first : first + _ROWS] for first in range(0, len(ids), _ROWS))
        ]
        pooled = [group.pooled for group in groups if group.pooled is not None]
        states = _stacked([group.context for group in groups])
        return EncodedText(states, _stacked(pooled) if pooled else None)

    def _graph(self, device: Device, shape: tuple[int, ...], skip: int) -> _EncoderGraph:
        key = (*shape, skip)
        graph = self._graphs.pop(key, None)
        if graph is None or graph.device is not device:
            graph = _EncoderGraph(self, device, shape, skip)
        self._graphs[key] = graph
        while len(self._graphs) > _MOST_GRAPHS:
            self._graphs.pop(next(iter(self._graphs))).release()
        return graph

    def record(
        self, ids: Buffer[i32], positions: Buffer[i32], ends: Buffer[i32], skip: int
    ) -> EncodedText:
        """The network's launches; ``ends`` are those that the pooled text takes."""
        left_out = skip + self.penultimate
        if isinstance(self.network, ProjectedClipTextModel):
            return EncodedText(*self.network.encode(ids, positions, ends, left_out))
        states = self.network(ids, positions, skip=left_out, normed=not self.penultimate)
        return EncodedText(states, None)

    def release(self) -> None:
        """Give the captured graphs' memory back: call it after the weights change, too."""
        while self._graphs:
            self._graphs.popitem()[1].release()


class _EncoderGraph:
    """An encoder's network, captured for token ids of one shape (rows, tokens).

    A call writes all that changes and copies the result: neither a call before nor one that was
    cut off can be seen in it, and the next one leaves it alone.
    """

    def __init__(
        self, encoder: TextEncoder, device: Device, shape: tuple[int, ...], skip: int
    ) -> None:
        self.device = device
        self._end = encoder.tokenizer.end
        self._ids, self._ends = device.buffer(i32, shape), device.buffer(i32, shape[:1])
        positions = np.broadcast_to(np.arange(shape[1]), shape)
        on_device = device.buffer_from_array(positions, i32)
        with device.capture() as graph, device.region("text encoder"):
            self._made = encoder.record(self._ids, on_device, self._ends, skip)
        self._graph: Graph = graph

    def __call__(self, ids: NDArray[np.int32]) -> EncodedText:
        """Embeddings and pooled text of ``ids``."""
        self._ids.write(ids)
        context, pooled = self._made
        if pooled is not None:
            # The first end token: transformers' rule, which old configs' eos_token_id 2 hides.
            ends = [row.index(self._end) for row in ids.tolist()]
            flat = np.array(ends) + np.arange(len(ends)) * ids.shape[1]
            self._ends.write(flat.astype(np.int32))
        self._graph.replay()
        return EncodedText(copied(context), None if pooled is None else copied(pooled))

    def release(self) -> None:
        """Give the graph's memory back."""
        self._graph.release()


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
            pooled = embedding(self.device.buffer_from_array(first, i32), pooled)
        shape = (len(prompts), most * context.shape[1], context.shape[2])
        return EncodedText(context.view(shape), pooled)

    def release(self) -> None:
        """Give the memory of all captured networks back: call it after the weights change, too."""
        for each in self.encoders:
            each.release()

    def _encode_chunks(
        self, encoder: TextEncoder, chunks: Sequence[Chunk], emphasis: Emphasis, skip: int
    ) -> EncodedText:
        """Weighted states and pooled text of one encoder, a row for each chunk."""
        rows = [encoder.tokenizer.row(chunk.tokens) for chunk in chunks]
        states, pooled = encoder.encode(self.device, rows, skip)
        weights = np.ones(states.shape[:2])
        for row, chunk in zip(weights, chunks, strict=True):
            row[1 : 1 + len(chunk.weights)] = chunk.weights
        if (weights != 1).any():
            weighed = weigh_embeddings(states.read(), weights, emphasis.keeps_mean)
            states = self.device.buffer_from_array(weighed, self.dtype)
        return EncodedText(states, pooled)

    def _joined(self, found: Sequence[EncodedText]) -> EncodedText:
        """The encoders' states side by side, and the last one's pooled text."""
        context = _stacked([each.context for each in found], axis=2)
        return EncodedText(context, found[-1].pooled)


def _stacked(parts: Sequence[Activations], axis: int = 0) -> Activations:
    return parts[0] if len(parts) == 1 else concat(parts, axis)

"""One text encoder on a device, captured as a graph for each shape of its input."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffusion.models.clip import ClipTextModel, LearnedVectors, ProjectedClipTextModel
from diffusion.models.graph_cache import GraphCache
from diffusion.models.layers import Activations
from diffusion.models.low_rank import updates
from diffusion.text.conditioning import copy_buffer
from diffusion.text.encoding_updates import EncodingUpdates, current_encoding
from diffusion.text.tokenizer import ClipTokenizer
from gpucore import Buffer, Device, Graph, i32
from gpustd import concat

__all__ = ["EncodedText", "TextEncoder", "join_buffers"]

_ROWS: Final = 16
"""Chunks of text that are encoded at once; more would only take memory."""
_MOST_GRAPHS: Final = 4

Vectors = Mapping[int, NDArray[np.float32]]
"""Vectors (count, width) by the place in a row from which on they replace tokens' embeddings."""


class EncodedText(NamedTuple):
    """Embeddings: ``context`` (texts, tokens, width), ``pooled`` (texts, width) or None."""

    context: Activations
    pooled: Activations | None


class CapturedEncoder:
    """An encoder's network, captured for token ids of one shape (rows, tokens).

    A call writes all inputs and copies the result. So it depends on no earlier call, even one that
    was interrupted, and later calls do not change it.
    """

    def __init__(
        self,
        encoder: TextEncoder,
        shape: tuple[int, ...],
        skip: int,
        encoding: EncodingUpdates | None,
        *,
        learned: bool,
    ) -> None:
        device = encoder.device
        self._end = encoder.tokenizer.end
        self._ids, self._ends = device.buffer(i32, shape), device.buffer(i32, shape[:1])
        positions = np.broadcast_to(np.arange(shape[1]), shape)
        on_device = device.buffer_from_array(positions, i32)
        self._learned = _learned_buffers(encoder, shape) if learned else None
        self._updates = None if encoding is None else encoding.rows(device, shape[0])
        with device.capture() as graph, device.region("text encoder"), updates(self._updates):
            self._output = encoder.record(self._ids, on_device, self._ends, skip, self._learned)
        self._graph: Graph = graph

    @property
    def size(self) -> int:
        """Tokens of all rows."""
        return self._ids.size

    def __call__(
        self,
        ids: NDArray[np.int32],
        vectors: Sequence[Vectors],
        encoding: EncodingUpdates | None,
    ) -> EncodedText:
        """Return embeddings and pooled text of ``ids``; ``vectors``: of each row."""
        self._ids.write(ids)
        if self._updates is not None and encoding is not None:
            encoding.write(self._updates.chosen)
        if self._learned is not None:
            _write_vectors(self._learned, vectors)
        context, pooled = self._output
        if pooled is not None:
            # The first end token: transformers' rule, which old configs' eos_token_id 2 hides.
            ends = [row.index(self._end) for row in ids.tolist()]
            flat = np.array(ends) + np.arange(len(ends)) * ids.shape[1]
            self._ends.write(flat.astype(np.int32))
        self._graph.replay()
        return EncodedText(copy_buffer(context), None if pooled is None else copy_buffer(pooled))

    def release(self) -> None:
        """Give the graph's memory back."""
        self._graph.release()


@dataclass(frozen=True)
class TextEncoder:
    """A tokenizer and its network.

    ``penultimate``: the states are those before the last layer, without the final norm, as SDXL
    was trained. (SD 2.x's are penultimate too, but its folders leave the last layer out.)
    """

    device: Device
    tokenizer: ClipTokenizer
    network: ClipTextModel
    penultimate: bool
    graphs: GraphCache[CapturedEncoder] = field(
        default_factory=lambda: GraphCache(_MOST_GRAPHS), init=False, repr=False, compare=False
    )

    def encode(
        self, rows: Sequence[Sequence[int]], skip: int, vectors: Sequence[Vectors] | None = None
    ) -> EncodedText:
        """Encode rows of token ids, with ``skip`` more layers left out.

        ``vectors``: for each row, those that replace tokens' embeddings.
        """
        ids = np.array(rows, np.int32)
        replaced = vectors or [{}] * len(ids)
        groups = [
            self._encode_group(ids[first : first + _ROWS], skip, replaced[first : first + _ROWS])
            for first in range(0, len(ids), _ROWS)
        ]
        pooled = [group.pooled for group in groups if group.pooled is not None]
        states = join_buffers([group.context for group in groups])
        return EncodedText(states, join_buffers(pooled) if pooled else None)

    def _encode_group(
        self, ids: NDArray[np.int32], skip: int, vectors: Sequence[Vectors]
    ) -> EncodedText:
        """Encode rows that are computed at once."""
        learned, encoding = any(vectors), current_encoding()
        key = (ids.shape, skip, learned, None if encoding is None else encoding.bank.number)

        def capture() -> CapturedEncoder:
            return CapturedEncoder(self, ids.shape, skip, encoding, learned=learned)

        with self.graphs.lend(key, capture) as captured:
            return captured(ids, vectors, encoding)

    def record(
        self,
        ids: Buffer[i32],
        positions: Buffer[i32],
        ends: Buffer[i32],
        skip: int,
        learned: LearnedVectors | None = None,
    ) -> EncodedText:
        """Record the network's launches; ``ends``: indices of the end tokens, for pooled text."""
        left_out = skip + self.penultimate
        if isinstance(self.network, ProjectedClipTextModel):
            return EncodedText(*self.network.encode(ids, positions, ends, left_out, learned))
        states = self.network(
            ids, positions, skip=left_out, normed=not self.penultimate, learned=learned
        )
        return EncodedText(states, None)

    def release(self) -> None:
        """Give the captured graphs' memory back. Call it after the weights change, too."""
        self.graphs.release()


def _learned_buffers(encoder: TextEncoder, shape: tuple[int, ...]) -> LearnedVectors:
    """Return buffers for as many vectors as there are tokens."""
    table = encoder.network.text_model.embeddings.token_embedding.weight
    rows = np.zeros((math.prod(shape), table.shape[1]))
    dtype = table.parts[0].dtype
    vectors: Buffer[Any] = encoder.device.buffer_from_array(rows, dtype)
    return LearnedVectors(vectors, encoder.device.buffer(i32, shape))


def _write_vectors(learned: LearnedVectors, vectors: Sequence[Vectors]) -> None:
    """Write the vectors of each row, and the numbers that choose them."""
    rows, length = learned.choice.shape
    choice = np.arange(rows * length, dtype=np.int32).reshape(rows, length)
    table = np.zeros(learned.vectors.shape, learned.vectors.dtype.numpy)
    for row, by_place in enumerate(vectors):
        for place, each in by_place.items():
            taken = choice[row, place : place + len(each)]
            table[taken] = each
            taken += rows * length
    learned.vectors.write(table)
    learned.choice.write(choice)


def join_buffers(parts: Sequence[Activations], axis: int = 0) -> Activations:
    """Return ``parts`` one after another along ``axis``."""
    return parts[0] if len(parts) == 1 else concat(parts, axis)

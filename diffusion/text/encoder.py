"""One text encoder on a device, captured as a graph for each shape of its input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffusion.models.clip import ClipTextModel, ProjectedClipTextModel
from diffusion.models.graph_cache import GraphCache
from diffusion.models.layers import Activations
from diffusion.text.conditioning import copy_buffer
from diffusion.text.tokenizer import ClipTokenizer
from gpucore import Buffer, Device, Graph, i32
from gpustd import concat

__all__ = ["EncodedText", "TextEncoder", "join_buffers"]

_ROWS: Final = 16
"""Chunks of text that are encoded at once; more would only take memory."""
_MOST_GRAPHS: Final = 4


class EncodedText(NamedTuple):
    """Embeddings: ``context`` (texts, tokens, width), ``pooled`` (texts, width) or None."""

    context: Activations
    pooled: Activations | None


class CapturedEncoder:
    """An encoder's network, captured for token ids of one shape (rows, tokens).

    A call writes all inputs and copies the result. So it depends on no earlier call, even one that
    was interrupted, and later calls do not change it.
    """

    def __init__(self, encoder: TextEncoder, shape: tuple[int, ...], skip: int) -> None:
        device = encoder.device
        self._end = encoder.tokenizer.end
        self._ids, self._ends = device.buffer(i32, shape), device.buffer(i32, shape[:1])
        positions = np.broadcast_to(np.arange(shape[1]), shape)
        on_device = device.buffer_from_array(positions, i32)
        with device.capture() as graph, device.region("text encoder"):
            self._output = encoder.record(self._ids, on_device, self._ends, skip)
        self._graph: Graph = graph

    @property
    def size(self) -> int:
        """Tokens of all rows."""
        return self._ids.size

    def __call__(self, ids: NDArray[np.int32]) -> EncodedText:
        """Return embeddings and pooled text of ``ids``."""
        self._ids.write(ids)
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

    def encode(self, rows: Sequence[Sequence[int]], skip: int) -> EncodedText:
        """Encode rows of token ids, with ``skip`` more layers left out."""
        ids = np.array(rows, np.int32)
        groups = [
            self._encode_group(ids[first : first + _ROWS], skip)
            for first in range(0, len(ids), _ROWS)
        ]
        pooled = [group.pooled for group in groups if group.pooled is not None]
        states = join_buffers([group.context for group in groups])
        return EncodedText(states, join_buffers(pooled) if pooled else None)

    def _encode_group(self, ids: NDArray[np.int32], skip: int) -> EncodedText:
        """Encode rows that are computed at once."""
        key = (ids.shape, skip)
        with self.graphs.lend(key, lambda: CapturedEncoder(self, ids.shape, skip)) as captured:
            return captured(ids)

    def record(
        self, ids: Buffer[i32], positions: Buffer[i32], ends: Buffer[i32], skip: int
    ) -> EncodedText:
        """Record the network's launches; ``ends``: indices of the end tokens, for pooled text."""
        left_out = skip + self.penultimate
        if isinstance(self.network, ProjectedClipTextModel):
            return EncodedText(*self.network.encode(ids, positions, ends, left_out))
        states = self.network(ids, positions, skip=left_out, normed=not self.penultimate)
        return EncodedText(states, None)

    def release(self) -> None:
        """Give the captured graphs' memory back. Call it after the weights change, too."""
        self.graphs.release()


def join_buffers(parts: Sequence[Activations], axis: int = 0) -> Activations:
    """Return ``parts`` one after another along ``axis``."""
    return parts[0] if len(parts) == 1 else concat(parts, axis)

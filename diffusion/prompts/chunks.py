"""Cutting a prompt of any length into chunks for the text encoder (by A1111's rules).

A chunk holds 75 tokens between the start and the end token. If a chunk is full and a comma stands
among its last 20 tokens, the text after that comma moves to the next chunk. Phrases are so kept
together. ``BREAK`` ends a chunk. The embeddings of the chunks are joined.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Final, Protocol

from diffusion.checks import check_text
from diffusion.errors import SettingsError
from diffusion.prompts.emphasis import Emphasis
from diffusion.prompts.grammar import WeightedText, parse_prompt

__all__ = ["MAX_CHUNKS", "MAX_WEIGHT", "Chunk", "TextTokens", "chunk_prompt"]

MAX_CHUNKS: Final = 128
MAX_WEIGHT: Final = 10.0
"""A hidden state of CLIP times this weight, rescaled at most tenfold, stays far inside f16."""
BACKTRACK: Final = 20
"""Tokens after a comma that may move to the next chunk."""


class TextTokens(Protocol):
    """A tokenizer: the tokens that a chunk holds, the comma's id, and the ids of a text."""

    @property
    def capacity(self) -> int: ...

    @property
    def comma(self) -> int | None: ...

    def tokens(self, text: str) -> list[int]: ...


@dataclass(frozen=True)
class Chunk:
    """Token ids, at most as many as a chunk holds, and the weight of each."""

    tokens: tuple[int, ...] = ()
    weights: tuple[float, ...] = ()


@dataclass
class _Chunker:
    """Sorts tokens into chunks, one by one.

    ``open``: tokens and weights of the chunk that is not full yet. ``_last_comma``: the place of
    the last comma in it, or None.
    """

    capacity: int
    comma: int | None
    chunks: list[Chunk] = field(default_factory=list)
    open: list[tuple[int, float]] = field(default_factory=list)
    _last_comma: int | None = None

    def add(self, token: int, weight: float) -> None:
        """Add a token to the open chunk; if that is full, close it first."""
        if len(self.open) == self.capacity:
            self.end(len(self.open) if token == self.comma else self._phrase_end())
        if token == self.comma:
            self._last_comma = len(self.open)
        self.open.append((token, weight))

    def _phrase_end(self) -> int:
        """Return the place to cut a full chunk: after its last comma if that is near."""
        if self._last_comma is None or len(self.open) - self._last_comma > BACKTRACK:
            return len(self.open)
        return self._last_comma + 1

    def end(self, cut: int) -> None:
        """Close the chunk before ``cut``; the tokens after it open the next."""
        closed, self.open, self._last_comma = self.open[:cut], self.open[cut:], None
        self.chunks.append(Chunk(tuple(t for t, _ in closed), tuple(w for _, w in closed)))


def chunk_prompt(
    field_name: str, text: str, emphasis: Emphasis, tokenizer: TextTokens
) -> list[Chunk]:
    """Cut a prompt into chunks, at least one. Weights are 1 where the mode does not weigh.

    Weights beyond ±10 are clipped, with a warning. Raises `SettingsError` under ``field_name``
    for more than 65,536 characters, before any is read, or 128 chunks.
    """
    check_text(field_name, text)
    sections = parse_prompt(text) if emphasis.reads_brackets else [[WeightedText(text, 1.0)]]
    chunker = _Chunker(tokenizer.capacity, tokenizer.comma)
    for number, pieces in enumerate(sections):
        if number > 0:
            chunker.end(len(chunker.open))
        for piece in pieces:
            weight = _clip_weight(piece.weight, field_name) if emphasis.weighs else 1.0
            for token in tokenizer.tokens(piece.text):
                chunker.add(token, weight)
        if len(chunker.chunks) > MAX_CHUNKS:
            break
    if chunker.open or not chunker.chunks:
        chunker.end(len(chunker.open))
    if len(chunker.chunks) > MAX_CHUNKS:
        limit = f"{MAX_CHUNKS} chunks of {tokenizer.capacity} tokens"
        raise SettingsError(field_name, f"{len(text)} characters", f"they make more than {limit}")
    return chunker.chunks


def _clip_weight(weight: float, field_name: str) -> float:
    """Return the weight, clipped to ±10 with a warning."""
    if abs(weight) <= MAX_WEIGHT:
        return weight
    # The same words each time, so that Python shows it once.
    warnings.warn(f"{field_name}: weights beyond ±{MAX_WEIGHT:g} are cut", stacklevel=3)
    return MAX_WEIGHT if weight > 0 else -MAX_WEIGHT

"""A prompt of any length as chunks that the text encoder takes (A1111's WebUI has the rules).

A chunk holds 75 tokens between the start and the end token. Where a chunk is full and a comma
stands among its last 20 tokens, the text after that comma moves to the next chunk, so that a
phrase is not torn. ``BREAK`` ends a chunk. The embeddings of the chunks are joined.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Final, Protocol

from diffusion.errors import SettingsError
from diffusion.prompts.emphasis import Emphasis
from diffusion.prompts.grammar import Span, parse_prompt

__all__ = ["MOST_CHUNKS", "MOST_WEIGHT", "Chunk", "TextTokens", "chunk_prompt"]

MOST_CHUNKS: Final = 128
MOST_WEIGHT: Final = 10.0
"""A hidden state of CLIP times this, and rescaled at most tenfold, stays far inside f16."""
BACKTRACK: Final = 20
"""Tokens after a comma that may move to the next chunk."""


class TextTokens(Protocol):
    """What is asked of a tokenizer: tokens a chunk holds, the comma's id, ids of a text."""

    @property
    def capacity(self) -> int: ...

    @property
    def comma(self) -> int | None: ...

    def tokens(self, text: str) -> list[int]: ...


@dataclass(frozen=True)
class Chunk:
    """Token ids, as many as a chunk holds or fewer, and each one's weight."""

    tokens: tuple[int, ...] = ()
    weights: tuple[float, ...] = ()


@dataclass
class _Chunker:
    """Takes tokens one by one; ``_last_comma`` is the open chunk's last one or None."""

    capacity: int
    comma: int | None
    chunks: list[Chunk] = field(default_factory=list)
    open: list[tuple[int, float]] = field(default_factory=list)
    _last_comma: int | None = None

    def add(self, token: int, weight: float) -> None:
        if len(self.open) == self.capacity:
            self.end(len(self.open) if token == self.comma else self._phrase_end())
        if token == self.comma:
            self._last_comma = len(self.open)
        self.open.append((token, weight))

    def _phrase_end(self) -> int:
        """Where a full chunk is cut: after its last comma if that is near."""
        if self._last_comma is None or len(self.open) - self._last_comma > BACKTRACK:
            return len(self.open)
        return self._last_comma + 1

    def end(self, cut: int) -> None:
        """Close the chunk before ``cut``; what stands after it opens the next."""
        closed, self.open, self._last_comma = self.open[:cut], self.open[cut:], None
        self.chunks.append(Chunk(tuple(t for t, _ in closed), tuple(w for _, w in closed)))


def chunk_prompt(
    field_name: str, text: str, emphasis: Emphasis, tokenizer: TextTokens
) -> list[Chunk]:
    """The chunks of a prompt, at least one. Weights are 1 where the mode does not weigh.

    Weights beyond ±10 are cut there, with a warning. Raises `SettingsError` under ``field_name``
    for more than 128 chunks.
    """
    sections = parse_prompt(text) if emphasis.reads_brackets else [[Span(text, 1.0)]]
    chunker = _Chunker(tokenizer.capacity, tokenizer.comma)
    for number, spans in enumerate(sections):
        if number > 0:
            chunker.end(len(chunker.open))
        for span in spans:
            weight = _weight(span, field_name) if emphasis.weighs else 1.0
            for token in tokenizer.tokens(span.text):
                chunker.add(token, weight)
        if len(chunker.chunks) > MOST_CHUNKS:
            break
    if chunker.open or not chunker.chunks:
        chunker.end(len(chunker.open))
    if len(chunker.chunks) > MOST_CHUNKS:
        most = f"{MOST_CHUNKS} chunks of {tokenizer.capacity} tokens"
        raise SettingsError(field_name, f"{len(text)} characters", f"they make more than {most}")
    return chunker.chunks


def _weight(span: Span, field_name: str) -> float:
    """The span's weight within bounds."""
    if abs(span.weight) <= MOST_WEIGHT:
        return span.weight
    # The same words each time, so that Python shows it once.
    warnings.warn(f"{field_name}: weights beyond ±{MOST_WEIGHT:g} are cut", stacklevel=3)
    return MOST_WEIGHT if span.weight > 0 else -MOST_WEIGHT

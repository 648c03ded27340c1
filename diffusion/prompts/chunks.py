"""Cutting a prompt of any length into chunks for the text encoder (by A1111's rules).

A chunk holds 75 tokens between the start and the end token. If a chunk is full and a comma stands
among its last 20 tokens, the text after that comma moves to the next chunk. Phrases are so kept
together. ``BREAK`` ends a chunk. The embeddings of the chunks are joined. A word whose embeddings
come from a file is never cut: where it does not fit, it opens the next chunk.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from diffusion.checks import check_text
from diffusion.errors import SettingsError
from diffusion.prompts.emphasis import Emphasis
from diffusion.prompts.grammar import WeightedText, parse_prompt
from diffusion.prompts.learned_words import NO_WORDS, LearnedWord, WordTable

__all__ = ["MAX_CHUNKS", "MAX_WEIGHT", "Chunk", "InsertedWord", "TextTokens", "chunk_prompt"]

MAX_CHUNKS: Final = 128
MAX_WEIGHT: Final = 10.0
"""A hidden state of CLIP times this weight, rescaled at most tenfold, stays far inside f16."""
BACKTRACK: Final = 20
"""Tokens after a comma that may move to the next chunk."""
_STAND_IN: Final = 0
"""The token at the places of a word from a file, whose embedding is replaced."""


class TextTokens(Protocol):
    """A tokenizer: the tokens that a chunk holds, the comma's id, and the ids of a text."""

    @property
    def capacity(self) -> int: ...

    @property
    def comma(self) -> int | None: ...

    def tokens(self, text: str) -> list[int]: ...


class InsertedWord(NamedTuple):
    """A word from a file, and the place in a chunk where its vectors begin."""

    place: int
    word: LearnedWord


@dataclass(frozen=True)
class Chunk:
    """Token ids, at most as many as a chunk holds, the weight of each, and words from files."""

    tokens: tuple[int, ...] = ()
    weights: tuple[float, ...] = ()
    words: tuple[InsertedWord, ...] = ()


class _Place(NamedTuple):
    """A token and its weight; ``word``: the one whose first vector stands here."""

    token: int
    weight: float
    word: LearnedWord | None = None


@dataclass
class _Chunker:
    """Sorts tokens into chunks, one by one.

    ``open``: the places of the chunk that is not full yet. ``_last_comma``: the place of the last
    comma in it, or None.
    """

    capacity: int
    comma: int | None
    chunks: list[Chunk] = field(default_factory=list)
    open: list[_Place] = field(default_factory=list)
    _last_comma: int | None = None

    def add(self, token: int, weight: float) -> None:
        """Add a token to the open chunk; if that is full, close it first."""
        if len(self.open) == self.capacity:
            self.end(len(self.open) if token == self.comma else self._phrase_end())
        if token == self.comma:
            self._last_comma = len(self.open)
        self.open.append(_Place(token, weight))

    def add_word(self, word: LearnedWord, weight: float) -> None:
        """Add the vectors of a word, all of them to one chunk."""
        if len(self.open) == self.capacity:
            self.end(self._phrase_end())
        if len(self.open) + word.count > self.capacity:
            self.end(len(self.open))
        self.open.append(_Place(_STAND_IN, weight, word))
        self.open += [_Place(_STAND_IN, weight)] * (word.count - 1)

    def _phrase_end(self) -> int:
        """Return the place to cut a full chunk: after its last comma if that is near."""
        if self._last_comma is None or len(self.open) - self._last_comma > BACKTRACK:
            return len(self.open)
        return self._last_comma + 1

    def end(self, cut: int) -> None:
        """Close the chunk before ``cut``; the tokens after it open the next."""
        closed, self.open, self._last_comma = self.open[:cut], self.open[cut:], None
        words = [(place, each.word) for place, each in enumerate(closed)]
        self.chunks.append(
            Chunk(
                tuple(each.token for each in closed),
                tuple(each.weight for each in closed),
                tuple(InsertedWord(place, word) for place, word in words if word is not None),
            )
        )


def chunk_prompt(
    field_name: str,
    text: str,
    emphasis: Emphasis,
    tokenizer: TextTokens,
    words: WordTable = NO_WORDS,
) -> list[Chunk]:
    """Cut a prompt into chunks, at least one. Weights are 1 where the mode does not weigh.

    ``words``: those whose embeddings come from files. Weights beyond ±10 are clipped, with a
    warning. Raises `SettingsError` under ``field_name`` for more than 65,536 characters, before any
    is read, or 128 chunks; `ModelError` for the file of a word.
    """
    check_text(field_name, text)
    sections = parse_prompt(text) if emphasis.reads_brackets else [[WeightedText(text, 1.0)]]
    chunker = _Chunker(tokenizer.capacity, tokenizer.comma)
    for number, pieces in enumerate(sections):
        if number > 0:
            chunker.end(len(chunker.open))
        for piece in pieces:
            weight = _clip_weight(piece.weight, field_name) if emphasis.weighs else 1.0
            _add_text(chunker, tokenizer.tokens(piece.text), weight, words)
        if len(chunker.chunks) > MAX_CHUNKS:
            break
    if chunker.open or not chunker.chunks:
        chunker.end(len(chunker.open))
    if len(chunker.chunks) > MAX_CHUNKS:
        limit = f"{MAX_CHUNKS} chunks of {tokenizer.capacity} tokens"
        raise SettingsError(field_name, f"{len(text)} characters", f"they make more than {limit}")
    return chunker.chunks


def _add_text(chunker: _Chunker, tokens: list[int], weight: float, words: WordTable) -> None:
    """Add the tokens of a text, and the vectors of the words in it."""
    place = 0
    while place < len(tokens):
        found = words.find(tokens, place) if words else None
        if found is None:
            chunker.add(tokens[place], weight)
            place += 1
        else:
            chunker.add_word(found.word, weight)
            place += found.tokens


def _clip_weight(weight: float, field_name: str) -> float:
    """Return the weight, clipped to ±10 with a warning."""
    if abs(weight) <= MAX_WEIGHT:
        return weight
    # The same words each time, so that Python shows it once.
    warnings.warn(f"{field_name}: weights beyond ±{MAX_WEIGHT:g} are cut", stacklevel=3)
    return MAX_WEIGHT if weight > 0 else -MAX_WEIGHT

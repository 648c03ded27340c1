"""Words whose embeddings come from a file (textual inversion, Gal et al. 2022, arXiv 2208.01618).

They are found in prompts as the WebUI finds them: a name is cut into tokens like any text, and its
tokens are looked for at each place of a prompt, the longest name first. So small and capital
letters are the same, and a name may stand within brackets that weigh.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["NO_WORDS", "FoundWord", "LearnedWord", "NamedWord", "WordTable"]


@dataclass(frozen=True, eq=False)
class LearnedWord:
    """A word and what stands in place of its tokens' embeddings.

    ``vectors``: (count, width) for each text encoder of the model, in order. ``digest``: 12
    hexadecimal digits of the file's SHA-256; empty where it is part of another file. ``outputs``:
    what replaces the encoder's output at these places, as ``vectors``; None where nothing does.
    """

    name: str
    vectors: tuple[NDArray[np.float32], ...]
    digest: str = ""
    outputs: tuple[NDArray[np.float32] | None, ...] = ()

    def output(self, encoder: int) -> NDArray[np.float32] | None:
        """Return what replaces the output of an encoder, or None."""
        return self.outputs[encoder] if self.outputs else None

    @property
    def count(self) -> int:
        """The places that it takes in a chunk."""
        return len(self.vectors[0])


class NamedWord(NamedTuple):
    """The tokens of a word's name, and the function that reads its file when it is needed."""

    tokens: tuple[int, ...]
    read: Callable[[], LearnedWord]


class FoundWord(NamedTuple):
    """A word in a prompt, and how many tokens its name has."""

    word: LearnedWord
    tokens: int


class WordTable:
    """Words by the first token of their names. Of equal names the first one counts."""

    def __init__(self, words: Iterable[NamedWord] = ()) -> None:
        self._words: dict[int, dict[tuple[int, ...], NamedWord]] = {}
        for each in words:
            if each.tokens:
                self._words.setdefault(each.tokens[0], {}).setdefault(each.tokens, each)

    def __bool__(self) -> bool:
        return bool(self._words)

    def find(self, tokens: Sequence[int], place: int) -> FoundWord | None:
        """Return the word with the longest name at a place. Raises `ModelError` for its file."""
        there = self._words.get(tokens[place], {})
        fitting = [key for key in there if tuple(tokens[place : place + len(key)]) == key]
        if not fitting:
            return None
        longest = max(fitting, key=len)
        return FoundWord(there[longest].read(), len(longest))


NO_WORDS: Final = WordTable()

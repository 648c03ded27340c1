"""Prompts with learned words, and the words' vectors; see `tools/goldens/inversions.py`."""

from __future__ import annotations

from collections.abc import Mapping

from tests.goldens.weights import Array, normal

MODELS = ("sd2", "xl_base")
WORDS: Mapping[str, int] = {"<red-house>": 3, "bluetree": 1}
"""The words, and how many vectors each has."""
PROMPT = "a bluetree beside a <red-house> , a bluetree"
"""The comma stands alone: ``>,`` would be one token, here and in the WebUI, and so another word."""
NEGATIVE = "a dog <red-house>"


def word_vectors(word: str, width: int) -> Array:
    """Return the vectors (count, width) of a word."""
    return normal(f"inversion/{word}/{width}", (WORDS[word], width))

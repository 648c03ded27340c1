"""The chunks of all texts of a script, filled up to one length."""

from __future__ import annotations

from typing import Final

from diffusion.errors import SettingsError
from diffusion.prompts.chunks import Chunk, TextTokens, chunk_prompt
from diffusion.prompts.composition import Script
from diffusion.prompts.emphasis import Emphasis
from diffusion.prompts.learned_words import NO_WORDS, WordTable

__all__ = ["MAX_SCRIPT_CHUNKS", "chunk_script"]

MAX_SCRIPT_CHUNKS: Final = 4096
"""Chunks of all variants together: some 500 MB of embeddings for the widest models."""


def chunk_script(
    script: Script, emphasis: Emphasis, tokenizer: TextTokens, words: WordTable = NO_WORDS
) -> list[list[list[Chunk]]]:
    """Return the chunks of each variant's rows; all rows have as many, so that shapes are equal.

    Raises `SettingsError` for a text or a script of too many chunks, and `ModelError` for the file
    of a word.
    """
    chunks_of: dict[tuple[str, str], list[Chunk]] = {}
    rows = len(script.variants) * len(script.variants[0])
    longest = 0
    for texts in script.variants:
        for row, text in enumerate(texts):
            name = "negative" if row == 0 and len(texts) > len(script.weights) else "prompt"
            if (name, text) not in chunks_of:
                chunks_of[name, text] = chunk_prompt(name, text, emphasis, tokenizer, words)
                longest = max(longest, len(chunks_of[name, text]))
            if longest * rows > MAX_SCRIPT_CHUNKS and len(script.variants) > 1:
                hint = f"with all its changes it has more than {MAX_SCRIPT_CHUNKS} chunks of tokens"
                raise SettingsError("prompt", f"{len(script.variants)} variants", hint)
    padding = [Chunk()] * longest
    padded = {text: (chunks + padding)[:longest] for (_, text), chunks in chunks_of.items()}
    return [[padded[text] for text in texts] for texts in script.variants]

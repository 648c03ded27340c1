"""The chunks of all that a script says, filled up to one length."""

from __future__ import annotations

from typing import Final

from diffusion.errors import SettingsError
from diffusion.prompts.chunks import Chunk, TextTokens, chunk_prompt
from diffusion.prompts.composition import Script
from diffusion.prompts.emphasis import Emphasis

__all__ = ["MOST_SCRIPT_CHUNKS", "script_chunks"]

MOST_SCRIPT_CHUNKS: Final = 4096
"""Chunks of all variants together: some 500 MB of embeddings for the widest models."""


def script_chunks(
    script: Script, emphasis: Emphasis, tokenizer: TextTokens
) -> list[list[list[Chunk]]]:
    """The chunks of each variant's rows; all rows have as many, so that their shapes are one.

    Raises `SettingsError` for a text of too many chunks, or a script.
    """
    made: dict[tuple[str, str], list[Chunk]] = {}
    rows = len(script.variants) * len(script.variants[0])
    most = 0
    for texts in script.variants:
        for row, text in enumerate(texts):
            name = "negative" if row == 0 and len(texts) > len(script.weights) else "prompt"
            if (name, text) not in made:
                made[name, text] = chunk_prompt(name, text, emphasis, tokenizer)
                most = max(most, len(made[name, text]))
            if most * rows > MOST_SCRIPT_CHUNKS and len(script.variants) > 1:
                hint = (
                    f"with all its changes it has more than {MOST_SCRIPT_CHUNKS} chunks of tokens"
                )
                raise SettingsError("prompt", f"{len(script.variants)} variants", hint)
    filled = [Chunk()] * most
    by_text = {text: (chunks + filled)[:most] for (_, text), chunks in made.items()}
    return [[by_text[text] for text in texts] for texts in script.variants]

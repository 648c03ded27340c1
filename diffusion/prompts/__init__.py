"""From the text of a prompt, over the steps, to weighted chunks of tokens and embeddings.

Law: text and NumPy alone. It knows no model, no device and no pipeline; a tokenizer is passed in.
"""

from diffusion.prompts.chunks import (
    MAX_CHUNKS,
    MAX_WEIGHT,
    Chunk,
    InsertedWord,
    TextTokens,
    chunk_prompt,
)
from diffusion.prompts.composition import MAX_PARTS, Script, read_script
from diffusion.prompts.emphasis import EMPHASES, Emphasis, weigh_embeddings
from diffusion.prompts.grammar import WeightedText, parse_prompt
from diffusion.prompts.learned_words import NO_WORDS, LearnedWord, NamedWord, WordTable
from diffusion.prompts.scheduling import MAX_VARIANTS, PromptCalls, schedule_prompt
from diffusion.prompts.script_chunks import MAX_SCRIPT_CHUNKS, chunk_script

__all__ = [
    "EMPHASES",
    "MAX_CHUNKS",
    "MAX_PARTS",
    "MAX_SCRIPT_CHUNKS",
    "MAX_VARIANTS",
    "MAX_WEIGHT",
    "NO_WORDS",
    "Chunk",
    "Emphasis",
    "InsertedWord",
    "LearnedWord",
    "NamedWord",
    "PromptCalls",
    "Script",
    "TextTokens",
    "WeightedText",
    "WordTable",
    "chunk_prompt",
    "chunk_script",
    "parse_prompt",
    "read_script",
    "schedule_prompt",
    "weigh_embeddings",
]

"""From a prompt's text to weighted chunks of tokens, and what the weights do to embeddings.

Law: text and NumPy alone. It knows no model, no device and no pipeline; a tokenizer is passed in.
"""

from diffusion.prompts.chunks import MOST_CHUNKS, MOST_WEIGHT, Chunk, TextTokens, chunk_prompt
from diffusion.prompts.emphasis import EMPHASES, Emphasis, weigh
from diffusion.prompts.grammar import Span, parse_prompt

__all__ = [
    "EMPHASES",
    "MOST_CHUNKS",
    "MOST_WEIGHT",
    "Chunk",
    "Emphasis",
    "Span",
    "TextTokens",
    "chunk_prompt",
    "parse_prompt",
    "weigh",
]

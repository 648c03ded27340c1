"""From a prompt's text over the steps to weighted chunks of tokens, and what weights do to them.

Law: text and NumPy alone. It knows no model, no device and no pipeline; a tokenizer is passed in.
"""

from diffusion.prompts.chunks import MOST_CHUNKS, MOST_WEIGHT, Chunk, TextTokens, chunk_prompt
from diffusion.prompts.composition import MOST_PARTS, Script, script
from diffusion.prompts.emphasis import EMPHASES, Emphasis, weigh
from diffusion.prompts.grammar import Span, parse_prompt
from diffusion.prompts.padding import MOST_SCRIPT_CHUNKS, script_chunks
from diffusion.prompts.scheduling import MOST_VARIANTS, PromptSteps, prompt_steps

__all__ = [
    "EMPHASES",
    "MOST_CHUNKS",
    "MOST_PARTS",
    "MOST_SCRIPT_CHUNKS",
    "MOST_VARIANTS",
    "MOST_WEIGHT",
    "Chunk",
    "Emphasis",
    "PromptSteps",
    "Script",
    "Span",
    "TextTokens",
    "chunk_prompt",
    "parse_prompt",
    "prompt_steps",
    "script",
    "script_chunks",
    "weigh",
]

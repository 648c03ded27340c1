"""Templates of prompts: dynamic prompts and wildcards, as the WebUI's extension writes them.

Law: text, a folder that the user names, and the counter of the noise; no model and no device.
"""

from diffusion.templates.expansion import MAX_COMBINATIONS, all_prompts, draw_prompt
from diffusion.templates.foreign import warn_of_foreign_syntax, warn_of_idle_tags
from diffusion.templates.wildcards import NO_WILDCARDS, Wildcards

__all__ = [
    "MAX_COMBINATIONS",
    "NO_WILDCARDS",
    "Wildcards",
    "all_prompts",
    "draw_prompt",
    "warn_of_foreign_syntax",
    "warn_of_idle_tags",
]

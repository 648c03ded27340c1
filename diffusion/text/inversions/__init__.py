"""Textual inversion: small files that teach a text encoder a word (arXiv 2208.01618).

Law: a file is hostile until its names and shapes are compared with the model's text encoders. It
knows no device: what it returns are arrays for prompts.
"""

from diffusion.text.inversions.choice import TextualInversion, check_inversions
from diffusion.text.inversions.folder import NO_INVERSIONS, InversionFolder
from diffusion.text.inversions.inversion_file import (
    bundled_words,
    hash_of_inversion,
    read_bundled,
    read_inversion,
    shape_of_inversion,
)
from diffusion.text.inversions.words import InversionWords

__all__ = [
    "NO_INVERSIONS",
    "InversionFolder",
    "InversionWords",
    "TextualInversion",
    "bundled_words",
    "check_inversions",
    "hash_of_inversion",
    "read_bundled",
    "read_inversion",
    "shape_of_inversion",
]

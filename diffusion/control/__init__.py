"""Pictures that lead a drawing: which network reads them, how strongly, and how they are prepared.

Law: knows networks by name and path alone; nothing here runs one.
"""

from diffusion.control.choice import (
    KINDS,
    MODES,
    MOST_CONTROLS,
    PASSES,
    RESIZES,
    Control,
    check_controls,
)
from diffusion.control.folder import NO_CONTROLS, ControlFolder, FolderWords, NetworkFolder
from diffusion.control.image_prompt import (
    COMBINATIONS,
    SCALINGS,
    ImagePrompt,
    check_image_prompts,
)
from diffusion.control.preprocessors import (
    PREPROCESSORS,
    Preprocessor,
    Threshold,
    find_preprocessor,
    preprocessor_names,
)
from diffusion.control.weight_types import WEIGHT_TYPES

__all__ = [
    "COMBINATIONS",
    "KINDS",
    "MODES",
    "MOST_CONTROLS",
    "NO_CONTROLS",
    "PASSES",
    "PREPROCESSORS",
    "RESIZES",
    "SCALINGS",
    "WEIGHT_TYPES",
    "Control",
    "ControlFolder",
    "FolderWords",
    "ImagePrompt",
    "NetworkFolder",
    "Preprocessor",
    "Threshold",
    "check_controls",
    "check_image_prompts",
    "find_preprocessor",
    "preprocessor_names",
]

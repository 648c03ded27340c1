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
from diffusion.control.folder import NO_CONTROLS, ControlFolder
from diffusion.control.preprocessors import (
    PREPROCESSORS,
    Preprocessor,
    Threshold,
    find_preprocessor,
    preprocessor_names,
)

__all__ = [
    "KINDS",
    "MODES",
    "MOST_CONTROLS",
    "NO_CONTROLS",
    "PASSES",
    "PREPROCESSORS",
    "RESIZES",
    "Control",
    "ControlFolder",
    "Preprocessor",
    "Threshold",
    "check_controls",
    "find_preprocessor",
    "preprocessor_names",
]

"""What makes maps of pictures for control networks: edges, lines, blur, colours.

Law: pixels in, pixels out, by `gpustd.image` on a device; no network. Other packages add their own
under the entry point ``avila.annotators``.
"""

from diffusion.control.preprocessors.preprocessor import Preprocessor, Threshold
from diffusion.control.preprocessors.registry import (
    ENTRY_POINT,
    PREPROCESSORS,
    find_preprocessor,
    preprocessor_names,
)

__all__ = [
    "ENTRY_POINT",
    "PREPROCESSORS",
    "Preprocessor",
    "Threshold",
    "find_preprocessor",
    "preprocessor_names",
]

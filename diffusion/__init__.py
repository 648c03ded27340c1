"""Stable Diffusion on WGSL compute shaders.

Law: no WGSL and no GPU API, only gpustd operations and NumPy.

Names are imported when they are first asked for, so that the command starts with next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diffusion.conditioning import Conditioning, Sizes
    from diffusion.errors import DiffusionError
    from diffusion.pipeline import Pipeline, Result, Stage, Step
    from diffusion.refining import refine
    from diffusion.settings import Settings
else:
    _HOMES = {
        "Conditioning": "conditioning",
        "DiffusionError": "errors",
        "Pipeline": "pipeline",
        "Result": "pipeline",
        "Settings": "settings",
        "Sizes": "conditioning",
        "Stage": "pipeline",
        "Step": "pipeline",
        "refine": "refining",
    }

    def __getattr__(name):
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

    def __dir__():
        return sorted({*globals(), *__all__})


__all__ = [
    "Conditioning",
    "DiffusionError",
    "Pipeline",
    "Result",
    "Settings",
    "Sizes",
    "Stage",
    "Step",
    "refine",
]

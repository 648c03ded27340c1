"""Stable Diffusion on WGSL compute shaders.

Law: no WGSL and no GPU API, only gpustd operations and NumPy.

Names are imported when they are first asked for, so that the command starts at once.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diffusion.errors import DiffusionError
    from diffusion.pipeline.events import Result, Stage, Step
    from diffusion.pipeline.picture import Picture
    from diffusion.pipeline.pipeline import Pipeline
    from diffusion.pipeline.refiner import refine
    from diffusion.settings import Settings
    from diffusion.text.conditioning import Conditioning, Sizes
    from diffusion.text.prompt_embeddings import PromptEmbeddings
else:
    _HOMES = {
        "Conditioning": "text.conditioning",
        "DiffusionError": "errors",
        "Picture": "pipeline.picture",
        "Pipeline": "pipeline.pipeline",
        "PromptEmbeddings": "text.prompt_embeddings",
        "Result": "pipeline.events",
        "Settings": "settings",
        "Sizes": "text.conditioning",
        "Stage": "pipeline.events",
        "Step": "pipeline.events",
        "refine": "pipeline.refiner",
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
    "Picture",
    "Pipeline",
    "PromptEmbeddings",
    "Result",
    "Settings",
    "Sizes",
    "Stage",
    "Step",
    "refine",
]

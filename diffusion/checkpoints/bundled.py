"""Where the bundled model lies, and what suits it."""

from __future__ import annotations

from pathlib import Path

from diffusion.checkpoints import ModelFolder
from diffusion.checkpoints.hub import find_model
from diffusion.errors import ModelNotFoundError
from diffusion.settings import Defaults

__all__ = ["BUNDLED", "bundled_model", "default_settings", "named_model"]

BUNDLED = "emoji"
"""The name of the model that comes with the package."""

_DIFFUSION = Path(__file__).parents[1]
# In a wheel, and in a checkout.
_PLACES = (_DIFFUSION / "models_data" / "emoji", _DIFFUSION.parent / "models" / "emoji")


def bundled_model() -> Path:
    """Folder of the model that comes with the package. Raises `ModelNotFoundError`."""
    for place in _PLACES:
        if place.is_dir():
            return place
    raise ModelNotFoundError(
        _PLACES[0], "the bundled model is missing", "install the package again"
    )


def named_model(name: str | Path | None) -> Path:
    """The path of a model: the bundled one for None or its name, else as `find_model`.

    A folder of that name goes before it. Raises `ModelNotFoundError`.
    """
    if name is None or (str(name) == BUNDLED and not Path(name).exists()):
        return bundled_model()
    return find_model(name)


def default_settings(folder: ModelFolder) -> Defaults:
    """Defaults for a model: its own size, and for the bundled one steps that spare a CPU.

    The bundled model's pictures at 12 steps look like those at 20; guidance above 4 hardens them.
    A consistency model is made for four steps of its own sampler.
    """
    side = folder.unet.sample_size * folder.vae.downscale
    if any(place.is_dir() and folder.path.samefile(place) for place in _PLACES):
        return Defaults(side, side, steps=12, guidance=4.0)
    if folder.unet.time_cond_proj_dim is not None:
        return Defaults(side, side, steps=4, guidance=8.0, sampler="lcm")
    return Defaults(side, side)

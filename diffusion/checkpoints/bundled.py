"""The model that comes with the package: its folder, and the default settings of models."""

from __future__ import annotations

from pathlib import Path

from diffusion.checkpoints import ModelFolder
from diffusion.checkpoints.hub import find_model
from diffusion.errors import ModelNotFoundError
from diffusion.settings import Defaults

__all__ = [
    "BUNDLED",
    "BUNDLED_GUIDANCE",
    "BUNDLED_SPLIT_GUIDANCE",
    "BUNDLED_STEPS",
    "bundled_controls",
    "bundled_loras",
    "bundled_model",
    "default_settings",
    "named_model",
]

BUNDLED = "emoji"
"""The name of the model that comes with the package."""

BUNDLED_STEPS = 12
BUNDLED_GUIDANCE = 2.0
BUNDLED_SPLIT_GUIDANCE = 12.5
"""Defaults of the bundled model."""

_DIFFUSION = Path(__file__).parents[1]
# The first is in a wheel, the second in a checkout.
_FOLDERS = (_DIFFUSION / "models_data" / "emoji", _DIFFUSION.parent / "models" / "emoji")


def bundled_model() -> Path:
    """Return the folder of the bundled model. Raises `ModelNotFoundError`."""
    for folder in _FOLDERS:
        if folder.is_dir():
            return folder
    raise ModelNotFoundError(
        _FOLDERS[0], "the bundled model is missing", "install the package again"
    )


def bundled_loras(model: str | Path | None) -> Path | None:
    """Return the folder of the LoRAs that come with a model: the bundled one; None for others."""
    return bundled_model() / "loras" if _is_bundled(model) else None


def bundled_controls(model: str | Path | None) -> Path | None:
    """Return the folder of the control networks that come with a model; None for most models."""
    return bundled_model() / "controls" if _is_bundled(model) else None


def _is_bundled(name: str | Path | None) -> bool:
    return name is None or (str(name) == BUNDLED and not Path(name).exists())


def named_model(name: str | Path | None) -> Path:
    """Return the path of a model: the bundled one for None or its name, else as `find_model`.

    A folder of the same name takes precedence over the bundled model. Raises `ModelNotFoundError`.
    """
    if name is None or _is_bundled(name):
        return bundled_model()
    path = find_model(name)
    if path.name == str(path) and not path.suffix and not path.exists():
        reason = "no model of this name is known, and no folder or file of this name is here"
        hint = "avila model list shows the models; avila model pull owner/name gets one"
        raise ModelNotFoundError(str(name), reason, hint)
    return path


def default_settings(folder: ModelFolder) -> Defaults:
    """Return the default settings of a model.

    The size is the model's own. The bundled model's pictures at 12 steps look like those at 20.
    With guidance 2 they are clean from 8 steps on, with 4 half of them are broken there; CFG++
    needs 12.5. A consistency model is made for four steps of its own sampler.
    """
    side = folder.unet.sample_size * folder.vae.downscale
    if any(path.is_dir() and folder.path.samefile(path) for path in _FOLDERS):
        return Defaults(
            side,
            side,
            steps=BUNDLED_STEPS,
            guidance=BUNDLED_GUIDANCE,
            split_guidance=BUNDLED_SPLIT_GUIDANCE,
        )
    if folder.unet.time_cond_proj_dim is not None:
        return Defaults(side, side, steps=4, guidance=8.0, sampler="lcm")
    return Defaults(side, side)

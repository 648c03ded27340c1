"""Where the bundled model lies, and what suits it."""

from __future__ import annotations

from pathlib import Path

from diffusion.errors import ModelNotFoundError

__all__ = ["bundled_model"]

_HERE = Path(__file__).parent
# In a wheel, and in a checkout.
_PLACES = (_HERE / "models_data" / "emoji", _HERE.parent / "models" / "emoji")


def bundled_model() -> Path:
    """Folder of the model that comes with the package. Raises `ModelNotFoundError`."""
    for place in _PLACES:
        if place.is_dir():
            return place
    raise ModelNotFoundError(
        _PLACES[0], "the bundled model is missing", "install the package again"
    )

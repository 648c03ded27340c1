"""`ChosenLora`: an adapter that a run is drawn with, found and dated."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from diffusion.adapters import Lora
from diffusion.adapters.choice import Moment
from diffusion.adapters.element_weights import LayerWeights
from diffusion.checkpoints.safetensors.regular_file import FileIdentity, identity_of
from diffusion.errors import SettingsError

__all__ = ["ChosenLora"]


class ChosenLora(NamedTuple):
    """An adapter: its file, as it is now, its strengths, and the steps that it counts in."""

    path: Path
    identity: FileIdentity
    text: float
    unet: float
    layers: LayerWeights
    rank: int | None
    start: Moment | None
    stop: Moment | None

    @classmethod
    def of(cls, lora: Lora, path: Path) -> ChosenLora:
        """Return the adapter of a file. Raises `SettingsError` where there is none."""
        return cls(
            path,
            _identity(path),
            lora.weight,
            lora.unet_weight,
            LayerWeights(lora.blocks, lora.elements),
            lora.rank,
            lora.start,
            lora.stop,
        )

    @property
    def is_timed(self) -> bool:
        """Tell whether it counts in some steps alone."""
        return self.start is not None or self.stop is not None


def _identity(path: Path) -> FileIdentity:
    """Return the state of a file."""
    try:
        return identity_of(path.stat())
    except (OSError, ValueError):
        raise SettingsError("lora", str(path), "there is no such file") from None

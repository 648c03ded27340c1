"""The networks that enlarge pictures, as clients see them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from diffusion.errors import DiffusionError
from diffusion.server.errors import ConfigurationError
from diffusion.settings import Settings
from diffusion.tasks import PIXEL_UPSCALERS, is_network_upscaler
from diffusion.upscaling import UpscalerFolder

__all__ = ["UpscalerTable"]


class UpscalerTable:
    """The upscalers of a folder; none if there is none. Raises `ConfigurationError`."""

    def __init__(self, folder: Path | None) -> None:
        try:
            self._folder = UpscalerFolder(folder)
        except DiffusionError as error:
            raise ConfigurationError(str(error)) from error

    @property
    def names(self) -> Sequence[str]:
        """The names that requests may give."""
        return self._folder.names

    def has(self, name: str) -> bool:
        """Tell whether a name is that of a filter or of one network here."""
        return not is_network_upscaler(name) or self._folder.has(name)

    def find(self, name: str) -> Path | None:
        """Return the file of a network; None for a filter of pixels. Raises `SettingsError`."""
        if PIXEL_UPSCALERS.get(name) is not None:
            return None
        if self._folder.has(name) or (self.names and is_network_upscaler(name)):
            return self._folder.find(name)
        PIXEL_UPSCALERS.find(name)
        return None

    def check(self, settings: Settings) -> None:
        """Raise `SettingsError` for an upscaler that is not here."""
        if settings.hires is not None and is_network_upscaler(settings.hires.upscaler):
            self._folder.find(str(settings.hires.upscaler))
        if settings.init_image is not None and settings.init_image.upscaler is not None:
            self._folder.find(str(settings.init_image.upscaler))

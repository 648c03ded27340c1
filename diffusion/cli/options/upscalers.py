"""The option that says where upscalers are found, and the reading of their names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from typer import Option

from diffusion.cli.options.groups import OptionGroup
from diffusion.settings import Settings
from diffusion.tasks import is_network_upscaler
from diffusion.upscaling import UpscalerFolder

__all__ = ["UpscalerFolderOptions", "check_upscaler_names", "find_upscaler"]

_END: Final = ".safetensors"


@dataclass(frozen=True)
class UpscalerFolderOptions(OptionGroup, panel="Networks"):
    """The folder of networks that enlarge pictures."""

    upscalers: Annotated[
        Path | None,
        Option(
            "--upscalers",
            metavar="FOLDER",
            help="Where the names of upscalers that are networks (ESRGAN, Real-ESRGAN) are found.",
            show_default=False,
        ),
    ] = None

    def folder(self) -> UpscalerFolder:
        """Return the folder that names are found in. Raises `SettingsError`."""
        return UpscalerFolder(self.upscalers)


def find_upscaler(text: str) -> str | Path:
    """Return an upscaler that was typed: a name, or the path of a ``.safetensors`` file."""
    return Path(text) if text.lower().endswith(_END) else text


def check_upscaler_names(settings: Settings, folder: UpscalerFolder) -> None:
    """Raise `SettingsError` for a network that is not found, before a model is loaded."""
    if settings.hires is not None and is_network_upscaler(settings.hires.upscaler):
        folder.find(settings.hires.upscaler)
    if settings.init_image is not None and settings.init_image.upscaler is not None:
        folder.find(settings.init_image.upscaler)

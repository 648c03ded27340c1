"""Options about LoRAs: which ones, and the folder that names are found in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final

from typer import Option

from diffusion.adapters import Lora, LoraFolder
from diffusion.adapters.tags import read_tags
from diffusion.cli.options.groups import OptionGroup
from diffusion.cli.options.parsing import MAX_DIGITS, find_name
from diffusion.errors import SettingsError
from diffusion.pipeline.lora import MODES, LoraMode
from diffusion.settings import Settings

__all__ = ["LoraOptions", "check_names", "parse_lora"]

_MOST_WEIGHTS: Final = 2


@dataclass(frozen=True)
class LoraOptions(OptionGroup, panel="LoRAs"):
    """Adapters of the model's weights."""

    lora: Annotated[
        list[str] | None,
        Option(
            "--lora",
            metavar="NAME\\[:WEIGHT]",
            help="Draw with a LoRA: a name in --loras, the path of a .safetensors file, or what "
            "avila model pull takes (owner/name/FILE). Give it several times for several. A second "
            "weight is the UNet's alone.",
            show_default=False,
        ),
    ] = None
    loras: Annotated[
        Path | None,
        Option(
            "--loras",
            metavar="FOLDER",
            help="Where the names in --lora, and in <lora:name:weight> in a prompt, are found.",
            show_default=False,
        ),
    ] = None

    lora_mode: Annotated[
        str | None,
        Option(
            "--lora-mode",
            metavar="|".join(MODES),
            help="How LoRAs are applied: merged into the weights, or at run time beside them. "
            "Merging takes a moment, then costs nothing. auto, the default, takes what is quicker "
            "for so many steps; with --from, the default is what the picture was drawn with.",
            show_default=False,
        ),
    ] = None

    def change(self, settings: Settings) -> Settings:
        """Return ``settings`` with the LoRAs that were typed. Raises `SettingsError`."""
        return replace(settings, loras=(*settings.loras, *map(parse_lora, self.lora or ())))

    def mode(self, usual: str | None = None) -> LoraMode:
        """Return the chosen mode, else the ``usual`` one. Raises `SettingsError`."""
        chosen = self.lora_mode or usual or "auto"
        return find_name("lora mode", chosen, {each: each for each in MODES})


def check_names(settings: Settings, folder: LoraFolder) -> None:
    """Raise `SettingsError` for a name that is not found, before a model is loaded."""
    for each in settings.loras:
        if not each.is_path:
            folder.find(str(each.file))
    if folder:
        for each in read_tags(settings.prompt):
            folder.find(str(each.file))


def parse_lora(text: str) -> Lora:
    """Return the adapter of a text such as ``name:0.8``. Raises `SettingsError`."""
    file, weights = text, list[float]()
    while len(weights) < _MOST_WEIGHTS:
        rest, colon, last = file.rpartition(":")
        weight = _read_number(last)
        if not colon or weight is None:
            break
        file, weights = rest, [weight, *weights]
    if not file:
        raise SettingsError("lora", text, "must be NAME or NAME:WEIGHT")
    weight, unet = [*weights, None, None][:2]
    lora = Lora(file, 1.0 if weight is None else weight, unet)
    lora.check()
    return lora


def _read_number(text: str) -> float | None:
    try:
        return float(text[:MAX_DIGITS])
    except ValueError:
        return None

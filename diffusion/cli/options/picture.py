"""Options about the picture itself: its seed, how many there are, and variations of a seed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from typer import Option

from diffusion.cli.options.completion import complete_from
from diffusion.cli.options.groups import OptionGroup, typed_values
from diffusion.cli.options.parsing import find_seamless_axes, parse_seed, parse_size
from diffusion.errors import SettingsError
from diffusion.prompts import EMPHASES
from diffusion.settings import Settings, random_seed
from diffusion.tasks import Variation

__all__ = ["PictureOptions", "VariationOptions"]


@dataclass(frozen=True)
class PictureOptions(OptionGroup, panel="Prompt and picture", first=("negative", "seed", "count")):
    """Negative prompt, seed and number of pictures, seams, and the reading of prompts."""

    negative: Annotated[
        str | None,
        Option(
            help="What not to draw.",
        ),
    ] = None
    seed: Annotated[
        int | None,
        Option(
            help="The same seed gives the same picture; further pictures take the seeds after it. "
            "-1 is a random one.",
            show_default="-1",
        ),
    ] = None
    count: Annotated[
        int | None, Option(help="How many pictures to draw.", show_default=str(Settings.count))
    ] = None
    seamless: Annotated[
        str | None,
        Option(
            metavar="AXES",
            autocompletion=complete_from(("off", "x", "y", "xy")),
            help="Let opposite edges meet, so that copies laid side by side show no seam: x (left "
            "and right), y (top and bottom), xy or off. For textures and panoramas.",
            show_default="off, or what the text of an earlier picture says",
        ),
    ] = None
    emphasis: Annotated[
        str | None,
        Option(
            metavar="NAME",
            autocompletion=complete_from(EMPHASES.names),
            help=f"How weights in prompts count: one of {', '.join(EMPHASES.names)}. With none, "
            "brackets are plain text.",
            show_default=Settings.emphasis,
        ),
    ] = None
    clip_skip: Annotated[
        int | None,
        Option(
            help="Take the output of an earlier layer of the text encoder: 1 is the last layer, "
            "2 the one before it.",
            show_default=str(Settings.clip_skip),
        ),
    ] = None

    def change(self, settings: Settings) -> Settings:
        """Return ``settings`` with what was typed. Raises `SettingsError`."""
        values = typed_values(self)
        if self.seed is not None:
            values["seed"] = parse_seed(self.seed)
        if self.seamless is not None:
            values["seamless"] = find_seamless_axes(self.seamless)
        return replace(settings, **values)


@dataclass(frozen=True)
class VariationOptions(OptionGroup, panel="Variations of a seed", prefix="variation"):
    """Changes to the first noise of a seed."""

    strength: Annotated[
        float | None,
        Option(
            "--variation",
            help="How far to go from the noise of --seed to that of --variation-seed, 0 to 1. "
            "0.1 to 0.3 with --count gives pictures that are much alike.",
            show_default="0",
        ),
    ] = None
    seed: Annotated[
        int | None,
        Option(
            help="The other seed. Further pictures take the seeds after it, and all share --seed. "
            "-1 is a random one.",
            show_default="-1",
        ),
    ] = None
    resize_from: Annotated[
        str | None,
        Option(
            "--seed-resize",
            metavar="WxH",
            help="Draw the seed's noise at this size and put it in the middle. A composition that "
            "was found at this size then mostly stays at another --size.",
        ),
    ] = None

    def change(self, variation: Variation | None) -> Variation | None:
        """Return ``variation`` with what was typed, or None where nothing is varied.

        Raises `SettingsError`.
        """
        values = typed_values(self)
        if self.seed is not None:
            values["seed"] = parse_seed(self.seed, "variation seed")
        if self.resize_from is not None:
            values["resize_from"] = parse_size(self.resize_from, "seed resize")
        changed = replace(variation or Variation(random_seed()), **values)
        if self.seed is not None and not changed.strength:
            raise SettingsError("variation seed", self.seed, "needs --variation STRENGTH")
        return changed if changed.strength or changed.resize_from else None
